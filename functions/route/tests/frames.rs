//! The `route` function on in-memory ports: each frame, its answer, and what it costs.

use std::time::Duration;

use delivery::group::Role;
use delivery::{
    Address, Attached, Attachment, Connection, Dialect, Directory, Envelope, Group, Holder, Inbox, Job, Member, Row,
};
use protocol::{
    AttachmentId, Body, ClientFrame, Code, Kind, Notices, Outgoing, PushTarget, Quiet, ReceiptEvent, Recipient, Ref,
    ServerFrame, Urgency, UserId,
};
use route::{Answers, Route};
use serde_json::{Value, json};
use testkit::{
    Clock, MemoryAttachments, MemoryConnections, MemoryDirectory, MemoryGroups, MemoryInbox, MemoryQueue, events,
};

struct Stage {
    clock: Clock,
    function: Route<MemoryInbox, MemoryGroups, MemoryQueue, MemoryAttachments, MemoryDirectory, MemoryConnections>,
}

impl Stage {
    fn new() -> Self {
        let clock = Clock::default();
        let function = Route {
            answers: Answers {
                inbox: MemoryInbox::default(),
                groups: MemoryGroups::default(),
                queue: MemoryQueue::new(clock.clone()),
                attachments: MemoryAttachments::default(),
            },
            directory: MemoryDirectory::default(),
            connections: MemoryConnections::default(),
        };
        Self { clock, function }
    }

    async fn route(&self, route_key: &str, frame: &str) -> Value {
        let connection = Connection { id: "c1".into(), connected_at: self.clock.now(), dialect: Dialect::Current };
        let event = events::websocket(route_key, &address("bob", "phone"), &connection, Some(frame));
        self.function.handle(event, self.clock.invocation()).await.expect("a response")
    }

    /// The route response to a frame.
    async fn answer(&self, route_key: &str, frame: &str) -> ServerFrame {
        let response = self.route(route_key, frame).await;
        assert_eq!(response["statusCode"], 200);
        ServerFrame::parse(response["body"].as_str().expect("a route response")).expect("a frame of the protocol")
    }

    fn outgoing(&self, n: u64) -> Outgoing {
        Outgoing::new(self.clock.message_id(n), Recipient::User("carol".parse().expect("a user")), Body::text("hi"))
    }

    /// Puts alice's `n`th message into an inbox of bob's.
    async fn put(&self, holder: Holder, n: u64) -> Row {
        self.put_as(holder, n, |_| {}).await
    }

    async fn put_as(&self, holder: Holder, n: u64, change: impl FnOnce(&mut Row)) -> Row {
        let mut row = Row {
            user: "bob".parse().expect("a user"),
            holder,
            envelope: Envelope {
                id: self.clock.message_id(n),
                from: "alice".parse().expect("a user"),
                to: Recipient::User("bob".parse().expect("a user")),
                kind: Kind::Message,
                at: self.clock.now(),
                expires_at: self.clock.now().plus(Duration::from_secs(60)),
                receipts: false,
                urgency: Urgency::default(),
                body: Body::text("hi"),
            },
            undelivered: false,
            shared: false,
        };
        change(&mut row);
        assert!(self.function.answers.inbox.put(std::slice::from_ref(&row)).await[0].is_ok());
        self.function.answers.inbox.ledger.take();
        row
    }
}

fn address(user: &str, device: &str) -> Address {
    Address { user: user.parse().expect("a user"), device: device.parse().expect("a device") }
}

fn own() -> Holder {
    Holder::Device("phone".parse().expect("a device"))
}

fn code_of(frame: &ServerFrame) -> Option<Code> {
    match frame {
        ServerFrame::Error { code, .. } => Some(*code),
        _ => None,
    }
}

#[tokio::test]
async fn a_send_to_one_user_is_one_call_and_is_from_who_the_authorizer_says() {
    let stage = Stage::new();
    let message = stage.outgoing(1);
    let frame = ClientFrame::render_send(std::slice::from_ref(&message), None)
        .replace("\"body\"", "\"from\":\"mallory\",\"body\"");
    let ServerFrame::Accepted { ids, refused, at, .. } = stage.answer("send", &frame).await else { panic!("accepted") };
    assert_eq!((ids, refused, at), (vec![message.id], vec![], stage.clock.now()));
    assert_eq!(stage.function.answers.queue.ledger.take().into_iter().collect::<Vec<_>>(), [("send", 1)]);
    assert!(
        stage.function.answers.inbox.ledger.take().is_empty() && stage.function.connections.ledger.take().is_empty()
    );
    let jobs = stage.function.answers.queue.jobs();
    let [Job::Deliver(job)] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(job.envelope.from, "bob".parse().expect("a user"));
    assert_eq!(job.recipient, "carol".parse().expect("a user"));
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_not_accepted() {
    let stage = Stage::new();
    let messages: Vec<Outgoing> = (0..12).map(|n| stage.outgoing(n)).collect();
    stage.function.answers.queue.ledger.fail_next("send", 1);
    let frame = ClientFrame::render_send(&messages, None);
    let ServerFrame::Accepted { ids, refused, .. } = stage.answer("send", &frame).await else { panic!("accepted") };
    assert_eq!((ids.len(), refused.len()), (2, 10), "the second call of two was taken");
    assert!(refused.iter().all(|refusal| refusal.code == Code::Unavailable));
    assert_eq!(stage.function.answers.queue.len(), 2);
}

#[tokio::test]
async fn a_send_to_a_group_is_one_read_and_one_record_however_many_are_in_it() {
    let stage = Stage::new();
    let user = |name: &str| -> UserId { name.parse().expect("a user") };
    let member = |name: String| Member { user: user(&name), role: Role::Member, joined_at: stage.clock.now() };
    let group = |id: &str, members: Vec<Member>| {
        Group::new(id.parse().expect("a group"), "Team".to_owned().try_into().expect("a name"), 1, members)
    };
    let groups = &stage.function.answers.groups;
    groups.insert(group("crowd", (0..1_023).map(|n| format!("u{n}")).chain(["bob".into()]).map(member).collect()));
    groups.insert(group("others", vec![member("carol".to_owned())]));
    let to = |n, group: &str| Outgoing { to: Recipient::Group(group.parse().expect("a group")), ..stage.outgoing(n) };
    let messages = [to(1, "crowd"), to(2, "others"), to(3, "nowhere"), to(4, "crowd"), stage.outgoing(5)];
    let answer = stage.answer("send", &ClientFrame::render_send(&messages, None)).await;
    let ServerFrame::Accepted { ids, refused, .. } = answer else { panic!("accepted") };
    assert_eq!(ids, [messages[0].id, messages[3].id, messages[4].id]);
    assert_eq!(
        refused.iter().map(|one| (one.index, one.code)).collect::<Vec<_>>(),
        [(1, Code::NotAMember), (2, Code::NotAMember)]
    );
    assert_eq!(groups.ledger.take().into_iter().collect::<Vec<_>>(), [("group", 3)], "each group once");
    assert_eq!(stage.function.answers.queue.ledger.take().into_iter().collect::<Vec<_>>(), [("send", 1)]);
    let jobs = stage.function.answers.queue.jobs();
    let [Job::Fanout(first), Job::Fanout(_), Job::Deliver(_)] = &jobs[..] else { panic!("{} jobs", jobs.len()) };
    assert_eq!(first.members.len(), 1_023);
    assert!(!first.members.contains(&user("bob")), "nobody gets what they wrote");
}

#[tokio::test]
async fn a_group_that_cannot_be_read_refuses_its_messages_alone() {
    let stage = Stage::new();
    stage.function.answers.groups.ledger.fail_next("group", 1);
    let to = Recipient::Group("team".parse().expect("a group"));
    let messages = [Outgoing { to, ..stage.outgoing(1) }, stage.outgoing(2)];
    let answer = stage.answer("send", &ClientFrame::render_send(&messages, None)).await;
    let ServerFrame::Accepted { ids, refused, .. } = answer else { panic!("accepted") };
    assert_eq!((ids, refused[0].code), (vec![messages[1].id], Code::Unavailable));
}

/// An attachment of `uploader`'s.
fn attachment(stage: &Stage, n: u128, uploader: &str) -> Attachment {
    Attachment {
        id: AttachmentId::new(n),
        uploader: uploader.parse().expect("a user"),
        media_type: "image/jpeg".parse().expect("a type"),
        bytes: 7,
        expires_at: stage.clock.now().plus(Duration::from_secs(60)),
    }
}

#[tokio::test]
async fn attachments_are_read_once_for_a_whole_send_and_go_into_its_records() {
    let stage = Stage::new();
    let attachments = &stage.function.answers.attachments;
    let own: Vec<Attachment> = (0..20).map(|n| attachment(&stage, n, "bob")).collect();
    own.iter().for_each(|one| attachments.insert(one.clone()));
    attachments.insert(attachment(&stage, 99, "carol"));
    let naming = |n, ids: Vec<u128>| Outgoing {
        attachments: ids.into_iter().map(AttachmentId::new).collect(),
        ..stage.outgoing(n)
    };
    let messages = [
        naming(1, (0..10).collect()),
        naming(2, (5..15).collect()),
        naming(3, vec![1, 99]),
        naming(4, vec![]),
        naming(5, vec![77]),
    ];
    let answer = stage.answer("send", &ClientFrame::render_send(&messages, None)).await;
    let ServerFrame::Accepted { ids, refused, .. } = answer else { panic!("accepted") };
    assert_eq!(ids, [messages[0].id, messages[1].id, messages[3].id]);
    let codes: Vec<_> = refused.iter().map(|one| (one.index, one.code)).collect();
    assert_eq!(codes, [(2, Code::InvalidAttachment), (4, Code::InvalidAttachment)]);
    assert_eq!(refused[0].detail, refused[1].detail, "another's is as none");
    assert_eq!(attachments.ledger.take().into_iter().collect::<Vec<_>>(), [("open_to", 1)]);
    let carried = stage.function.answers.queue.jobs().into_iter().map(|job| match job {
        Job::Deliver(deliver) => deliver.attachments,
        other => panic!("{other:?}"),
    });
    let carried: Vec<_> = carried.collect();
    let attached = |range: std::ops::Range<usize>| {
        own[range].iter().map(|one| Attached { id: one.id, expires_at: one.expires_at }).collect::<Vec<_>>()
    };
    assert_eq!(carried, [attached(0..10), attached(5..15), attached(0..0)]);

    stage.answer("send", &ClientFrame::render_send(&[naming(6, vec![])], None)).await;
    assert!(attachments.ledger.take().is_empty(), "a send that names none costs nothing more");
}

#[tokio::test]
async fn attachments_that_cannot_be_read_refuse_their_messages_alone() {
    let stage = Stage::new();
    stage.function.answers.attachments.ledger.fail_next("open_to", 1);
    let messages = [Outgoing { attachments: vec![AttachmentId::new(1)], ..stage.outgoing(1) }, stage.outgoing(2)];
    let answer = stage.answer("send", &ClientFrame::render_send(&messages, None)).await;
    let ServerFrame::Accepted { ids, refused, .. } = answer else { panic!("accepted") };
    assert_eq!((ids, refused[0].code), (vec![messages[1].id], Code::Unavailable));
}

#[tokio::test]
async fn an_ack_of_25_refs_is_one_call_and_no_answer() {
    let stage = Stage::new();
    let mut rows = Vec::new();
    for n in 0..25 {
        rows.push(stage.put(own(), n).await);
    }
    let mut refs: Vec<_> = rows.iter().map(Row::reference).collect();
    refs.push(refs[0].clone());
    assert_eq!(stage.route("ack", &ClientFrame::render_ack(&refs)).await, json!({"statusCode": 200}));
    assert_eq!(stage.function.answers.inbox.ledger.take().into_iter().collect::<Vec<_>>(), [("delete", 1)]);
    assert_eq!(stage.function.connections.ledger.calls("post"), 0);
    assert!(stage.function.answers.inbox.rows().is_empty());
}

#[tokio::test]
async fn what_somebody_waits_for_is_read_and_told_before_it_is_deleted() {
    for (event, frame) in [
        (ReceiptEvent::Delivered, ClientFrame::render_ack as fn(&[Ref]) -> String),
        (ReceiptEvent::Read, ClientFrame::render_read),
    ] {
        let stage = Stage::new();
        let asked = stage.put_as(own(), 1, |row| row.envelope.receipts = true).await;
        let shared = stage.put_as(own(), 2, |row| row.shared = true).await;
        let unclaimed = stage.put(Holder::Unclaimed, 3).await;
        let plain = stage.put(own(), 4).await;
        let rows = [&asked, &shared, &unclaimed, &plain];
        let refs: Vec<Ref> = rows.iter().map(|row| row.reference()).collect();
        assert_eq!(refs.iter().map(|one| one.watched).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(unclaimed.reference().is_watched());
        let action = if event == ReceiptEvent::Read { "read" } else { "ack" };
        assert_eq!(stage.route(action, &frame(&refs)).await, json!({"statusCode": 200}));
        let Answers { inbox, queue, .. } = &stage.function.answers;
        assert_eq!(inbox.ledger.take().into_iter().collect::<Vec<_>>(), [("delete", 1), ("get", 1)]);
        assert_eq!(queue.ledger.take().into_iter().collect::<Vec<_>>(), [("send", 1)]);
        let jobs = queue.jobs();
        let [Job::Acked(job)] = &jobs[..] else { panic!("{jobs:?}") };
        assert_eq!((job.event, &job.user, &job.device), (event, &asked.user, &address("bob", "phone").device));
        let told: Vec<_> = job.messages.iter().map(|one| one.row.map(|row| (row.receipts, row.shared))).collect();
        assert_eq!(told, [Some((true, false)), Some((false, true)), Some((false, true))]);
        assert!(inbox.rows().is_empty());
    }
}

#[tokio::test]
async fn what_could_not_be_told_is_not_deleted() {
    for call in ["get", "send"] {
        let stage = Stage::new();
        let asked = stage.put_as(own(), 1, |row| row.envelope.receipts = true).await;
        let plain = stage.put(own(), 2).await;
        let Answers { inbox, queue, .. } = &stage.function.answers;
        if call == "get" {
            inbox.ledger.fail_next("get", 1)
        } else {
            queue.ledger.fail_next("send", 1)
        }
        stage.route("ack", &ClientFrame::render_ack(&[asked.reference(), plain.reference()])).await;
        assert_eq!(inbox.rows(), [asked], "{call}");
        let frames = stage.function.connections.take_frames("c1");
        assert_eq!(frames.iter().map(code_of).collect::<Vec<_>>(), [Some(Code::Unavailable)], "{call}");
    }
}

#[tokio::test]
async fn nobody_is_told_of_an_ack_of_nothing() {
    let stage = Stage::new();
    let mut row = stage.put(own(), 1).await;
    row.envelope.receipts = true;
    let forged = Ref { sender: "carol".parse().expect("a sender"), ..row.reference() };
    stage.route("ack", &ClientFrame::render_ack(std::slice::from_ref(&forged))).await;
    assert!(stage.function.answers.queue.is_empty());
    // What is gone may still be read; who is told of that is not for this function to say.
    stage.route("read", &ClientFrame::render_read(&[forged])).await;
    let jobs = stage.function.answers.queue.jobs();
    assert!(matches!(&jobs[..], [Job::Acked(job)] if job.messages[0].row.is_none()), "{jobs:?}");
}

#[tokio::test]
async fn a_device_acks_only_its_own_inbox() {
    let stage = Stage::new();
    let tablet = stage.put(Holder::Device("tablet".parse().expect("a device")), 1).await;
    let ack = ClientFrame::render_ack(&[tablet.key().reference()]);
    assert_eq!(stage.route("ack", &ack).await, json!({"statusCode": 200}));
    assert_eq!(
        stage.function.answers.inbox.rows(),
        [tablet],
        "a well-formed ref that is not in one's inbox deletes nothing"
    );
    assert!(stage.function.connections.take_frames("c1").is_empty());
}

#[tokio::test]
async fn a_bad_ack_is_answered_by_a_post_and_its_good_refs_count() {
    let stage = Stage::new();
    let row = stage.put(own(), 1).await;
    let frame = format!(r#"{{"action":"ack","nonce":"n","refs":["garbage","{}"]}}"#, row.key().reference());
    assert_eq!(stage.route("ack", &frame).await, json!({"statusCode": 200}));
    let frames = stage.function.connections.take_frames("c1");
    assert_eq!(frames.iter().map(code_of).collect::<Vec<_>>(), [Some(Code::InvalidRef)]);
    assert!(matches!(&frames[0], ServerFrame::Error { nonce: Some(nonce), .. } if nonce.as_str() == "n"));
    assert!(stage.function.answers.inbox.rows().is_empty());
    stage.function.answers.inbox.ledger.fail_next("delete", 1);
    stage.route("ack", &ClientFrame::render_ack(&[row.key().reference()])).await;
    let frames = stage.function.connections.take_frames("c1");
    assert_eq!(frames.iter().map(code_of).collect::<Vec<_>>(), [Some(Code::Unavailable)]);
}

#[tokio::test]
async fn a_sync_pages_through_both_shelves() {
    let stage = Stage::new();
    for n in 0..5 {
        stage.put(if n % 2 == 0 { own() } else { Holder::Unclaimed }, n).await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let frame = ClientFrame::render_sync(after.as_ref(), Some(2), None);
        let ServerFrame::Messages { messages, more, .. } = stage.answer("sync", &frame).await else { panic!("a page") };
        assert!(messages.iter().all(|one| one.attempt == 0));
        after = messages.last().map(|one| one.reference.clone());
        seen.extend(messages.into_iter().map(|one| one.id));
        if more != Some(true) {
            break;
        }
    }
    assert_eq!(seen, (0..5).map(|n| stage.clock.message_id(n)).collect::<Vec<_>>());
    stage.function.answers.inbox.ledger.fail_next("page", 1);
    let answer = stage.answer("sync", &ClientFrame::render_sync(None, None, None)).await;
    assert_eq!(code_of(&answer), Some(Code::Unavailable));
}

#[tokio::test]
async fn what_a_device_says_of_itself_is_kept_by_one_call_and_answered() {
    let stage = Stage::new();
    let frame = r#"{"action":"device","nonce":"n","presence":true,"push":[{"service":"fcm","token":"t"}],
        "notices":{"preview":true}}"#;
    let answer = stage.answer("device", frame).await;
    assert!(matches!(&answer, ServerFrame::Device { nonce: Some(nonce) } if nonce.as_str() == "n"), "{answer:?}");
    assert_eq!(stage.function.directory.ledger.take().into_iter().collect::<Vec<_>>(), [("enrol", 1)]);
    let bob: UserId = "bob".parse().expect("a user");
    let device = async || {
        let wakeable = stage.function.directory.wakeable(&bob, &own()).await.expect("an answer").expect("a device");
        let shows = stage.function.directory.devices_of(&bob, stage.clock.now())[0].shows_presence;
        (shows, wakeable.push, wakeable.notices)
    };
    let target = PushTarget::Fcm { token: "t".to_owned() };
    let notices = Notices { preview: true, quiet: Quiet::Never };
    assert_eq!(device().await, (true, vec![target.clone()], notices));
    stage.answer("device", r#"{"action":"device","presence":false}"#).await;
    assert_eq!(device().await, (false, vec![target], notices), "what is left out stays as it is");
    assert_eq!(stage.function.connections.ledger.calls("post"), 0);
}

#[tokio::test]
async fn what_a_device_says_badly_changes_nothing_and_is_told_what_is_right() {
    let stage = Stage::new();
    for (members, says) in [
        (r#""presence":"yes""#, "`presence` is true or false"),
        (r#""push":[{"service":"fcm"}]"#, "`push` is a list of at most 4 push targets"),
        (r#""notices":{"quiet":"sometimes"}"#, "`notices` is {"),
    ] {
        let answer = stage.answer("device", &format!(r#"{{"action":"device","nonce":"n",{members}}}"#)).await;
        let ServerFrame::Error { code: Code::InvalidFrame, detail, nonce: Some(_) } = &answer else {
            panic!("{answer:?}")
        };
        assert!(detail.starts_with(says), "{detail}");
    }
    assert!(stage.function.directory.ledger.take().is_empty());
    stage.function.directory.ledger.fail_next("enrol", 1);
    let answer = stage.answer("device", r#"{"action":"device"}"#).await;
    assert_eq!(code_of(&answer), Some(Code::Unavailable));
}

#[tokio::test]
async fn whatever_reaches_the_function_is_answered() {
    let stage = Stage::new();
    for (route_key, frame, code) in [
        ("$default", "hello", Code::InvalidFrame),
        ("$default", "[]", Code::InvalidFrame),
        ("$default", r#"{"action":"dance"}"#, Code::UnknownAction),
        ("$default", "{}", Code::UnknownAction),
        ("send", r#"{"action":"send"}"#, Code::InvalidFrame),
        ("send", r#"{"action":"send","action":"ack"}"#, Code::InvalidFrame),
        ("sync", r#"{"action":"sync","after":"garbage"}"#, Code::InvalidCursor),
    ] {
        assert_eq!(code_of(&stage.answer(route_key, frame).await), Some(code), "{frame}");
    }
    assert_eq!(stage.answer("$default", r#"{"action":"ping"}"#).await, ServerFrame::Pong { nonce: None });
}

#[tokio::test]
async fn an_event_of_the_wrong_shape_fails() {
    let stage = Stage::new();
    let connection = Connection { id: "c1".into(), connected_at: stage.clock.now(), dialect: Dialect::Current };
    let mut unauthorized = events::websocket("send", &address("bob", "phone"), &connection, Some("{}"));
    unauthorized["requestContext"]["authorizer"] = json!({});
    let mut deviceless = events::websocket("send", &address("bob", "phone"), &connection, Some("{}"));
    deviceless["requestContext"]["authorizer"]["device"] = Value::Null;
    for event in [json!({}), json!({"Records": []}), unauthorized, deviceless] {
        assert!(stage.function.handle(event.clone(), stage.clock.invocation()).await.is_err(), "{event}");
    }
}
