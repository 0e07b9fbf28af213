//! Each endpoint: what it answers, what it does, and what it costs in calls.

use std::collections::{BTreeMap, BTreeSet};

use delivery::{Address, Connection, Dialect, Directory, Envelope, Holder, Inbox, Job, Row};
use http::Http;
use protocol::{Body, Kind, Recipient, Urgency};
use serde_json::{Value, json};

use crate::stage::{Answer, Stage, event, id, user};

impl Stage {
    /// Calls by name, of every port, since the last time this was asked.
    pub(crate) fn calls(&self) -> BTreeMap<&'static str, u64> {
        let Http { answers, directory, connections, files, .. } = &self.function;
        let ledgers = [
            &answers.inbox.ledger,
            &answers.groups.ledger,
            &answers.queue.ledger,
            &directory.ledger,
            &connections.ledger,
            &answers.attachments.ledger,
            &files.ledger,
        ];
        ledgers.into_iter().flat_map(testkit::Ledger::take).collect()
    }

    /// Puts alice's `n`th message into bob's inboxes.
    async fn put(&self, holder: Holder, n: u64) -> String {
        let row = Row {
            user: user("bob"),
            holder,
            envelope: Envelope {
                id: self.clock.message_id(n),
                from: user("alice").into(),
                to: Recipient::User(user("bob")),
                kind: Kind::Message,
                at: self.clock.now(),
                expires_at: self.clock.now().plus(std::time::Duration::from_secs(60)),
                receipts: false,
                urgency: Urgency::default(),
                body: Body::text("hi"),
            },
            undelivered: false,
            shared: false,
        };
        assert!(self.function.answers.inbox.put(std::slice::from_ref(&row)).await[0].is_ok());
        self.calls();
        row.reference().to_string()
    }
}

fn phone() -> Holder {
    Holder::Device("phone".parse().expect("a device"))
}

fn code(answer: &Answer) -> (u64, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_send_is_one_call_and_from_who_the_token_says() {
    let stage = Stage::new();
    let id = stage.clock.message_id(1).to_string();
    let message = json!({"id": id, "from": "mallory", "to": {"user": "carol"}, "body": {"text": "hi"}});
    let body = json!({"messages": [message, {"id": "x"}], "nonce": "n"});
    let answer = stage.ask("bob", "POST", "/v1/messages", &body).await;
    assert_eq!((answer.status, &answer.body["type"], &answer.body["ids"]), (200, &json!("accepted"), &json!([id])));
    assert_eq!((&answer.body["refused"][0]["code"], &answer.body["nonce"]), (&json!("invalid_id"), &json!("n")));
    assert_eq!(answer.headers, json!({"content-type": "application/json"}));
    assert_eq!(stage.calls(), BTreeMap::from([("send", 1)]));
    let jobs = stage.function.answers.queue.jobs();
    let [Job::Deliver(job)] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!((&job.envelope.from, &job.recipient), (&user("bob").into(), &user("carol")));
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_not_accepted() {
    let stage = Stage::new();
    stage.function.answers.queue.ledger.fail_next("send", 1);
    let message = json!({"id": stage.clock.message_id(1).to_string(), "to": {"user": "carol"}, "body": 1});
    let answer = stage.ask("bob", "POST", "/v1/messages", &json!({"messages": [message]})).await;
    assert_eq!((answer.status, &answer.body["ids"]), (200, &json!([])));
    assert_eq!(answer.body["refused"][0]["code"], "unavailable");
}

#[tokio::test]
async fn a_message_to_a_group_is_for_its_members() {
    let stage = Stage::new();
    let message = json!({"id": stage.clock.message_id(1).to_string(), "to": {"group": "team"}, "body": 1});
    let body = json!({"messages": [message]});
    let refused = stage.ask("carol", "POST", "/v1/messages", &body).await;
    assert_eq!((refused.status, &refused.body["refused"][0]["code"]), (200, &json!("not_a_member")));
    assert_eq!(stage.calls(), BTreeMap::from([("group", 1)]));
    let accepted = stage.ask("bob", "POST", "/v1/messages", &body).await;
    assert_eq!(accepted.body["refused"], json!([]));
    assert_eq!(stage.calls(), BTreeMap::from([("group", 1), ("send", 1)]));
}

#[tokio::test]
async fn a_sync_pages_through_both_shelves_with_one_read_each() {
    let stage = Stage::new();
    let mut refs = Vec::new();
    for n in 0..3 {
        refs.push(stage.put(if n == 1 { Holder::Unclaimed } else { phone() }, n).await);
    }
    let first = stage.ask("bob", "GET", "/v1/messages?device=phone&limit=2", &Value::Null).await;
    assert_eq!((first.status, &first.body["type"], &first.body["more"]), (200, &json!("messages"), &json!(true)));
    let target = format!("/v1/messages?device=phone&after={}", refs[1].replace('~', "%7E"));
    let rest = stage.ask("bob", "GET", &target, &Value::Null).await;
    assert_eq!(rest.body["more"], false);
    let pages = [&first.body["messages"], &rest.body["messages"]];
    let seen = pages.iter().flat_map(|page| page.as_array().expect("a list")).map(|one| one["ref"].clone());
    assert_eq!(seen.collect::<Vec<_>>(), refs.iter().map(|one| json!(one)).collect::<Vec<_>>());
    assert_eq!(stage.calls(), BTreeMap::from([("seen", 1), ("page", 2)]), "a pass is seen once");
    let other = stage.ask("alice", "GET", "/v1/messages?device=phone", &Value::Null).await;
    assert_eq!(other.body["messages"], json!([]), "a user reads only his own inbox");
}

#[tokio::test]
async fn an_ack_is_one_call_and_deletes_only_ones_own() {
    let stage = Stage::new();
    let refs = [stage.put(phone(), 1).await, stage.put(Holder::Unclaimed, 2).await];
    let ack = |device: &str| json!({"device": device, "refs": refs});
    assert_eq!(stage.ask("alice", "POST", "/v1/acks", &ack("phone")).await.status, 204);
    assert_eq!(stage.function.answers.inbox.rows().len(), 2);
    assert_eq!(stage.ask("bob", "POST", "/v1/acks", &ack("tablet")).await.status, 204);
    assert_eq!(stage.function.answers.inbox.rows().len(), 1, "what is unclaimed is any device's");
    stage.calls();
    let answer = stage.ask("bob", "POST", "/v1/acks", &json!({"device": "phone", "refs": refs[..1]})).await;
    assert_eq!(answer, Answer { status: 204, headers: json!({}), body: Value::Null });
    assert_eq!(stage.calls(), BTreeMap::from([("delete", 1)]));
    assert!(stage.function.answers.inbox.rows().is_empty());
}

#[tokio::test]
async fn a_bad_ref_is_told_and_the_good_ones_count() {
    let stage = Stage::new();
    let reference = stage.put(phone(), 1).await;
    let ack = json!({"device": "phone", "refs": ["garbage", reference]});
    assert_eq!(code(&stage.ask("bob", "POST", "/v1/acks", &ack).await), (400, "invalid_ref"));
    assert!(stage.function.answers.inbox.rows().is_empty());
}

#[tokio::test]
async fn a_group_is_made_once_and_asked_for_again() {
    let stage = Stage::new();
    let body = json!({"name": "Crew", "users": ["bob", "carol"]});
    let made = stage.ask("alice", "PUT", "/v1/groups/crew", &body).await;
    assert_eq!((made.status, &made.body["group"], &made.body["name"]), (201, &json!("crew"), &json!("Crew")));
    let now = stage.clock.now().as_millis();
    assert_eq!(made.body["members"][0], json!({"user": "alice", "role": "admin", "joined_at": now}));
    assert_eq!(made.body["members"].as_array().map(Vec::len), Some(3));
    assert_eq!(stage.calls(), BTreeMap::from([("change", 1), ("group", 1), ("send", 1)]));
    let again = stage.ask("alice", "PUT", "/v1/groups/crew", &body).await;
    assert_eq!((again.status, &again.body), (200, &made.body));
    assert_eq!(stage.calls(), BTreeMap::from([("group", 1)]), "nothing to do, and nobody to tell");
    let shown = stage.ask("carol", "GET", "/v1/groups/crew", &Value::Null).await;
    assert_eq!((shown.status, &shown.body), (200, &made.body));
    assert_eq!(stage.calls(), BTreeMap::from([("group", 1)]));
}

#[tokio::test]
async fn ones_groups_are_listed_in_pages() {
    let stage = Stage::new();
    for group in ["a", "b", "c"] {
        stage.ask("alice", "PUT", &format!("/v1/groups/{group}"), &json!({"name": group.to_uppercase()})).await;
    }
    stage.calls();
    let first = stage.ask("alice", "GET", "/v1/groups?limit=2", &Value::Null).await;
    let expected = json!({"groups": [{"group": "a", "name": "A"}, {"group": "b", "name": "B"}], "more": true});
    assert_eq!((first.status, first.body), (200, expected));
    assert_eq!(stage.calls(), BTreeMap::from([("groups_of", 1)]));
    let rest = stage.ask("alice", "GET", "/v1/groups?after=b", &Value::Null).await;
    assert_eq!(
        rest.body,
        json!({"groups": [{"group": "c", "name": "C"}, {"group": "team", "name": "Team"}], "more": false})
    );
    assert_eq!(stage.ask("carol", "GET", "/v1/groups", &Value::Null).await.body, json!({"groups": [], "more": false}));
}

#[tokio::test]
async fn each_change_of_a_group_is_a_read_a_record_and_a_write() {
    let stage = Stage::new();
    let each = BTreeMap::from([("change", 1), ("group", 1), ("send", 1)]);
    for (method, path, body, status) in [
        ("PATCH", "", json!({"name": "Crew"}), 200),
        ("POST", "/members", json!({"users": ["carol", "bob", "carol"]}), 200),
        ("PUT", "/members/carol", json!({"role": "admin"}), 200),
        ("PUT", "/members/alice", json!({"role": "member"}), 200),
        ("DELETE", "/members/alice", json!(null), 204),
    ] {
        let target = format!("/v1/groups/team{path}");
        for (actor, calls) in [("alice", &each), ("alice", &BTreeMap::from([("group", 1)]))] {
            let answer = stage.ask(actor, method, &target, &body).await;
            // Whoever is no admin any more, or gone, cannot ask again.
            if answer.status != 403 {
                assert_eq!(answer.status, status, "{target}");
            }
            assert_eq!(&stage.calls(), calls, "{target}");
        }
    }
    let groups = stage.function.answers.groups.all();
    let members: Vec<_> = groups[0].members.iter().map(|one| (one.user.as_str(), one.role.as_str())).collect();
    assert_eq!((groups[0].name.as_str(), members), ("Crew", vec![("bob", "member"), ("carol", "admin")]));
    assert_eq!(stage.function.answers.queue.len(), 5);
}

#[tokio::test]
async fn the_last_one_to_leave_takes_the_group_along() {
    let stage = Stage::new();
    for (actor, promoted) in [("alice", Some("bob")), ("bob", None)] {
        let target = format!("/v1/groups/team/members/{actor}");
        assert_eq!(stage.ask(actor, "DELETE", &target, &Value::Null).await.status, 204);
        let groups = stage.function.answers.groups.all();
        let admin = groups.first().map(|group| group.members[0].user.as_str());
        assert_eq!(admin, promoted);
        assert_eq!(code(&stage.ask(actor, "DELETE", &target, &Value::Null).await), (403, "not_a_member"));
    }
    assert_eq!(stage.ask("carol", "PUT", "/v1/groups/team", &json!({"name": "Ours"})).await.status, 201);
    assert!(stage.function.answers.groups.all()[0].member(&user("carol")).is_some());
    assert_eq!(stage.function.answers.groups.all()[0].id, id("team"));
}

#[tokio::test]
async fn a_wrong_path_or_method_is_told_what_is_right() {
    let stage = Stage::new();
    assert_eq!(code(&stage.ask("alice", "GET", "/v1/nothing", &Value::Null).await), (404, "not_found"));
    let refused = stage.ask("alice", "DELETE", "/v1/groups/team", &Value::Null).await;
    assert_eq!(code(&refused), (405, "method_not_allowed"));
    assert_eq!(refused.headers["allow"], "GET, PUT, PATCH");
    assert!(stage.calls().is_empty());
}

#[tokio::test]
async fn a_body_is_quoted_nowhere() {
    let stage = Stage::new();
    for (method, target) in [("POST", "/v1/messages"), ("POST", "/v1/acks"), ("PUT", "/v1/groups/x")] {
        for body in ["sesame", r#"{"messages":"sesame","refs":["sesame"],"name":["sesame"],"device":"d"}"#] {
            let answer = stage.ask("alice", method, target, &json!(body)).await;
            assert!(answer.status == 400 && !answer.body.to_string().contains("sesame"), "{target}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_event_of_the_wrong_shape_fails() {
    let stage = Stage::new();
    let mut unauthorized = event("alice", "GET", "/v1/groups", &Value::Null);
    unauthorized["requestContext"]["authorizer"] = Value::Null;
    for event in [json!({}), json!({"Records": []}), unauthorized] {
        assert!(stage.function.handle(event.clone(), stage.clock.invocation()).await.is_err(), "{event}");
    }
}

#[tokio::test]
async fn a_device_is_known_without_ever_having_a_connection() {
    let stage = Stage::new();
    assert_eq!(stage.ask("bob", "PUT", "/v1/devices/phone", &Value::Null).await.status, 204);
    assert_eq!(stage.ask("bob", "PUT", "/v1/devices/phone", &json!({"later": 1})).await.status, 204);
    assert_eq!(stage.calls(), BTreeMap::from([("enrol", 2)]));
    let devices = stage.function.directory.devices(&user("bob"), stage.clock.now()).await.expect("devices");
    assert_eq!(devices.iter().map(|one| (one.id.as_str(), &one.connection)).collect::<Vec<_>>(), [("phone", &None)]);
}

#[tokio::test]
async fn a_device_is_forgotten_with_its_connection_and_its_inbox_and_nothing_else() {
    let stage = Stage::new();
    let tablet = Holder::Device("tablet".parse().expect("a device"));
    for (n, holder) in [phone(), Holder::Unclaimed, tablet, phone()].into_iter().enumerate() {
        stage.put(holder, n as u64).await;
    }
    for device in ["phone", "tablet"] {
        let address = Address { user: user("bob"), device: device.parse().expect("a device") };
        let connection = Connection { id: device.into(), connected_at: stage.clock.now(), dialect: Dialect::Current };
        stage.function.directory.register(&address, &connection, stage.clock.now()).await.expect("registered");
    }
    stage.calls();
    // Whatever fails on the way, all of it is asked for again.
    for (failing, ledger) in [
        ("disconnect", &stage.function.connections.ledger),
        ("page", &stage.function.answers.inbox.ledger),
        ("delete", &stage.function.answers.inbox.ledger),
    ] {
        ledger.fail_next(failing, 1);
        let failed = stage.ask("bob", "DELETE", "/v1/devices/phone", &Value::Null).await;
        assert_eq!(code(&failed), (503, "unavailable"), "{failing}");
    }
    assert_eq!(stage.ask("bob", "DELETE", "/v1/devices/phone", &Value::Null).await.status, 204);
    let closed = stage.function.connections.closed();
    assert!(!closed.is_empty() && closed.iter().all(|one| one.as_str() == "phone"), "{closed:?}");
    let devices = stage.function.directory.devices(&user("bob"), stage.clock.now()).await.expect("devices");
    assert_eq!(devices.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["tablet"]);
    let holders: Vec<Holder> = stage.function.answers.inbox.rows().into_iter().map(|row| row.holder).collect();
    assert_eq!(holders.len(), 2, "{holders:?}");
    assert!(!holders.contains(&phone()));
    assert_eq!(stage.ask("bob", "DELETE", "/v1/devices/phone", &Value::Null).await.status, 204, "twice is as once");
}

#[tokio::test]
async fn a_device_that_cannot_be_noted_as_seen_reads_its_inbox_all_the_same() {
    let stage = Stage::new();
    stage.put(phone(), 1).await;
    stage.function.directory.ledger.fail_next("seen", 1);
    let page = stage.ask("bob", "GET", "/v1/messages?device=phone", &Value::Null).await;
    assert_eq!((page.status, page.body["messages"].as_array().map(Vec::len)), (200, Some(1)));
}

#[tokio::test]
async fn a_user_who_is_erased_is_nowhere_and_the_groups_are_told() {
    let stage = Stage::new();
    for group in ["crew", "crowd"] {
        let made =
            stage.ask("alice", "PUT", &format!("/v1/groups/{group}"), &json!({"name": "x", "users": ["bob"]})).await;
        assert_eq!(made.status, 201);
    }
    for (n, holder) in [phone(), Holder::Unclaimed].into_iter().enumerate() {
        stage.put(holder, n as u64).await;
    }
    assert_eq!(stage.ask("bob", "PUT", "/v1/devices/phone", &Value::Null).await.status, 204);
    let announced = |stage: &Stage| -> BTreeSet<(String, String)> {
        let jobs = stage.function.answers.queue.jobs().into_iter();
        jobs.filter_map(|job| match job {
            Job::Announce(announce) => Some((announce.group.to_string(), announce.id.to_string())),
            _ => None,
        })
        .collect()
    };
    let before = announced(&stage);
    stage.clock.advance(std::time::Duration::from_secs(1));
    // In the middle of it; what was done is done.
    stage.function.answers.inbox.ledger.fail_next("delete", 1);
    assert_eq!(code(&stage.ask("bob", "DELETE", "/v1/me", &Value::Null).await), (503, "unavailable"));
    assert_eq!(stage.ask("bob", "DELETE", "/v1/me", &Value::Null).await.status, 204);

    let told: Vec<_> = announced(&stage).difference(&before).cloned().collect();
    assert_eq!(told.iter().map(|(group, _)| group.as_str()).collect::<Vec<_>>(), ["crew", "crowd", "team"]);
    assert_eq!(told.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len(), 3, "each change has an id of its own");
    for group in stage.function.answers.groups.all() {
        assert_eq!(group.members.iter().map(|one| one.user.as_str()).collect::<Vec<_>>(), ["alice"]);
    }
    assert!(stage.function.answers.inbox.rows().is_empty());
    let devices = stage.function.directory.devices(&user("bob"), stage.clock.now()).await.expect("devices");
    assert!(devices.is_empty());
    assert_eq!(stage.ask("bob", "DELETE", "/v1/me", &Value::Null).await.status, 204, "twice is as once");
}
