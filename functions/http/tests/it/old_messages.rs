//! `POST /v1.0/messages`: what old clients say without a socket, what becomes of it, how it is answered, and what it costs.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::{Envelope, Holder, Inbox, Job, Row};
use protocol::{Body, Kind, Recipient, Urgency};
use serde_json::{Value, json};

use crate::stage::{Stage, user};

const PATH: &str = "/v1.0/messages";
const WITH_ACKS: &str = "/v1.0/messages?ack=true";

/// `Message{version: 3, id: "b2", type: MESSAGE, channel: INDIVIDUAL, source: "eve", destination: "carol", content: "{}"}`
const V3: &str = "DQAAQEASAmIyGAIgATIDZXZlOgVjYXJvbEICe30=";

fn message(id: &str, kind: &str, to: &str) -> Value {
    let head = json!({"type": kind, "to": to, "from": "mallory", "contentType": "text"});
    json!({"_v": 2.1, "id": id, "head": head, "meta": {"createdAt": 1_800_000_000_000_u64}, "body": {"text": "hi"}})
}

/// What bob's messages became: to whom each is, and from whom.
fn queued(stage: &Stage) -> Vec<(String, String)> {
    let told = |job: &Job| match job {
        Job::Deliver(job) => (job.recipient.to_string(), job.envelope.from.to_string()),
        Job::Fanout(job) => (format!("{:?}", job.members), job.envelope.from.to_string()),
        other => panic!("{other:?}"),
    };
    stage.function.answers.queue.jobs().iter().map(told).collect()
}

fn calls(stage: &Stage) -> BTreeMap<&'static str, u64> {
    let answers = &stage.function.answers;
    let ledgers =
        [&answers.inbox.ledger, &answers.groups.ledger, &answers.queue.ledger, &stage.function.directory.ledger];
    ledgers.into_iter().flat_map(testkit::Ledger::take).collect()
}

#[tokio::test]
async fn each_message_is_answered_as_it_was_written() {
    let stage = Stage::new();
    let body = json!([message("b1", "individual", "carol"), message("b3", "chat", "dave").to_string(), V3]);
    let answer = stage.ask("bob", "POST", WITH_ACKS, &body).await;
    assert_eq!((answer.status, &answer.body["refused"]), (201, &Value::Null));
    let acks = answer.body["acks"].as_array().expect("a list");
    let text = |ack: &Value| ack.as_str().expect("a text").to_owned();
    let second: Value = serde_json::from_str(&text(&acks[1])).expect("JSON");
    for (ack, id) in [(&acks[0], "b1"), (&second, "b3")] {
        assert_eq!((&ack["id"], &ack["head"]["contentType"]), (&json!(id), &json!("SERVER_ACK")));
        assert_eq!((&ack["head"]["from"], &ack["head"]["to"]), (&json!("server"), &json!("bob")));
    }
    assert!(!text(&acks[2]).starts_with('{'), "protobuf is answered by protobuf");
    let sent = ["carol", "dave", "carol"].map(|to| (to.to_owned(), "bob".to_owned()));
    assert_eq!((queued(&stage), calls(&stage)), (sent.into(), BTreeMap::from([("send", 1)])));
    let silent = stage.ask("bob", "POST", "/v1.0/messages?format=binary", &json!([V3])).await;
    assert_eq!((silent.status, silent.body), (201, json!({})));
}

#[tokio::test]
async fn one_bad_message_spoils_no_other() {
    let stage = Stage::new();
    let body = json!([
        7,
        "ping",
        "garbage!",
        message("b1", "individual", "carol"),
        message("", "individual", "carol"),
        message("b2", "group", "nowhere"),
        message("b3", "group", "team"),
    ]);
    let answer = stage.ask("bob", "POST", WITH_ACKS, &body).await;
    assert_eq!(answer.status, 201);
    let acked = answer.body["acks"].as_array().expect("a list").iter().map(|ack| &ack["id"]);
    assert_eq!(acked.collect::<Vec<_>>(), ["b1", "b3"]);
    let refused = answer.body["refused"].as_array().expect("a list").iter();
    let refused: Vec<_> = refused.map(|one| (one["index"].clone(), one["id"].clone(), one["code"].clone())).collect();
    let expected = [
        (json!(0), Value::Null, json!("invalid_frame")),
        (json!(2), Value::Null, json!("invalid_frame")),
        (json!(4), Value::Null, json!("invalid_id")),
        (json!(5), json!("b2"), json!("not_a_member")),
    ];
    assert_eq!(refused, expected);
    assert_eq!(queued(&stage).len(), 2);
    let all_bad = stage.ask("bob", "POST", PATH, &json!(["garbage!"])).await;
    assert_eq!((all_bad.status, &all_bad.body["refused"][0]["code"]), (201, &json!("invalid_frame")));
}

#[tokio::test]
async fn what_could_not_be_taken_is_asked_for_again_and_is_the_same_then() {
    let stage = Stage::new();
    let body: Vec<Value> = (0..30).map(|n| message(&format!("b{n}"), "individual", "carol")).collect();
    stage.function.answers.queue.ledger.fail_next("send", 1);
    let answer = stage.ask("bob", "POST", PATH, &json!(body)).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("unavailable")));
    let taken: Vec<_> = stage.function.answers.queue.jobs();
    assert!(!taken.is_empty() && taken.len() < 30, "{} of them were", taken.len());
    calls(&stage);
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.ask("bob", "POST", PATH, &json!(body)).await.status, 201);
    assert_eq!(calls(&stage), BTreeMap::from([("send", 4)]), "three calls for 25, one for 5");
    let id = |job: &Job| match job {
        Job::Deliver(job) => job.envelope.id,
        other => panic!("{other:?}"),
    };
    let jobs = stage.function.answers.queue.jobs();
    let again: Vec<_> = jobs[taken.len()..].iter().map(id).collect();
    assert!(taken.iter().map(id).all(|one| again.contains(&one)), "whoever has it shows it once");
}

#[tokio::test]
async fn an_ack_is_that_of_the_old_client_s_device() {
    let stage = Stage::new();
    let put = async |device: &str, n: u64| {
        let envelope = Envelope {
            id: stage.clock.message_id(n),
            from: user("alice").into(),
            to: Recipient::User(user("bob")),
            kind: Kind::Message,
            at: stage.clock.now(),
            expires_at: stage.clock.now().plus(Duration::from_secs(60)),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text("hi"),
        };
        let row = Row {
            user: user("bob"),
            holder: Holder::Device(device.parse().expect("a device")),
            envelope,
            undelivered: false,
            shared: false,
        };
        assert!(stage.function.answers.inbox.put(std::slice::from_ref(&row)).await[0].is_ok());
        row
    };
    let (own, other) = (put("legacy", 1).await, put("phone", 1).await);
    calls(&stage);
    let head = json!({"contentType": "CLIENT_ACK", "to": "alice", "from": "bob", "type": "individual"});
    let ack = json!([{"_v": 2.1, "id": own.envelope.id.to_string(), "head": head}]);
    stage.function.answers.inbox.ledger.fail_next("page", 1);
    assert_eq!(stage.ask("bob", "POST", PATH, &ack).await.status, 503);
    calls(&stage);
    let answer = stage.ask("bob", "POST", WITH_ACKS, &ack).await;
    assert_eq!((answer.status, answer.body), (201, json!({"acks": []})), "an ack is not acked");
    assert_eq!(calls(&stage), BTreeMap::from([("page", 1), ("delete", 1)]));
    assert_eq!(stage.function.answers.inbox.rows(), [other]);
}
