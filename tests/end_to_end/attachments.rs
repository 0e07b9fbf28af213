//! Attachments: uploaded by one, sent to others, and downloaded by exactly those; and what is wrong with bad requests.

use reqwest::Method;
use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};
use crate::http::{Api, api};

/// Not text, and more than one read or write of anything.
fn photo() -> Vec<u8> {
    (0..=255).cycle().step_by(7).take(300_000).collect()
}

impl Api<'_> {
    /// Makes an attachment and uploads these bytes. Answers its id.
    async fn uploaded(&self, bytes: &[u8]) -> String {
        let body = json!({"type": "image/jpeg", "bytes": bytes.len()});
        let (status, made) = self.ask(Method::POST, "/v1/attachments", &body).await;
        assert_eq!((status, &made["upload"]["method"]), (201, &json!("PUT")), "{made}");
        let mut request = reqwest::Client::new().put(made["upload"]["url"].as_str().expect("a URL"));
        for (name, value) in made["upload"]["headers"].as_object().expect("headers") {
            request = request.header(name, value.as_str().expect("text"));
        }
        let response = request.body(bytes.to_vec()).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        made["attachment"].as_str().expect("an id").to_owned()
    }

    /// What is downloaded; the status and code of the refusal if there is one.
    async fn downloaded(&self, id: &str) -> Result<Vec<u8>, (u16, String)> {
        let (status, shown) = self.get(&format!("/v1/attachments/{id}")).await;
        if status != 200 {
            return Err((status, shown["code"].as_str().unwrap_or_default().to_owned()));
        }
        let response = reqwest::get(shown["url"].as_str().expect("a URL")).await.expect("an answer");
        assert_eq!((response.status().as_u16(), &shown["type"]), (200, &json!("image/jpeg")));
        Ok(response.bytes().await.expect("bytes").to_vec())
    }

    /// Sends one message that names an attachment. Answers `accepted`.
    async fn pass_on(&self, to: Value, attachments: Value) -> Value {
        let message = json!({"id": new_id().to_string(), "to": to, "body": "look", "attachments": attachments});
        let (status, accepted) = self.ask(Method::POST, "/v1/messages", &json!({"messages": [message]})).await;
        assert_eq!(status, 200, "{accepted}");
        accepted
    }
}

fn not_found() -> Result<Vec<u8>, (u16, String)> {
    Err((404, "not_found".to_owned()))
}

#[tokio::test]
async fn a_file_reaches_whom_it_was_sent_to_byte_by_byte_and_nobody_else() {
    let cloud = Deployment::start().await;
    let (alice, bob, eve) = (api(&cloud, "alice"), api(&cloud, "bob"), api(&cloud, "eve"));
    let mut alices = cloud.connect("alice", "phone").await.drained().await;
    let mut bobs = cloud.connect("bob", "phone").await.drained().await;
    let photo = photo();
    let id = alice.uploaded(&photo).await;
    for stranger in [&bob, &eve] {
        assert_eq!(stranger.downloaded(&id).await, not_found(), "it was sent to nobody yet");
    }
    let message = json!({"id": new_id().to_string(), "to": {"user": "bob"}, "body": {"file": id}, "attachments": [id]});
    alices.send_message(message).await;
    let messages = bobs.messages().await;
    // Whoever sees the message may have the file, from the first moment on.
    assert_eq!(bob.downloaded(&id).await.as_ref(), Ok(&photo));
    assert_eq!(messages[0]["body"], json!({"file": id}), "that the body names it is the sender's business");
    assert!(messages[0].get("attachments").is_none());
    assert_eq!(alice.downloaded(&id).await.as_ref(), Ok(&photo));
    assert_eq!(eve.downloaded(&id).await, not_found());
    bobs.ack(&messages).await;
    cloud.until_pending("bob", "phone", 0).await;
    assert_eq!(bob.downloaded(&id).await.as_ref(), Ok(&photo), "an ack takes nothing away");

    // Bob passes it on; to eve it was never sent, and dave gets it without a device.
    let passed = bob.pass_on(json!({"user": "dave"}), json!([id])).await;
    assert_eq!(passed["refused"], json!([]));
    cloud.until_pending("dave", "*", 1).await;
    assert_eq!(api(&cloud, "dave").downloaded(&id).await.as_ref(), Ok(&photo));
    assert_eq!(eve.downloaded(&id).await, not_found());
}

#[tokio::test]
async fn a_file_for_a_group_is_for_who_was_in_it() {
    let cloud = Deployment::start().await;
    let (alice, bob, carol, dave) =
        (api(&cloud, "alice"), api(&cloud, "bob"), api(&cloud, "carol"), api(&cloud, "dave"));
    alice.change(Method::PUT, "/v1/groups/team", &json!({"name": "Team", "users": ["bob", "carol"]})).await;
    for name in ["bob", "carol"] {
        cloud.until_pending(name, "*", 1).await;
    }
    let photo = photo();
    let id = alice.uploaded(&photo).await;
    assert_eq!(alice.pass_on(json!({"group": "team"}), json!([id])).await["refused"], json!([]));
    for (name, member) in [("bob", &bob), ("carol", &carol)] {
        cloud.until_pending(name, "*", 2).await;
        assert_eq!(member.downloaded(&id).await.as_ref(), Ok(&photo), "{name}");
    }
    assert_eq!(dave.downloaded(&id).await, not_found());

    alice.change(Method::DELETE, "/v1/groups/team/members/carol", &Value::Null).await;
    alice.change(Method::POST, "/v1/groups/team/members", &json!({"users": ["dave"]})).await;
    assert_eq!(carol.downloaded(&id).await.as_ref(), Ok(&photo), "it was sent to her");
    assert_eq!(dave.downloaded(&id).await, not_found(), "it was not sent to him");
    assert_eq!(bob.pass_on(json!({"group": "team"}), json!([id])).await["refused"], json!([]));
    cloud.until("dave to have it", async || dave.downloaded(&id).await.is_ok(), |has_it| *has_it).await;
}

#[tokio::test]
async fn what_one_may_not_have_cannot_be_passed_on() {
    let cloud = Deployment::start().await;
    let (alice, eve) = (api(&cloud, "alice"), api(&cloud, "eve"));
    let id = alice.uploaded(b"a secret").await;
    let mut socket = cloud.connect("eve", "phone").await.drained().await;
    let unknown = "00000000000000000000000000000000";
    for (attachments, code) in [
        (json!([id]), "invalid_attachment"),
        (json!([unknown]), "invalid_attachment"),
        (json!([]), "invalid_attachment"),
        (json!("x"), "invalid_attachment"),
        (json!([id.to_uppercase()]), "invalid_attachment"),
        (json!([7]), "invalid_attachment"),
        (json!(vec![&id; 11]), "invalid_attachment"),
    ] {
        let accepted = eve.pass_on(json!({"user": "eve"}), attachments.clone()).await;
        assert_eq!((&accepted["ids"], &accepted["refused"][0]["code"]), (&json!([]), &json!(code)), "{attachments}");
        let message = json!({"id": new_id().to_string(), "to": {"user": "eve"}, "body": 1, "attachments": attachments});
        let refused = socket.ask(&json!({"action": "send", "messages": [message]})).await;
        assert_eq!(refused["refused"][0]["code"], code, "{attachments}");
    }
    // What is not there and what is not for her is told alike.
    let refusals = [id.as_str(), unknown].map(|id| eve.pass_on(json!({"user": "bob"}), json!([id])));
    let [others, none] = futures::future::join_all(refusals).await.try_into().expect("two answers");
    assert_eq!(others["refused"][0]["detail"], none["refused"][0]["detail"]);
    let fleeting =
        json!({"id": new_id().to_string(), "to": {"user": "bob"}, "body": 1, "ephemeral": true, "attachments": [id]});
    let refused = socket.ask(&json!({"action": "send", "messages": [fleeting]})).await;
    assert_eq!(refused["refused"][0]["code"], "invalid_message");
    assert_eq!(eve.downloaded(&id).await, not_found());
    for (user, device) in [("eve", "phone"), ("bob", "*")] {
        assert_eq!(cloud.inbox(user, device).await.len(), 0, "nothing was delivered to {user}");
    }
}

#[tokio::test]
async fn a_bad_request_for_an_attachment_is_answered_with_its_code() {
    let cloud = Deployment::start().await;
    let alice = api(&cloud, "alice");
    let large = json!({"type": "image/png", "bytes": 100 * 1024 * 1024 + 1});
    for (method, path, body, status, code) in [
        (Method::POST, "/v1/attachments", json!([]), 400, "invalid_request"),
        (Method::POST, "/v1/attachments", json!({"type": "image/png"}), 400, "invalid_request"),
        (Method::POST, "/v1/attachments", json!({"type": "image/png", "bytes": 0}), 400, "invalid_request"),
        (Method::POST, "/v1/attachments", json!({"type": "image/png; x=y", "bytes": 1}), 400, "invalid_request"),
        (Method::POST, "/v1/attachments", json!({"type": "text/html", "bytes": 1}), 400, "invalid_request"),
        (Method::POST, "/v1/attachments", large, 413, "too_large"),
        (Method::GET, "/v1/attachments", Value::Null, 405, "method_not_allowed"),
        (Method::GET, "/v1/attachments/x", Value::Null, 400, "invalid_request"),
        (Method::GET, "/v1/attachments/00000000000000000000000000000000", Value::Null, 404, "not_found"),
        (Method::DELETE, "/v1/attachments/00000000000000000000000000000000", Value::Null, 405, "method_not_allowed"),
    ] {
        let (answered, error) = alice.ask(method, path, &body).await;
        assert_eq!((answered, &error["code"]), (status, &json!(code)), "{path} {body}");
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
    }
    let summary = cloud.shutdown().await;
    assert_eq!(summary.report.requests("PutItem"), 0, "nothing was kept");
}

#[tokio::test]
async fn attachments_cost_what_is_said() {
    let cloud = Deployment::start().await;
    let (alice, bob) = (api(&cloud, "alice"), api(&cloud, "bob"));
    let id = alice.uploaded(b"12345").await;
    alice.pass_on(json!({"user": "bob"}), json!([id])).await;
    cloud.until_pending("bob", "*", 1).await;
    assert_eq!(bob.downloaded(&id).await.as_deref(), Ok(&b"12345"[..]));
    alice.downloaded(&id).await.expect("a download");
    let report = cloud.shutdown().await.report;
    assert_eq!(report.requests("PutItem"), 1, "to make it");
    assert_eq!(report.requests("BatchWriteItem"), 2, "to let bob have it, and for his envelope");
    assert_eq!((report.requests("PutObject"), report.requests("GetObject")), (1, 2));
}
