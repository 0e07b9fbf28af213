//! Messages that are not to be kept: ephemeral ones, and those that expire.

use blackbox::Deployment;
use serde_json::json;
use tokio::join;

/// Lifetime of what expires, in seconds: long enough to be seen on a slow machine.
const LIFETIME: u64 = 5;

/// For a second device that looks on, see `absent`.
pub(crate) async fn an_ephemeral_message_is_for_who_is_connected(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut tablet, ()) = join!(alice.online("laptop"), bob.online("tablet"), bob.away("phone"));
    let mut typing = bob.message("typing");
    typing["ephemeral"] = true.into();
    let ephemeral = sender.send_one(&typing).await;
    let seen = tablet.message(&ephemeral).await.envelope;
    assert_eq!((seen.attempt, &seen.from, &seen.body), (1, &alice.id, &typing["body"]));
    let pending = tablet.sync(&json!({})).await.messages;
    assert!(pending.is_empty(), "it was not acked, and never kept: {pending:?}");
    tablet.ack(&[seen]).await;
    let kept = sender.send_one(&bob.message("kept")).await;
    let seen = tablet.message(&kept).await.envelope;
    tablet.ack(&[seen]).await;
    if cloud.sees_wakes() {
        cloud.wake(&bob, Some("phone"), &kept).await;
        let wakes = cloud.wakes_of(&bob).await;
        assert!(!wakes.iter().any(|wake| wake.ids.contains(&ephemeral)), "woken for what is not kept: {wakes:?}");
    }
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), [kept.as_str()].into());
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
    tablet.nothing_pending().await;
}

/// For a second device that looks on, see `absent`.
pub(crate) async fn an_expired_message_is_not_drained(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut tablet, ()) = join!(alice.online("laptop"), bob.online("tablet"), bob.away("phone"));
    let mut brief = bob.message("brief");
    brief["expires_in"] = LIFETIME.into();
    let answer = sender.send(&[brief]).await;
    let kept = sender.send_one(&bob.message("kept")).await;
    for id in [&answer.ids[0], &kept] {
        let seen = tablet.message(id).await.envelope;
        tablet.ack(&[seen]).await;
    }
    // A second for the rounding, and one for clocks that differ.
    blackbox::clock::until(&mut sender, &alice, answer.at + 1_000 * (LIFETIME + 2)).await;
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), [kept.as_str()].into());
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
}
