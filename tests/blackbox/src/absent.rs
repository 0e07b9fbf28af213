//! Recipients who are away: what was sent to them is kept, and drained when they connect. How they are woken is in `woken`.
//!
//! That something is kept cannot be seen from outside before they connect. So a second device of theirs looks on: an envelope is put for
//! all devices before it is posted to any.

use std::collections::BTreeSet;

use blackbox::Deployment;
use serde_json::{Value, json};
use tokio::join;

/// Most messages in one `send`.
const MOST_IN_A_SEND: usize = 25;

/// More than two full frames.
const BACKLOG: usize = 60;

pub(crate) async fn what_a_device_missed_is_drained_when_it_comes_back(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut onlooker, ()) = join!(alice.online("laptop"), bob.online("tablet"), bob.away("phone"));
    let id = sender.send_one(&bob.message("hi")).await;
    let seen = onlooker.message(&id).await.envelope;
    onlooker.ack(&[seen]).await;
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), [id.as_str()].into());
    assert_eq!((&backlog.0[0].from, &backlog.0[0].body), (&alice.id, &json!("hi")));
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
    phone.close().await;
    let backlog = bob.connect("phone").await.backlog().await;
    assert!(backlog.0.is_empty(), "acked, and drained all the same: {backlog:?}");
}

/// Here nobody can look on, so it may be drained or, if the device is quicker than the message, posted.
pub(crate) async fn the_first_device_of_a_user_gets_what_came_before_it(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let mut sender = alice.online("laptop").await;
    let id = sender.send_one(&bob.message("hi")).await;
    let mut phone = bob.connect("phone").await;
    let envelope = phone.message(&id).await.envelope;
    assert_eq!((&envelope.from, &envelope.body), (&alice.id, &json!("hi")));
    phone.ack(&[envelope]).await;
    phone.nothing_pending().await;
    phone.close().await;
    let backlog = bob.connect("phone").await.backlog().await;
    assert!(backlog.0.is_empty(), "acked, and drained all the same: {backlog:?}");
}

/// Clients order by id, so an order between frames is not promised: inside each it is, and that `drained` comes after all.
pub(crate) async fn a_backlog_is_drained_oldest_first_and_then_said_to_be(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut onlooker, ()) = join!(alice.online("laptop"), bob.online("tablet"), bob.away("phone"));
    let messages: Vec<Value> = (0..BACKLOG).map(|number| bob.message(number)).collect();
    let mut sent = BTreeSet::new();
    for some in messages.chunks(MOST_IN_A_SEND) {
        let accepted = sender.send(some).await;
        assert_eq!(accepted.ids.len(), some.len(), "{accepted:?}");
        let mut seen = Vec::new();
        for id in &accepted.ids {
            seen.push(onlooker.message(id).await.envelope);
        }
        onlooker.ack(&seen).await;
        sent.extend(accepted.ids);
    }
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(
        backlog.ids(),
        sent.iter().map(String::as_str).collect(),
        "all of it before `drained`, and nothing else"
    );
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
    onlooker.nothing_pending().await;
}
