//! Signed URLs at the front door: what a signature lets one do, and everything that it does not.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local::{Ready, Running};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{get, in_memory, options, token, within};

const BYTES: &[u8] = b"\x89PNG and some bytes more \x00\xff";

async fn ask(ready: &Ready, method: Method, path: &str, body: &Value) -> Value {
    let request = Client::new().request(method, format!("{}{path}", ready.http)).bearer_auth(token(ready, "alice"));
    let request = if body.is_null() { request } else { request.json(body) };
    let response = within("an answer", request.send()).await.expect("an answer");
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().await.expect("JSON")
}

/// Makes an attachment of these bytes, not uploaded yet.
async fn made(ready: &Ready) -> Value {
    let body = json!({"type": "image/png", "bytes": BYTES.len()});
    ask(ready, Method::POST, "/v1/attachments", &body).await
}

async fn shown(ready: &Ready, made: &Value) -> Value {
    let path = format!("/v1/attachments/{}", made["attachment"].as_str().expect("an id"));
    ask(ready, Method::GET, &path, &Value::Null).await
}

fn url(signed: &Value) -> &str {
    signed["url"].as_str().expect("a URL")
}

/// A PUT with the headers that the answer says.
fn put(made: &Value, url: &str) -> RequestBuilder {
    let headers = made["upload"]["headers"].as_object().expect("headers");
    let request = headers.iter().filter(|(name, _)| *name != "content-length");
    let request = request
        .fold(Client::new().put(url), |request, (name, value)| request.header(name, value.as_str().expect("text")));
    request.body(BYTES)
}

async fn sent(request: RequestBuilder) -> Response {
    within("an answer", request.send()).await.expect("an answer")
}

async fn status(request: RequestBuilder) -> u16 {
    sent(request).await.status().as_u16()
}

async fn folder() -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let running = local::start(options(folder.path())).await.expect("a start");
    (running, folder)
}

#[tokio::test]
async fn a_file_is_uploaded_once_and_downloaded_as_it_was() {
    let (in_folder, _data) = folder().await;
    let (in_memory, _other) = in_memory().await;
    for running in [in_folder, in_memory] {
        let ready = &running.ready;
        let made = made(ready).await;
        let download = shown(ready, &made).await;
        assert_eq!(status(Client::new().get(url(&download))).await, 404, "it has not been uploaded yet");
        assert_eq!(status(put(&made, url(&made["upload"]))).await, 200);
        assert_eq!(status(put(&made, url(&made["upload"]))).await, 412, "whoever has it has what everybody has");

        let response = sent(Client::new().get(url(&download))).await;
        let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
        assert_eq!((response.status().as_u16(), header("content-type").as_str()), (200, "image/png"));
        assert_eq!(
            (header("content-length"), header("content-disposition")),
            (BYTES.len().to_string(), "attachment".into())
        );
        assert_eq!(
            (header("content-security-policy"), header("x-content-type-options")),
            ("sandbox".into(), "nosniff".into())
        );
        assert_eq!(response.bytes().await.expect("bytes"), BYTES);

        let meter = get(&running, "/_local/meter").await;
        let lines = meter["lines"].as_array().expect("lines");
        for (operation, requests, dollars) in [("PutObject", 1, 5.0e-6), ("GetObject", 1, 0.4e-6)] {
            let line = lines.iter().find(|line| line["operation"] == operation).expect(operation);
            assert_eq!((&line["requests"], &line["service"]), (&json!(requests), &json!("s3")));
            assert!((line["dollars"].as_f64().expect("dollars") - dollars).abs() < 1e-9, "{line}");
        }
    }
}

#[tokio::test]
async fn a_signature_is_good_for_what_it_is_over_and_nothing_else() {
    let (running, data) = folder().await;
    let ready = &running.ready;
    let (made, other) = (made(ready).await, made(ready).await);
    let (upload, download) = (url(&made["upload"]).to_owned(), url(&shown(ready, &made).await).to_owned());
    let id = |made: &Value| made["attachment"].as_str().expect("an id").to_owned();
    let (bytes, size) = (format!("bytes={}", BYTES.len()), BYTES.len());

    // The URL.
    for bad in [
        upload.replace(&id(&made), &id(&other)),
        upload.replace(&id(&made), "..%2Fsigning-key.pem"),
        upload.replace(&bytes, &format!("bytes={}", size + 1)),
        upload.replace("image%2Fpng", "text%2Fhtml").replace("image/png", "text/html"),
        upload.replace("expires=1", "expires=2"),
        upload.replace("signature=", "signature=0"),
        upload.split("&signature").next().expect("a URL").to_owned(),
        format!("{upload}&bytes=1"),
        download.clone(),
        expired(ready, data.path(), &id(&made)),
    ] {
        assert_ne!(bad, upload);
        let refused = status(put(&made, &bad)).await;
        assert!(refused == 403 || refused == 400, "{bad}: {refused}");
    }
    // The method.
    assert_eq!(status(Client::new().get(&upload)).await, 403);
    assert_eq!(status(Client::new().head(&download)).await, 403);
    assert_eq!(status(Client::new().delete(&upload)).await, 405);
    // The headers, which are signed as well.
    let typed = |kind: &str| Client::new().put(&upload).header("content-type", kind).header("if-none-match", "*");
    assert_eq!(status(typed("text/html").body(BYTES)).await, 403);
    assert_eq!(status(typed("image/png").body(&BYTES[1..])).await, 403, "another size");
    assert_eq!(status(typed("image/png").body([BYTES, BYTES].concat())).await, 403, "another size");
    assert_eq!(status(Client::new().put(&upload).header("content-type", "image/png").body(BYTES)).await, 403);

    assert_eq!(status(Client::new().get(&download)).await, 404, "nothing of all this was kept");
    assert_eq!(std::fs::read_dir(data.path().join("attachments")).expect("a folder").count(), 0);
    assert_eq!(status(put(&made, &upload)).await, 200);
    assert_eq!(
        status(Client::new().get(download.replace("image%2Fpng", "text%2Fhtml").replace("image/png", "text/html")))
            .await,
        403
    );
}

/// An upload that was signed and whose time is over, by the key in the folder.
fn expired(ready: &Ready, data: &std::path::Path, id: &str) -> String {
    let key = std::fs::read_to_string(data.join("attachment-key")).expect("a key");
    let key = URL_SAFE_NO_PAD.decode(key).expect("base64");
    let expires = lambda::start::invocation().now.minus(Duration::from_millis(1)).as_millis();
    let signed = format!("PUT\n{id}\nimage/png\n{}\n{expires}", BYTES.len());
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signature);
    let query = format!("bytes={}&type=image/png&expires={expires}&signature={signature}", BYTES.len());
    format!("{}/_local/attachments/{id}?{query}", ready.http)
}

#[tokio::test]
async fn half_a_file_is_none() {
    let (running, data) = folder().await;
    let ready = &running.ready;
    let made = made(ready).await;
    let upload = url(&made["upload"]);
    let (address, target) = upload.trim_start_matches("http://").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "PUT /{target} HTTP/1.1\r\nhost: {address}\r\ncontent-type: image/png\r\nif-none-match: *\r\ncontent-length: {}\r\n\r\n",
        BYTES.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    stream.write_all(&BYTES[1..]).await.expect("written");
    stream.shutdown().await.expect("closed");
    let mut answer = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    within("the draft to go", async {
        while std::fs::read_dir(data.path().join("attachments")).expect("a folder").count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(status(put(&made, upload)).await, 200, "it can be tried again");
}

#[tokio::test]
async fn files_and_their_urls_outlive_the_process() {
    let data = tempfile::tempdir().expect("a folder");
    let killed = local::start(options(data.path())).await.expect("a start");
    let uploaded = made(&killed.ready).await;
    assert_eq!(status(put(&uploaded, url(&uploaded["upload"]))).await, 200);
    let download = url(&shown(&killed.ready, &uploaded).await).to_owned();
    let old = killed.ready.http.clone();
    killed.shutdown().await;
    let running = local::start(options(data.path())).await.expect("a start");
    let again = sent(Client::new().get(download.replace(&old, &running.ready.http))).await;
    assert_eq!(again.bytes().await.expect("bytes"), BYTES);
    assert_eq!(shown(&running.ready, &uploaded).await["bytes"], BYTES.len());
}

#[tokio::test]
async fn a_page_of_any_origin_may_use_a_url_that_it_was_given() {
    let (running, _data) = in_memory().await;
    let made = made(&running.ready).await;
    let upload = url(&made["upload"]);
    let asked = Client::new().request(Method::OPTIONS, upload).header("origin", "https://chat.example");
    let allowed = sent(asked.header("access-control-request-method", "PUT")).await;
    let header = |name: &str| allowed.headers()[name].to_str().expect("text").to_owned();
    assert_eq!((allowed.status().as_u16(), header("access-control-allow-origin").as_str()), (204, "*"));
    assert!(header("access-control-allow-methods").contains("PUT"));
    assert_eq!(header("access-control-allow-headers"), "content-type, if-none-match");
    let of_page =
        |request: RequestBuilder| request.header("origin", "https://chat.example").header("host", "lan.example");
    let download = shown(&running.ready, &made).await;
    for request in [put(&made, upload), Client::new().get(url(&download))] {
        let answer = sent(of_page(request)).await;
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert_eq!(answer.status(), 200);
    }
}
