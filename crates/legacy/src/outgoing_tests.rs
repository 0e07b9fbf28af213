//! Every frame that an old client is told, and that its sender is who the delivery says.

use std::collections::HashMap;

use expect_test::expect;
use protocol::limits::{MAX_CLIENT_MESSAGE_BYTES, MAX_SERVER_FRAME_BYTES};
use protocol::packing::frame_bytes;
use protocol::{Ref, Sender, Shelf, Urgency};
use serde_json::{Value, json};

use super::*;
use crate::incoming::tests::v3;
use crate::{Incoming, incoming, names, visible_id};

const ID: &str = "018bcfe5-6800-7abc-8def-0123456789ab";

/// An envelope of a message.
pub(crate) fn delivered(from: &str, to: &Recipient, body: Body) -> Delivery {
    let (id, from): (MessageId, Sender) = (ID.parse().expect("an id"), from.parse().expect("a sender"));
    Delivery {
        reference: Ref { id, sender: from.clone(), shelf: Shelf::Own, watched: false },
        id,
        from,
        to: to.clone(),
        kind: Kind::Message,
        at: Timestamp::from_millis(1_700_000_000_999),
        attempt: 1,
        urgency: Urgency::default(),
        body,
    }
}

fn bob() -> Recipient {
    Recipient::User("bob".parse().expect("a user"))
}

fn team() -> Recipient {
    Recipient::Group("team".parse().expect("a group"))
}

fn body(json: &str) -> Body {
    Body::from_json(json.to_owned()).expect("JSON")
}

/// What the recipient of an old frame is told when alice sent it.
fn passed_on(frame: &str, format: Format) -> String {
    let Ok(Incoming::Message(message)) = incoming(frame) else { panic!("{frame}") };
    delivery(&delivered("alice", &message.to, message.body), format)
}

fn value(frame: &str) -> Value {
    serde_json::from_str(frame).expect("JSON")
}

const V2: &str = r#"{"_v":2.1,"id":"a1","head":{"type":"individual","to":"bob","from":"eve","ephemeral":true,"contentType":"Text","action":"message","category":"user","chatid":"c1","x":[1.50, {"from":null}]},"meta":{"hash":"f00","n":1.0},"body":{"text":"h\u0069","ts":1}}"#;

#[test]
fn a_message_of_version_2_comes_back() {
    let told = passed_on(V2, Format::Json);
    expect![[r#"{"_v":2.1,"id":"a1","head":{"type":"INDIVIDUAL","from":"alice","to":"bob","contentType":"Text","ephemeral":true,"action":"message","category":"user","chatid":"c1","x":[1.50, {"from":null}]},"meta":{"hash":"f00","n":1.0},"body":{"text":"h\u0069","ts":1},"from":"alice","to":"bob","msgId":"a1","type":"Text","chatId":"c1","text":"h\u0069","module":"INDIVIDUAL","action":"message","chatType":"INDIVIDUAL"}"#]]
        .assert_eq(&told);
    let mut expected = value(V2);
    expected["head"]["from"] = json!("alice");
    expected["head"]["type"] = json!("INDIVIDUAL");
    for key in ["_v", "id", "head", "meta", "body"] {
        assert_eq!(value(&told)[key], expected[key], "{key}");
    }
}

#[test]
fn a_message_of_version_1_comes_back() {
    let sent = r#"{"msgId":"a1","from":"eve","to":"team","type":"text","chatType":"GROUP","chatId":"c1","text":"hi","module":"GROUP","action":"message","state":"1"}"#;
    let told = passed_on(sent, Format::Json);
    expect![[r#"{"_v":2.1,"id":"a1","head":{"type":"GROUP","from":"alice","to":"team","contentType":"text","ephemeral":false,"chatid":"c1","module":"GROUP","action":"message","state":"1","category":"message"},"meta":{},"body":{"text":"hi"},"from":"alice","to":"team","msgId":"a1","type":"text","chatId":"c1","text":"hi","module":"GROUP","action":"message","chatType":"GROUP","state":"1"}"#]]
        .assert_eq(&told);
    for (key, expected) in value(sent).as_object().expect("an object") {
        let expected = if key == "from" { &json!("alice") } else { expected };
        assert_eq!(&value(&told)[key], expected, "{key}");
    }
}

#[test]
fn a_message_of_version_3_comes_back() {
    for content in [b"".as_slice(), br#"{"text": "hi"}"#, b"null", b"\"x\"", b"hello", b"\xff\x00"] {
        let sent = v3(|message| {
            message.r#type = proto::Type::Custom.into();
            message.channel = proto::Channel::Group.into();
            message.ephemeral = true;
            message.content = content.to_vec();
            message.meta.insert("contentType".to_owned(), "sticker".to_owned());
        });
        let told = proto::decode(&passed_on(&sent, Format::Base64)).expect("a message");
        let mut expected = proto::decode(&sent).expect("a message");
        expected.source = "alice".to_owned();
        expected.meta.remove("from");
        expected.server_id = ID.to_owned();
        expected.server_timestamp = 1_700_000_000_999;
        assert_eq!(told, expected);
    }
}

#[test]
fn a_client_of_one_version_understands_another() {
    let told = proto::decode(&passed_on(V2, Format::Base64)).expect("a message");
    assert_eq!((told.id.as_str(), told.source.as_str(), told.destination.as_str()), ("a1", "alice", "bob"));
    assert_eq!(
        (told.r#type(), told.channel(), told.ephemeral),
        (proto::Type::Message, proto::Channel::Individual, true)
    );
    assert_eq!(told.content, br#"{"text":"h\u0069","ts":1}"#);
    let expected = [
        ("_mhash", "f00"),
        ("_mn", "1.0"),
        ("action", "message"),
        ("category", "user"),
        ("chatid", "c1"),
        ("contentType", "Text"),
        ("x", r#"[1.50, {"from":null}]"#),
    ];
    assert_eq!(told.meta, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());

    let told = value(&passed_on(&v3(|message| message.r#type = proto::Type::Notification.into()), Format::Json));
    assert_eq!((&told["head"]["contentType"], &told["text"]), (&json!("NOTIFICATION"), &json!("hi")));
    assert_eq!((&told["meta"], &told["head"]["action"]), (&json!({"hash": "md5"}), &json!("message")));
    let told = value(&passed_on(&v3(|message| message.content = vec![0xff]), Format::Json));
    assert_eq!((&told["body"], &told["text"]), (&json!({}), &json!("[unknown]")));
}

#[test]
fn an_old_message_lacks_nothing_that_the_app_needs() {
    let told = value(&passed_on(
        r#"{"_v":2,"id":"a1","head":{"type":"chat","to":"bob","action":null},"body":null}"#,
        Format::Json,
    ));
    assert_eq!(told["head"]["type"], "CHAT");
    assert_eq!((&told["head"]["contentType"], &told["head"]["action"]), (&json!("MESSAGE"), &json!("message")));
    assert_eq!((&told["body"], &told["meta"], &told["action"]), (&json!({}), &json!({}), &json!("message")));
    let receipt =
        r#"{"_v":2,"id":"a1","head":{"type":"chat","to":"bob","action":"state","contentType":"notification"}}"#;
    assert_eq!(value(&passed_on(receipt, Format::Json))["head"]["category"], "system");
}

#[test]
fn a_new_message_is_an_old_one() {
    let told = delivery(&delivered("alice", &bob(), Body::text("hi \"bob\"")), Format::Json);
    expect![[r#"{"_v":2.1,"id":"018bcfe5-6800-7abc-8def-0123456789ab","head":{"type":"INDIVIDUAL","from":"alice","to":"bob","contentType":"text","ephemeral":false,"action":"message","category":"message"},"meta":{},"body":{"text":"hi \"bob\""},"from":"alice","to":"bob","msgId":"018bcfe5-6800-7abc-8def-0123456789ab","type":"text","chatId":"bob","text":"hi \"bob\"","module":"INDIVIDUAL","action":"message","chatType":"INDIVIDUAL"}"#]]
        .assert_eq(&told);
    for (json, content_type, old, text) in [
        (r#"{"text":"hi","b":1}"#, "text", json!({"text": "hi", "b": 1}), json!("hi")),
        (r#"{"a":1,"a":2}"#, "other", json!({"a": 2}), json!("[unknown]")),
        (r#"{"text":7}"#, "other", json!({"text": 7}), json!(7)),
        ("[1, 2]", "text", json!({"text": "[1, 2]"}), json!("[1, 2]")),
        ("null", "text", json!({"text": "null"}), json!("null")),
        ("1.50", "text", json!({"text": "1.50"}), json!("1.50")),
        (r#""\ud800""#, "text", json!({"text": r#""\ud800""#}), json!(r#""\ud800""#)),
    ] {
        let envelope = delivered("alice", &team(), body(json));
        let told = value(&delivery(&envelope, Format::Json));
        assert_eq!(
            (&told["head"]["contentType"], &told["body"], &told["text"]),
            (&json!(content_type), &old, &text),
            "{json}"
        );
        assert_eq!((&told["chatId"], &told["head"]["type"]), (&json!("team"), &json!("GROUP")));
        let told = proto::decode(&delivery(&envelope, Format::Base64)).expect("a message");
        assert_eq!(serde_json::from_slice::<Value>(&told.content).expect("JSON"), old);
        assert_eq!((told.channel(), told.timestamp), (proto::Channel::Group, 1_700_000_000_999));
    }
}

#[test]
fn news_are_notifications_from_the_server() {
    let told_of = |json: &str, format| {
        let envelope = Delivery { kind: Kind::System, ..delivered("~system", &team(), body(json)) };
        delivery(&envelope, format)
    };
    let told = told_of(r#"{"event":"created","by":"alice","name":"us","users":["bob"]}"#, Format::Json);
    expect![[r#"{"_v":2.1,"id":"018bcfe5-6800-7abc-8def-0123456789ab","head":{"type":"GROUP","from":"server","to":"team","contentType":"NOTIFICATION","ephemeral":false,"action":"add","category":"system"},"meta":{},"body":{"event":"created","by":"alice","name":"us","users":["bob"],"added":["bob"]},"from":"server","to":"team","msgId":"018bcfe5-6800-7abc-8def-0123456789ab","type":"NOTIFICATION","chatId":"team","text":"[unknown]","module":"GROUP","action":"add","chatType":"GROUP"}"#]]
        .assert_eq(&told);
    for (event, action, whom) in [("left", "remove", json!(["bob"])), ("renamed", "renamed", Value::Null)] {
        let told = value(&told_of(&format!(r#"{{"event":"{event}","users":["bob"]}}"#), Format::Json));
        assert_eq!((&told["action"], &told["body"]["removed"]), (&json!(action), &whom));
    }
    let told = proto::decode(&told_of("7", Format::Base64)).expect("a message");
    assert_eq!((told.r#type(), told.source.as_str()), (proto::Type::Notification, "server"));
    assert_eq!(told.content, b"{}");
}

#[test]
fn a_server_ack_is_the_original_s() {
    let (id, alice) = (ClientId::new("a1".to_owned()).expect("an id"), "alice".parse().expect("a user"));
    let ack = |format| server_ack(&id, &alice, ID.parse().expect("an id"), Timestamp::from_millis(5), format);
    expect![[r#"{"_v":2.1,"id":"a1","head":{"type":"INDIVIDUAL","from":"server","to":"alice","contentType":"SERVER_ACK","ephemeral":true,"category":"message"},"meta":{},"body":{},"from":"server","to":"alice","msgId":"a1","type":"SERVER_ACK","chatId":"alice","text":"[unknown]","module":"INDIVIDUAL","chatType":"INDIVIDUAL"}"#]]
        .assert_eq(&ack(Format::Json));
    let told = proto::decode(&ack(Format::Base64)).expect("a message");
    let expected = proto::Message {
        version: 3.0,
        id: "a1".to_owned(),
        channel: proto::Channel::Individual.into(),
        ephemeral: true,
        source: "server".to_owned(),
        destination: "alice".to_owned(),
        timestamp: 5,
        server_id: ID.to_owned(),
        server_timestamp: 5,
        ..proto::Message::default()
    };
    assert_eq!(told, expected);
}

/// Bodies are not read on the way, so a new client can send whatever an old one could not.
#[test]
fn no_body_makes_somebody_else_its_sender() {
    let fields = r#""from":"eve","to":"eve","msgId":"eve","chatId":"eve""#;
    let head = r#""from":"eve","to":"eve","type":"GROUP""#;
    for forged in [
        format!(r#"{{"vartalap":"legacy",{fields},"id":"a1","head":{{{head}}},"body":{{{fields}}}}}"#),
        format!(r#"{{"_v":2.1,{fields},"head":{{{head}}}}}"#),
        format!(r#"{{"text":"hi",{fields}}}"#),
    ] {
        let envelope = delivered("alice", &bob(), body(&forged));
        let told = value(&delivery(&envelope, Format::Json));
        for (key, expected) in [("from", "alice"), ("to", "bob")] {
            assert_eq!((&told[key], &told["head"][key]), (&json!(expected), &json!(expected)), "{forged}");
        }
        assert_eq!((&told["head"]["type"], &told["chatId"]), (&json!("INDIVIDUAL"), &json!("bob")));
        let told = proto::decode(&delivery(&envelope, Format::Base64)).expect("a message");
        assert_eq!((told.source.as_str(), told.destination.as_str()), ("alice", "bob"));
        assert!(!told.meta.contains_key("from") && !told.meta.contains_key("to"));
    }
}

#[test]
fn a_body_that_no_old_client_could_have_sent_is_a_new_one() {
    let long = "x".repeat(129);
    for forged in [
        r#"{"vartalap":"legacy","id":"a1","head":{"contentType":"server_ack"},"body":{}}"#,
        r#"{"vartalap":"legacy","id":"a1","type":"SERVER_ACK","head":{"contentType":"text"},"body":{}}"#,
        r#"{"vartalap":"legacy","id":"a1","head":{"contentType":"CLIENT_ACK"},"type":"MESSAGE"}"#,
        r#"{"vartalap":"legacy","id":"","head":{}}"#,
        &format!(r#"{{"vartalap":"legacy","id":"{long}","head":{{}}}}"#),
        r#"{"vartalap":"legacy","head":{}}"#,
        r#"{"vartalap":"legacy","id":"a1","head":7}"#,
        r#"{"vartalap":"legacy","id":"a1","id":"a2","head":{}}"#,
        r#"{"vartalap":"legacy","id":"a1","head":{"x":1,"x":2}}"#,
        r#"{"vartalap":"legacy","id":"a1","meta":[]}"#,
        r#"{"vartalap":"legacy","id":"a1","content":"!"}"#,
        r#"{"vartalap":"legacy","id":"a1","content":"/wA=","body":1}"#,
        r#"{"id":"a1","vartalap":"legacy","head":{}}"#,
        r#"{"vartalap":"shown","ids":[]}"#,
    ] {
        let envelope = delivered("alice", &bob(), body(forged));
        assert_eq!(visible_id(envelope.id, envelope.kind, &envelope.body).as_str(), ID, "{forged}");
        let told = value(&delivery(&envelope, Format::Json));
        assert_eq!((&told["id"], &told["head"]["contentType"]), (&json!(ID), &json!("other")), "{forged}");
        let told = proto::decode(&delivery(&envelope, Format::Base64)).expect("a message");
        assert_eq!((told.id.as_str(), told.r#type()), (ID, proto::Type::Message), "{forged}");
    }
}

#[test]
fn what_an_old_client_is_told_can_be_acked() {
    for (sent, sender) in [(Body::text("hi"), "alice"), (body(r#"{"vartalap":"legacy","id":"a1","head":{}}"#), "alice")]
    {
        let envelope = delivered(sender, &bob(), sent);
        let told = value(&delivery(&envelope, Format::Json));
        let ack =
            json!({"_v": 2.1, "id": told["id"], "head": {"contentType": "CLIENT_ACK", "to": told["head"]["from"]}});
        let Ok(Incoming::Ack(ack)) = incoming(&ack.to_string()) else { panic!("{ack}") };
        assert!(names(&ack, envelope.id, &envelope.from, envelope.kind, &envelope.body));
    }
}

#[test]
fn a_long_text_is_told_once_so_that_its_frame_fits() {
    for (letters, twice) in [(15_000, true), (17_000, false), (29_000, false)] {
        let text = "x".repeat(letters);
        for body in [Body::text(&text), body(&format!(r#"{{"text":"{text}"}}"#))] {
            let told = delivery(&delivered("alice", &bob(), body), Format::Json);
            assert!(told.len() <= MAX_CLIENT_FRAME_BYTES, "{} bytes", told.len());
            assert_eq!(value(&told)["body"]["text"], json!(text));
            assert_eq!(value(&told)["text"], if twice { json!(text) } else { json!("[unknown]") });
        }
    }
}

#[test]
fn what_fits_a_frame_fits_what_api_gateway_sends() {
    let escapes = "\\".repeat(29_000);
    let bodies: HashMap<&str, String> = HashMap::from([
        ("text", format!("\"{}\"", "x".repeat(29_000))),
        ("object", format!(r#"{{"text":"{}"}}"#, "x".repeat(29_000))),
        ("escapes in a list", format!(r#"["{escapes}"]"#)),
        ("quotes in a list", format!("[{}\"\"]", "\"\",".repeat(9_600))),
        ("an action", format!(r#"{{"vartalap":"legacy","id":"a1","head":{{"action":"{escapes}"}}}}"#)),
        ("a chat", format!(r#"{{"vartalap":"legacy","id":"a1","head":{{"chatid":"{escapes}"}}}}"#)),
        (
            "controls",
            format!(r#"{{"vartalap":"legacy","id":"a1","head":{{"contentType":"{}"}}}}"#, "\\u0001".repeat(4_800)),
        ),
    ]);
    for (name, json) in bodies {
        let envelope = delivered("alice", &bob(), body(&json));
        assert!(frame_bytes(&envelope) <= MAX_SERVER_FRAME_BYTES, "{name}");
        for format in [Format::Json, Format::Base64] {
            let bytes = delivery(&envelope, format).len();
            assert!(bytes <= MAX_CLIENT_MESSAGE_BYTES, "{name}: {bytes} bytes in {format:?}");
        }
    }
}
