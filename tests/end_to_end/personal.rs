//! What users are told of each other without a message that is kept, presence and who is typing; and of themselves, the export.

use reqwest::Method;
use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};
use crate::http::{Api, api};

async fn last_seen(asker: &Api<'_>, user: &str) -> (bool, u64) {
    let (status, shown) = asker.get(&format!("/v1/users/{user}/presence")).await;
    assert_eq!((status, &shown["user"]), (200, &json!(user)), "{shown}");
    (shown["connected"].as_bool().expect("a bool"), shown["last_seen"].as_u64().expect("ms"))
}

#[tokio::test]
async fn a_contact_who_has_opted_in_is_shown_to_be_there_and_to_have_left() {
    let cloud = Deployment::start().await;
    let (alice, bob) = (api(&cloud, "alice"), api(&cloud, "bob"));
    let hidden = alice.get("/v1/users/bob/presence").await;
    assert_eq!((hidden.0, &hidden.1["code"]), (404, &json!("not_found")));
    let phone = cloud.connect("bob", "phone").await.drained().await;
    assert_eq!(alice.get("/v1/users/bob/presence").await, hidden, "he has not opted in");
    bob.change(Method::PUT, "/v1/devices/phone", &json!({"presence": true})).await;
    let (connected, there) = last_seen(&alice, "bob").await;
    assert!(connected);

    drop(phone);
    let left =
        cloud.until("bob to be gone", async || last_seen(&alice, "bob").await, |(connected, _)| !connected).await;
    assert!(left.1 > there, "he was there until he left: {left:?}, {there}");

    let phone = cloud.connect("bob", "phone").await.drained().await;
    assert!(last_seen(&alice, "bob").await.0, "what was said once holds for the next connection");
    let (status, error) = bob.ask(Method::PUT, "/v1/devices/phone", &json!({"presence": 1})).await;
    assert_eq!((status, &error["code"]), (400, &json!("invalid_request")));
    assert!(last_seen(&alice, "bob").await.0, "nothing has changed");
    bob.change(Method::PUT, "/v1/devices/phone", &json!({"presence": false})).await;
    assert_eq!(alice.get("/v1/users/bob/presence").await, hidden);
    drop(phone);
}

#[tokio::test]
async fn a_device_says_of_itself_on_its_socket_what_it_would_over_http() {
    let cloud = Deployment::start().await;
    let bob = api(&cloud, "bob");
    let mut phone = cloud.connect("bob", "phone").await.drained().await;
    let target = json!({"service": "fcm", "token": "bobs-phone"});
    let said = json!({"action": "device", "nonce": "n", "presence": true, "push": [target]});
    assert_eq!(phone.ask(&said).await, json!({"type": "device", "nonce": "n"}));
    let device = async || bob.get("/v1/me/export").await.1["devices"][0].clone();
    let shown = device().await;
    assert_eq!((&shown["presence"], &shown["push"]), (&json!(true), &json!([target])), "{shown}");
    assert_eq!(phone.ask(&json!({"action": "device", "push": []})).await, json!({"type": "device"}));
    let shown = device().await;
    assert_eq!((&shown["presence"], &shown["push"]), (&json!(true), &json!([])), "what is left out stays as it is");
    let refused = phone.ask(&json!({"action": "device", "presence": false, "push": "nowhere"})).await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("invalid_frame")));
    assert_eq!(device().await["presence"], json!(true), "a bad frame changes nothing");
}

#[tokio::test]
async fn typing_in_a_group_is_seen_by_who_is_connected_and_kept_nowhere() {
    let cloud = Deployment::start().await;
    let team = json!({"name": "Team", "users": ["bob", "carol", "dave"]});
    api(&cloud, "dave").change(Method::PUT, "/v1/devices/phone", &Value::Null).await;
    api(&cloud, "alice").change(Method::PUT, "/v1/groups/team", &team).await;
    // The news of the group; dave's device is away, and carol has none.
    let away = [("dave", "phone"), ("carol", "*")];
    for (user, device) in away {
        cloud.until_pending(user, device, 1).await;
    }
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;

    let send = |id: &str, ephemeral: bool| json!({"id": id, "to": {"group": "team"}, "body": {"typing": ephemeral}, "ephemeral": ephemeral});
    let typing = new_id().to_string();
    alice.send_message(send(&typing, true)).await;
    let seen = loop {
        let messages = bob.messages().await;
        bob.ack(&messages).await;
        if let Some(found) = messages.into_iter().find(|one| one["kind"] == "message") {
            break found;
        }
    };
    assert_eq!((&seen["id"], &seen["to"]), (&json!(typing), &json!({"group": "team"})));
    assert_eq!((&seen["from"], &seen["body"]), (&json!("alice"), &json!({"typing": true})));

    let written = new_id().to_string();
    alice.send_message(send(&written, false)).await;
    for (user, device) in away {
        let pending = cloud.until_pending(user, device, 2).await;
        assert!(pending.iter().any(|one| one.starts_with(&written)), "{pending:?}");
        let wakes = |pushes: &Vec<Value>| pushes.iter().any(|push| push["ids"].to_string().contains(&written));
        let pushes = cloud.until("a wake", async || cloud.pushes(user).await, wakes).await;
        assert!(!json!(pushes).to_string().contains(&typing), "{pushes:?}");
    }
    // He was away when the group was made, and has been woken for that.
    assert!(!json!(cloud.pushes("bob").await).to_string().contains(&typing));
    assert!(!json!(cloud.inbox("bob", "phone").await).to_string().contains(&typing));
}

/// All answers of an export, their lists joined.
async fn exported(user: &Api<'_>) -> [Vec<Value>; 3] {
    let (mut whole, mut path) = (<[Vec<Value>; 3]>::default(), "/v1/me/export".to_owned());
    loop {
        let (status, page) = user.get(&path).await;
        assert_eq!(status, 200, "{page}");
        for (part, section) in whole.iter_mut().zip(["devices", "groups", "pending"]) {
            part.extend(page[section].as_array().expect("a list").iter().cloned());
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/me/export?after={next}"),
            None => return whole,
        }
    }
}

#[tokio::test]
async fn what_is_kept_of_a_user_is_exported_and_after_an_erasure_is_nothing() {
    let cloud = Deployment::start().await;
    let (alice, bob) = (api(&cloud, "alice"), api(&cloud, "bob"));
    let text = "x".repeat(25_000);
    let send = async |count: usize| {
        let message = || json!({"id": new_id().to_string(), "to": {"user": "bob"}, "body": text});
        let messages: Vec<Value> = (0..count).map(|_| message()).collect();
        for some in messages.chunks(8) {
            let (status, accepted) = alice.ask(Method::POST, "/v1/messages", &json!({"messages": some})).await;
            assert_eq!((status, accepted["ids"].as_array().map(Vec::len)), (200, Some(some.len())), "{accepted}");
        }
    };
    send(3).await;
    cloud.until_pending("bob", "*", 3).await;
    for device in ["phone", "tablet"] {
        bob.change(Method::PUT, &format!("/v1/devices/{device}"), &json!({"presence": device == "phone"})).await;
    }
    alice.change(Method::PUT, "/v1/groups/team", &json!({"name": "Team", "users": ["bob"]})).await;
    // More than an answer has.
    send(48).await;
    for device in ["phone", "tablet"] {
        cloud.until_pending("bob", device, 49).await;
    }

    let [devices, groups, pending] = exported(&bob).await;
    let shown: Vec<(&Value, &Value)> = devices.iter().map(|one| (&one["device"], &one["presence"])).collect();
    assert_eq!(shown, [(&json!("phone"), &json!(true)), (&json!("tablet"), &json!(false))]);
    assert_eq!((groups.len(), &groups[0]["group"], &groups[0]["role"]), (1, &json!("team"), &json!("member")));
    for (device, count) in [(json!(null), 3), (json!("phone"), 49), (json!("tablet"), 49)] {
        assert_eq!(pending.iter().filter(|one| one["device"] == device).count(), count, "{device}");
    }
    assert!(pending.iter().filter(|one| one["message"]["body"] == json!(text)).count() == 99);
    let [_, _, again] = exported(&bob).await;
    assert_eq!(again.len(), pending.len(), "nothing was marked or deleted");
    let [devices, groups, pending] = exported(&alice).await;
    assert_eq!((devices.len(), groups.len(), pending.len()), (0, 1, 1), "her own, with the news of the group");

    let (status, error) = bob.get("/v1/me/export?after=garbage").await;
    assert_eq!((status, &error["code"]), (400, &json!("invalid_cursor")));
    assert_eq!(bob.ask(Method::DELETE, "/v1/me", &Value::Null).await, (204, Value::Null));
    // The news that he has left are on their way to him, whom they find without a device.
    cloud.until_pending("bob", "*", 1).await;
    assert_eq!(bob.ask(Method::DELETE, "/v1/me", &Value::Null).await, (204, Value::Null));
    assert_eq!(exported(&bob).await, <[Vec<Value>; 3]>::default());
}

#[tokio::test]
async fn presence_and_export_cost_what_is_documented() {
    let cloud = Deployment::start().await;
    let (alice, bob) = (api(&cloud, "alice"), api(&cloud, "bob"));
    bob.change(Method::PUT, "/v1/devices/phone", &json!({"presence": true})).await;
    assert!(!last_seen(&alice, "bob").await.0);
    assert_eq!(alice.get("/v1/users/nobody/presence").await.0, 404);
    assert_eq!(exported(&bob).await[0].len(), 1);
    let summary = cloud.shutdown().await;
    // One for each presence; for the export one for the devices, one for the groups, one for the unclaimed inbox and two for the phone's.
    assert_eq!((summary.report.requests("UpdateItem"), summary.report.requests("Query")), (1, 2 + 5));
    for not_made in ["GetItem", "BatchGetItem", "BatchWriteItem", "PutItem", "DeleteItem", "SendMessageBatch"] {
        assert_eq!(summary.report.requests(not_made), 0, "{not_made}");
    }
}
