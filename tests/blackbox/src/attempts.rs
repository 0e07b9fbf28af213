//! Messages that are posted and not acked: they come again after each wait, and what follows when all attempts are used up.

use std::collections::BTreeSet;

use blackbox::{DEADLINE, Deployment, Envelope, Frame};
use tokio::join;

pub(crate) async fn what_is_not_acked_comes_again_until_it_is(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let id = sender.send_one(&bob.message("hi")).await;
    let first = phone.message(&id).await;
    assert_eq!(first.envelope.attempt, 1);
    let within = cloud.waits().until(2) + DEADLINE;
    let later = |envelope: &Envelope| envelope.id == id && envelope.attempt == 2;
    let second = phone.envelope("a second attempt", within, later).await;
    assert_eq!(second.envelope.reference, first.envelope.reference);
    assert_eq!(second.envelope.body, first.envelope.body);
    // The wait begins with the post, and each of the two posts takes its time to arrive.
    let waited = second.at - first.at;
    let wait = cloud.waits().first();
    assert!(waited >= wait / 2, "it came again after {waited:?}, and --waits says {wait:?}");
    phone.ack(&[second.envelope]).await;
    phone.nothing_pending().await;

    // Another message goes unacked for as long, so its attempts are later than those of the first would be.
    let marker = sender.send_one(&bob.message("marker")).await;
    let attempts = cloud.waits().attempts().min(3);
    let within = cloud.waits().until(attempts) + DEADLINE;
    let last = phone.envelope("the marker's attempts", within, |one| one.id == marker && one.attempt == attempts).await;
    phone.ack(&[last.envelope]).await;
    // What comes now and was acked before is a copy that was on its way; of the first there must be none.
    let again = phone.posted().find(|one| one.id == id && one.attempt > 2);
    assert!(again.is_none(), "it was acked, and came again: {again:?}");
    phone.nothing_pending().await;
}

pub(crate) async fn who_never_acks_is_closed_woken_and_drained_later(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let id = sender.send_one(&bob.message("hi")).await;
    let within = cloud.waits().until_exhausted() + DEADLINE;
    let (_, arrived) = phone.end("the connection to be closed after all attempts", within).await;
    let mut posted = Vec::new();
    for one in arrived {
        match one.frame {
            Frame::Messages(messages) => posted.extend(messages.messages),
            // A Drain may be received twice as well, and gateways say things of their own.
            Frame::Drained { .. } | Frame::Unknown(_) => {}
            other => panic!("{other:?} came instead of an attempt"),
        }
    }
    assert!(posted.iter().all(|one| one.id == id && one.reference == posted[0].reference), "{posted:?}");
    // SQS may hand out a record twice, and then an attempt comes twice, or before another.
    let attempts: BTreeSet<usize> = posted.iter().map(|one| one.attempt).collect();
    assert_eq!(attempts, (1..=cloud.waits().attempts()).collect(), "one attempt for each of --waits");
    if cloud.sees_wakes() {
        let wake = cloud.wake(&bob, Some("phone"), &id).await;
        assert_eq!((wake.reason.as_str(), wake.ids), ("exhausted", vec![id.clone()]));
    }
    let mut back = bob.connect("phone").await;
    let backlog = back.backlog().await;
    assert_eq!(backlog.ids(), [id.as_str()].into());
    back.ack(&backlog.0).await;
    back.nothing_pending().await;
}
