//! What becomes of unacked messages when connections end, after MongooseIM, big_tests/tests/sm_SUITE.erl (XEP-0198, stream management).
//! A session that is resumed there is a device that connects again here: acks name envelopes and not how many there were, so nothing has
//! to be resumed, and the inbox, not a connection's buffer, holds what is unacked.
//!
//! The cases of its `stale_h` group that clean up (`gc_repeat_after_*`) have no counterpart: nothing is kept of a connection that ended, so
//! nothing has to be collected.

use std::collections::BTreeSet;

use blackbox::{DEADLINE, Deployment, Device, Envelope, Frame, new_id};
use serde_json::{Value, json};
use tokio::join;

use crate::pending;

/// Most messages in one `send`.
const MOST_IN_A_SEND: usize = 25;

/// Three texts to a user, and the ids under which they were accepted.
async fn send_three(sender: &mut Device, messages: impl Fn(&str) -> Value) -> Vec<String> {
    let accepted = sender.send(&["one", "two", "three"].map(messages)).await;
    assert_eq!(accepted.ids.len(), 3, "{accepted:?}");
    accepted.ids
}

/// Waits for these messages, and acks none.
async fn receive(device: &mut Device, ids: &[String]) -> Vec<Envelope> {
    let mut envelopes = Vec::new();
    for id in ids {
        envelopes.push(device.message(id).await.envelope);
    }
    envelopes
}

/// What is drained is these ids and nothing else; it is acked, and then nothing is left.
async fn drain(device: &mut Device, ids: &[String]) {
    let backlog = device.backlog().await;
    assert_eq!(backlog.ids(), ids.iter().map(String::as_str).collect(), "what is drained");
    device.ack(&backlog.0).await;
    device.nothing_pending().await;
}

/// `resend_unacked_on_reconnection`: three that were posted and not acked before the connection was closed in order are drained on the
/// next, and not a third time once they are acked.
pub(crate) async fn what_was_posted_before_an_orderly_end_is_drained(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let ids = send_three(&mut sender, |text| bob.message(text)).await;
    receive(&mut phone, &ids).await;
    phone.close().await;
    let mut phone = bob.connect("phone").await;
    drain(&mut phone, &ids).await;
    phone.close().await;
    drain(&mut bob.connect("phone").await, &[]).await;
}

/// `resend_unacked_from_stopped_sessions`: each of a user's devices leaves without an ack, and each is drained for itself when it is back;
/// what one acks, the others are still owed.
pub(crate) async fn what_was_posted_to_connections_that_closed_is_drained_on_each_device(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let devices = ["phone", "tablet", "watch"];
    let mut sender = alice.online("laptop").await;
    let mut connected = Vec::new();
    for device in devices {
        connected.push(bob.online(device).await);
    }
    let ids = [sender.send_one(&bob.message("hi")).await];
    for device in &mut connected {
        receive(device, &ids).await;
    }
    for device in connected {
        device.close().await;
    }
    for device in devices {
        drain(&mut bob.connect(device).await, &ids).await;
    }
}

/// `resend_unacked_from_terminated_sessions`: here the server ends a connection when all attempts are used up. What was posted to it is
/// drained on the next.
pub(crate) async fn what_a_server_that_gave_up_had_posted_is_drained(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let ids = send_three(&mut sender, |text| bob.message(text)).await;
    let within = cloud.waits().until_exhausted() + DEADLINE;
    let (_, arrived) = phone.end("the server to give the connection up", within).await;
    let mut posted = BTreeSet::new();
    for one in arrived {
        if let Frame::Messages(messages) = one.frame {
            posted.extend(messages.messages.into_iter().map(|envelope| envelope.id));
        }
    }
    assert_eq!(posted, ids.iter().cloned().collect(), "what was posted before");
    drain(&mut bob.connect("phone").await, &ids).await;
}

/// `resend_unacked_from_replaced_sessions`, and `session_resumed_then_old_session_is_closed_gracefully_with_correct_error_stanza`: a newer
/// connection takes over what was posted to the older one and not acked; the older one is told why it ends.
pub(crate) async fn what_was_posted_to_a_displaced_connection_is_drained_on_its_successor(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut older) = join!(alice.online("laptop"), bob.online("phone"));
    let ids = send_three(&mut sender, |text| bob.message(text)).await;
    receive(&mut older, &ids).await;
    let mut newer = bob.connect("phone").await;
    drain(&mut newer, &ids).await;
    let displaced = |frame: &Frame| matches!(frame, Frame::Error(error) if error.code == "displaced");
    older.frame("`displaced`", displaced).await;
    older.end("the end of the displaced connection", DEADLINE).await;
}

/// `resend_unacked_after_resume_timeout`: a connection that died without a word is given up at some time, as the wake tells. What went to
/// it before and after it died is drained when the device is back.
pub(crate) async fn what_went_to_a_dead_connection_is_drained_after_it_was_given_up(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let before = sender.send_one(&bob.message("before")).await;
    phone.message(&before).await;
    drop(phone);
    let after = sender.send_one(&bob.message("after")).await;
    cloud.wake(&bob, Some("phone"), &after).await;
    drain(&mut bob.connect("phone").await, &[before, after]).await;
}

/// `preserve_order`: some are posted before a connection dies, some sent while there is none, some while the next opens, some afterwards;
/// yet whoever asks gets all of them in the order in which they were made, and so does the connection that displaces the other.
pub(crate) async fn messages_are_in_their_order_whichever_connection_they_come_to(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let mut ids = vec![sender.send_one(&bob.message(1)).await];
    receive(&mut phone, &ids).await;
    drop(phone);
    for number in [2, 3] {
        ids.push(sender.send_one(&bob.message(number)).await);
    }
    let during = async {
        let mut ids = Vec::new();
        for number in [4, 5] {
            ids.push(sender.send_one(&bob.message(number)).await);
        }
        ids
    };
    let (mut phone, during) = join!(bob.connect("phone"), during);
    ids.extend(during);
    phone.frame("`drained`", |frame| matches!(frame, Frame::Drained { .. })).await;
    ids.push(sender.send_one(&bob.message(6)).await);
    receive(&mut phone, &ids).await;
    assert_eq!(in_order(&mut phone).await, ids);
    let mut newer = bob.connect("phone").await;
    assert_eq!(in_order(&mut newer).await, ids);
    drain(&mut newer, &ids).await;
}

/// What a sync names, page by page of two, as it comes.
async fn in_order(device: &mut Device) -> Vec<String> {
    let (mut ids, mut sync) = (Vec::new(), json!({"limit": 2}));
    loop {
        let page = device.sync(&sync).await;
        let Some(last) = page.messages.last() else { return ids };
        sync["after"] = json!(last.reference);
        ids.extend(page.messages.into_iter().map(|envelope| envelope.id));
        assert!(ids.len() <= 6, "the pages go on and on: {ids:?}");
    }
}

/// `client_acks_more_than_sent`: there it ends the connection, for what was acked is a count. Here refs are names: one that was acked
/// before, one of another device's and one of another user's delete nothing and end nothing, and the good ones beside them count.
pub(crate) async fn acks_of_more_than_was_posted_delete_nothing_else(cloud: &Deployment) {
    let (alice, bob, carol) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("carol"));
    let (mut sender, mut phone, mut other) = join!(alice.online("laptop"), bob.online("phone"), carol.online("phone"));
    let sent = sender.send(&[bob.message("first"), bob.message("second"), carol.message("hi")]).await.ids;
    let mut refs = receive(&mut phone, &sent[..1]).await;
    receive(&mut phone, &sent[1..2]).await;
    let others = receive(&mut other, &sent[2..]).await;
    // A ref of a message that was never sent, if refs are made of ids; otherwise just another of the first.
    let mut never = refs[0].clone();
    never.reference = never.reference.replace(&never.id, &new_id());
    refs.extend([refs[0].clone(), others[0].clone(), never]);
    phone.ack(&refs).await;
    pending::only(&mut phone, &[&sent[1]]).await;
    pending::only(&mut other, &[&sent[2]]).await;
    phone.say(&json!({"action": "ping"})).await;
    phone.frame("a pong", |frame| matches!(frame, Frame::Pong {})).await;
    for (user, device, id) in [(&bob, phone, &sent[1]), (&carol, other, &sent[2])] {
        device.close().await;
        drain(&mut user.connect("phone").await, std::slice::from_ref(id)).await;
    }
}

/// `too_many_unacked_stanzas`: there it ends the connection. Here who falls behind is posted to all the same: every message arrives though
/// none before it was acked, and late acks count.
pub(crate) async fn any_number_may_be_unacked(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let mut sent = Vec::new();
    for _ in 0..3 {
        let messages: Vec<Value> = (0..MOST_IN_A_SEND).map(|number| bob.message(number)).collect();
        sent.extend(sender.send(&messages).await.ids);
    }
    assert_eq!(sent.len(), 3 * MOST_IN_A_SEND, "all are accepted");
    let envelopes = receive(&mut phone, &sent).await;
    phone.ack(&envelopes).await;
    phone.nothing_pending().await;
}

/// `resend_more_offline_messages_than_buffer_size`: more than a drain reads at a time (256) and more than fit into any frame are drained whole
/// before `drained`, to who acks none of them meanwhile.
pub(crate) async fn what_is_more_than_a_page_is_drained_whole(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut onlooker, ()) = join!(alice.online("laptop"), bob.online("tablet"), bob.away("phone"));
    let mut sent = Vec::new();
    for _ in 0..11 {
        let messages: Vec<Value> = (0..MOST_IN_A_SEND).map(|number| bob.message(number)).collect();
        let ids = sender.send(&messages).await.ids;
        assert_eq!(ids.len(), MOST_IN_A_SEND, "all are accepted");
        // An envelope is put for all devices before it is posted to any, so what the tablet has waits for the phone.
        let seen = receive(&mut onlooker, &ids).await;
        onlooker.ack(&seen).await;
        sent.extend(ids);
    }
    drain(&mut bob.connect("phone").await, &sent).await;
}

/// `resume_expired_session_returns_correct_h`: there a server remembers how far a session that it gave up had come. Here the client
/// remembers: a ref is a cursor as long as anybody likes, though its envelope was acked and the connection is another.
pub(crate) async fn a_cursor_outlives_its_envelope(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let ids = send_three(&mut sender, |text| bob.message(text)).await;
    let envelopes = receive(&mut phone, &ids).await;
    phone.ack(&envelopes[..2]).await;
    pending::only(&mut phone, &[&ids[2]]).await;
    phone.close().await;
    let mut phone = bob.connect("phone").await;
    let after = |envelope: &Envelope| json!({"after": envelope.reference});
    for (cursor, expected) in [(&envelopes[0], &ids[2..]), (&envelopes[1], &ids[2..]), (&envelopes[2], &[])] {
        let page = phone.sync(&after(cursor)).await;
        let named: Vec<String> = page.messages.into_iter().map(|envelope| envelope.id).collect();
        assert_eq!(named, expected, "after {}", cursor.id);
    }
    drain(&mut phone, &ids[2..]).await;
}
