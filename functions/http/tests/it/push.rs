//! What a device says of how it is woken and notified, and what a browser is told to subscribe with.

use delivery::{Address, Directory, Holder, Wakeable};
use protocol::{Notices, PushTarget, Quiet};
use serde_json::{Value, json};

use crate::stage::{Stage, user};

const KEY: &str = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";

impl Stage {
    async fn wakeable(&self, name: &str) -> Wakeable {
        let Address { user, device } = Address { user: user(name), device: "phone".parse().expect("a device") };
        let wakeable = self.function.directory.wakeable(&user, &Holder::Device(device)).await.expect("an answer");
        wakeable.expect("a device")
    }

    async fn say(&self, name: &str, body: &Value) -> u64 {
        self.ask(name, "PUT", "/v1/devices/phone", body).await.status
    }
}

#[tokio::test]
async fn how_a_device_wants_to_be_notified_stays_until_it_says_otherwise() {
    let stage = Stage::new();
    assert_eq!(stage.say("bob", &Value::Null).await, 204);
    assert_eq!(stage.wakeable("bob").await.notices, Notices::default());
    let said = json!({"preview": true, "quiet": {"from": 1320, "to": 420, "utc_offset": -330}});
    assert_eq!(stage.say("bob", &json!({"notices": said})).await, 204);
    let kept = stage.wakeable("bob").await.notices;
    assert_eq!(serde_json::to_value(kept).expect("JSON"), said);
    assert_eq!(stage.say("bob", &json!({"presence": true, "push": []})).await, 204);
    assert_eq!(stage.wakeable("bob").await.notices, kept, "what is left out stays as it is");
    for bad in [json!("loud"), json!(null), json!({"quiet": "sometimes"}), json!({"quiet": {"from": 1, "to": 2}})] {
        let answer = stage.ask("bob", "PUT", "/v1/devices/phone", &json!({"notices": bad, "presence": false})).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_request")), "{bad}");
        assert!(
            answer.body["detail"].as_str().is_some_and(|detail| detail.starts_with("`notices` is {")),
            "{answer:?}"
        );
    }
    assert_eq!(stage.wakeable("bob").await.notices, kept, "what is bad changes nothing");
    let export = stage.ask("bob", "GET", "/v1/me/export", &Value::Null).await.body;
    assert_eq!((&export["devices"][0]["notices"], &export["devices"][0]["presence"]), (&said, &json!(true)));
    assert_eq!(stage.say("bob", &json!({"notices": {"quiet": "always"}})).await, 204);
    let replaced = Notices { preview: false, quiet: Quiet::Always };
    assert_eq!(stage.wakeable("bob").await.notices, replaced, "it is replaced as a whole");
}

#[tokio::test]
async fn a_push_target_moves_to_who_says_it_last() {
    let stage = Stage::new();
    let push = json!({"push": [{"service": "fcm", "token": "t"}]});
    assert_eq!(stage.say("bob", &push).await, 204);
    assert_eq!(stage.say("alice", &push).await, 204);
    assert_eq!(stage.wakeable("bob").await.push, []);
    assert_eq!(stage.wakeable("alice").await.push, [PushTarget::Fcm { token: "t".to_owned() }]);
    assert_eq!(stage.ask("bob", "DELETE", "/v1/me", &Value::Null).await.status, 204);
    assert_eq!(stage.wakeable("alice").await.push, [PushTarget::Fcm { token: "t".to_owned() }]);
}

#[tokio::test]
async fn a_browser_is_told_what_to_subscribe_with() {
    let mut stage = Stage::new();
    let answer = stage.ask("bob", "GET", "/v1/push", &Value::Null).await;
    assert_eq!((answer.status, answer.body), (200, json!({"vapid": null})));
    stage.function.vapid_public_key = Some(KEY.parse().expect("a key"));
    let answer = stage.ask("bob", "GET", "/v1/push", &Value::Null).await;
    assert_eq!((answer.status, answer.body), (200, json!({"vapid": KEY})));
    assert!(stage.function.directory.ledger.take().is_empty());
    assert_eq!(stage.ask("bob", "POST", "/v1/push", &Value::Null).await.status, 405);
}
