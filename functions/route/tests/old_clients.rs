//! What old clients say on their sockets, on in-memory ports: what becomes of it, what they are told, and what it costs.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::group::Role;
use delivery::{Address, Connection, Dialect, Envelope, Group, Holder, Inbox, Job, Key, Member, Row};
use protocol::{Body, Code, Kind, Recipient, Sender, ServerFrame, Urgency, UserId};
use route::{Answers, Route};
use serde_json::{Value, json};
use testkit::{
    Clock, MemoryAttachments, MemoryConnections, MemoryDirectory, MemoryGroups, MemoryInbox, MemoryQueue, events,
};

struct Stage {
    clock: Clock,
    function: Route<MemoryInbox, MemoryGroups, MemoryQueue, MemoryAttachments, MemoryDirectory, MemoryConnections>,
}

/// What bob's old client is told, and by which way.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Answer(String),
    Post(String),
}

impl Stage {
    fn new() -> Self {
        let clock = Clock::default();
        let answers = Answers {
            inbox: MemoryInbox::default(),
            groups: MemoryGroups::default(),
            queue: MemoryQueue::new(clock.clone()),
            attachments: MemoryAttachments::default(),
        };
        let (directory, connections) = (MemoryDirectory::default(), MemoryConnections::default());
        Self { clock, function: Route { answers, directory, connections } }
    }

    async fn say_as(&self, dialect: Dialect, wants_acks: bool, route_key: &str, frame: &str) -> Told {
        let address = Address { user: user("bob"), device: "legacy".parse().expect("a device") };
        let connection = Connection { id: "c1".into(), connected_at: self.clock.now(), dialect };
        let mut event = events::websocket(route_key, &address, &connection, Some(frame));
        if wants_acks {
            event["requestContext"]["authorizer"]["acks"] = "true".into();
        }
        let response = self.function.handle(event, self.clock.invocation()).await.expect("a response");
        assert_eq!(response["statusCode"], 200);
        let posted = self.function.connections.take_texts("c1").pop();
        match (response["body"].as_str(), posted) {
            (None, None) => Told::Nothing,
            (Some(answer), None) => Told::Answer(answer.to_owned()),
            (None, Some(post)) => Told::Post(post),
            both => panic!("told twice: {both:?}"),
        }
    }

    async fn say(&self, frame: &str) -> Told {
        self.say_as(Dialect::OldJson, true, "$default", frame).await
    }

    /// Puts a row into an inbox of bob's. `id` is what `from`'s old client calls the message; without one it is a new client's.
    async fn put(&self, holder: Holder, n: u64, from: &str, id: Option<&str>) -> Row {
        let body = id.map_or_else(|| Body::text("hi"), body);
        let envelope = Envelope {
            id: self.clock.message_id(n),
            from: from.parse().expect("a sender"),
            to: Recipient::User(user("bob")),
            kind: if from == "~system" { Kind::System } else { Kind::Message },
            at: self.clock.now(),
            expires_at: self.clock.now().plus(Duration::from_secs(60)),
            receipts: false,
            urgency: Urgency::default(),
            body,
        };
        let row = Row { user: user("bob"), holder, envelope, undelivered: false, shared: false };
        assert!(self.function.answers.inbox.put(std::slice::from_ref(&row)).await[0].is_ok());
        self.calls();
        row
    }

    fn pending(&self) -> Vec<Key> {
        self.function.answers.inbox.rows().iter().map(Row::key).collect()
    }

    /// The jobs that were queued since this was last asked.
    fn jobs(&self) -> Vec<Job> {
        let jobs = self.function.answers.queue.jobs();
        for received in
            std::iter::repeat_with(|| self.function.answers.queue.receive(10)).take_while(|one| !one.is_empty())
        {
            self.function.answers.queue.settle(&received, &json!({"batchItemFailures": []}));
        }
        self.calls();
        jobs
    }

    fn calls(&self) -> BTreeMap<&'static str, u64> {
        let Route { answers, directory, connections } = &self.function;
        let ledgers = [&answers.inbox.ledger, &answers.groups.ledger, &answers.queue.ledger, &connections.ledger];
        ledgers.into_iter().chain([&directory.ledger]).flat_map(testkit::Ledger::take).collect()
    }
}

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

fn own() -> Holder {
    Holder::Device("legacy".parse().expect("a device"))
}

/// A message of version 2 as the original's app sends it, but for its sender, who is somebody else.
fn v2(id: &str, kind: &str, to: &str, content_type: &str, body: &Value) -> String {
    let head = json!({"type": kind, "to": to, "from": "mallory", "contentType": content_type, "action": "state"});
    json!({"_v": 2.1, "id": id, "head": head, "meta": {"createdAt": 1_800_000_000_000_u64}, "body": body}).to_string()
}

fn text(id: &str, to: &str) -> String {
    v2(id, "individual", to, "text", &json!({"text": "hi"}))
}

fn body(id: &str) -> Body {
    match legacy::incoming(&text(id, "bob")) {
        Ok(legacy::Incoming::Message(message)) => message.body,
        other => panic!("{other:?}"),
    }
}

fn client_ack(id: &str, to: &str) -> String {
    json!({"_v": 2.1, "id": id, "head": {"contentType": "CLIENT_ACK", "to": to, "from": "alice", "type": "individual"}})
        .to_string()
}

#[tokio::test]
async fn a_message_is_one_call_and_from_who_the_authorizer_says_and_the_same_when_sent_again() {
    let stage = Stage::new();
    let Told::Answer(ack) = stage.say(&text("b1", "carol")).await else { panic!("no server ack") };
    let ack: Value = serde_json::from_str(&ack).expect("JSON");
    assert_eq!((&ack["id"], &ack["head"]["contentType"]), (&json!("b1"), &json!("SERVER_ACK")));
    assert_eq!((&ack["head"]["from"], &ack["head"]["to"]), (&json!("server"), &json!("bob")));
    assert_eq!(stage.calls(), BTreeMap::from([("send", 1)]));
    stage.clock.advance(Duration::from_secs(60));
    stage.say(&text("b1", "carol")).await;
    let jobs = stage.jobs();
    let [Job::Deliver(first), Job::Deliver(again)] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(first.envelope.id, again.envelope.id, "a message that is sent again is the same one");
    assert_eq!((&first.envelope.from, &first.recipient), (&Sender::from(user("bob")), &user("carol")));
    assert!(!first.envelope.body.as_json().contains("mallory"));
}

#[tokio::test]
async fn who_did_not_ask_for_acks_is_told_nothing() {
    let stage = Stage::new();
    assert_eq!(stage.say_as(Dialect::OldJson, false, "$default", &text("b1", "carol")).await, Told::Nothing);
    assert_eq!(stage.jobs().len(), 1);
}

#[tokio::test]
async fn every_version_is_accepted_and_answered_as_it_was_written() {
    let stage = Stage::new();
    let v1 = r#"{"msgId":"b1","from":"mallory","to":"carol","type":"text","chatType":"individual","text":"hi"}"#;
    let Told::Answer(ack) = stage.say(v1).await else { panic!("no server ack") };
    assert_eq!(serde_json::from_str::<Value>(&ack).expect("JSON")["msgId"], "b1");
    // `Message{version: 3, id: "b2", type: MESSAGE, channel: INDIVIDUAL, source: "eve", destination: "carol", content: "{}"}`
    let v3 = "DQAAQEASAmIyGAIgATIDZXZlOgVjYXJvbEICe30=";
    let Told::Answer(ack) = stage.say_as(Dialect::OldBase64, true, "$default", v3).await else {
        panic!("no server ack")
    };
    assert!(legacy::incoming(&ack).is_ok() && !ack.starts_with('{'), "{ack}");
    let jobs = stage.jobs();
    let [Job::Deliver(first), Job::Deliver(second)] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!([&first.envelope.from, &second.envelope.from], [&Sender::from(user("bob")); 2]);
}

#[tokio::test]
async fn a_message_to_a_group_is_for_its_members_and_a_stranger_is_told_nothing() {
    let stage = Stage::new();
    let member = |name: &str| Member { user: user(name), role: Role::Member, joined_at: stage.clock.now() };
    let group = |id: &str, members: Vec<Member>| {
        Group::new(id.parse().expect("a group"), "Team".to_owned().try_into().expect("a name"), 1, members)
    };
    stage.function.answers.groups.insert(group("team", vec![member("alice"), member("bob"), member("carol")]));
    stage.function.answers.groups.insert(group("others", vec![member("alice")]));
    let to = |id, group| v2(id, "group", group, "text", &json!({"text": "hi"}));
    assert!(matches!(stage.say(&to("b1", "team")).await, Told::Answer(_)));
    assert_eq!(stage.calls(), BTreeMap::from([("group", 1), ("send", 1)]));
    for closed in ["others", "nowhere"] {
        assert_eq!(stage.say(&to("b2", closed)).await, Told::Nothing);
        assert_eq!(stage.calls(), BTreeMap::from([("group", 1)]));
    }
    let jobs = stage.jobs();
    let [Job::Fanout(fanout)] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(fanout.members, [user("alice"), user("carol")]);
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_not_acked() {
    let stage = Stage::new();
    stage.function.answers.queue.ledger.fail_next("send", 1);
    assert_eq!(stage.say(&text("b1", "carol")).await, Told::Nothing);
    assert!(matches!(stage.say(&text("b1", "carol")).await, Told::Answer(_)));
}

#[tokio::test]
async fn a_ping_is_answered_by_the_word() {
    let stage = Stage::new();
    for wants_acks in [true, false] {
        let told = stage.say_as(Dialect::OldJson, wants_acks, "$default", "ping").await;
        assert_eq!((told, stage.calls()), (Told::Answer("pong".to_owned()), BTreeMap::new()));
    }
}

#[tokio::test]
async fn an_action_does_not_change_what_an_old_client_says() {
    let stage = Stage::new();
    for (action, is_posted) in [("ack", true), ("send", false), ("sync", false)] {
        let frame =
            json!({"msgId": action, "to": "carol", "type": "text", "chatType": "chat", "text": "hi", "action": action});
        match (stage.say_as(Dialect::OldJson, true, action, &frame.to_string()).await, is_posted) {
            (Told::Post(ack), true) | (Told::Answer(ack), false) => assert!(ack.contains("SERVER_ACK"), "{ack}"),
            (other, _) => panic!("{action}: {other:?}"),
        }
    }
    let ours = r#"{"action":"sync"}"#;
    assert_eq!(stage.say_as(Dialect::OldJson, true, "sync", ours).await, Told::Nothing, "it speaks one language");
    assert_eq!(stage.jobs().len(), 3);
}

#[tokio::test]
async fn an_ack_deletes_exactly_that_sender_s_message() {
    let stage = Stage::new();
    let alice = stage.put(own(), 1, "alice", Some("m1")).await;
    let carol = stage.put(own(), 2, "carol", Some("m1")).await;
    let other = stage.put(own(), 3, "alice", Some("m2")).await;
    let unclaimed = stage.put(Holder::Unclaimed, 4, "carol", None).await;
    for missing in [client_ack("m3", "alice"), client_ack("m2", "carol"), client_ack("M1", "alice")] {
        assert_eq!(stage.say(&missing).await, Told::Nothing);
        assert_eq!(stage.calls(), BTreeMap::from([("page", 1)]), "{missing}");
    }
    assert_eq!(stage.pending().len(), 4);
    assert_eq!(stage.say(&client_ack("m1", "alice")).await, Told::Nothing, "an ack is not acked");
    assert_eq!(stage.calls(), BTreeMap::from([("page", 1), ("delete", 1)]));
    assert!(!stage.pending().contains(&alice.key()) && stage.pending().len() == 3);
    stage.say(&client_ack(&unclaimed.envelope.id.to_string(), "carol")).await;
    let mut left = vec![carol.key(), other.key()];
    left.sort();
    assert_eq!(stage.pending(), left);
}

#[tokio::test]
async fn an_ack_that_names_no_sender_is_for_one_message() {
    let stage = Stage::new();
    let alice = stage.put(own(), 1, "alice", Some("m1")).await;
    let twin = stage.put(Holder::Unclaimed, 1, "alice", Some("m1")).await;
    let carol = stage.put(own(), 2, "carol", Some("m1")).await;
    let news = stage.put(own(), 3, "~system", None).await;
    assert_eq!((alice.envelope.id, &alice.envelope.from), (twin.envelope.id, &twin.envelope.from));
    stage.say(&client_ack("m1", "server")).await;
    let mut left = vec![carol.key(), news.key()];
    left.sort();
    assert_eq!(stage.pending(), left, "the older one, wherever it lies");
    stage.say(&client_ack("m1", "server")).await;
    stage.say(&client_ack(&news.envelope.id.to_string(), "server")).await;
    assert!(stage.pending().is_empty());
}

#[tokio::test]
async fn an_ack_reaches_no_other_inbox() {
    let stage = Stage::new();
    let tablet = stage.put(Holder::Device("tablet".parse().expect("a device")), 1, "alice", Some("m1")).await;
    let theirs = Row { user: user("carol"), ..stage.put(own(), 2, "alice", Some("m1")).await };
    assert!(stage.function.answers.inbox.put(std::slice::from_ref(&theirs)).await[0].is_ok());
    // As if carol or another had said it.
    for from in ["carol", "alice", "bob"] {
        let head = json!({"contentType": "CLIENT_ACK", "to": "alice", "from": from});
        let frame = json!({"_v": 2.1, "id": "m1", "head": head, "from": from, "to": "alice"});
        stage.say(&frame.to_string()).await;
    }
    let mut left = vec![tablet.key(), theirs.key()];
    left.sort();
    assert_eq!(stage.pending(), left);
}

#[tokio::test]
async fn a_receipt_acks_and_is_passed_on() {
    let stage = Stage::new();
    stage.put(own(), 1, "alice", Some("m1")).await;
    stage.put(own(), 2, "alice", Some("m2")).await;
    let carol = stage.put(own(), 3, "carol", Some("m1")).await;
    let receipt =
        v2("r1", "individual", "alice", "notification", &json!({"ids": ["m1", "m2", "m9"], "state": "delivered"}));
    stage.function.answers.inbox.ledger.fail_next("delete", 1);
    assert_eq!(stage.say(&receipt).await, Told::Nothing, "whoever is not told says it again");
    assert_eq!((stage.pending().len(), stage.jobs().len()), (3, 0));
    assert!(matches!(stage.say(&receipt).await, Told::Answer(_)));
    assert_eq!(stage.calls(), BTreeMap::from([("page", 1), ("delete", 1), ("send", 1)]));
    assert_eq!(stage.pending(), [carol.key()]);
    let jobs = stage.jobs();
    let [Job::Deliver(job)] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(job.recipient, user("alice"));
}

#[tokio::test]
async fn an_ack_looks_through_a_bounded_part_of_an_inbox() {
    let stage = Stage::new();
    for n in 0..1_100 {
        stage.put(own(), n, "alice", None).await;
    }
    stage.put(own(), 1_020, "carol", Some("near")).await;
    stage.put(own(), 1_099, "carol", Some("far")).await;
    stage.say(&client_ack("near", "carol")).await;
    assert_eq!(stage.calls(), BTreeMap::from([("page", 4), ("delete", 1)]));
    stage.say(&client_ack("far", "carol")).await;
    assert_eq!(stage.calls(), BTreeMap::from([("page", 4)]), "it is acked once what is before it is");
}

#[tokio::test]
async fn an_inbox_that_cannot_be_read_keeps_what_is_in_it() {
    let stage = Stage::new();
    stage.put(own(), 1, "alice", Some("m1")).await;
    stage.function.answers.inbox.ledger.fail_next("page", 1);
    assert_eq!(stage.say(&client_ack("m1", "alice")).await, Told::Nothing);
    assert_eq!(stage.pending().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_taken_changes_nothing_and_is_not_answered() {
    let stage = Stage::new();
    let row = stage.put(own(), 1, "alice", Some("m1")).await;
    for frame in [
        "",
        "hello",
        "[]",
        "{}",
        "{",
        "\u{fffe}",
        "DQAAQEASAm0x",
        r#"{"action":"dance"}"#,
        &text("b1", "~system"),
        &text("b1", "server"),
        &text("", "carol"),
        &text("b1", "car ol"),
        &text("b1", "carol").replace("individual", "channel"),
        &text("b1", "carol").replace("\"text\"", "\"SERVER_ACK\""),
        &text("b1", "carol").replace("\"hi\"", &format!("\"{}\"", "x".repeat(30_000))),
    ] {
        assert_eq!(stage.say(frame).await, Told::Nothing, "{frame}");
    }
    assert_eq!((stage.jobs().len(), stage.pending()), (0, vec![row.key()]));
}

/// A current client that says what only old ones do is told what is wrong with it.
#[tokio::test]
async fn nobody_else_is_translated() {
    let stage = Stage::new();
    for frame in ["ping".to_owned(), text("b1", "carol"), client_ack("m1", "alice")] {
        let Told::Answer(answer) = stage.say_as(Dialect::Current, true, "$default", &frame).await else {
            panic!("{frame}")
        };
        let Some(ServerFrame::Error { code, .. }) = ServerFrame::parse(&answer) else { panic!("{answer}") };
        assert!(matches!(code, Code::InvalidFrame | Code::UnknownAction), "{frame}: {code:?}");
    }
    assert!(stage.jobs().is_empty());
}

/// Whatever an old client says, nothing breaks, it speaks for nobody else, and nothing but its own inbox is touched.
#[tokio::test]
async fn a_thousand_mutated_frames_harm_nobody() {
    let stage = Stage::new();
    let tablet = stage.put(Holder::Device("tablet".parse().expect("a device")), 1, "alice", Some("m1")).await;
    let receipt = v2("r1", "individual", "alice", "notification", &json!({"ids": ["m1"], "state": "read"}));
    let v3 = "DQAAQEASAmIyGAIgATIDZXZlOgVjYXJvbEICe30=".to_owned();
    let seeds = [text("b1", "carol"), client_ack("m1", "alice"), receipt, v3, "ping".to_owned()];
    let mut rng = stage.clock.invocation().rng();
    for n in 0..1_000 {
        let mut characters: Vec<char> = seeds[n % seeds.len()].chars().collect();
        for _ in 0..rng.usize(1..5) {
            let at = rng.usize(0..=characters.len());
            let end = (at + rng.usize(0..4)).min(characters.len());
            let other = ['{', '}', '"', '[', ':', ',', '\\', 'a', '7', '=', '~', '\u{fffe}'][rng.usize(0..12)];
            characters.splice(at..end, std::iter::repeat_n(other, rng.usize(0..3)));
        }
        let frame: String = characters.into_iter().collect();
        stage.say_as(if n % 2 == 0 { Dialect::OldJson } else { Dialect::OldBase64 }, true, "$default", &frame).await;
    }
    let senders = stage.jobs().into_iter().map(|job| match job {
        Job::Deliver(job) => job.envelope.from,
        other => panic!("{other:?}"),
    });
    assert!(senders.into_iter().all(|sender| sender == Sender::from(user("bob"))));
    assert_eq!(stage.pending(), [tablet.key()]);
}
