//! The webhook gateway over a real connection.

use aws_lc_rs::hmac;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notify::webhook::{InvalidSecret, Secret, Webhook};
use testkit::wake;
use tokio::sync::mpsc;

const KEY: &[u8; 24] = b"0123456789abcdef01234567";

async fn serve(status: StatusCode) -> (Webhook, mpsc::UnboundedReceiver<(HeaderMap, String)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = post(move |headers: HeaderMap, body: String| async move {
        sender.send((headers, body)).expect("the test listens");
        status
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/wakes", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/wakes", handler)).await });
    let secret: Secret = format!("whsec_{}", STANDARD.encode(KEY)).parse().expect("a secret");
    (Webhook::new(url.parse().expect("a URL"), secret).expect("a webhook"), receiver)
}

#[tokio::test]
async fn a_wake_is_posted_and_signed() {
    let (webhook, mut posts) = serve(StatusCode::NO_CONTENT).await;
    webhook.post(&wake()).await.expect("taken");
    let (headers, body) = posts.recv().await.expect("a post");
    expect_test::expect![[
        r#"{"user":"bob","device":"phone","ids":["0198a5c0-7c00-7abc-8def-0123456789ab"],"reason":"exhausted","at":1800000000123}"#
    ]]
    .assert_eq(&body);
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("webhook-timestamp"), "1800000000");
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let signature = header("webhook-signature");
    let tag = STANDARD.decode(signature.strip_prefix("v1,").expect("version 1")).expect("base64");
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, KEY), signed.as_bytes(), &tag).expect("the signature fits");
}

#[tokio::test]
async fn anything_but_success_is_a_failure() {
    let (webhook, _posts) = serve(StatusCode::INTERNAL_SERVER_ERROR).await;
    let failure = webhook.post(&wake()).await.expect_err("refused").to_string();
    assert_eq!(failure, "failed to post a wake to the webhook: it answered 500 Internal Server Error");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    let secret: Secret = format!("whsec_{}", STANDARD.encode(KEY)).parse().expect("a secret");
    let webhook = Webhook::new(url.parse().expect("a URL"), secret).expect("a webhook");
    assert!(webhook.post(&wake()).await.is_err());
}

#[test]
fn a_secret_is_long_enough_and_does_not_show() {
    for bad in ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!"] {
        assert_eq!(bad.parse::<Secret>().map(|_| ()).expect_err(bad), InvalidSecret);
    }
    let secret: Secret = format!("whsec_{}", STANDARD.encode(KEY)).parse().expect("a secret");
    assert_eq!(format!("{secret:?}"), "Secret");
}
