//! Recipients who are away: kept, woken for, drained when they come back.

use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};

#[tokio::test]
async fn what_an_absent_device_missed_waits_wakes_and_is_drained() {
    let cloud = Deployment::start().await;
    let bob = cloud.connect("bob", "phone").await.drained().await;
    drop(bob);
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    let pushes = cloud.until("a wake", async || cloud.pushes("bob").await, |pushes| !pushes.is_empty()).await;
    assert_eq!(pushes[0]["device"], "phone");
    assert_eq!(pushes[0]["ids"], json!([id]));
    assert!(pushes[0]["at"].is_u64());
    cloud.until_pending("bob", "phone", 1).await;
    let mut bob = cloud.connect("bob", "phone").await;
    let messages = bob.messages().await;
    assert_eq!(messages[0]["id"], json!(id));
    bob.ack(&messages).await;
    bob.frame_of("drained").await;
    cloud.until_pending("bob", "phone", 0).await;
}

#[tokio::test]
async fn a_user_without_a_device_is_served_when_two_come_at_once() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    let pending = cloud.until_pending("bob", "*", 1).await;
    assert!(pending[0].ends_with("~*"));
    let pushes = cloud.until("a wake", async || cloud.pushes("bob").await, |pushes| !pushes.is_empty()).await;
    assert_eq!((&pushes[0]["device"], &pushes[0]["reason"]), (&Value::Null, &json!("absent")));
    let (mut phone, mut tablet) = tokio::join!(cloud.connect("bob", "phone"), cloud.connect("bob", "tablet"));
    let (on_phone, on_tablet) = (phone.messages().await, tablet.messages().await);
    assert_eq!((&on_phone[0]["id"], &on_tablet[0]["id"]), (&json!(id), &json!(id)));
    tablet.ack(&on_tablet).await;
    cloud.until_pending("bob", "*", 0).await;
    phone.ack(&on_phone).await;
    assert!(cloud.inbox("bob", "phone").await.is_empty() && cloud.inbox("bob", "tablet").await.is_empty());
}

#[tokio::test]
async fn a_thousand_messages_are_drained_oldest_first() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut sent = Vec::new();
    for _ in 0..40 {
        let ids: Vec<String> = (0..25).map(|_| new_id().to_string()).collect();
        let messages: Vec<Value> =
            ids.iter().map(|id| json!({"id": id, "to": {"user": "bob"}, "body": "hi"})).collect();
        let accepted = alice.ask(&json!({"action": "send", "messages": messages})).await;
        assert_eq!(accepted["ids"], json!(ids));
        sent.extend(ids);
    }
    sent.sort();
    cloud.until_pending("bob", "*", 1_000).await;
    let mut bob = cloud.connect("bob", "phone").await;
    let mut received = Vec::new();
    loop {
        let frame = bob.frame().await;
        match frame["type"].as_str() {
            Some("drained") => break,
            Some("messages") => {
                let messages = frame["messages"].as_array().expect("a list").clone();
                let fresh = messages.iter().filter(|one| one["attempt"] == 0);
                received.extend(fresh.map(|one| one["id"].as_str().expect("an id").to_owned()));
                for chunk in messages.chunks(100) {
                    bob.ack(chunk).await;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, sent);
    cloud.until_pending("bob", "*", 0).await;
}

#[tokio::test]
async fn a_burst_to_an_absent_user_is_one_wake_and_one_summary() {
    for known in [true, false] {
        let cloud = Deployment::start().await;
        if known {
            drop(cloud.connect("bob", "phone").await.drained().await);
        }
        let mut alice = cloud.connect("alice", "phone").await.drained().await;
        for _ in 0..2 {
            let messages: Vec<Value> =
                (0..25).map(|_| json!({"id": new_id().to_string(), "to": {"user": "bob"}, "body": "hi"})).collect();
            alice.ask(&json!({"action": "send", "messages": messages})).await;
        }
        let device = if known { "phone" } else { "*" };
        cloud.until_pending("bob", device, 50).await;
        let pushes = cloud.until("the summary", async || cloud.pushes("bob").await, |pushes| pushes.len() >= 2).await;
        assert_eq!(pushes[1]["ids"].as_array().map(Vec::len), Some(50));
        // One more message has a wake of its own; had the burst led to a third, it would have come before.
        let last = alice.send_to("bob", "last").await;
        let pushes = cloud
            .until(
                "a wake for the last",
                async || cloud.pushes("bob").await,
                |pushes| pushes.iter().any(|push| push["ids"].as_array().is_some_and(|ids| ids.contains(&json!(last)))),
            )
            .await;
        assert_eq!(pushes.len(), 3, "{pushes:?}");
    }
}

#[tokio::test]
async fn a_sync_pages_through_what_is_pending() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut sent = Vec::new();
    for n in 0..7 {
        sent.push(alice.send_to("bob", &format!("{n}")).await);
    }
    cloud.until_pending("bob", "*", 7).await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let (mut after, mut seen) = (None::<Value>, Vec::new());
    loop {
        let mut sync = json!({"action": "sync", "limit": 3, "nonce": "page"});
        if let Some(after) = &after {
            sync["after"] = after.clone();
        }
        bob.text(sync.to_string()).await;
        let page = loop {
            let frame = bob.frame_of("messages").await;
            if frame["nonce"] == "page" {
                break frame;
            }
        };
        let messages = page["messages"].as_array().expect("a list");
        assert!(messages.len() <= 3 && messages.iter().all(|one| one["attempt"] == 0));
        seen.extend(messages.iter().map(|one| one["id"].as_str().expect("an id").to_owned()));
        after = messages.last().map(|one| one["ref"].clone());
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, sent);
}
