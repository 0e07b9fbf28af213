//! Bad frames: each has its code, and nothing else is disturbed.

use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};
use crate::socket::Socket;

/// A message still gets through on the same socket.
async fn works(cloud: &Deployment, alice: &mut Socket, bob: &mut Socket) {
    let id = alice.send_to("bob", "still here").await;
    loop {
        let messages = bob.messages().await;
        bob.ack(&messages).await;
        if messages.iter().any(|message| message["id"] == json!(id)) {
            break;
        }
    }
    cloud.until_pending("bob", "phone", 0).await;
}

#[tokio::test]
async fn a_bad_frame_is_answered_with_its_code() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let message = json!({"id": new_id().to_string(), "to": {"user": "bob"}, "body": 1});
    let many = json!({"action": "send", "messages": vec![&message; 26]}).to_string();
    for (frame, code) in [
        ("hello", "invalid_frame"),
        ("[1]", "invalid_frame"),
        ("7", "invalid_frame"),
        ("", "invalid_frame"),
        ("{}", "unknown_action"),
        (r#"{"action":"dance"}"#, "unknown_action"),
        (r#"{"action":7}"#, "unknown_action"),
        (r#"{"action":"send"}"#, "invalid_frame"),
        (r#"{"action":"send","messages":[]}"#, "invalid_frame"),
        (r#"{"action":"send","action":"send","messages":[]}"#, "invalid_frame"),
        (&many, "invalid_frame"),
        (r#"{"action":"sync","after":"garbage"}"#, "invalid_cursor"),
        (r#"{"action":"sync","limit":0}"#, "invalid_frame"),
        (r#"{"action":"device","presence":"yes"}"#, "invalid_frame"),
        (r#"{"action":"device","push":[{"service":"fcm","token":""}]}"#, "invalid_frame"),
        (r#"{"action":"device","notices":{"quiet":"sometimes"}}"#, "invalid_frame"),
        (r#"{"action":"ack","refs":["garbage"]}"#, "invalid_ref"),
        (r#"{"action":"ack","refs":[]}"#, "invalid_frame"),
    ] {
        alice.text(frame).await;
        let answer = alice.frame().await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{frame}");
        assert!(answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{frame}");
    }
    works(&cloud, &mut alice, &mut bob).await;
}

#[tokio::test]
async fn one_bad_message_refuses_that_message_alone() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let id = || new_id().to_string();
    let next_week = {
        let later = uuid::Timestamp::from_unix(uuid::NoContext, uuid_seconds() + 7 * 86_400, 0);
        uuid::Uuid::new_v7(later).to_string()
    };
    let version_4 = uuid::Builder::from_random_bytes([7; 16]).into_uuid().to_string();
    let bad: Vec<(Value, &str)> = vec![
        (json!({"id": "x", "to": {"user": "bob"}, "body": 1}), "invalid_id"),
        (json!({"id": version_4, "to": {"user": "bob"}, "body": 1}), "invalid_id"),
        (json!({"id": next_week, "to": {"user": "bob"}, "body": 1}), "id_outside_window"),
        (json!({"id": id(), "to": {"user": "b#b"}, "body": 1}), "invalid_recipient"),
        (json!({"id": id(), "body": 1}), "invalid_recipient"),
        (json!({"id": id(), "to": {"user": "bob"}}), "invalid_message"),
        (json!({"id": id(), "to": {"user": "bob"}, "body": 1, "expires_in": -1}), "invalid_message"),
        (json!({"id": id(), "to": {"user": "bob"}, "body": 1, "ephemeral": "yes"}), "invalid_message"),
        (json!({"id": id(), "to": {"group": "team"}, "body": 1}), "not_a_member"),
        (json!({"id": id(), "to": {"user": "bob"}, "body": "x".repeat(30_000)}), "too_large"),
    ];
    let good = id();
    let mut messages: Vec<&Value> = bad.iter().map(|(message, _)| message).collect();
    let fine = json!({"id": good, "to": {"user": "bob"}, "body": "fine"});
    messages.push(&fine);
    let accepted = alice.ask(&json!({"action": "send", "messages": messages})).await;
    assert_eq!(accepted["ids"], json!([good]));
    let refused = accepted["refused"].as_array().expect("a list");
    let codes: Vec<(u64, &str)> = refused
        .iter()
        .map(|refusal| (refusal["index"].as_u64().expect("an index"), refusal["code"].as_str().expect("a code")))
        .collect();
    let expected: Vec<(u64, &str)> = (0..).zip(bad.iter().map(|(_, code)| *code)).collect();
    assert_eq!(codes, expected);
    let messages = bob.messages().await;
    assert_eq!(messages.iter().map(|one| &one["body"]).collect::<Vec<_>>(), [&json!("fine")]);
    bob.ack(&messages).await;
    works(&cloud, &mut alice, &mut bob).await;
}

fn uuid_seconds() -> u64 {
    lambda::start::invocation().now.as_secs()
}

#[tokio::test]
async fn an_ack_deletes_nothing_but_ones_own() {
    let cloud = Deployment::with(|options| options.waits = "60".parse().expect("waits")).await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    alice.send_to("bob", "hi").await;
    let messages = bob.messages().await;
    alice.ack(&messages).await;
    let twice = [messages[0].clone(), messages[0].clone()];
    assert_eq!(alice.ask(&json!({"action": "ping"})).await["type"], "pong", "a well-formed ack is not answered");
    assert_eq!(cloud.inbox("bob", "phone").await.len(), 1);
    bob.ack(&twice).await;
    cloud.until_pending("bob", "phone", 0).await;
    bob.ack(&twice).await;
    assert_eq!(bob.ask(&json!({"action": "ping"})).await["type"], "pong");
    works(&cloud, &mut alice, &mut bob).await;
}

#[tokio::test]
async fn a_sender_cannot_pretend_to_be_another() {
    let cloud = Deployment::start().await;
    let mut mallory = cloud.connect("mallory", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let id = new_id().to_string();
    mallory.send_message(json!({"id": id, "from": "alice", "to": {"user": "bob"}, "body": "hi"})).await;
    assert_eq!(bob.messages().await[0]["from"], "mallory");
}

#[tokio::test]
async fn characters_that_a_record_cannot_carry_arrive_all_the_same() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let text = "\u{fffe}\u{ffff}\u{0}\u{7f}é漢😀";
    alice.send_to("bob", text).await;
    assert_eq!(bob.messages().await[0]["body"], json!(text));
}
