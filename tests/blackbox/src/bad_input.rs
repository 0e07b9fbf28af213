//! What is wrong with frames and messages is told by a code of docs/PROTOCOL.md, spoils nothing else, and ends no connection.
//!
//! An empty text is not among them: whether a gateway passes it on is not documented.

use blackbox::{Deployment, Device, User, new_id};
use serde_json::{Value, json};
use tokio::join;
use uuid::Uuid;

const HOUR_MILLIS: i64 = 60 * 60 * 1_000;

/// A message still gets through.
async fn works(sender: &mut Device, recipient: &User, device: &mut Device) {
    let id = sender.send_one(&recipient.message("still here")).await;
    let envelope = device.message(&id).await.envelope;
    device.ack(&[envelope]).await;
    device.nothing_pending().await;
}

pub(crate) async fn a_bad_frame_is_answered_with_its_code(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let many_messages = json!({"action": "send", "messages": vec![bob.message(1); 26]}).to_string();
    let many_refs = json!({"action": "ack", "refs": vec!["garbage"; 101]}).to_string();
    let long_nonce = json!({"action": "sync", "nonce": "n".repeat(65)}).to_string();
    for (frame, code) in [
        ("hello", "invalid_frame"),
        ("[1]", "invalid_frame"),
        ("7", "invalid_frame"),
        (r#"{"action":"send""#, "invalid_frame"),
        ("{}", "unknown_action"),
        (r#"{"action":"dance"}"#, "unknown_action"),
        (r#"{"action":7}"#, "unknown_action"),
        (r#"{"action":"send"}"#, "invalid_frame"),
        (r#"{"action":"send","messages":7}"#, "invalid_frame"),
        (r#"{"action":"send","messages":[]}"#, "invalid_frame"),
        (r#"{"action":"send","messages":[],"messages":[]}"#, "invalid_frame"),
        (&many_messages, "invalid_frame"),
        (r#"{"action":"sync","after":"garbage"}"#, "invalid_cursor"),
        (r#"{"action":"sync","limit":0}"#, "invalid_frame"),
        (r#"{"action":"sync","limit":101}"#, "invalid_frame"),
        (r#"{"action":"sync","nonce":7}"#, "invalid_frame"),
        (&long_nonce, "invalid_frame"),
        (r#"{"action":"device","presence":7}"#, "invalid_frame"),
        (r#"{"action":"device","push":[{}]}"#, "invalid_frame"),
        (r#"{"action":"ack"}"#, "invalid_frame"),
        (r#"{"action":"ack","refs":[]}"#, "invalid_frame"),
        (r#"{"action":"ack","refs":["garbage"]}"#, "invalid_ref"),
        (&many_refs, "invalid_frame"),
    ] {
        let error = sender.error_of(frame).await;
        assert_eq!(error.code, code, "{frame}: {}", error.detail);
        assert!(!error.detail.is_empty(), "{frame}");
    }
    for (action, code) in [("dance", "unknown_action"), ("send", "invalid_frame"), ("ack", "invalid_frame")] {
        let error = sender.error_of(&json!({"action": action, "nonce": action}).to_string()).await;
        assert_eq!((error.code.as_str(), error.nonce.as_deref()), (code, Some(action)));
    }
    works(&mut sender, &bob, &mut phone).await;
}

pub(crate) async fn a_bad_message_is_refused_alone(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let with = |name: &str, value: Value| {
        let mut message = bob.message(1);
        message[name] = value;
        message
    };
    let without = |name: &str| {
        let mut message = bob.message(1);
        message.as_object_mut().expect("an object").remove(name);
        message
    };
    let version_4 = Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef).to_string();
    let bad = [
        (json!(7), "invalid_message"),
        (without("id"), "invalid_id"),
        (with("id", json!("x")), "invalid_id"),
        (with("id", json!(version_4)), "invalid_id"),
        (with("id", json!(new_id().replace('-', ""))), "invalid_id"),
        (with("id", json!(id_from(HOUR_MILLIS))), "id_outside_window"),
        (with("id", json!(id_from(-8 * 24 * HOUR_MILLIS))), "id_outside_window"),
        (without("to"), "invalid_recipient"),
        (with("to", json!("bob")), "invalid_recipient"),
        (with("to", json!({"user": "b#b"})), "invalid_recipient"),
        (with("to", json!({"user": ""})), "invalid_recipient"),
        (with("to", json!({"user": bob.id, "group": "g"})), "invalid_recipient"),
        (without("body"), "invalid_message"),
        (with("expires_in", json!(0)), "invalid_message"),
        (with("expires_in", json!(-1)), "invalid_message"),
        (with("expires_in", json!(1.5)), "invalid_message"),
        (with("expires_in", json!(2_592_001)), "invalid_message"),
        (with("ephemeral", json!("yes")), "invalid_message"),
        (with("to", json!({"group": format!("{}-team", bob.id)})), "not_a_member"),
    ];
    let good = bob.message("fine");
    let mut messages: Vec<Value> = bad.iter().map(|(message, _)| message.clone()).collect();
    messages.insert(bad.len() / 2, good.clone());
    let accepted = sender.send(&messages).await;
    assert_eq!(json!(accepted.ids), json!([good["id"]]), "{accepted:?}");
    let mut expected: Vec<(usize, &str)> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        expected.extend(bad.iter().find(|(bad, _)| bad == message).map(|(_, code)| (index, *code)));
    }
    let refused: Vec<(usize, &str)> = accepted.refused.iter().map(|one| (one.index, one.code.as_str())).collect();
    assert_eq!(refused, expected, "{:#?}", accepted.refused);
    for refusal in &accepted.refused {
        let written = messages[refusal.index]["id"].as_str();
        assert!(refusal.id.as_deref() == written && !refusal.detail.is_empty(), "{refusal:?}");
    }
    // On its own, so that the frame stays below what a gateway carries.
    let large = sender.send(&[with("body", json!("x".repeat(30_000)))]).await;
    assert_eq!(large.refused.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["too_large"]);
    let envelope = phone.message(&accepted.ids[0]).await.envelope;
    phone.ack(&[envelope]).await;
    // What nobody waited for would be noticed here.
    works(&mut sender, &bob, &mut phone).await;
}

pub(crate) async fn a_bad_ref_does_not_spoil_the_others(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let id = sender.send_one(&bob.message("hi")).await;
    let envelope = phone.message(&id).await.envelope;
    let refs = json!([7, envelope.reference, "garbage"]);
    let error = phone.error_of(&json!({"action": "ack", "refs": refs, "nonce": "n"}).to_string()).await;
    assert_eq!((error.code.as_str(), error.nonce.as_deref()), ("invalid_ref", Some("n")));
    phone.note_acked(&envelope);
    phone.nothing_pending().await;
    // Again, and twice, is no error.
    phone.ack(&[envelope.clone(), envelope]).await;
    phone.nothing_pending().await;
    works(&mut sender, &bob, &mut phone).await;
}

pub(crate) async fn what_a_later_client_may_add_is_ignored(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let mut message = bob.message("hi");
    message["colour"] = json!("red");
    sender.say(&json!({"action": "send", "later": [1], "nonce": "n", "messages": [message]})).await;
    let accepted = sender.answered("n").await.accepted;
    assert_eq!(json!(accepted.ids), json!([message["id"]]), "{accepted:?}");
    let envelope = phone.message(&accepted.ids[0]).await.envelope;
    assert_eq!(envelope.body, "hi");
    assert!(phone.sync(&json!({"later": true})).await.messages.iter().any(|one| one.id == accepted.ids[0]));
    phone.ack_with(&json!({"later": 1}), &[envelope]).await;
    phone.nothing_pending().await;
}

/// A message id that was made so many milliseconds from now.
fn id_from(millis: i64) -> String {
    let now = Uuid::now_v7().as_u128();
    // The first 48 bits are the time.
    let time = i64::try_from(now >> 80).expect("48 bits") + millis;
    let time = u128::try_from(time).expect("after 1970");
    Uuid::from_u128(time << 80 | now & ((1 << 80) - 1)).to_string()
}
