//! Every frame of an old client: what is taken and as what, what is refused and with which code. Rendering is tested elsewhere.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::names;
use crate::outgoing::{delivery, tests::delivered};

fn message(text: &str) -> LegacyMessage {
    match incoming(text) {
        Ok(Incoming::Message(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn code(text: &str) -> Code {
    incoming(text).expect_err(text).code
}

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

pub(crate) fn v3(change: impl FnOnce(&mut proto::Message)) -> String {
    let mut message = proto::Message {
        version: 3.0,
        id: "alice17000000000001".to_owned(),
        r#type: proto::Type::Message.into(),
        channel: proto::Channel::Individual.into(),
        source: "eve".to_owned(),
        destination: "bob".to_owned(),
        content: br#"{"text":"hi"}"#.to_vec(),
        timestamp: 1_700_000_000_000,
        meta: [("action", "message"), ("_mhash", "md5"), ("from", "eve")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..proto::Message::default()
    };
    change(&mut message);
    proto::encode(&message)
}

#[test]
fn ping() {
    assert_eq!(incoming("ping"), Ok(Incoming::Ping));
    for other in ["Ping", "ping ", "\"ping\""] {
        assert!(incoming(other).is_err(), "{other}");
    }
}

/// As the original's app sends it, with a spoofed sender.
#[test]
fn version_2() {
    let message = message(
        r#"{"_v":2.1,"id":"-5f3a","head":{"to":"bob","from":"eve","action":"message","chatid":"c1","type":"individual",
           "contentType":"text","category":"message","ephemeral":false,"x":[1.50, {"y":null}]},
           "meta":{"contentHash":"f00","createdAt":1700000000000},"body":{"text":"hi","state": "new"}}"#,
    );
    assert_eq!((message.format, message.id.as_str(), message.kind), (Format::Json, "-5f3a", Type::Message));
    assert_eq!((&message.to, message.ephemeral), (&Recipient::User(user("bob")), false));
    expect![[r#"{"vartalap":"legacy","id":"-5f3a","head":{"contentType":"text","action":"message","chatid":"c1","category":"message","x":[1.50, {"y":null}]},"meta":{"contentHash":"f00","createdAt":1700000000000},"body":{"text":"hi","state": "new"}}"#]]
        .assert_eq(message.body.as_json());
}

#[test]
fn a_notification_is_for_the_app_alone() {
    for (content_type, urgency) in
        [("NOTIFICATION", Urgency::Silent), ("CUSTOM", Urgency::Urgent), ("text", Urgency::Urgent)]
    {
        let text = format!(
            r#"{{"_v":2.1,"id":"1","head":{{"to":"bob","type":"individual","contentType":"{content_type}"}},"body":{{}}}}"#
        );
        let id = "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id");
        assert_eq!(message(&text).outgoing(id).urgency, urgency, "{content_type}");
    }
}

/// As the first clients send it.
#[test]
fn version_1() {
    let text = r#"{"msgId":"alice17000000000001","from":"eve","to":"team","type":"text","chatType":"GROUP","chatId":"c1","text":"hi","module":"message","action":"message","state":1}"#;
    let message = message(text);
    assert_eq!((message.format, message.kind), (Format::Json, Type::Message));
    assert_eq!(message.to, Recipient::Group("team".parse().expect("a group")));
    expect![[r#"{"vartalap":"legacy","id":"alice17000000000001","head":{"contentType":"text","chatid":"c1","module":"message","action":"message","state":1},"body":{"text":"hi"}}"#]]
        .assert_eq(message.body.as_json());
}

#[test]
fn version_3() {
    let message = message(&v3(|_| {}));
    assert_eq!((message.format, message.kind), (Format::Base64, Type::Message));
    assert_eq!(message.to, Recipient::User(user("bob")));
    expect![[r#"{"vartalap":"legacy","id":"alice17000000000001","timestamp":1700000000000,"head":{"action":"message"},"meta":{"hash":"md5"},"body":{"text":"hi"}}"#]]
        .assert_eq(message.body.as_json());
}

#[test]
fn a_protobuf_message_may_carry_no_json_and_a_type_of_its_own() {
    let message = message(&v3(|message| {
        message.r#type = proto::Type::Custom.into();
        message.channel = proto::Channel::Group.into();
        message.ephemeral = true;
        message.content = vec![0xff, 0];
        message.timestamp = 0;
        message.meta = [("contentType".to_owned(), "sticker".to_owned())].into();
    }));
    assert_eq!((message.kind, message.ephemeral), (Type::Custom, true));
    expect![[r#"{"vartalap":"legacy","id":"alice17000000000001","type":"CUSTOM","head":{"contentType":"sticker","ephemeral":true},"content":"/wA="}"#]]
        .assert_eq(message.body.as_json());
}

#[test]
fn words_are_read_in_any_case_and_dialect() {
    for (frame, to, kind, ephemeral) in [
        (r#"{"_v":2,"id":"1","head":{"type":"Chat","to":"b","ephemeral":"True"}}"#, "b", Type::Message, true),
        (r#"{"_v":"2.1","id":"1","head":{"type":"Group","to":"g","contentType":"custom"}}"#, "g", Type::Custom, false),
        (
            r#"{"_v":3,"id":"1","head":{"type":"chat","to":"b","contentType":"Notification"}}"#,
            "b",
            Type::Notification,
            false,
        ),
        (r#"{"_v":1.0,"msgId":"1","chatType":"chat","to":"b","type":"MESSAGE"}"#, "b", Type::Message, false),
        (r#"{"_v":null,"msgId":"1","module":"individual","to":"b"}"#, "b", Type::Message, false),
        (r#"{"msgId":"1","chatType":"group","to":"","chatId":"g"}"#, "g", Type::Message, false),
        (r#"{"_\u0076":2,"\u0069d":"1","head":{"t\u0079pe":"ch\u0061t","to":"\u0062"}}"#, "b", Type::Message, false),
    ] {
        let message = message(frame);
        let found = match &message.to {
            Recipient::User(user) => user.as_str(),
            Recipient::Group(group) => group.as_str(),
        };
        assert_eq!((found, message.kind, message.ephemeral), (to, kind, ephemeral), "{frame}");
    }
}

#[test]
fn a_bad_frame_has_a_code() {
    let head = r#""head":{"type":"chat","to":"bob","contentType":"text"}"#;
    let long = "x".repeat(129);
    for (frame, expected) in [
        (String::new(), Code::InvalidFrame),
        ("hello, world".to_owned(), Code::InvalidFrame),
        ("[]".to_owned(), Code::InvalidFrame),
        ("{".to_owned(), Code::InvalidFrame),
        (format!(r#"{{"_v":2,"id":"1",{head}}} {{}}"#), Code::InvalidFrame),
        (format!(r#"{{"_v":"two","id":"1",{head}}}"#), Code::InvalidFrame),
        (format!(r#"{{"_v":[2],"id":"1",{head}}}"#), Code::InvalidFrame),
        (format!(r#"{{"_v":2,"id":"1",{head},{head}}}"#), Code::InvalidFrame),
        (format!(r#"{{"_v":2,"id":"1",{head},"\u0069d":"2"}}"#), Code::InvalidFrame),
        (r#"{"_v":2,"id":"1","head":{"type":"chat","to":"bob","to":"eve"}}"#.to_owned(), Code::InvalidFrame),
        (r#"{"_v":2,"id":"1","head":[]}"#.to_owned(), Code::InvalidFrame),
        (r#"{"_v":2,"id":"1"}"#.to_owned(), Code::InvalidFrame),
        (format!(r#"{{"_v":2,"id":"1",{head},"meta":[]}}"#), Code::InvalidFrame),
        (format!(r#"{{"_v":2,"id":"1",{head},"meta":{{"a":1,"a":2}}}}"#), Code::InvalidFrame),
        ("{}".to_owned(), Code::InvalidId),
        (format!(r#"{{"_v":2,{head}}}"#), Code::InvalidId),
        (format!(r#"{{"_v":2,"id":"",{head}}}"#), Code::InvalidId),
        (format!(r#"{{"_v":2,"id":7,{head}}}"#), Code::InvalidId),
        (format!(r#"{{"_v":2,"id":"{long}",{head}}}"#), Code::InvalidId),
        (format!(r#"{{"_v":2,"msgId":"1",{head}}}"#), Code::InvalidId),
        (r#"{"id":"1","chatType":"chat","to":"bob"}"#.to_owned(), Code::InvalidId),
        (r#"{"_v":2,"id":"1","head":{"type":"chat"}}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"_v":2,"id":"1","head":{"type":"chat","to":7}}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"_v":2,"id":"1","head":{"type":"chat","to":"b b"}}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"_v":2,"id":"1","head":{"type":"chat","to":"~system"}}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"_v":2,"id":"1","head":{"type":"chat","to":"server"}}"#.to_owned(), Code::InvalidRecipient),
        (format!(r#"{{"_v":2,"id":"1","head":{{"type":"group","to":"{long}"}}}}"#), Code::InvalidRecipient),
        (r#"{"_v":2,"id":"1","head":{"type":"channel","to":"bob"}}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"_v":2,"id":"1","head":{"to":"bob"}}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"msgId":"1","to":"bob"}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"msgId":"1","chatType":"chat"}"#.to_owned(), Code::InvalidRecipient),
        (r#"{"_v":2,"id":"1","head":{"type":7,"to":"bob"}}"#.to_owned(), Code::InvalidMessage),
        (r#"{"_v":2,"id":"1","head":{"type":"chat","to":"bob","contentType":7}}"#.to_owned(), Code::InvalidMessage),
        (r#"{"_v":2,"id":"1","head":{"type":"chat","to":"bob","ephemeral":1}}"#.to_owned(), Code::InvalidMessage),
        (r#"{"msgId":"1","chatType":"chat","to":"bob","type":{}}"#.to_owned(), Code::InvalidMessage),
        (v3(|message| message.id.clear()), Code::InvalidId),
        (v3(|message| message.id = "x".repeat(129)), Code::InvalidId),
        (v3(|message| message.destination.clear()), Code::InvalidRecipient),
        (v3(|message| message.channel = 0), Code::InvalidRecipient),
        (v3(|message| message.channel = 77), Code::InvalidRecipient),
        (
            v3(|message| drop(message.meta.insert("contentType".to_owned(), "server_ack".to_owned()))),
            Code::InvalidMessage,
        ),
        (format!("{{{}}}", " ".repeat(MAX_CLIENT_MESSAGE_BYTES)), Code::TooLarge),
    ] {
        assert_eq!(code(&frame), expected, "{}", &frame[..frame.len().min(200)]);
    }
}

#[test]
fn a_refusal_says_which_message_it_is_about() {
    let refused = incoming(r#"{"_v":2,"id":"a1","head":{"type":"chat","to":"secret place"}}"#).expect_err("refused");
    assert_eq!(refused.id.as_ref().map(ClientId::as_str), Some("a1"));
    assert_eq!(incoming("{}").expect_err("refused").id, None);
}

#[test]
fn an_ack_is_read_in_every_version() {
    let to_alice = |text: &str| match incoming(text) {
        Ok(Incoming::Ack(ack)) => ack,
        other => panic!("{text}: {other:?}"),
    };
    let expected = Ack { id: ClientId::new("a1".to_owned()).expect("an id"), sender: Some(user("alice")) };
    for frame in [
        r#"{"_v":2.1,"id":"a1","head":{"type":"individual","to":"alice","from":"eve","contentType":"CLIENT_ACK"}}"#
            .to_owned(),
        r#"{"_v":2,"id":"a1","head":{"to":"alice","contentType":"client_ack"}}"#.to_owned(),
        r#"{"msgId":"a1","to":"alice","from":"eve","type":"CLIENT_ACK","chatType":"CLIENT_ACK","chatId":"c"}"#
            .to_owned(),
        v3(|ack| {
            ack.id = "a1".to_owned();
            ack.r#type = proto::Type::ClientAck.into();
            ack.destination = "alice".to_owned();
            ack.channel = 0;
        }),
    ] {
        assert_eq!(to_alice(&frame), expected, "{frame}");
    }
    let to_nobody = r#"{"msgId":"a1","type":"CLIENT_ACK","chatId":"team"}"#;
    assert_eq!(to_alice(to_nobody).sender, None, "a chat is no sender");
    assert_eq!(code(r#"{"_v":2,"id":"a1","head":{"to":"a b","contentType":"CLIENT_ACK"}}"#), Code::InvalidRecipient);
    assert_eq!(code(r#"{"_v":2,"head":{"to":"alice","contentType":"CLIENT_ACK"}}"#), Code::InvalidId);
}

#[test]
fn what_is_for_the_server_alone_or_from_it_is_ignored() {
    let frame = r#"{"_v":2,"id":"a1","head":{"type":"chat","to":"bob","contentType":"SERVER_ACK"}}"#;
    assert_eq!(incoming(frame), Ok(Incoming::Ignored(Ignored::ServerAck)));
    assert_eq!(incoming(&v3(|message| message.r#type = 0)), Ok(Incoming::Ignored(Ignored::ServerAck)));
    let frame = r#"{"_v":2,"id":"a1","head":{"type":"individual","to":"server","contentType":"notification"}}"#;
    assert_eq!(incoming(frame), Ok(Incoming::Ignored(Ignored::ToServer)));
}

#[test]
fn a_receipt_acks_what_it_names() {
    let receipt = |action: &str, kind: &str, to: &str, body: &str| {
        message(&format!(
            r#"{{"_v":2.1,"id":"r1","head":{{"type":"{to}","to":"alice","action":"{action}","contentType":"{kind}"}},"body":{body}}}"#
        ))
        .receipt()
    };
    let good = r#"{"ids":["a1","","a2"],"state":"Delivered"}"#;
    let acks = receipt("state", "notification", "individual", good);
    assert_eq!(acks.iter().map(|ack| ack.id.as_str()).collect::<Vec<_>>(), ["a1", "a2"]);
    assert!(acks.iter().all(|ack| ack.sender == Some(user("alice"))));
    assert_eq!(receipt("state", "notification", "individual", r#"{"ids":["a1"],"state":"read"}"#).len(), 1);
    let ids = vec!["\"a\""; 1000].join(",");
    let many = format!(r#"{{"ids":[{ids}],"state":"read"}}"#);
    assert_eq!(receipt("state", "notification", "individual", &many).len(), MAX_REFS_PER_ACK);
    for none in [
        receipt("typing", "notification", "individual", good),
        receipt("state", "text", "individual", good),
        receipt("state", "notification", "group", good),
        receipt("state", "notification", "individual", r#"{"ids":["a1"],"state":"sent"}"#),
        receipt("state", "notification", "individual", r#"{"ids":"a1","state":"read"}"#),
        receipt("state", "notification", "individual", "7"),
    ] {
        assert_eq!(none, []);
    }
}

#[test]
fn a_message_says_when_it_was_made() {
    const MADE: u64 = 1_700_000_000_000;
    let now = Timestamp::from_millis(MADE + 5);
    let of = |id: &str, meta: &str| {
        message(&format!(r#"{{"_v":2,"id":"{id}","head":{{"type":"chat","to":"bob"}},"meta":{meta}}}"#))
            .made_at(&user("alice"), now)
    };
    let some = Some(Timestamp::from_millis(MADE));
    assert_eq!(of("alice17000000000001", "{}"), some);
    assert_eq!(of("alice17000000000001", r#"{"createdAt":1700000000001}"#), some, "the id comes first");
    assert_eq!(of("alice10000000000001", r#"{"createdAt":1700000000000}"#), some, "but not one of another decade");
    assert_eq!(of("x", r#"{"generate_ts":1700000000000}"#), some);
    assert_eq!(of("x", r#"{"createdAt":"1700000000000"}"#), some);
    assert_eq!(of("x", r#"{"createdAt":1.7e12}"#), None);
    assert_eq!(of("x", r#"{"createdAt":"soon"}"#), None);
    for (timestamp, expected) in
        [(MADE, some), (MADE / 1000, some), (0, None), (u64::MAX, None), (MADE - 604_800_000, None)]
    {
        let frame = v3(|message| {
            message.id = "x".to_owned();
            message.timestamp = timestamp;
        });
        assert_eq!(message(&frame).made_at(&user("alice"), now), expected, "{timestamp}");
    }
    let early = Timestamp::from_millis(MADE - 300_001);
    assert_eq!(
        message(r#"{"msgId":"alice1700000000000","chatType":"chat","to":"bob"}"#).made_at(&user("alice"), early),
        None
    );
}

#[test]
fn depth_and_number_of_members_are_no_matter() {
    let deep = "[".repeat(60_000) + &"]".repeat(60_000);
    for frame in [
        format!(r#"{{"_v":2,"id":"1","head":{{"type":"chat","to":"bob","x":{deep}}}}}"#),
        format!(r#"{{"_v":2,"id":"1","head":{{"type":"chat","to":"bob"}},"body":{deep}}}"#),
        format!(r#"{{"_v":2,"id":"1","head":{{"type":"chat","to":"bob"}},"body":{{"text":{deep}}}}}"#),
        format!(r#"{{"msgId":"1","chatType":"chat","to":"bob","text":{deep}}}"#),
    ] {
        check(&frame);
        message(&frame);
    }
    let wide = (0..10_000).map(|n| format!(r#""{n}":{n}"#)).collect::<Vec<_>>().join(",");
    check(&format!(r#"{{"_v":2,"id":"1","head":{{"type":"chat","to":"bob",{wide}}}}}"#));
    check(&format!(r#"{{"_v":2,"id":"1","head":{{"type":"chat","to":"bob"}},"meta":{{{wide}}}}}"#));
}

/// Whatever a frame is, it is read or refused, and what was read can be told to an old client, who says the same when it
/// repeats it.
fn check(frame: &str) {
    let message = match incoming(frame) {
        Ok(Incoming::Message(message)) => message,
        Ok(Incoming::Ping | Incoming::Ack(_) | Incoming::Ignored(_)) => return,
        Err(Refused { code, .. }) => {
            let known =
                [Code::InvalidFrame, Code::InvalidId, Code::InvalidRecipient, Code::InvalidMessage, Code::TooLarge];
            assert!(known.contains(&code), "{code:?}");
            return;
        }
    };
    let envelope = delivered("alice", &message.to, message.body.clone());
    let ack = Ack { id: message.id.clone(), sender: Some(user("alice")) };
    assert!(names(&ack, envelope.id, &envelope.from, envelope.kind, &envelope.body));
    message.receipt();
    message.made_at(&user("alice"), envelope.at);
    for format in [Format::Json, Format::Base64] {
        let told = delivery(&envelope, format);
        if told.len() > MAX_CLIENT_MESSAGE_BYTES {
            continue;
        }
        let Ok(Incoming::Message(again)) = incoming(&told) else { panic!("{told}") };
        assert_eq!((&again.id, &again.to, again.ephemeral), (&message.id, &message.to, message.ephemeral));
        assert_eq!(delivery(&delivered("alice", &again.to, again.body), format), told);
    }
}

/// Frames to make others of.
fn seeds() -> Vec<String> {
    let v2 = r#"{"_v":2.1,"id":"alice17000000000001","head":{"type":"chat","to":"bob","from":"eve","ephemeral":true,"contentType":"text","action":"state","x":null},"meta":{"createdAt":1700000000000},"body":{"text":"hi"}}"#;
    let v1 = r#"{"msgId":"a1","from":"eve","to":"team","type":"text","chatType":"group","chatId":"team","text":"hi","module":"m","action":"a","state":1}"#;
    let ack = r#"{"_v":2,"id":"a1","head":{"to":"alice","contentType":"CLIENT_ACK"}}"#;
    vec![v2.to_owned(), v1.to_owned(), ack.to_owned(), v3(|_| {}), v3(|message| message.content = vec![0xff])]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof!["null|true|false|0|-1.50|1e400", r#""(\\u0041|\\ud800|\\n|[a-z~é])*""#];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(", "))),
            prop::collection::vec(("[a-c_]{0,2}", inner), 0..4).prop_map(|members| {
                let members = members.into_iter().map(|(key, value)| format!("\"{key}\":{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        check(&text);
    }

    #[test]
    fn any_bytes_in_base64_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use base64::Engine as _;
        check(&base64::engine::general_purpose::STANDARD.encode(bytes));
    }

    #[test]
    fn a_frame_with_a_few_other_characters_is_read_or_refused(
        seed in prop::sample::select(seeds()),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..4usize, "[{}\\[\\]\",:\\\\a-zA-Z0-9+=/\u{fffe}]{0,3}"),
            1..6,
        ),
    ) {
        let mut characters: Vec<char> = seed.chars().collect();
        for (at, length, other) in edits {
            let at = at.index(characters.len() + 1);
            let end = (at + length).min(characters.len());
            characters.splice(at..end, other.chars());
        }
        check(&characters.into_iter().collect::<String>());
    }

    #[test]
    fn any_values_are_read_or_refused(
        key in prop::sample::select(vec![
            "type", "to", "from", "contentType", "ephemeral", "action", "category", "chatid", "_m", "x",
        ]),
        (value, meta, body) in (json(), json(), json()),
    ) {
        check(&format!(r#"{{"_v":2,"id":"1","head":{{"type":"group","to":"g","{key}":{value}}},"meta":{meta},"body":{body}}}"#));
        check(&format!(r#"{{"_v":2,"id":"1","head":{{"type":"chat","to":"b","y":{value}}},"body":{body}}}"#));
        check(&format!(r#"{{"msgId":"1","chatType":"chat","to":"b","{key}":{value},"text":{body}}}"#));
        check(&v3(|message| {
            message.content = body.clone().into_bytes();
            message.meta.insert(key.to_owned(), value.clone());
            message.meta.insert(format!("_m{key}"), meta.clone());
        }));
    }
}
