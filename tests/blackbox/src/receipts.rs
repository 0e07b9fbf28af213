//! Receipts: who is told of an ack and of a read, and who is not.

use blackbox::{Deployment, Device, Envelope};
use serde_json::{Value, json};
use tokio::join;

/// Says that these were read.
async fn read(device: &mut Device, envelopes: &[&Envelope]) {
    let refs: Vec<&str> = envelopes.iter().map(|envelope| envelope.reference.as_str()).collect();
    device.say(&json!({"action": "read", "refs": refs})).await;
    for envelope in envelopes {
        device.note_acked(envelope);
    }
}

/// The same, asking for receipts.
fn asking(mut message: Value) -> Value {
    message["receipts"] = true.into();
    message
}

pub(crate) async fn a_sender_who_asks_is_told_of_an_ack_and_of_a_read(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let id = sender.send_one(&asking(bob.message("hi"))).await;
    let envelope = phone.message(&id).await.envelope;
    phone.ack(std::slice::from_ref(&envelope)).await;
    let delivered = sender.receipt("delivered", &id).await.envelope;
    assert_eq!((delivered.from.as_str(), &delivered.body["by"]), ("~system", &json!(bob.id)));
    assert_eq!(delivered.to, json!({"user": alice.id}));
    read(&mut phone, &[&envelope]).await;
    let read = sender.receipt("read", &id).await.envelope;
    sender.ack(&[delivered, read]).await;
    join!(sender.nothing_pending(), phone.nothing_pending());
}

pub(crate) async fn the_devices_of_a_user_are_told_of_each_other(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone, mut tablet) = join!(alice.online("laptop"), bob.online("phone"), bob.online("tablet"));
    let id = sender.send_one(&bob.message("hi")).await;
    let (on_phone, on_tablet) = join!(phone.message(&id), tablet.message(&id));
    phone.ack(std::slice::from_ref(&on_phone.envelope)).await;
    assert_eq!(tablet.receipt("delivered", &id).await.envelope.body["by"], json!(bob.id));
    read(&mut phone, &[&on_phone.envelope]).await;
    let told = tablet.receipt("read", &id).await.envelope;
    tablet.ack(&[on_tablet.envelope, told]).await;
    join!(phone.nothing_pending(), tablet.nothing_pending());
    // Alice did not ask. A receipt that came all the same would be noticed here, after bob's devices were told.
    sender.nothing_pending().await;
}

pub(crate) async fn nobody_is_told_of_what_was_not_acked(cloud: &Deployment) {
    let (alice, bob, eve) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("eve"));
    let (mut sender, mut phone, mut other) = join!(alice.online("laptop"), bob.online("phone"), eve.online("phone"));
    let id = sender.send_one(&asking(bob.message("hi"))).await;
    let envelope = phone.message(&id).await.envelope;
    for action in ["ack", "read"] {
        other.say(&json!({"action": action, "refs": [envelope.reference]})).await;
    }
    // Behind them on the same connection, so that they have been heard.
    other.nothing_pending().await;
    // A receipt that followed from them would be noticed here, and a later one at the end.
    sender.nothing_pending().await;
    phone.ack(&[envelope]).await;
    let told = sender.receipt("delivered", &id).await.envelope;
    assert_eq!(told.body["by"], json!(bob.id));
    sender.ack(&[told]).await;
    sender.nothing_pending().await;
}
