//! Presence: who is told what of whom, and what it costs in calls.

use std::time::Duration;

use delivery::{Address, Connection, Dialect, Directory};
use protocol::Timestamp;
use serde_json::{Value, json};

use crate::stage::{Answer, Stage, user};

impl Stage {
    async fn opt(&self, device: &str, body: &Value) {
        let answer = self.ask("bob", "PUT", &format!("/v1/devices/{device}"), body).await;
        assert_eq!(answer, Answer { status: 204, headers: json!({}), body: Value::Null });
    }

    /// What alice is told of bob.
    async fn presence(&self) -> Answer {
        self.ask("alice", "GET", "/v1/users/bob/presence", &Value::Null).await
    }
}

fn bobs(device: &str) -> Address {
    Address { user: user("bob"), device: device.parse().expect("a device") }
}

#[tokio::test]
async fn a_contact_is_there_while_a_device_that_has_opted_in_is() {
    let stage = Stage::new();
    let minute = Duration::from_secs(60);
    for device in ["phone", "tablet"] {
        let connection = Connection { id: device.into(), connected_at: stage.clock.now(), dialect: Dialect::Current };
        stage.function.directory.register(&bobs(device), &connection, stage.clock.now()).await.expect("registered");
    }
    assert_eq!(stage.presence().await.status, 404, "nobody has opted in");
    stage.opt("phone", &json!({"presence": true, "later": 1})).await;
    let opted_in_at = stage.clock.now();
    let shown = |connected: bool, last_seen: Timestamp| json!({"user": "bob", "connected": connected, "last_seen": last_seen.as_millis()});
    stage.function.directory.ledger.take();
    let there = stage.presence().await;
    assert_eq!((there.status, there.body), (200, shown(true, opted_in_at)));
    assert_eq!(stage.function.directory.ledger.take().into_iter().collect::<Vec<_>>(), [("devices", 1)]);

    stage.clock.advance(minute);
    let left_at = stage.clock.now();
    stage.function.directory.left(&bobs("phone"), &"phone".into(), left_at).await.expect("left");
    stage.clock.advance(minute);
    stage.function.directory.seen(&bobs("tablet"), stage.clock.now()).await.expect("seen");
    assert_eq!(stage.presence().await.body, shown(false, left_at), "the tablet is there, and says nothing");

    // A word of something else changes nothing.
    for body in [Value::Null, json!({}), json!({"later": true})] {
        stage.opt("phone", &body).await;
        assert_eq!(stage.presence().await.status, 200, "{body}");
    }
    assert_eq!(stage.ask("bob", "GET", "/v1/messages?device=phone", &Value::Null).await.status, 200);
    assert_eq!(stage.presence().await.body, shown(false, stage.clock.now()));
    stage.opt("phone", &json!({"presence": false})).await;
    assert_eq!(stage.presence().await.status, 404);
}

#[tokio::test]
async fn who_shows_nothing_is_as_who_does_not_exist() {
    let stage = Stage::new();
    stage.opt("phone", &json!({"presence": false})).await;
    let hidden = stage.presence().await;
    assert_eq!((hidden.status, &hidden.body["code"]), (404, &json!("not_found")));
    assert_eq!(stage.ask("alice", "GET", "/v1/users/nobody/presence", &Value::Null).await, hidden);
    assert_eq!(stage.ask("bob", "GET", "/v1/users/bob/presence", &Value::Null).await, hidden, "nor to himself");
    assert_eq!(stage.function.directory.ledger.calls("devices"), 3, "and costs the same");
}

#[tokio::test]
async fn a_device_that_is_forgotten_shows_nothing_any_more() {
    let stage = Stage::new();
    stage.opt("phone", &json!({"presence": true})).await;
    assert_eq!(stage.presence().await.status, 200);
    assert_eq!(stage.ask("bob", "DELETE", "/v1/devices/phone", &Value::Null).await.status, 204);
    assert_eq!(stage.presence().await.status, 404);
    stage.opt("phone", &Value::Null).await;
    assert_eq!(stage.presence().await.status, 404, "it is a new device");
}

#[tokio::test]
async fn nobody_opts_in_for_another() {
    let stage = Stage::new();
    stage.opt("phone", &Value::Null).await;
    assert_eq!(stage.ask("mallory", "PUT", "/v1/devices/phone", &json!({"presence": true})).await.status, 204);
    assert_eq!(stage.presence().await.status, 404);
}
