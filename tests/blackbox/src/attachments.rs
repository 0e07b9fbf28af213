//! Attachments: a file goes up once, as it was announced, and comes down to whom a message gave it.

use blackbox::{Deployment, User};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::join;

const FILE: &[u8] = b"\x89PNG and some more";

async fn announce(user: &User) -> Value {
    user.done("POST", "/v1/attachments", &json!({"type": "image/png", "bytes": FILE.len()})).await
}

/// Uploads these bytes as `made` says.
async fn upload(cloud: &Deployment, made: &Value, bytes: &'static [u8]) -> StatusCode {
    let upload = &made["upload"];
    assert_eq!(upload["method"], "PUT", "{made}");
    let mut request = cloud.http_client().put(upload["url"].as_str().expect("a URL"));
    for (name, value) in upload["headers"].as_object().expect("headers") {
        // What is sent has its own.
        if name != "content-length" {
            request = request.header(name, value.as_str().expect("a value"));
        }
    }
    request.body(bytes).send().await.expect("an answer").status()
}

fn id_of(made: &Value) -> &str {
    made["attachment"].as_str().expect("an id")
}

/// Downloads an attachment; the status of whichever answer refuses it.
async fn download(cloud: &Deployment, user: &User, id: &str) -> Result<Vec<u8>, u16> {
    let shown = user.ask("GET", &format!("/v1/attachments/{id}"), &Value::Null).await;
    if shown.status != 200 {
        return Err(shown.status);
    }
    let url = shown.body["url"].as_str().expect("a URL");
    let response = cloud.http_client().get(url).send().await.expect("an answer");
    match response.status() {
        StatusCode::OK => Ok(response.bytes().await.expect("a body").to_vec()),
        status => Err(status.as_u16()),
    }
}

pub(crate) async fn a_file_is_for_its_uploader_and_the_recipients_of_its_message(cloud: &Deployment) {
    let (alice, bob, eve) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("eve"));
    let mut phone = bob.online("phone").await;
    let made = announce(&alice).await;
    assert_eq!(upload(cloud, &made, FILE).await, StatusCode::OK);
    let id = id_of(&made);
    assert_eq!(download(cloud, &bob, id).await, Err(404), "nobody gave it to him");
    let mut stolen = bob.message("mine");
    stolen["attachments"] = json!([id]);
    let refused = eve.done("POST", "/v1/messages", &json!({"messages": [stolen]})).await;
    assert_eq!(refused["refused"][0]["code"], "invalid_attachment", "{refused}");
    let mut message = bob.message("look");
    message["attachments"] = json!([id]);
    let sent = alice.send(&[message]).await;
    let envelope = phone.message(&sent[0]).await.envelope;
    assert_eq!(download(cloud, &bob, id).await.as_deref(), Ok(FILE));
    assert_eq!(download(cloud, &alice, id).await.as_deref(), Ok(FILE));
    assert_eq!(download(cloud, &eve, id).await, Err(404));
    phone.ack(&[envelope]).await;
    phone.nothing_pending().await;
}

pub(crate) async fn a_file_is_uploaded_once_as_it_was_announced(cloud: &Deployment) {
    let alice = cloud.user("alice").await;
    let made = announce(&alice).await;
    assert_ne!(upload(cloud, &made, b"\x89PNG and something else").await, StatusCode::OK, "another size");
    assert_eq!(upload(cloud, &made, FILE).await, StatusCode::OK);
    assert_ne!(upload(cloud, &made, b"\x89PNG and some MORE").await, StatusCode::OK, "a second time");
    assert_eq!(download(cloud, &alice, id_of(&made)).await.as_deref(), Ok(FILE));
    let page = json!({"type": "text/html", "bytes": 7});
    let refused = alice.ask("POST", "/v1/attachments", &page).await;
    assert_eq!((refused.status, refused.code()), (400, Some("invalid_request")));
}
