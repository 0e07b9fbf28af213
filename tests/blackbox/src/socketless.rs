//! Devices without a socket: what they send, read and ack over HTTP, and how they are made known and forgotten.

use std::collections::BTreeSet;

use blackbox::{Deployment, Ended, Envelope, Frame, User, eventually};
use serde_json::{Value, json};
use tokio::join;

/// All that is pending for a device, once it is so many.
async fn pending(user: &User, device: &str, count: usize) -> Vec<Envelope> {
    let what = format!("{count} envelopes of {} on {device}", user.id);
    eventually(&what, async || user.page(device, "").await.messages, |pending| pending.len() == count).await
}

pub(crate) async fn a_woken_phone_drains_and_acks_with_two_requests(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let ids = alice.send(&[bob.message("one"), bob.message("two")]).await;
    cloud.wake(&bob, None, &ids[1]).await;
    // The first request, and the second.
    let page = bob.page("phone", "").await;
    bob.ack("phone", &page.messages).await;
    let seen: BTreeSet<&str> = page.messages.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((seen, page.more), (ids.iter().map(String::as_str).collect(), Some(false)));
    assert!(page.messages.iter().all(|one| one.from == alice.id && one.attempt == 0), "{page:?}");
    assert!(bob.page("phone", "").await.messages.is_empty(), "acked");
    let backlog = bob.connect("phone").await.backlog().await;
    assert!(backlog.0.is_empty(), "acked over HTTP, and drained all the same: {backlog:?}");
}

pub(crate) async fn what_is_sent_without_a_socket_arrives_on_one(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let mut phone = bob.online("phone").await;
    let (good, mut bad) = (bob.message("hi"), bob.message("hi"));
    bad["from"] = bob.id.as_str().into();
    bad["id"] = "x".into();
    let sent = json!({"messages": [bad, good], "nonce": "n"});
    let answer = alice.done("POST", "/v1/messages", &sent).await;
    assert_eq!((&answer["type"], &answer["ids"]), (&json!("accepted"), &json!([good["id"]])), "{answer}");
    assert_eq!((&answer["nonce"], &answer["refused"][0]["code"]), (&json!("n"), &json!("invalid_id")), "{answer}");
    let envelope = phone.message(good["id"].as_str().expect("an id")).await.envelope;
    assert_eq!((&envelope.from, &envelope.body), (&alice.id, &json!("hi")));
    bob.ack("phone", std::slice::from_ref(&envelope)).await;
    phone.note_acked(&envelope);
    phone.nothing_pending().await;
}

pub(crate) async fn what_is_pending_is_read_in_pages_and_acked_by_its_own_device_alone(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    bob.done("PUT", "/v1/devices/phone", &Value::Null).await;
    let messages: Vec<Value> = (0..5).map(|number| bob.message(number)).collect();
    let ids = alice.send(&messages).await;
    let all = pending(&bob, "phone", 5).await;
    assert_eq!(all.iter().map(|one| &one.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    let first = bob.page("phone", "&limit=2").await;
    assert_eq!((first.messages.len(), first.more), (2, Some(true)));
    let rest = bob.page("phone", &format!("&after={}", first.messages[1].reference)).await;
    assert_eq!(rest.messages.iter().map(|one| &one.id).collect::<Vec<_>>(), ids[2..].iter().collect::<Vec<_>>());
    assert_eq!(rest.more, Some(false));
    // Neither another user nor another device may ack them.
    alice.ack("phone", &all).await;
    bob.ack("tablet", &all).await;
    assert_eq!(bob.page("phone", "").await.messages.len(), 5);
    let mut refs: Vec<&str> = all.iter().map(|one| one.reference.as_str()).collect();
    refs.push("garbage");
    let told = bob.ask("POST", "/v1/acks", &json!({"device": "phone", "refs": refs})).await;
    assert_eq!((told.status, told.code()), (400, Some("invalid_ref")));
    assert!(bob.page("phone", "").await.messages.is_empty(), "the good ones were acked");
    bob.ack("phone", &all).await;
}

pub(crate) async fn a_device_without_a_socket_is_owed_its_own_copy(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    bob.done("PUT", "/v1/devices/tablet", &Value::Null).await;
    let mut phone = bob.online("phone").await;
    let ids = alice.send(&[bob.message("hi")]).await;
    let envelope = phone.message(&ids[0]).await.envelope;
    phone.ack(&[envelope]).await;
    let copy = pending(&bob, "tablet", 1).await;
    assert_eq!(copy[0].id, ids[0]);
    phone.nothing_pending().await;
    bob.ack("tablet", &copy).await;
    pending(&bob, "tablet", 0).await;
}

pub(crate) async fn a_device_that_is_forgotten_is_closed_and_emptied(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    bob.done("PUT", "/v1/devices/tablet", &Value::Null).await;
    let mut phone = bob.online("phone").await;
    let ids = alice.send(&[bob.message("hi")]).await;
    phone.message(&ids[0]).await;
    pending(&bob, "tablet", 1).await;
    for device in ["phone", "tablet", "tablet"] {
        let answer = bob.ask("DELETE", &format!("/v1/devices/{device}"), &Value::Null).await;
        assert_eq!((answer.status, &answer.body), (204, &Value::Null), "{device}");
    }
    let (ended, meanwhile) = phone.end("the end of a forgotten device's connection", blackbox::DEADLINE).await;
    assert!(matches!(ended, Ended::Closed(_)), "{ended}");
    assert!(meanwhile.iter().all(|one| !matches!(one.frame, Frame::Error(_))), "{meanwhile:?}");
    // Nobody is owed a copy now: what comes next is unclaimed.
    let ids = alice.send(&[bob.message("are you there?")]).await;
    let unclaimed = pending(&bob, "laptop", 1).await;
    assert_eq!(unclaimed[0].id, ids[0]);
    bob.ack("laptop", &unclaimed).await;
}
