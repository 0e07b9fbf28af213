//! The export: that it has everything, once, and nothing that has gone; that it changes nothing; and that it and the erasure cover the same.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::{Address, Connection, Dialect, Directory, Enrolment, Envelope, Holder, Inbox, Row};
use protocol::{Body, Kind, Recipient, Urgency};
use serde_json::{Value, json};

use crate::stage::{Stage, user};

impl Stage {
    /// Puts alice's `n`th message into one of bob's inboxes, for a minute.
    async fn pend(&self, device: &str, n: u64, body: &str) {
        let holder = if device == "*" { Holder::Unclaimed } else { Holder::Device(device.parse().expect("a device")) };
        let envelope = Envelope {
            id: self.clock.message_id(n),
            from: user("alice").into(),
            to: Recipient::User(user("bob")),
            kind: Kind::Message,
            at: self.clock.now(),
            expires_at: self.clock.now().plus(Duration::from_secs(60)),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text(body),
        };
        let row = Row { user: user("bob"), holder, envelope, undelivered: false, shared: false };
        assert!(self.function.answers.inbox.put(&[row]).await[0].is_ok());
    }

    /// Everything that an export has, and in how many answers.
    async fn export(&self, name: &str) -> (BTreeMap<&'static str, Vec<Value>>, usize) {
        let (mut whole, mut target) = (BTreeMap::new(), "/v1/me/export".to_owned());
        for answers in 1.. {
            let page = self.ask(name, "GET", &target, &Value::Null).await;
            assert_eq!((page.status, &page.body["user"]), (200, &json!(name)), "{page:?}");
            assert!(page.body.to_string().len() < 1_300_000);
            for section in ["devices", "groups", "pending"] {
                let part = page.body[section].as_array().expect("a list").clone();
                whole.entry(section).or_insert_with(Vec::new).extend(part);
            }
            assert_eq!(page.body["more"], page.body.get("next").is_some(), "{:?}", page.body["next"]);
            match page.body["next"].as_str() {
                Some(next) => target = format!("/v1/me/export?after={next}"),
                None => return (whole, answers),
            }
        }
        unreachable!("it has an end")
    }
}

#[tokio::test]
async fn an_export_of_an_ordinary_user_is_one_answer() {
    let stage = Stage::new();
    let (joined_at, now) = (stage.function.answers.groups.all()[0].members[1].joined_at, stage.clock.now());
    assert_eq!(stage.ask("bob", "PUT", "/v1/devices/tablet", &json!({"presence": true})).await.status, 204);
    let phone = Address { user: user("bob"), device: "phone".parse().expect("a device") };
    let connection = Connection { id: "sesame".into(), connected_at: now, dialect: Dialect::Current };
    stage.function.directory.register(&phone, &connection, now).await.expect("registered");
    for (n, device) in ["*", "phone", "tablet"].into_iter().enumerate() {
        stage.pend(device, n as u64, "hi").await;
    }
    stage.calls();
    let notices = json!({"preview": false, "quiet": "never"});
    let kept = stage.function.answers.inbox.rows();
    let (whole, answers) = stage.export("bob").await;
    assert_eq!(answers, 1);
    assert_eq!(stage.calls(), BTreeMap::from([("devices", 1), ("memberships", 1), ("page", 3)]));
    assert_eq!(
        whole["devices"],
        [
            json!({"device": "phone", "presence": false, "push": [], "notices": notices, "connected_at": now.as_millis(), "last_seen": now.as_millis()}),
            json!({"device": "tablet", "presence": true, "push": [], "notices": notices, "connected_at": null, "last_seen": now.as_millis()}),
        ]
    );
    let member = json!({"group": "team", "name": "Team", "role": "member", "joined_at": joined_at.as_millis()});
    assert_eq!(whole["groups"], [member]);
    let devices: Vec<&Value> = whole["pending"].iter().map(|one| &one["device"]).collect();
    assert_eq!(devices, [&json!(null), &json!("phone"), &json!("tablet")]);
    let id = stage.clock.message_id(1).to_string();
    let message = json!({"ref": format!("{id}~alice"), "id": id, "from": "alice", "to": {"user": "bob"},
        "kind": "message", "at": now.as_millis(), "attempt": 0, "body": "hi"});
    let expires_at = now.plus(Duration::from_secs(60)).as_millis();
    assert_eq!(whole["pending"][1], json!({"device": "phone", "expires_at": expires_at, "message": message}));
    assert!(!format!("{whole:?}").contains("sesame"), "connections are nobody's business");
    assert_eq!(stage.function.answers.inbox.rows(), kept, "nothing is marked or deleted");
    let (others, _) = stage.export("mallory").await;
    assert!(others.values().all(Vec::is_empty), "a user reads only what is kept of himself: {others:?}");
}

#[tokio::test]
async fn an_export_of_very_much_has_each_once() {
    let stage = Stage::new();
    for n in 0..1_005 {
        let address = Address { user: user("bob"), device: format!("d{n:04}").parse().expect("a device") };
        stage.function.directory.enrol(&address, &Enrolment::default(), stage.clock.now()).await.expect("enrolled");
    }
    for n in 0..120 {
        stage.ask("bob", "PUT", &format!("/v1/groups/g{n:03}"), &json!({"name": "x"})).await;
    }
    for n in 0..90 {
        stage.pend(["*", "d0000", "d1004"][n % 3], n as u64, &"x".repeat(29_000)).await;
    }
    for n in 90..700 {
        stage.pend("*", n, "").await;
    }
    let (whole, answers) = stage.export("bob").await;
    let distinct = |section: &str, names: &[&str]| {
        let name = |one: &Value| names.iter().map(|name| one.pointer(name).expect("a name").to_string()).collect();
        let mut all: Vec<String> = whole[section].iter().map(name).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{section}: each once");
        count
    };
    assert_eq!(distinct("devices", &["/device"]), 1_005);
    assert_eq!(distinct("groups", &["/group"]), 121);
    assert_eq!(distinct("pending", &["/device", "/message/ref"]), 700);
    assert!(answers > 3, "{answers}");
}

#[tokio::test]
async fn what_has_expired_is_not_exported() {
    let stage = Stage::new();
    stage.pend("*", 1, "hi").await;
    assert_eq!(stage.export("bob").await.0["pending"].len(), 1);
    stage.clock.advance(Duration::from_secs(61));
    assert_eq!(stage.export("bob").await.0["pending"].len(), 0);
}

#[tokio::test]
async fn what_an_export_shows_is_what_an_erasure_erases() {
    let stage = Stage::new();
    for device in ["phone", "tablet"] {
        stage.ask("bob", "PUT", &format!("/v1/devices/{device}"), &json!({"presence": true})).await;
    }
    for (n, device) in ["*", "phone", "tablet", "*"].into_iter().enumerate() {
        stage.pend(device, n as u64, "hi").await;
    }
    stage.ask("bob", "PUT", "/v1/groups/crew", &json!({"name": "Crew"})).await;
    let (whole, _) = stage.export("bob").await;
    let rows = stage.function.answers.inbox.rows().len();
    assert_eq!((whole["devices"].len(), whole["groups"].len(), whole["pending"].len()), (2, 2, rows));
    assert_eq!(stage.ask("bob", "DELETE", "/v1/me", &Value::Null).await.status, 204);
    let (nothing, answers) = stage.export("bob").await;
    assert!(nothing.values().all(Vec::is_empty), "{nothing:?}");
    assert_eq!(answers, 1);
    assert!(stage.function.answers.inbox.rows().is_empty());
}

#[tokio::test]
async fn a_cursor_leads_nowhere_but_into_what_is_ones_own() {
    let stage = Stage::new();
    stage.pend("phone", 1, "sesame").await;
    let page = stage.ask("mallory", "GET", "/v1/me/export?after=pending.phone", &Value::Null).await;
    assert_eq!((page.status, &page.body["pending"], &page.body["more"]), (200, &json!([]), &json!(false)));
    for after in ["", "x", "pending.phone.x", "devices.a%20b", "groups.~"] {
        let refused = stage.ask("bob", "GET", &format!("/v1/me/export?after={after}"), &Value::Null).await;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("invalid_cursor")), "{after}");
    }
}
