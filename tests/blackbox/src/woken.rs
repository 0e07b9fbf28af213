//! Wakes: who is away is told that something is pending, and not too often. They are looked for where the options say.

use std::time::Duration;

use blackbox::Deployment;
use tokio::join;

pub(crate) async fn a_device_that_is_away_is_woken(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, ()) = join!(alice.online("laptop"), bob.away("phone"));
    let id = sender.send_one(&bob.message("hi")).await;
    let wake = cloud.wake(&bob, Some("phone"), &id).await;
    assert_eq!((wake.reason.as_str(), wake.ids), ("absent", vec![id.clone()]));
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), [id.as_str()].into(), "what it was woken for");
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
}

pub(crate) async fn a_user_without_a_device_is_woken(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let mut sender = alice.online("laptop").await;
    let id = sender.send_one(&bob.message("hi")).await;
    let wake = cloud.wake(&bob, None, &id).await;
    assert_eq!((wake.reason.as_str(), wake.ids), ("absent", vec![id.clone()]));
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), [id.as_str()].into(), "what they were woken for");
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
}

pub(crate) async fn wakes_of_a_device_keep_their_distance(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, ()) = join!(alice.online("laptop"), bob.away("phone"));
    let first = sender.send_one(&bob.message("first")).await;
    cloud.wake(&bob, Some("phone"), &first).await;
    let second = sender.send_one(&bob.message("second")).await;
    let third = sender.send_one(&bob.message("third")).await;
    let summary = cloud.wake(&bob, Some("phone"), &third).await;
    let mut named = summary.ids.clone();
    named.sort();
    assert_eq!(named, [first, second, third], "a wake names all that is pending");
    let mut wakes = cloud.wakes_of(&bob).await;
    wakes.sort_by_key(|wake| wake.at);
    for pair in wakes.windows(2) {
        let distance = Duration::from_millis(pair[1].at - pair[0].at);
        // Every function takes the time from a clock of its own.
        let interval = cloud.wake_interval();
        assert!(distance >= interval / 2, "woken again after {distance:?}, and --wake-interval says {interval:?}");
    }
    let mut phone = bob.connect("phone").await;
    let backlog = phone.backlog().await;
    assert_eq!(backlog.ids(), named.iter().map(String::as_str).collect());
    phone.ack(&backlog.0).await;
    phone.nothing_pending().await;
}
