//! Recipients who are connected: each message reaches every device of its recipient and nobody else, and is gone for a device once that
//! has acked it.

use std::time::Duration;

use blackbox::{DEADLINE, Deployment, Frame, new_id};
use serde_json::{Value, json};
use tokio::join;

/// How many messages are measured.
const MEASURED: usize = 10;

/// How often a message and a connection race. Each round may wait for a drain, which takes a second.
const RACES: usize = 4;

pub(crate) async fn a_message_is_delivered_and_gone_when_acked(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let message = bob.message(json!({"text": "hi", "n": [1, null]}));
    let accepted = sender.send(std::slice::from_ref(&message)).await;
    assert_eq!(json!(accepted.ids), json!([message["id"]]));
    assert!(accepted.refused.is_empty(), "{accepted:?}");
    let envelope = phone.message(&accepted.ids[0]).await.envelope;
    assert_eq!((&envelope.from, &envelope.to), (&alice.id, &json!({"user": bob.id})));
    assert_eq!((envelope.kind.as_str(), envelope.attempt), ("message", 1));
    assert_eq!(envelope.body, message["body"]);
    assert_eq!(envelope.at, accepted.at, "the time of acceptance");
    phone.ack(&[envelope]).await;
    phone.nothing_pending().await;
    phone.close().await;
    let backlog = bob.connect("phone").await.backlog().await;
    assert!(backlog.0.is_empty(), "acked, and drained all the same: {backlog:?}");
}

/// The only test that says how fast it was; it passes however slow.
pub(crate) async fn how_long_a_message_takes(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    for number in 0..MEASURED {
        let message = bob.message(number);
        let id = message["id"].as_str().expect("an id");
        let nonce = sender.send_unanswered(std::slice::from_ref(&message)).await;
        let (answered, received) = join!(sender.answered(&nonce), phone.message(id));
        assert_eq!(answered.accepted.ids, [id]);
        cloud.latency().add(answered.at, received.at);
        phone.ack(&[received.envelope]).await;
    }
    phone.nothing_pending().await;
}

pub(crate) async fn a_body_arrives_as_it_was_written(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let bodies = [
        json!(null),
        json!(false),
        json!(-1.5),
        json!(""),
        json!([]),
        json!({"a": {"a": [{}]}}),
        json!("é漢😀 \u{7f} \" \\ </script> {\"type\":\"drained\"}"),
        // Records of SQS carry none of these as they are.
        json!("\u{0}\u{1}\u{fffe}\u{ffff}"),
    ];
    let messages: Vec<Value> = bodies.iter().map(|body| bob.message(body.clone())).collect();
    let accepted = sender.send(&messages).await;
    assert_eq!(accepted.ids.len(), bodies.len(), "{accepted:?}");
    for (id, body) in accepted.ids.iter().zip(bodies) {
        let envelope = phone.message(id).await.envelope;
        assert_eq!(envelope.body, body);
        phone.ack(&[envelope]).await;
    }
    // Keys may occur twice in a body, and numbers may be larger than anybody's: it is never read.
    let id = new_id();
    let body = format!(r#"{{"a":1,"a":{}}}"#, "9".repeat(40));
    let to = json!({"user": bob.id});
    let frame = format!(r#"{{"action":"send","nonce":"raw","messages":[{{"id":"{id}","to":{to},"body":{body}}}]}}"#);
    sender.socket().text(frame).await;
    assert_eq!(sender.answered("raw").await.accepted.ids.as_slice(), std::slice::from_ref(&id));
    let envelope = phone.message(&id).await.envelope;
    phone.ack(&[envelope]).await;
    phone.nothing_pending().await;
}

pub(crate) async fn every_device_of_a_user_gets_it_and_acks_for_itself(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone, mut tablet) = join!(alice.online("laptop"), bob.online("phone"), bob.online("tablet"));
    let id = sender.send_one(&bob.message("hi")).await;
    let (on_phone, on_tablet) = join!(phone.message(&id), tablet.message(&id));
    phone.ack(&[on_phone.envelope]).await;
    phone.nothing_pending().await;
    let still = tablet.sync(&json!({})).await;
    assert_eq!(
        still.messages.iter().map(|envelope| &envelope.id).collect::<Vec<_>>(),
        [&id],
        "not acked by the tablet"
    );
    tablet.ack(&[on_tablet.envelope]).await;
    tablet.nothing_pending().await;
}

pub(crate) async fn an_id_that_is_sent_again_is_one_message(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let message = bob.message("hi");
    let twice = sender.send(&[message.clone(), message.clone()]).await;
    assert_eq!(json!(twice.ids), json!([message["id"], message["id"]]), "{twice:?}");
    for _ in 0..3 {
        sender.send_one(&message).await;
    }
    let last = sender.send_one(&bob.message("last")).await;
    let (first, last) = (phone.message(&twice.ids[0]).await.envelope, phone.message(&last).await.envelope);
    let pending = phone.sync(&json!({})).await.messages;
    let refs: Vec<&String> = pending.iter().map(|envelope| &envelope.reference).collect();
    assert_eq!(refs, [&first.reference, &last.reference], "one envelope for each id");
    // Every copy is acked, as a client does: those that come later too.
    phone.ack(&[first, last]).await;
    phone.nothing_pending().await;
}

pub(crate) async fn a_newer_connection_displaces_the_older_one(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut first) = join!(alice.online("laptop"), bob.online("phone"));
    let mut second = bob.online("phone").await;
    let displaced = |frame: &Frame| matches!(frame, Frame::Error(error) if error.code == "displaced");
    first.frame("`displaced`", displaced).await;
    let (_, rest) = first.end("the end of the displaced connection", DEADLINE).await;
    assert!(!rest.iter().any(|arrived| matches!(arrived.frame, Frame::Messages(_))), "{rest:?}");
    // The first is closed by now, so only the second can get it.
    let id = sender.send_one(&bob.message("hi")).await;
    let envelope = second.message(&id).await.envelope;
    second.ack(&[envelope]).await;
    second.nothing_pending().await;
}

pub(crate) async fn nobody_sends_in_the_name_of_another(cloud: &Deployment) {
    let (alice, bob, mallory) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("mallory"));
    let (mut sender, mut phone) = join!(mallory.online("laptop"), bob.online("phone"));
    let mut message = bob.message("hi");
    message["from"] = json!(alice.id);
    let id = sender.send_one(&message).await;
    let envelope = phone.message(&id).await.envelope;
    assert_eq!(envelope.from, mallory.id);
    phone.ack(&[envelope]).await;
    phone.nothing_pending().await;
}

/// A ref of another's is well formed, so its ack is not answered: that nothing was deleted is seen when the message comes again.
pub(crate) async fn nobody_acks_for_another(cloud: &Deployment) {
    let (alice, bob, mallory) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("mallory"));
    let (mut sender, mut phone, mut other) =
        join!(alice.online("laptop"), bob.online("phone"), mallory.online("phone"));
    let id = sender.send_one(&bob.message("hi")).await;
    let first = phone.message(&id).await.envelope;
    // Their sender's is no better than a stranger's.
    other.ack(std::slice::from_ref(&first)).await;
    sender.ack(std::slice::from_ref(&first)).await;
    other.nothing_pending().await;
    sender.nothing_pending().await;
    let within = cloud.waits().until(first.attempt + 1) + DEADLINE;
    let again = phone
        .envelope("another attempt, although others acked", within, |one| one.id == id && one.attempt > first.attempt)
        .await;
    phone.ack(&[again.envelope]).await;
    phone.nothing_pending().await;
}

/// A message that races with a connection may come a second time, to the next one, after it was acked.
pub(crate) async fn a_message_sent_while_its_recipient_connects_arrives(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let mut sender = alice.online("laptop").await;
    let mut sent = Vec::new();
    for round in 0..RACES {
        let message = bob.message(round);
        let (id, mut phone) = join!(sender.send_one(&message), bob.connect("phone"));
        let envelope = phone.message(&id).await.envelope;
        phone.ack(&[envelope]).await;
        phone.close().await;
        sent.push(id);
    }
    let mut phone = bob.connect("phone").await;
    let again = phone.backlog().await.0;
    assert!(again.iter().all(|envelope| sent.contains(&envelope.id)), "{again:?}");
    phone.ack(&again).await;
    phone.nothing_pending().await;
}

pub(crate) async fn a_ping_is_answered(cloud: &Deployment) {
    let mut phone = cloud.user("alice").await.online("phone").await;
    phone.say(&json!({"action": "ping"})).await;
    phone.frame("a pong", |frame| matches!(frame, Frame::Pong {})).await;
}

pub(crate) async fn drained_says_when_the_connection_will_be_cut(cloud: &Deployment) {
    let alice = cloud.user("alice").await;
    let mut phone = alice.connect("phone").await;
    let arrived = phone.frame("`drained`", |frame| matches!(frame, Frame::Drained { .. })).await;
    let Frame::Drained { reconnect_by } = arrived.frame else { unreachable!("it was looked for") };
    let now = blackbox::clock::now(&mut phone, &alice).await;
    let left = Duration::from_millis(reconnect_by.saturating_sub(now));
    let two_hours = Duration::from_secs(2 * 60 * 60);
    let slack = Duration::from_secs(60);
    assert!((two_hours - slack..=two_hours + slack).contains(&left), "{left:?} are left");
}
