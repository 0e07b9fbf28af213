//! Receipts: a sender who asks is told once of the first ack and of a read, and the devices of a user are told of each other's; nobody can
//! forge one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};
use crate::socket::Socket;

/// The next receipt, acked, past anything else.
async fn receipt(socket: &mut Socket) -> Value {
    loop {
        let messages = socket.messages().await;
        socket.ack(&messages).await;
        if let Some(receipt) = messages.into_iter().find(|one| one["kind"] == "receipt") {
            assert_eq!(receipt["from"], "~system", "{receipt}");
            return receipt;
        }
    }
}

/// The next message of a user, past receipts, not acked.
async fn message(socket: &mut Socket) -> Value {
    loop {
        let messages = socket.messages().await;
        if let Some(message) = messages.into_iter().find(|one| one["kind"] == "message") {
            return message;
        }
    }
}

/// Sends a message that asks for receipts.
async fn ask(socket: &mut Socket, to: &Value) -> String {
    let id = new_id().to_string();
    socket.send_message(json!({"id": id, "to": to, "body": "hi", "receipts": true})).await;
    id
}

fn told(event: &str, by: &str, id: &str, from: &str) -> Value {
    json!({"event": event, "by": by, "messages": [{"id": id, "from": from}]})
}

async fn read(socket: &mut Socket, messages: &[&Value]) {
    let refs: Vec<&Value> = messages.iter().map(|message| &message["ref"]).collect();
    socket.text(json!({"action": "read", "refs": refs}).to_string()).await;
}

#[tokio::test]
async fn a_sender_who_asks_is_told_once_of_the_first_ack_and_of_a_read() {
    let cloud = Deployment::start().await;
    let mut phone = cloud.connect("bob", "phone").await.drained().await;
    let mut tablet = cloud.connect("bob", "tablet").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = ask(&mut alice, &json!({"user": "bob"})).await;
    let on_phone = message(&mut phone).await;
    phone.ack(std::slice::from_ref(&on_phone)).await;
    let delivered = receipt(&mut alice).await;
    assert_eq!(
        (&delivered["body"], &delivered["to"]),
        (&told("delivered", "bob", &id, "alice"), &json!({"user": "alice"}))
    );
    let on_tablet = message(&mut tablet).await;
    assert_eq!(
        receipt(&mut tablet).await["body"],
        told("delivered", "bob", &id, "alice"),
        "bob's other device is told"
    );
    tablet.ack(&[on_tablet]).await;
    cloud.until_pending("bob", "tablet", 0).await;
    read(&mut phone, &[&on_phone]).await;
    assert_eq!(receipt(&mut alice).await["body"], told("read", "bob", &id, "alice"), "and not of the second ack");
    cloud.until_pending("alice", "phone", 0).await;
}

#[tokio::test]
async fn a_read_acks_and_is_there_for_who_comes_later() {
    let cloud = Deployment::start().await;
    drop(cloud.connect("bob", "tablet").await.drained().await);
    let mut phone = cloud.connect("bob", "phone").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = ask(&mut alice, &json!({"user": "bob"})).await;
    drop(alice);
    let on_phone = message(&mut phone).await;
    read(&mut phone, &[&on_phone]).await;
    cloud.until_pending("bob", "phone", 0).await;
    cloud.until_pending("bob", "tablet", 2).await;
    cloud.until_pending("alice", "phone", 1).await;
    let mut tablet = cloud.connect("bob", "tablet").await;
    let drained = tablet.messages().await;
    let kinds: Vec<&Value> = drained.iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["message", "receipt"], "what was read elsewhere is said together with it");
    let mut alice = cloud.connect("alice", "phone").await;
    assert_eq!(receipt(&mut alice).await["body"], told("read", "bob", &id, "alice"));
    assert!(cloud.pushes("alice").await.is_empty(), "nobody is woken for a receipt");
}

#[tokio::test]
async fn nobody_is_told_without_having_asked_and_nobody_can_forge_a_receipt() {
    let cloud = Deployment::start().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let mut mallory = cloud.connect("mallory", "phone").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    let plain = message(&mut bob).await;
    // Watched by word of the client, and not by the row.
    let watched = json!({"ref": format!("{}~!", plain["ref"].as_str().expect("a ref"))});
    bob.ack(std::slice::from_ref(&watched)).await;
    cloud.until_pending("bob", "phone", 0).await;
    read(&mut bob, &[&watched]).await;
    // What is bob's, mallory cannot ack or read.
    let asked = ask(&mut alice, &json!({"user": "bob"})).await;
    let forged = json!({"ref": format!("{asked}~alice~!")});
    mallory.ack(std::slice::from_ref(&forged)).await;
    read(&mut mallory, &[&forged, &json!({"ref": format!("{id}~alice~!")})]).await;
    let last = message(&mut bob).await;
    bob.ack(&[last]).await;
    let first = receipt(&mut alice).await;
    assert_eq!(first["body"], told("delivered", "bob", &asked, "alice"), "the first that she is told");
    cloud.until_pending("alice", "phone", 0).await;
}

#[tokio::test]
async fn receipts_of_a_group_say_who_and_have_none_of_their_own() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut members = Vec::new();
    for user in ["bob", "carol"] {
        members.push(cloud.connect(user, "phone").await.drained().await);
    }
    cloud.create_group("alice", "team", &["bob", "carol"]).await;
    let id = ask(&mut alice, &json!({"group": "team"})).await;
    for member in &mut members {
        let received = message(member).await;
        member.ack(&[received]).await;
    }
    let mut by = BTreeSet::new();
    while by.len() < 2 {
        // Both may come in one frame, and the news of the group before them.
        let messages = alice.messages().await;
        alice.ack(&messages).await;
        for receipt in messages.iter().filter(|one| one["kind"] == "receipt") {
            assert_eq!(receipt["body"]["messages"], json!([{"id": id, "from": "alice"}]));
            by.insert(receipt["body"]["by"].as_str().expect("a user").to_owned());
        }
    }
    assert_eq!(by.iter().map(String::as_str).collect::<Vec<_>>(), ["bob", "carol"]);
    cloud.until_pending("alice", "phone", 0).await;
}

#[tokio::test]
async fn what_cannot_have_receipts_is_refused_alone() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let message = |fields: Value| {
        let mut message = json!({"id": new_id(), "to": {"user": "bob"}, "body": 1});
        message.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        message
    };
    let bad = [json!({"receipts": true, "ephemeral": true}), json!({"receipts": 1}), json!({"receipts": null})];
    let mut messages: Vec<Value> = bad.into_iter().map(message).collect();
    messages.push(message(json!({"receipts": false})));
    let accepted = alice.ask(&json!({"action": "send", "messages": messages})).await;
    let codes: Vec<&Value> = accepted["refused"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["invalid_message"; 3], "{accepted}");
    assert_eq!(accepted["ids"].as_array().map(Vec::len), Some(1));
    for frame in [json!({"action": "read"}), json!({"action": "read", "refs": []})] {
        assert_eq!(alice.ask(&frame).await["code"], "invalid_frame");
    }
    assert_eq!(alice.ask(&json!({"action": "read", "refs": ["garbage"]})).await["code"], "invalid_ref");
}
