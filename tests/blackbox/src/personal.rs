//! What a deployment tells of users: to others whether they are there, to themselves all that is kept of them, until it is erased.

use blackbox::{Deployment, User, eventually};
use serde_json::{Value, json};
use tokio::join;

async fn presence(asker: &User, contact: &User) -> (u16, Value) {
    let answer = asker.ask("GET", &format!("/v1/users/{}/presence", contact.id), &Value::Null).await;
    (answer.status, answer.body)
}

pub(crate) async fn presence_is_shown_by_who_has_opted_in(cloud: &Deployment) {
    let (alice, bob, nobody) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("nobody"));
    let phone = bob.online("phone").await;
    let hidden = presence(&alice, &bob).await;
    assert_eq!((hidden.0, &hidden.1["code"]), (404, &json!("not_found")));
    assert_eq!(presence(&alice, &nobody).await, hidden, "who shows nothing is as who does not exist");
    bob.done("PUT", "/v1/devices/phone", &json!({"presence": true})).await;
    let (status, there) = presence(&alice, &bob).await;
    assert_eq!((status, &there["user"], &there["connected"]), (200, &json!(bob.id), &json!(true)), "{there}");
    phone.close().await;
    let shown = async || presence(&alice, &bob).await.1;
    let left = eventually("bob to be gone", shown, |shown| shown["connected"] == false).await;
    assert!(left["last_seen"].as_u64() > there["last_seen"].as_u64(), "he was there until he left: {there}, {left}");
    let bad = bob.ask("PUT", "/v1/devices/phone", &json!({"presence": "yes"})).await;
    assert_eq!((bad.status, bad.code()), (400, Some("invalid_request")));
    assert_eq!(presence(&alice, &bob).await.0, 200, "nothing was changed");
    bob.done("PUT", "/v1/devices/phone", &json!({"presence": false})).await;
    assert_eq!(presence(&alice, &bob).await, hidden);
}

/// Devices, groups and what is pending, of all answers.
async fn exported(user: &User) -> [Vec<Value>; 3] {
    let (mut whole, mut path) = (<[Vec<Value>; 3]>::default(), "/v1/me/export".to_owned());
    loop {
        let page = user.done("GET", &path, &Value::Null).await;
        for (part, section) in whole.iter_mut().zip(["devices", "groups", "pending"]) {
            part.extend(page[section].as_array().unwrap_or_else(|| panic!("no {section}: {page}")).iter().cloned());
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/me/export?after={next}"),
            None => return whole,
        }
    }
}

async fn pending_of(user: &User, count: usize) -> [Vec<Value>; 3] {
    let what = format!("{count} pending of {}", user.id);
    eventually(&what, async || exported(user).await, |whole| whole[2].len() == count).await
}

pub(crate) async fn what_is_kept_is_exported_and_erased(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let unclaimed = alice.send(&[bob.message("before")]).await;
    pending_of(&bob, 1).await;
    for device in ["phone", "tablet"] {
        bob.done("PUT", &format!("/v1/devices/{device}"), &json!({"presence": device == "phone"})).await;
    }
    let team = cloud.name("team");
    bob.done("PUT", &format!("/v1/groups/{team}"), &json!({"name": "Team"})).await;
    // The group's news, on both devices.
    pending_of(&bob, 3).await;
    alice.send(&[bob.message("after")]).await;
    let [devices, groups, pending] = pending_of(&bob, 5).await;
    let shown: Vec<(&Value, &Value)> = devices.iter().map(|one| (&one["device"], &one["presence"])).collect();
    assert_eq!(shown, [(&json!("phone"), &json!(true)), (&json!("tablet"), &json!(false))]);
    assert_eq!((groups.len(), &groups[0]["group"], &groups[0]["role"]), (1, &json!(team), &json!("admin")));
    let before: Vec<&Value> = pending.iter().filter(|one| one["device"].is_null()).collect();
    assert_eq!((before.len(), &before[0]["message"]["id"]), (1, &json!(unclaimed[0])));
    assert_eq!(before[0]["message"]["body"], "before");
    assert_eq!(bob.page("phone", "").await.messages.len(), 3, "nothing was marked or deleted");

    let erased = bob.ask("DELETE", "/v1/me", &Value::Null).await;
    assert_eq!((erased.status, erased.body), (204, Value::Null));
    let [devices, groups, _] = exported(&bob).await;
    assert!(devices.is_empty() && groups.is_empty());
    // The news that he has left come to him too, whom they find without a device.
    pending_of(&bob, 1).await;
    assert_eq!(bob.ask("DELETE", "/v1/me", &Value::Null).await.status, 204);
    assert_eq!(exported(&bob).await, <[Vec<Value>; 3]>::default());
}
