//! Pushes to phones and browsers: the deployed clients, over TLS, to stand-ins of the services that judge each push and decrypt it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};
use crate::http::api;
use crate::socket::Socket;

const SERVICES: [&str; 3] = ["fcm", "apns", "webpush"];

/// What a message says that no push may.
const WORDS: &str = "nobody else reads this";

/// A new target, as a device registers it.
async fn target(cloud: &Deployment, service: &str) -> Value {
    let target = cloud.post("/_local/push/targets", &json!({"service": service})).await;
    serde_json::from_str(&target).expect("JSON")
}

/// What a service calls a target.
fn name(target: &Value) -> &str {
    target["token"].as_str().or(target["endpoint"].as_str()).expect("a name")
}

/// What bob's or another's device says of itself.
async fn enrol(cloud: &Deployment, user: &'static str, device: &str, said: &Value) {
    api(cloud, user).change(Method::PUT, &format!("/v1/devices/{device}"), said).await;
}

/// Makes a device known with one new target.
async fn enrol_with(cloud: &Deployment, user: &'static str, device: &str, service: &str) -> Value {
    let target = target(cloud, service).await;
    enrol(cloud, user, device, &json!({"push": [target]})).await;
    target
}

async fn fault(cloud: &Deployment, change: Value) {
    cloud.post("/_local/push/faults", &change).await;
}

/// What a target was pushed, oldest first.
async fn received(cloud: &Deployment, target: &Value) -> Vec<Value> {
    let received = cloud.get("/_local/push/received").await;
    received.as_array().expect("a list").iter().filter(|push| push["target"] == name(target)).cloned().collect()
}

async fn until_received(cloud: &Deployment, target: &Value, count: usize) -> Vec<Value> {
    let what = format!("{count} pushes of {}", target["service"]);
    cloud.until(&what, async || received(cloud, target).await, |received| received.len() >= count).await
}

async fn until_woken(cloud: &Deployment, user: &str, count: usize) -> Vec<Value> {
    let what = format!("{count} wakes of {user}");
    cloud.until(&what, async || cloud.pushes(user).await, |pushes| pushes.len() >= count).await
}

async fn alice(cloud: &Deployment) -> Socket {
    cloud.connect("alice", "phone").await.drained().await
}

/// What a device has pending, acked by it over HTTP as far as it is one of `ids`.
async fn ack(cloud: &Deployment, device: &str, ids: &[&str]) {
    let bob = api(cloud, "bob");
    let (_, page) = bob.get(&format!("/v1/messages?device={device}")).await;
    let messages = page["messages"].as_array().expect("a list").iter();
    let of_these = messages.filter(|one| ids.contains(&one["id"].as_str().expect("an id")));
    let refs: Vec<&Value> = of_these.map(|one| &one["ref"]).collect();
    assert_eq!(refs.len(), ids.len(), "{page}");
    bob.change(Method::POST, "/v1/acks", &json!({"device": device, "refs": refs})).await;
}

#[tokio::test]
async fn a_burst_is_one_push_and_one_summary_at_each_service() {
    let cloud = Deployment::with(|options| options.wake_interval = Duration::from_secs(3)).await;
    let mut targets = Vec::new();
    for service in SERVICES {
        targets.push(target(&cloud, service).await);
    }
    enrol(&cloud, "bob", "phone", &json!({"push": targets})).await;
    let mut alice = alice(&cloud).await;
    let mut newest = String::new();
    for _ in 0..2 {
        let ids: Vec<String> = (0..25).map(|_| new_id().to_string()).collect();
        let messages: Vec<Value> =
            ids.iter().map(|id| json!({"id": id, "to": {"user": "bob"}, "body": WORDS})).collect();
        alice.ask(&json!({"action": "send", "messages": messages})).await;
        newest.clone_from(&ids[24]);
    }
    cloud.until_pending("bob", "phone", 50).await;
    for (target, urgent) in targets.iter().zip(["high", "10", "high"]) {
        let received = until_received(&cloud, target, 2).await;
        let [wake, summary] = received.as_slice() else { panic!("{received:?}") };
        let content =
            json!({"user": "bob", "id": newest, "conversation": {"user": "alice"}, "badge": 50, "kind": "message"});
        assert_eq!(summary["content"], content, "{target}");
        assert_eq!((&wake["priority"], &summary["priority"]), (&json!(urgent), &json!(urgent)));
        assert!(summary["collapse"].is_string() && wake["collapse"] == summary["collapse"], "{received:?}");
        assert!(summary["ttl"].as_u64().is_some_and(|secs| secs > 24 * 3_600), "{summary}");
        assert!(!json!(received).to_string().contains(WORDS));
    }
    // One more message has a push of its own; had the burst led to a third, it would have come before.
    let last = alice.send_to("bob", "last").await;
    for target in &targets {
        let received = until_received(&cloud, target, 3).await;
        assert_eq!((received.len(), &received[2]["content"]["id"]), (3, &json!(last)));
    }
    assert_eq!(cloud.pushes("bob").await[1]["push"], json!(targets), "what it was is recorded as well");
}

#[tokio::test]
async fn what_is_acked_meanwhile_is_not_told() {
    let cloud = Deployment::start().await;
    let bobs = enrol_with(&cloud, "bob", "phone", "apns").await;
    let carols = enrol_with(&cloud, "carol", "phone", "webpush").await;
    let mut alice = alice(&cloud).await;
    let first = alice.send_to("bob", WORDS).await;
    until_received(&cloud, &bobs, 1).await;
    let second = alice.send_to("bob", WORDS).await;
    cloud.until_pending("bob", "phone", 2).await;
    ack(&cloud, "phone", &[&first, &second]).await;
    cloud.until_pending("bob", "phone", 0).await;
    // Whose summary is due later than bob's would be.
    for _ in 0..2 {
        alice.send_to("carol", WORDS).await;
    }
    until_received(&cloud, &carols, 2).await;
    assert_eq!(received(&cloud, &bobs).await.len(), 1);
    let third = alice.send_to("bob", WORDS).await;
    let received = until_received(&cloud, &bobs, 2).await;
    assert_eq!((&received[1]["content"]["id"], &received[1]["content"]["badge"]), (&json!(third), &json!(1)));
    assert_eq!(received.len(), 2);
}

#[tokio::test]
async fn a_dead_target_is_not_tried_again() {
    let cloud = Deployment::start().await;
    let (dead, alive) = (target(&cloud, "apns").await, target(&cloud, "fcm").await);
    let unknown = json!({"service": "fcm", "token": "a-token-of-a-real-app"});
    enrol(&cloud, "bob", "phone", &json!({"push": [dead, unknown, alive]})).await;
    fault(&cloud, json!({"target": name(&dead), "fault": "unregistered"})).await;
    let mut alice = alice(&cloud).await;
    alice.send_to("bob", WORDS).await;
    until_woken(&cloud, "bob", 1).await;
    alice.send_to("bob", WORDS).await;
    let wakes = until_woken(&cloud, "bob", 2).await;
    assert_eq!((&wakes[0]["push"], &wakes[1]["push"]), (&json!([dead, unknown, alive]), &json!([alive])));
    assert_eq!(until_received(&cloud, &alive, 2).await.len(), 2);
}

#[tokio::test]
async fn a_target_that_is_renewed_while_the_old_one_is_found_dead_is_kept() {
    let cloud = Deployment::start().await;
    let (dead, slow, quick) =
        (target(&cloud, "apns").await, target(&cloud, "webpush").await, target(&cloud, "apns").await);
    enrol(&cloud, "bob", "phone", &json!({"push": [dead, slow, quick]})).await;
    fault(&cloud, json!({"target": name(&dead), "fault": "unregistered"})).await;
    fault(&cloud, json!({"target": name(&slow), "fault": "slow", "ms": 2_000, "times": 1})).await;
    let mut alice = alice(&cloud).await;
    alice.send_to("bob", WORDS).await;
    // The push is under way, and does not end before the slow one has answered.
    until_received(&cloud, &quick, 1).await;
    let renewed = target(&cloud, "apns").await;
    enrol(&cloud, "bob", "phone", &json!({"push": [renewed, quick]})).await;
    assert_eq!(received(&cloud, &slow).await.len(), 0, "it is under way still");
    until_woken(&cloud, "bob", 1).await;
    alice.send_to("bob", WORDS).await;
    assert_eq!(until_woken(&cloud, "bob", 2).await[1]["push"], json!([renewed, quick]));
    until_received(&cloud, &renewed, 1).await;
}

#[tokio::test]
async fn who_cannot_be_told_now_is_told_later() {
    let cloud = Deployment::start().await;
    let bobs = enrol_with(&cloud, "bob", "phone", "fcm").await;
    let carols = enrol_with(&cloud, "carol", "phone", "apns").await;
    let daves = enrol_with(&cloud, "dave", "phone", "webpush").await;
    fault(&cloud, json!({"service": "fcm", "fault": "internal_error", "times": 1})).await;
    fault(&cloud, json!({"service": "apns", "fault": "too_many_requests", "retry_after": 1, "times": 2})).await;
    fault(&cloud, json!({"service": "webpush", "fault": "unavailable", "retry_after": 1})).await;
    let mut alice = alice(&cloud).await;
    for (user, target) in [("dave", &daves), ("bob", &bobs), ("carol", &carols)] {
        alice.send_to(user, WORDS).await;
        assert_eq!(received(&cloud, target).await.len(), 0);
    }
    assert_eq!(until_received(&cloud, &bobs, 1).await.len(), 1);
    assert_eq!(until_received(&cloud, &carols, 1).await.len(), 1);
    // Longer than that it was out of order; and nobody was woken as long as nobody was told.
    assert_eq!((received(&cloud, &daves).await.len(), cloud.pushes("dave").await.len()), (0, 0));
    fault(&cloud, json!({"service": "webpush", "fault": "none"})).await;
    assert_eq!(until_received(&cloud, &daves, 1).await.len(), 1);
    until_woken(&cloud, "dave", 1).await;
}

#[tokio::test]
async fn new_credentials_are_picked_up() {
    let cloud = Deployment::with(|options| options.wake_interval = Duration::from_secs(1)).await;
    let bobs = enrol_with(&cloud, "bob", "phone", "fcm").await;
    let carols = enrol_with(&cloud, "carol", "phone", "apns").await;
    let daves = enrol_with(&cloud, "dave", "phone", "webpush").await;
    let mut alice = alice(&cloud).await;
    for (user, target) in [("bob", &bobs), ("carol", &carols), ("dave", &daves)] {
        alice.send_to(user, WORDS).await;
        until_received(&cloud, target, 1).await;
    }
    let before = cloud.get("/_local/push").await;
    for service in SERVICES {
        fault(&cloud, json!({"service": service, "fault": "rotated_credentials"})).await;
    }
    assert_ne!(cloud.get("/_local/push").await["vapid"], before["vapid"]);
    // A subscription is for the key that it was made with.
    let daves = enrol_with(&cloud, "dave", "phone", "webpush").await;
    for (user, target, count) in [("bob", &bobs, 2), ("carol", &carols, 2), ("dave", &daves, 1)] {
        alice.send_to(user, WORDS).await;
        until_received(&cloud, target, count).await;
    }
}

#[tokio::test]
async fn a_push_shows_who_wrote_what_only_where_the_device_wants_it() {
    let cloud = Deployment::start().await;
    for service in SERVICES {
        let (open, closed) = (target(&cloud, service).await, target(&cloud, service).await);
        enrol(&cloud, "bob", "phone", &json!({"push": [open], "notices": {"preview": true}})).await;
        enrol(&cloud, "bob", "tablet", &json!({"push": [closed], "notices": {"preview": false}})).await;
        let mut alice = alice(&cloud).await;
        alice.send_to("bob", WORDS).await;
        let shown = until_received(&cloud, &open, 1).await;
        assert_eq!(shown[0]["content"]["preview"], json!({"from": "alice", "body": WORDS}));
        let hidden = json!(until_received(&cloud, &closed, 1).await).to_string();
        assert!(!hidden.contains(WORDS) && !hidden.contains("preview"), "{hidden}");
    }
}

#[tokio::test]
async fn in_quiet_hours_a_push_makes_no_sound() {
    let cloud = Deployment::start().await;
    let now = lambda::start::invocation().now.as_secs() / 60;
    let hours = json!({"from": (now + 1_435) % 1_440, "to": (now + 60) % 1_440, "utc_offset": 0});
    let over = json!({"from": (now + 60) % 1_440, "to": (now + 120) % 1_440, "utc_offset": 0});
    let mut targets = Vec::new();
    for (device, service, quiet) in
        [("a", "fcm", json!("always")), ("b", "apns", hours), ("c", "webpush", json!("always")), ("d", "apns", over)]
    {
        let target = target(&cloud, service).await;
        enrol(&cloud, "bob", device, &json!({"push": [target], "notices": {"quiet": quiet}})).await;
        targets.push(target);
    }
    alice(&cloud).await.send_to("bob", WORDS).await;
    for (target, priority, sound) in [
        (&targets[0], "normal", &Value::Null),
        (&targets[1], "5", &Value::Null),
        (&targets[2], "low", &Value::Null),
        (&targets[3], "10", &json!("default")),
    ] {
        let received = until_received(&cloud, target, 1).await;
        assert_eq!((&received[0]["priority"], &received[0]["message"]["aps"]["sound"]), (&json!(priority), sound));
        assert_eq!(received[0]["content"]["kind"], "message", "it is shown all the same");
    }
}

#[tokio::test]
async fn a_sender_says_how_urgent_a_message_is() {
    let cloud = Deployment::start().await;
    let phone = enrol_with(&cloud, "bob", "phone", "apns").await;
    let alice = api(&cloud, "alice");
    for (count, (urgency, kind, priority, badge)) in
        (1..).zip([("silent", "silent", "5", 0), ("quiet", "message", "5", 1), ("urgent", "message", "10", 2)])
    {
        let message = json!({"id": new_id(), "to": {"user": "bob"}, "body": WORDS, "urgency": urgency});
        alice.change(Method::POST, "/v1/messages", &json!({"messages": [message]})).await;
        let received = until_received(&cloud, &phone, count).await;
        let last = &received[count - 1];
        let told = (&last["content"]["kind"], &last["priority"], &last["content"]["badge"]);
        assert_eq!(told, (&json!(kind), &json!(priority), &json!(badge)), "{urgency}");
    }
    let (_, page) = api(&cloud, "bob").get("/v1/messages?device=phone").await;
    let said: Vec<&Value> = page["messages"].as_array().expect("a list").iter().map(|one| &one["urgency"]).collect();
    assert_eq!(said, [&json!("silent"), &json!("quiet"), &Value::Null]);
}

#[tokio::test]
async fn what_another_device_acks_is_taken_back_in_silence() {
    let cloud = Deployment::start().await;
    let mut targets = Vec::new();
    for service in SERVICES {
        targets.push(target(&cloud, service).await);
    }
    enrol(&cloud, "bob", "phone", &json!({"push": targets})).await;
    enrol(&cloud, "bob", "tablet", &Value::Null).await;
    let mut alice = alice(&cloud).await;
    let first = alice.send_to("bob", WORDS).await;
    until_received(&cloud, &targets[1], 1).await;
    let second = alice.send_to("bob", WORDS).await;
    let told = until_received(&cloud, &targets[1], 2).await;
    assert_eq!((&told[1]["content"]["id"], &told[1]["content"]["badge"]), (&json!(second), &json!(2)));

    ack(&cloud, "tablet", &[&first]).await;
    for target in &targets {
        let received = until_received(&cloud, target, 3).await;
        assert_eq!((&received[2]["content"]["kind"], &received[2]["content"]["badge"]), (&json!("silent"), &json!(1)));
    }
    let silent = &received(&cloud, &targets[1]).await[2];
    assert_eq!((&silent["push_type"], &silent["message"]["aps"]["alert"]), (&json!("background"), &Value::Null));
    ack(&cloud, "tablet", &[&second]).await;
    let received = until_received(&cloud, &targets[1], 4).await;
    assert_eq!((&received[3]["content"]["kind"], &received[3]["content"]["badge"]), (&json!("silent"), &json!(0)));
    cloud.until_pending("bob", "phone", 2).await;
}

#[tokio::test]
async fn a_summary_does_not_tell_of_what_another_device_acked() {
    let cloud = Deployment::with(|options| options.wake_interval = Duration::from_secs(4)).await;
    let phone = enrol_with(&cloud, "bob", "phone", "webpush").await;
    enrol(&cloud, "bob", "tablet", &Value::Null).await;
    let mut alice = alice(&cloud).await;
    alice.send_to("bob", WORDS).await;
    until_received(&cloud, &phone, 1).await;
    let second = alice.send_to("bob", WORDS).await;
    let third = alice.send_to("bob", WORDS).await;
    cloud.until_pending("bob", "tablet", 3).await;
    ack(&cloud, "tablet", &[&third]).await;
    let received = until_received(&cloud, &phone, 2).await;
    let summary = &received[1]["content"];
    assert_eq!((&summary["id"], &summary["badge"], &summary["kind"]), (&json!(second), &json!(2), &json!("message")));
}

#[tokio::test]
async fn a_registration_outlives_a_restart() {
    let cloud = Deployment::with(|options| options.memory = false).await;
    let mut targets = Vec::new();
    for service in SERVICES {
        targets.push(target(&cloud, service).await);
    }
    let gone = target(&cloud, "fcm").await;
    fault(&cloud, json!({"target": name(&gone), "fault": "unregistered"})).await;
    let all: Vec<&Value> = targets.iter().chain([&gone]).collect();
    enrol(&cloud, "bob", "phone", &json!({"push": all})).await;
    let vapid = cloud.get("/_local/push").await;

    let cloud = cloud.restarted().await;
    assert_eq!(cloud.get("/_local/push").await, vapid);
    let mut alice = alice(&cloud).await;
    alice.send_to("bob", WORDS).await;
    for target in &targets {
        until_received(&cloud, target, 1).await;
    }
    until_woken(&cloud, "bob", 1).await;
    alice.send_to("bob", WORDS).await;
    assert_eq!(until_woken(&cloud, "bob", 2).await[1]["push"], json!(targets));
}
