//! Recipients who are connected: delivered, acked, delivered again when not, to every device, and never to another's.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};

#[tokio::test]
async fn a_message_travels_from_a_device_to_a_device_and_is_gone_when_acked() {
    let cloud = Deployment::start().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = new_id().to_string();
    let body = json!({"text": "hi", "n": [1, null]});
    let send = json!({"action": "send", "nonce": "n1", "messages": [{"id": id, "to": {"user": "bob"}, "body": body}]});
    let accepted = alice.ask(&send).await;
    assert_eq!(accepted["ids"], json!([id]));
    assert_eq!((&accepted["refused"], &accepted["nonce"]), (&json!([]), &json!("n1")));
    let messages = bob.messages().await;
    let message = &messages[0];
    assert_eq!(message["id"], json!(id));
    assert_eq!(message["from"], "alice");
    assert_eq!(message["to"], json!({"user": "bob"}));
    assert_eq!(message["kind"], "message");
    assert_eq!(message["attempt"], 1);
    assert_eq!(message["body"], body);
    assert_eq!(message["at"], accepted["at"]);
    assert_eq!(cloud.inbox("bob", "phone").await, [message["ref"].as_str().expect("a ref")]);
    bob.ack(&messages).await;
    cloud.until_pending("bob", "phone", 0).await;
    assert!(cloud.pushes("bob").await.is_empty());
}

#[tokio::test]
async fn what_is_not_acked_comes_again_and_ends_in_a_wake_and_a_closed_socket() {
    let cloud = Deployment::start().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    for attempt in 1..=4 {
        let messages = bob.messages().await;
        assert_eq!((&messages[0]["id"], &messages[0]["attempt"]), (&json!(id), &json!(attempt)));
    }
    bob.close_code().await;
    let pushes = cloud.until("a wake", async || cloud.pushes("bob").await, |pushes| !pushes.is_empty()).await;
    assert_eq!(pushes[0]["reason"], "exhausted");
    assert_eq!((&pushes[0]["device"], &pushes[0]["ids"]), (&json!("phone"), &json!([id])));
    assert_eq!(cloud.inbox("bob", "phone").await.len(), 1);
    let mut back = cloud.connect("bob", "phone").await;
    let messages = back.messages().await;
    assert_eq!((&messages[0]["id"], &messages[0]["attempt"]), (&json!(id), &json!(0)));
    back.ack(&messages).await;
    cloud.until_pending("bob", "phone", 0).await;
}

#[tokio::test]
async fn every_device_of_a_user_gets_it_and_acks_for_itself() {
    let cloud = Deployment::start().await;
    let mut phone = cloud.connect("bob", "phone").await.drained().await;
    let mut tablet = cloud.connect("bob", "tablet").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    let (on_phone, on_tablet) = (phone.messages().await, tablet.messages().await);
    assert_eq!((&on_phone[0]["id"], &on_tablet[0]["id"]), (&json!(id), &json!(id)));
    phone.ack(&on_phone).await;
    cloud.until_pending("bob", "phone", 0).await;
    assert_eq!(cloud.inbox("bob", "tablet").await.len(), 1);
    tablet.ack(&on_tablet).await;
    cloud.until_pending("bob", "tablet", 0).await;
}

#[tokio::test]
async fn a_newer_connection_displaces_the_older_one() {
    let cloud = Deployment::start().await;
    let mut first = cloud.connect("bob", "phone").await.drained().await;
    let mut second = cloud.connect("bob", "phone").await.drained().await;
    assert_eq!(first.frame().await["code"], "displaced");
    first.close_code().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    let messages = second.messages().await;
    assert_eq!(messages[0]["id"], json!(id), "the successor is still registered");
    second.ack(&messages).await;
    cloud.until_pending("bob", "phone", 0).await;
}

#[tokio::test]
async fn a_message_sent_while_its_recipient_connects_is_not_stranded() {
    let cloud = Deployment::with(|options| options.waits = "60".parse().expect("waits")).await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    for round in 0..25 {
        let (id, mut bob) = tokio::join!(alice.send_to("bob", "hi"), cloud.connect("bob", "phone"));
        // The waits are far longer than the deadline: only the drain or the first attempt can bring it.
        let messages = bob.messages().await;
        assert_eq!(messages[0]["id"], json!(id), "round {round}");
        bob.ack(&messages).await;
        cloud.until_pending("bob", "phone", 0).await;
        cloud.until_pending("bob", "*", 0).await;
    }
}

#[tokio::test]
async fn one_id_sent_five_times_is_shown_once_and_leaves_nothing() {
    let cloud = Deployment::start().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = new_id().to_string();
    for _ in 0..5 {
        alice.send_message(json!({"id": id, "to": {"user": "bob"}, "body": "hi"})).await;
    }
    let last = alice.send_to("bob", "last").await;
    let mut shown = HashSet::new();
    while shown.len() < 2 {
        let messages = bob.messages().await;
        bob.ack(&messages).await;
        shown.extend(messages.iter().map(|message| message["id"].as_str().expect("an id").to_owned()));
    }
    assert_eq!(shown, HashSet::from([id, last]));
    // Late copies are acked again, as a client does, until nothing is left.
    let settle = async {
        loop {
            let messages = bob.messages().await;
            bob.ack(&messages).await;
        }
    };
    tokio::select! {
        () = settle => {}
        _ = cloud.until_pending("bob", "phone", 0) => {}
    }
}

#[tokio::test]
async fn an_ephemeral_message_is_posted_once_and_never_stored() {
    let cloud = Deployment::start().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = new_id().to_string();
    alice.send_message(json!({"id": id, "to": {"user": "bob"}, "body": "typing", "ephemeral": true})).await;
    assert_eq!(bob.messages().await[0]["id"], json!(id));
    alice
        .send_message(json!({"id": new_id().to_string(), "to": {"user": "carol"}, "body": "x", "ephemeral": true}))
        .await;
    let stored = alice.send_to("carol", "kept").await;
    let pending = cloud.until_pending("carol", "*", 1).await;
    assert!(pending[0].starts_with(&stored));
    assert!(cloud.inbox("bob", "phone").await.is_empty());
}

#[tokio::test]
async fn a_message_expires_when_its_sender_says() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = new_id().to_string();
    alice.send_message(json!({"id": id, "to": {"user": "bob"}, "body": "hi", "expires_in": 1})).await;
    let kept = alice.send_to("bob", "kept").await;
    let pending = cloud
        .until(
            "the first to expire",
            async || cloud.inbox("bob", "*").await,
            |refs| refs.len() == 1 && refs[0].starts_with(&kept),
        )
        .await;
    assert_eq!(pending.len(), 1);
    let mut bob = cloud.connect("bob", "phone").await;
    let messages = bob.messages().await;
    assert_eq!(messages.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&json!(kept)]);
}

#[tokio::test]
async fn envelopes_are_packed_into_frames_of_one_metered_unit() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    for _ in 0..4 {
        let messages: Vec<Value> = (0..25)
            .map(|_| json!({"id": new_id().to_string(), "to": {"user": "bob"}, "body": "x".repeat(500)}))
            .collect();
        let accepted = alice.ask(&json!({"action": "send", "messages": messages})).await;
        assert_eq!(accepted["ids"].as_array().map(Vec::len), Some(25));
    }
    cloud.until_pending("bob", "*", 100).await;
    let mut bob = cloud.connect("bob", "phone").await;
    let (mut frames, mut ids) = (0, Vec::new());
    while ids.len() < 100 {
        let frame = bob.frame_of("messages").await;
        assert!(frame.to_string().len() <= 30_000);
        frames += 1;
        ids.extend(frame["messages"].as_array().expect("a list").iter().map(|one| one["id"].to_string()));
    }
    assert!(frames <= 3, "{frames} frames");
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn a_ping_is_answered() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    assert_eq!(alice.ask(&json!({"action": "ping"})).await, json!({"type": "pong"}));
}

#[tokio::test]
async fn drained_says_when_to_reconnect() {
    let cloud = Deployment::start().await;
    let before = lambda::start::invocation().now;
    let mut bob = cloud.connect("bob", "phone").await;
    let drained = bob.frame_of("drained").await;
    let by = drained["reconnect_by"].as_u64().expect("milliseconds");
    let two_hours = Duration::from_secs(7_200);
    let after = lambda::start::invocation().now;
    assert!((before.plus(two_hours).as_millis()..=after.plus(two_hours).as_millis()).contains(&by));
}
