//! Groups: made and changed over HTTP, written to on a socket, and every change told to all members.

use std::slice::from_ref;

use blackbox::{DEADLINE, Deployment, Device, Envelope, User, eventually, new_id};
use serde_json::{Value, json};
use tokio::join;

/// A group that nobody else has.
struct Team {
    id: String,
    path: String,
}

fn team(cloud: &Deployment) -> Team {
    let id = cloud.name("team");
    Team { path: format!("/v1/groups/{id}"), id }
}

impl Team {
    fn message(&self, body: impl Into<Value>) -> Value {
        json!({"id": new_id(), "to": {"group": self.id}, "body": body.into()})
    }

    /// The news of a change, which it acks.
    async fn news(&self, device: &mut Device, event: &str) -> Value {
        let what = format!("the news that somebody was {event}");
        // The change was made a second before it is told, and the members may be read later.
        let told = device.envelope(&what, 2 * DEADLINE, |one| one.kind == "system" && one.body["event"] == event).await;
        let news = told.envelope;
        assert_eq!((news.from.as_str(), &news.to), ("~system", &json!({"group": self.id})), "{news:?}");
        device.ack(from_ref(&news)).await;
        news.body
    }
}

fn members(group: &Value) -> Vec<(&str, &str)> {
    let members = group["members"].as_array().expect("a list").iter();
    members.map(|one| (one["user"].as_str().expect("a user"), one["role"].as_str().expect("a role"))).collect()
}

/// All that is pending for the phone of somebody without a socket, once this message is.
async fn pending_with(user: &User, id: &str) -> Vec<Envelope> {
    let what = format!("the copy of {}", user.id);
    let pending = async || user.page("phone", "").await.messages;
    eventually(&what, pending, |pending| pending.iter().any(|one| one.id == id)).await
}

pub(crate) async fn every_change_of_a_group_is_told(cloud: &Deployment) {
    let (alice, bob, carol) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("carol"));
    let (mut bobs, mut carols) = join!(bob.online("phone"), carol.online("phone"));
    let team = team(cloud);
    let created = alice.ask("PUT", &team.path, &json!({"name": "Team", "users": [bob.id]})).await;
    assert_eq!((created.status, &created.body["name"]), (201, &json!("Team")), "{created:?}");
    let again = alice.ask("PUT", &team.path, &json!({"name": "Team", "users": [bob.id]})).await;
    assert_eq!((again.status, again.body), (200, created.body), "twice is as once");
    assert_eq!(team.news(&mut bobs, "created").await["by"], alice.id);

    let added = alice.done("POST", &format!("{}/members", team.path), &json!({"users": [carol.id]})).await;
    let expected = [(alice.id.as_str(), "admin"), (bob.id.as_str(), "member"), (carol.id.as_str(), "member")];
    assert_eq!(members(&added), expected);
    let listed = carol.done("GET", "/v1/groups", &Value::Null).await;
    assert_eq!(listed, json!({"groups": [{"group": team.id, "name": "Team"}], "more": false}));
    for device in [&mut bobs, &mut carols] {
        assert_eq!(team.news(device, "added").await["users"], json!([carol.id]));
    }
    assert_eq!(alice.done("PATCH", &team.path, &json!({"name": "Crew"})).await["name"], "Crew");
    alice.done("PUT", &format!("{}/members/{}", team.path, bob.id), &json!({"role": "admin"})).await;
    for device in [&mut bobs, &mut carols] {
        assert_eq!(team.news(device, "renamed").await["name"], "Crew");
        assert_eq!(team.news(device, "promoted").await["users"], json!([bob.id]));
    }
    bob.done("DELETE", &format!("{}/members/{}", team.path, carol.id), &Value::Null).await;
    for device in [&mut bobs, &mut carols] {
        assert_eq!(team.news(device, "removed").await["users"], json!([carol.id]), "who was removed hears of it too");
    }
    assert_eq!(carol.done("GET", "/v1/groups", &Value::Null).await["groups"], json!([]));
    alice.done("DELETE", &format!("{}/members/{}", team.path, alice.id), &Value::Null).await;
    assert_eq!(team.news(&mut bobs, "left").await["by"], alice.id);
    assert_eq!(members(&bob.done("GET", &team.path, &Value::Null).await), [(bob.id.as_str(), "admin")]);
    bobs.nothing_pending().await;
    carols.nothing_pending().await;
}

pub(crate) async fn a_message_to_a_group_reaches_its_members_and_nobody_else(cloud: &Deployment) {
    let (alice, bob, mallory) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("mallory"));
    let team = team(cloud);
    alice.done("PUT", &team.path, &json!({"name": "Team", "users": [bob.id, cloud.name("carol")]})).await;
    let (mut alices, mut bobs, mut mallorys) =
        join!(alice.connect("phone"), bob.connect("phone"), mallory.online("phone"));
    team.news(&mut alices, "created").await;
    team.news(&mut bobs, "created").await;
    let id = alices.send_one(&team.message("hi")).await;
    let envelope = bobs.message(&id).await.envelope;
    assert_eq!((&envelope.from, &envelope.to), (&alice.id, &json!({"group": team.id})));
    assert_eq!((envelope.kind.as_str(), &envelope.body), ("message", &json!("hi")));
    bobs.ack(&[envelope]).await;
    // Carol, who has no device, reads it as any of hers; and so without a socket.
    let carol = cloud.user("carol").await;
    pending_with(&carol, &id).await;
    let refused = mallorys.send(&[team.message("hi")]).await;
    assert_eq!(refused.refused.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["not_a_member"]);
    let hidden = mallory.ask("GET", &team.path, &Value::Null).await;
    assert_eq!((hidden.status, hidden.code()), (403, Some("not_a_member")));
    for device in [&mut alices, &mut bobs, &mut mallorys] {
        device.nothing_pending().await;
    }
}

pub(crate) async fn typing_is_for_members_who_are_connected(cloud: &Deployment) {
    let (alice, bob, carol) = join!(cloud.user("alice"), cloud.user("bob"), cloud.user("carol"));
    let team = team(cloud);
    carol.done("PUT", "/v1/devices/phone", &Value::Null).await;
    alice.done("PUT", &team.path, &json!({"name": "Team", "users": [bob.id, carol.id]})).await;
    let (mut alices, mut bobs) = join!(alice.connect("phone"), bob.connect("phone"));
    team.news(&mut alices, "created").await;
    team.news(&mut bobs, "created").await;
    let mut typing = team.message(json!({"typing": true}));
    typing["ephemeral"] = true.into();
    let typing = alices.send_one(&typing).await;
    let seen = bobs.message(&typing).await.envelope;
    assert_eq!((&seen.from, &seen.to), (&alice.id, &json!({"group": team.id})));
    bobs.note_acked(&seen);
    let written = alices.send_one(&team.message("hi")).await;
    let envelope = bobs.message(&written).await.envelope;
    bobs.ack(&[envelope]).await;
    let kept = pending_with(&carol, &written).await;
    assert!(kept.iter().all(|one| one.id != typing), "it is kept: {kept:?}");
    if cloud.sees_wakes() {
        cloud.wake(&carol, Some("phone"), &written).await;
        let wakes = cloud.wakes_of(&carol).await;
        assert!(!wakes.iter().any(|wake| wake.ids.contains(&typing)), "woken for what is not kept: {wakes:?}");
    }
    bobs.nothing_pending().await;
    alices.nothing_pending().await;
}
