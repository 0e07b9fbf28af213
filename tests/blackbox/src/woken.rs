//! Wakes: who is away is told that something is pending, and not too often. They are looked for where the options say.

use std::time::Duration;

use blackbox::{Deployment, new_id};
use serde_json::{Value, json};
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

pub(crate) async fn a_platform_endpoint_of_sns_is_told_and_one_that_is_gone_is_dropped(cloud: &Deployment) {
    let live = cloud.platform_endpoint().expect("--platform-endpoint names one");
    let (application, _) = live.rsplit_once('/').expect("the ARN of an endpoint");
    let gone = format!("{application}/{}", new_id());
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, (), ()) = join!(alice.online("laptop"), bob.away("phone"), bob.away("tablet"));
    let target = |endpoint: &str| json!([{"service": "sns", "endpoint": endpoint}]);
    for (device, endpoint) in [("phone", live), ("tablet", &gone)] {
        bob.done("PUT", &format!("/v1/devices/{device}"), &json!({"push": target(endpoint)})).await;
    }
    for text in ["first", "second"] {
        let id = sender.send_one(&bob.message(text)).await;
        // What no service takes is told to the webhook.
        cloud.wake(&bob, Some("tablet"), &id).await;
    }
    let kept = bob.done("GET", "/v1/me/export", &Value::Null).await;
    let mut push: Vec<(&Value, &Value)> = Vec::new();
    for device in kept["devices"].as_array().expect("devices") {
        push.push((&device["device"], &device["push"]));
    }
    assert_eq!(push, [(&json!("phone"), &target(live)), (&json!("tablet"), &json!([]))]);
    let others: Vec<_> =
        cloud.wakes_of(&bob).await.into_iter().filter(|wake| wake.device.as_deref() != Some("tablet")).collect();
    assert!(others.is_empty(), "what SNS took was told elsewhere as well: {others:?}");
}
