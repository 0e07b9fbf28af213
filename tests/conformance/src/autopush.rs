//! Acks and lifetimes, after autopush-rs, tests/integration/test_integration_all_rust.py: its clients ack each notification, as ours do each
//! envelope, and a notification with a TTL of 0 is an ephemeral message here.
//!
//! Two of its cases have no counterpart: `test_topic_replacement_delivery`, since no message replaces another, and `test_msg_limit`, since
//! no inbox is thrown away for what is in it (`mongooseim::what_is_more_than_a_page_is_drained_whole` asks for the opposite).
//!
//! That something waits for a device that is away cannot be seen before it connects. So a second device of its user's looks on: an
//! envelope is put for all devices before it is posted to any.

use blackbox::{Accepted, Deployment, Device, Envelope, User};
use serde_json::{Value, json};
use tokio::join;

use crate::pending;

/// Lifetime of what expires, in seconds: long enough to be seen on a slow machine.
const LIFETIME: u64 = 5;

/// Bob, whose phone is away and whose tablet looks on, and who sends to him.
struct Scene {
    alice: User,
    bob: User,
    sender: Device,
    onlooker: Device,
}

impl Scene {
    async fn set(cloud: &Deployment) -> Self {
        let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
        let (sender, onlooker, ()) = join!(alice.online("laptop"), bob.online("tablet"), bob.away("phone"));
        Self { alice, bob, sender, onlooker }
    }

    /// Sends messages, and waits until they wait for the phone unless they are ephemeral.
    async fn send(&mut self, messages: &[Value]) -> Accepted {
        let accepted = self.sender.send(messages).await;
        assert_eq!(accepted.ids.len(), messages.len(), "{accepted:?}");
        let mut seen = Vec::new();
        for id in &accepted.ids {
            seen.push(self.onlooker.message(id).await.envelope);
        }
        self.onlooker.ack(&seen).await;
        accepted
    }

    fn brief(&self, body: impl Into<Value>) -> Value {
        let mut message = self.bob.message(body);
        message["expires_in"] = LIFETIME.into();
        message
    }

    /// Waits until what is brief and was accepted at this time is expired: a second more for the rounding, and one for clocks that differ.
    async fn expired(&mut self, accepted_at: u64) {
        blackbox::clock::until(&mut self.sender, &self.alice, accepted_at + 1_000 * (LIFETIME + 2)).await;
    }

    /// The phone comes back, and these ids are drained, and nothing else.
    async fn drained(&self, ids: &[&str]) -> (Device, Vec<Envelope>) {
        let mut phone = self.bob.connect("phone").await;
        let backlog = phone.backlog().await;
        assert_eq!(backlog.ids(), ids.iter().copied().collect(), "what is drained");
        (phone, backlog.0)
    }

    /// The phone acks what it has, and nothing is left for it on this connection or the next.
    async fn done(&self, mut phone: Device, envelopes: &[Envelope]) {
        phone.ack(envelopes).await;
        phone.nothing_pending().await;
        phone.close().await;
        self.drained(&[]).await;
    }
}

/// `test_delivery_repeat_without_ack`: what was drained on one connection and not acked is drained on the next.
pub(crate) async fn what_was_drained_and_not_acked_is_drained_again(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let message = scene.bob.message("hi");
    let accepted = scene.send(&[message]).await;
    let (phone, first) = scene.drained(&[&accepted.ids[0]]).await;
    phone.close().await;
    let (phone, again) = scene.drained(&[&accepted.ids[0]]).await;
    assert_eq!((&again[0].reference, &again[0].body), (&first[0].reference, &json!("hi")), "the same envelope");
    scene.done(phone, &again).await;
}

/// `test_repeat_delivery_with_disconnect_without_ack`: what was posted to a connected device, which then left without an ack, is drained.
pub(crate) async fn what_was_posted_and_not_acked_is_drained(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let id = sender.send_one(&bob.message("hi")).await;
    let posted = phone.message(&id).await.envelope;
    phone.close().await;
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), [id.as_str()].into());
    assert_eq!((&backlog.0[0].reference, &backlog.0[0].body), (&posted.reference, &json!("hi")), "the same envelope");
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
}

/// `test_multiple_delivery_repeat_without_ack`: that goes for each of several.
pub(crate) async fn several_that_were_not_acked_are_all_drained_again(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let messages = [scene.bob.message("first"), scene.bob.message("second")];
    let ids = scene.send(&messages).await.ids;
    let ids = [ids[0].as_str(), ids[1].as_str()];
    for _ in 0..2 {
        scene.drained(&ids).await.0.close().await;
    }
    let (phone, envelopes) = scene.drained(&ids).await;
    scene.done(phone, &envelopes).await;
}

/// `test_multiple_delivery_with_single_ack`: an ack of one of two is an ack of that one. There the acked one comes once more, with the rest of
/// its batch; here it must not.
pub(crate) async fn an_ack_of_one_leaves_the_other(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let messages = [scene.bob.message("first"), scene.bob.message("second")];
    let ids = scene.send(&messages).await.ids;
    let (mut phone, envelopes) = scene.drained(&[&ids[0], &ids[1]]).await;
    let first: Vec<_> = envelopes.into_iter().filter(|envelope| envelope.id == ids[0]).collect();
    phone.ack(&first).await;
    pending::only(&mut phone, &[&ids[1]]).await;
    phone.close().await;
    let (phone, envelopes) = scene.drained(&[&ids[1]]).await;
    scene.done(phone, &envelopes).await;
}

/// `test_multiple_delivery_with_multiple_ack`: when both are acked, the later one first, neither comes again.
pub(crate) async fn acks_of_both_leave_nothing(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let messages = [scene.bob.message("first"), scene.bob.message("second")];
    let ids = scene.send(&messages).await.ids;
    let (mut phone, mut envelopes) = scene.drained(&[&ids[0], &ids[1]]).await;
    envelopes.sort_by(|one, other| other.id.cmp(&one.id));
    for envelope in &envelopes {
        phone.ack(std::slice::from_ref(envelope)).await;
    }
    phone.nothing_pending().await;
    phone.close().await;
    scene.drained(&[]).await;
}

/// `test_ttl_0_connected`: who is connected gets it; and nothing is kept, acked or not.
pub(crate) async fn an_ephemeral_message_reaches_who_is_connected(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let mut typing = bob.message("typing");
    typing["ephemeral"] = true.into();
    let id = sender.send_one(&typing).await;
    let envelope = phone.message(&id).await.envelope;
    assert_eq!((&envelope.from, &envelope.body), (&alice.id, &json!("typing")));
    // It is not acked, and neither is the one after it: only that is pending.
    let kept = sender.send_one(&bob.message("kept")).await;
    phone.message(&kept).await;
    pending::only(&mut phone, &[&kept]).await;
    phone.close().await;
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), [kept.as_str()].into());
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
}

/// `test_ttl_0_not_connected`: who is not connected does not get it later.
pub(crate) async fn an_ephemeral_message_does_not_wait_for_who_is_not(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let mut typing = scene.bob.message("typing");
    typing["ephemeral"] = true.into();
    scene.send(&[typing]).await;
    // The onlooker has it, so it is dealt with.
    scene.drained(&[]).await;
}

/// `test_ttl_expired`: what expired while its recipient was away is not drained.
pub(crate) async fn what_expired_is_not_drained(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let brief = scene.brief("brief");
    let accepted = scene.send(&[brief]).await;
    scene.expired(accepted.at).await;
    let (mut phone, _) = scene.drained(&[]).await;
    phone.nothing_pending().await;
}

/// `test_ttl_batch_expired_and_good_one`: twelve that expired do not keep back the one after them.
pub(crate) async fn of_many_only_what_did_not_expire_is_drained(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let mut messages: Vec<Value> = (0..12).map(|number| scene.brief(number)).collect();
    messages.push(scene.bob.message("good"));
    let accepted = scene.send(&messages).await;
    scene.expired(accepted.at).await;
    let (phone, envelopes) = scene.drained(&[&accepted.ids[12]]).await;
    scene.done(phone, &envelopes).await;
}

/// `test_ttl_batch_partly_expired_and_good_one`: six that stay, six that expire between them, and one more that stays: seven are drained, in
/// their order, and can be acked.
pub(crate) async fn what_expired_holds_up_nothing_around_it(cloud: &Deployment) {
    let mut scene = Scene::set(cloud).await;
    let mut messages: Vec<Value> = (0..6).map(|number| scene.bob.message(number)).collect();
    messages.extend((6..12).map(|number| scene.brief(number)));
    messages.push(scene.bob.message(12));
    let accepted = scene.send(&messages).await;
    scene.expired(accepted.at).await;
    let staying = accepted.ids[..6].iter().chain(&accepted.ids[12..]);
    let staying: Vec<&str> = staying.map(String::as_str).collect();
    let (mut phone, envelopes) = scene.drained(&staying).await;
    let synced = phone.sync(&json!({})).await.messages;
    assert_eq!(synced.iter().map(|envelope| envelope.id.as_str()).collect::<Vec<_>>(), staying, "in their order");
    scene.done(phone, &envelopes).await;
}
