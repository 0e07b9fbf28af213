//! Frames: what clients may say, what the server may say to them, and how envelopes share frames. Sockets are not here.

use std::collections::BTreeMap;

use delivery::accept::{Audience, addressed};
use delivery::attachment::{Access, named};
use delivery::{Job, accept};
use protocol::limits::{
    MAX_EXPIRES_IN_SECS, MAX_MESSAGES_PER_SEND, MAX_NONCE_CHARS, MAX_REFS_PER_ACK, MAX_SERVER_FRAME_BYTES,
    MAX_SYNC_LIMIT,
};
use protocol::packing::{frame_bytes, pack_page};
use protocol::{
    Ack, Body, ClientFrame, Code, Delivery, Kind, MessageId, Nonce, Outgoing, Recipient, Ref, Rejected, Send, Sender,
    ServerFrame, Shelf, Timestamp, Urgency, UserId, pack,
};
use serde_json::value::RawValue;

use crate::{ID, MARK, NOW, assert_discreet, known};

/// An attachment.
const FILE: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Any text is a frame that can be rendered and read again, or is rejected with a code that fits and no quote. What is accepted
/// of a `send` can be queued and fits a frame.
pub fn client_frame(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = ClientFrame::parse(text);
    if serde_json::from_str::<&RawValue>(text).is_ok() {
        assert_eq!(meaning(&ClientFrame::parse(&escaped(text))), meaning(&parsed), "escapes changed it: {text}");
    }
    match parsed {
        Ok(ClientFrame::Send(send)) => check_send(send),
        Ok(ClientFrame::Ack(ack) | ClientFrame::Read(ack)) => check_ack(ack),
        Ok(ClientFrame::Sync(sync)) => {
            assert!((1..=MAX_SYNC_LIMIT).contains(&sync.limit));
            let rendered = ClientFrame::render_sync(sync.after.as_ref(), Some(sync.limit), sync.nonce.as_ref());
            assert_eq!(ClientFrame::parse(&rendered), Ok(ClientFrame::Sync(sync)));
        }
        Ok(ClientFrame::Device { nonce, said }) => {
            let again = ClientFrame::parse(&ClientFrame::render_device(&said, nonce.as_ref()));
            assert_eq!(again, Ok(ClientFrame::Device { nonce: nonce.clone(), said }));
            check_answer(&ServerFrame::Device { nonce });
        }
        Ok(ClientFrame::Ping { nonce }) => check_answer(&ServerFrame::Pong { nonce }),
        Err(Rejected { nonce, code, detail }) => {
            assert!(matches!(code, Code::InvalidFrame | Code::UnknownAction | Code::InvalidCursor), "{code:?}");
            assert_discreet(&detail);
            check_answer(&ServerFrame::Error { code, detail, nonce });
        }
    }
}

fn check_send(send: Send) {
    assert!((1..=MAX_MESSAGES_PER_SEND).contains(&send.messages.len()));
    for (index, message) in send.messages.iter().enumerate() {
        match message {
            Ok(message) => assert!(message.expires_in.is_none_or(|secs| (1..=MAX_EXPIRES_IN_SECS).contains(&secs))),
            Err(refusal) => {
                assert_eq!(refusal.index, index);
                assert_discreet(&refusal.detail);
            }
        }
    }
    let good: Vec<Outgoing> = send.messages.iter().filter_map(|message| message.clone().ok()).collect();
    if !good.is_empty() {
        let again = ClientFrame::parse(&ClientFrame::render_send(&good, send.nonce.as_ref()));
        let expected = Send { nonce: send.nonce.clone(), messages: good.into_iter().map(Ok).collect() };
        assert_eq!(again, Ok(ClientFrame::Send(expected)));
    }
    let messages = send.messages.len();
    let members = vec![known::<UserId>("alice"), known("bob")];
    let audiences = addressed(&send).into_iter().map(|group| (group, Audience::Members(members.clone()))).collect();
    let open = |id| (id, Access::Open { expires_at: NOW });
    let attachments = named(&send).into_iter().map(open).collect();
    let acceptance = accept(send, &known::<UserId>("alice"), &audiences, &attachments, NOW);
    for scheduled in &acceptance.jobs {
        let envelope = match &scheduled.job {
            Job::Deliver(deliver) => &deliver.envelope,
            Job::Fanout(fanout) => &fanout.envelope,
            _ => panic!("a send made another job"),
        };
        let record = scheduled.job.encode();
        assert!(record.chars().all(is_allowed_in_a_record), "SQS would refuse this record: {record:?}");
        assert_eq!(Job::decode(&record).expect("a record is read as it was written"), scheduled.job);
        assert!(frame_bytes(&envelope.longest_delivery()) <= MAX_SERVER_FRAME_BYTES);
    }
    let taken = vec![true; acceptance.jobs.len()];
    let answer = acceptance.answer(taken);
    let ServerFrame::Accepted { ids, refused, .. } = &answer else { panic!("a send was answered by something else") };
    assert_eq!(ids.len() + refused.len(), messages, "each message is accepted or refused");
    check_answer(&answer);
}

/// Source: SQS, `SendMessage`: "A message can include only XML, JSON, and unformatted text", by XML's characters.
fn is_allowed_in_a_record(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn check_ack(ack: Ack) {
    assert!((1..=MAX_REFS_PER_ACK).contains(&(ack.refs.len() + ack.malformed)));
    let mut distinct = ack.refs.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), ack.refs.len(), "each ref once");
    if !ack.refs.is_empty() {
        let again = ClientFrame::parse(&ClientFrame::render_ack(&ack.refs));
        assert_eq!(again, Ok(ClientFrame::Ack(Ack { nonce: None, refs: ack.refs, malformed: 0 })));
    }
}

/// An answer fits a frame, and a client reads in it what the server meant.
fn check_answer(answer: &ServerFrame) {
    let rendered = answer.render();
    assert!(rendered.len() <= MAX_SERVER_FRAME_BYTES, "{} bytes", rendered.len());
    assert_eq!(ServerFrame::parse(&rendered).as_ref(), Some(answer));
    let (ServerFrame::Accepted { nonce, .. }
    | ServerFrame::Messages { nonce, .. }
    | ServerFrame::Device { nonce }
    | ServerFrame::Error { nonce, .. }
    | ServerFrame::Pong { nonce }) = answer
    else {
        return;
    };
    assert!(nonce.as_ref().is_none_or(|nonce| nonce.as_str().chars().count() <= MAX_NONCE_CHARS));
}

/// A frame as far as it does not depend on how its JSON was spelt: bodies are carried as they were spelt, and texts say where.
fn meaning(parsed: &Result<ClientFrame, Rejected>) -> String {
    match parsed {
        Ok(ClientFrame::Send(send)) => {
            let messages = send.messages.iter().map(|message| match message {
                Ok(message) => {
                    format!(
                        "{} {:?} {:?} {:?} {:?}",
                        message.id, message.to, message.ephemeral, message.urgency, message.expires_in
                    )
                }
                Err(refusal) => format!("{:?} {:?}", refusal.id, refusal.code),
            });
            format!("{:?} {:?}", send.nonce, messages.collect::<Vec<_>>())
        }
        Ok(other) => format!("{other:?}"),
        Err(rejected) => format!("{:?} {:?}", rejected.nonce, rejected.code),
    }
}

/// The same JSON with every character of its strings as an escape.
fn escaped(json: &str) -> String {
    let (mut escaped, mut is_inside, mut units) = (String::new(), false, [0; 2]);
    let mut characters = json.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                is_inside = !is_inside;
                escaped.push(c);
            }
            '\\' => {
                let kind = characters.next();
                let digits = if kind == Some('u') { 4 } else { 0 };
                escaped.push(c);
                escaped.extend(kind.into_iter().chain(characters.by_ref().take(digits)));
            }
            _ if is_inside => c.encode_utf16(&mut units).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}")),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Valid frames of a client.
pub fn client_frame_seeds() -> Vec<String> {
    let message = |to: &str| {
        format!(r#"{{"id":"{ID}","to":{to},"body":{{"text":"{MARK} é\ud83d\ude00","n":1.5e3}},"expires_in":60}}"#)
    };
    let (user, group) = (message(r#"{"user":"bob"}"#), message(r#"{"group":"team"}"#));
    let after = known::<Ref>(&format!("{ID}~alice~*"));
    let targets = format!(
        r#"{{"service":"fcm","token":"{MARK}"}},{{"service":"apns","token":"00fc","topic":"com.example.chat"}},
           {{"service":"webpush","endpoint":"https://push.example/{MARK}","p256dh":"{key}","auth":"{auth}","vapid":"{key}"}}"#,
        key = format!("B{}", "A".repeat(86)),
        auth = "a".repeat(22),
    );
    let notices = r#"{"preview":true,"quiet":{"from":1320,"to":420,"utc_offset":-330}}"#;
    vec![
        format!(r#"{{"action":"send","nonce":"n1","messages":[{user},{group}]}}"#),
        format!(
            r#"{{"action":"send","messages":[{{"id":"{ID}","to":{{"user":"bob"}},"body":null,"ephemeral":true,"urgency":"quiet"}}]}}"#
        ),
        format!(
            r#"{{"action":"send","messages":[{{"id":"{ID}","to":{{"user":"bob"}},"body":1,"attachments":["{FILE}"]}}]}}"#
        ),
        format!(r#"{{"action":"ack","nonce":"n2","refs":["{ID}~alice","{ID}~alice~*","{MARK}"]}}"#),
        ClientFrame::render_sync(Some(&after), Some(7), Nonce::new("n3".to_owned()).as_ref()),
        format!(r#"{{"action":"device","nonce":"n4","presence":true,"push":[{targets}],"notices":{notices}}}"#),
        ClientFrame::render_ping(),
    ]
}

/// Any text of an old client is read or refused without quoting it; what was read is a message that can be accepted, under an id that
/// is the same again, or acks a bounded number of messages.
pub fn old_frame(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check_old_frame(text);
    }
}

pub(crate) fn check_old_frame(text: &str) {
    let sender: UserId = known("alice");
    match legacy::incoming(text) {
        Ok(legacy::Incoming::Message(message)) => {
            assert!(message.receipt().len() <= MAX_REFS_PER_ACK);
            let at = message.made_at(&sender, NOW).unwrap_or(NOW);
            let id = legacy::message_id(&sender, &message.id, at);
            let again = legacy::incoming(text);
            assert_eq!(again.as_ref(), Ok(&legacy::Incoming::Message(message.clone())));
            assert_eq!(message.made_at(&sender, NOW).unwrap_or(NOW), at);
            let send = Send { nonce: None, messages: vec![Ok(message.outgoing(id))] };
            assert_eq!(addressed(&send).len(), usize::from(matches!(message.to, Recipient::Group(_))));
            let acceptance = accept(send, &sender, &BTreeMap::new(), &BTreeMap::new(), NOW);
            for scheduled in &acceptance.jobs {
                let Job::Deliver(job) = &scheduled.job else { panic!("a group that nobody has read") };
                assert_eq!(job.envelope.from, Sender::from(sender.clone()), "nobody is who a frame says");
            }
        }
        Ok(legacy::Incoming::Ping) => assert_eq!(text, "ping"),
        Ok(legacy::Incoming::Ack(_) | legacy::Incoming::Ignored(_)) => {}
        Err(refused) => assert_discreet(refused.detail),
    }
}

/// Valid frames of old clients.
pub fn old_frame_seeds() -> Vec<String> {
    let head = r#"{"type":"chat","to":"bob","from":"eve","ephemeral":true,"contentType":"text","action":"state"}"#;
    vec![
        format!(r#"{{"_v":2.1,"id":"a1755500000000","head":{head},"meta":{{"createdAt":1755500000000}},"body":{{"text":"{MARK}"}}}}"#),
        format!(r#"{{"msgId":"a1","from":"eve","to":"team","type":"text","chatType":"group","text":"{MARK}"}}"#),
        r#"{"_v":2,"id":"a1","head":{"to":"alice","contentType":"CLIENT_ACK"}}"#.to_owned(),
        r#"{"_v":2,"id":"r1","head":{"type":"chat","to":"bob","contentType":"notification","action":"state"},"body":{"ids":["a1"],"state":"read"}}"#.to_owned(),
        // A message of version 3 from eve to carol.
        "DQAAQEASAmIyGAIgATIDZXZlOgVjYXJvbEICe30=".to_owned(),
        "ping".to_owned(),
    ]
}

/// Whatever a client can read of the server, it reads again the same after rendering it.
pub fn server_frame(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(frame) = ServerFrame::parse(text) else { return };
    let rendered = frame.render();
    assert_eq!(ServerFrame::parse(&rendered).as_ref(), Some(&frame), "{rendered}");
}

/// Valid frames of the server.
pub fn server_frame_seeds() -> Vec<String> {
    let refused = format!(r#"[{{"index":1,"id":null,"code":"invalid_id","detail":"{MARK}"}}]"#);
    vec![
        format!(r#"{{"type":"accepted","ids":["{ID}"],"refused":{refused},"at":1755500000000,"nonce":"n"}}"#),
        pack_page(&[delivery(0, "hi \u{ffff}"), delivery(1, "\u{1f600}")], true, Nonce::new("n".to_owned()).as_ref()),
        ServerFrame::Drained { reconnect_by: NOW }.render(),
        ServerFrame::Device { nonce: Nonce::new("n".to_owned()) }.render(),
        ServerFrame::Error { code: Code::Displaced, detail: "why".to_owned(), nonce: None }.render(),
        r#"{"type":"pong"}"#.to_owned(),
        r#"{"message":"Internal server error","connectionId":"c=","requestId":"r="}"#.to_owned(),
    ]
}

/// Most envelopes in a test of packing: enough for several frames, few enough to be quick.
const MAX_PACKED: usize = 24;

/// Packing keeps the order and loses nothing, and only an envelope that is too large by itself exceeds a frame. Every two bytes
/// are an envelope: how large, and of what.
pub fn packing(data: &[u8]) {
    let deliveries: Vec<Delivery> = data
        .as_chunks::<2>()
        .0
        .iter()
        .take(MAX_PACKED)
        .enumerate()
        .map(|(n, [size, what])| {
            // What JSON writes as one byte, as two, as six, and a name that looks like the place where envelopes go.
            let piece = ["x", "\"", "\u{1}", "[]"][usize::from(what % 4)];
            delivery(n, &piece.repeat(usize::from(*size) * (1 + usize::from(what / 8))))
        })
        .collect();
    let mut unpacked = Vec::new();
    for (frame, count) in pack(&deliveries) {
        assert!(frame.len() <= MAX_SERVER_FRAME_BYTES || count == 1, "{count} envelopes in {} bytes", frame.len());
        let Some(ServerFrame::Messages { messages, more: None, nonce: None }) = ServerFrame::parse(&frame) else {
            panic!("a client could not read {frame}")
        };
        assert_eq!(messages.len(), count);
        unpacked.extend(messages);
    }
    assert!(unpacked == deliveries, "packing changed, lost or moved an envelope");
    let is_last = data.len().is_multiple_of(2);
    let nonce = Nonce::new("\u{1}".repeat(data.len() % (MAX_NONCE_CHARS + 1)));
    let page = pack_page(&deliveries, !is_last, nonce.as_ref());
    let Some(ServerFrame::Messages { messages, more: Some(more), nonce: echoed }) = ServerFrame::parse(&page) else {
        panic!("a client could not read {page}")
    };
    assert!(page.len() <= MAX_SERVER_FRAME_BYTES || messages.len() == 1, "{} in {} bytes", messages.len(), page.len());
    assert!(deliveries.starts_with(&messages), "a page begins at the beginning");
    assert_eq!((more, echoed), (!is_last || messages.len() < deliveries.len(), nonce));
    assert!(!messages.is_empty() || deliveries.is_empty(), "a page that carries nothing would be asked for for ever");
}

fn delivery(n: usize, text: &str) -> Delivery {
    let id: MessageId = known(&format!("0198a5c0-7c00-7abc-8def-{n:012x}"));
    let from: Sender = known("alice");
    Delivery {
        reference: Ref {
            id,
            sender: from.clone(),
            shelf: if n.is_multiple_of(2) { Shelf::Own } else { Shelf::Unclaimed },
            watched: n.is_multiple_of(3),
        },
        id,
        from,
        to: Recipient::User(known("bob")),
        kind: Kind::Message,
        at: Timestamp::from_millis(1_755_500_000_000),
        attempt: 1,
        urgency: Urgency::default(),
        body: Body::text(text),
    }
}

/// Envelopes of several sizes.
pub fn packing_seeds() -> Vec<String> {
    vec!["@@".repeat(40), "xA~}~}~~zz".to_owned(), "\u{1}\u{2}x\u{3}".repeat(60)]
}
