//! Every frame of a client: what is taken, what is refused and with which code, and what clients render.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::ids::UserId;
use crate::notices::{Notices, Quiet};
use crate::push::PushTarget;

const ID: &str = "0198a5c0-7c00-7abc-8def-0123456789ab";
const FILE: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn send_of(message: &str) -> Result<Outgoing, Code> {
    let frame = format!(r#"{{"action":"send","messages":[{message}]}}"#);
    match ClientFrame::parse(&frame) {
        Ok(ClientFrame::Send(mut send)) => send.messages.remove(0).map_err(|refusal| refusal.code),
        Ok(other) => panic!("{other:?}"),
        Err(rejected) => Err(rejected.code),
    }
}

fn rejection_of(frame: &str) -> Code {
    ClientFrame::parse(frame).expect_err(frame).code
}

#[test]
fn a_message_is_read() {
    let message = send_of(&format!(
        r#"{{"id":"{ID}","to":{{"user":"bob"}},"body":{{"a": 1,"a":2}},"expires_in":60,"receipts":true,"later":true}}"#
    ))
    .expect("a message");
    assert_eq!(message.urgency, Urgency::Urgent);
    assert_eq!(message.to, Recipient::User("bob".parse::<UserId>().expect("a user")));
    assert_eq!(message.body.as_json(), r#"{"a": 1,"a":2}"#, "a body is not read");
    assert_eq!(message.expires_in, Some(60));
    assert!(!message.ephemeral && message.receipts);
}

#[test]
fn a_message_names_each_attachment_once() {
    let other = FILE.replace('0', "1");
    let list = format!(r#"["{FILE}","{other}","{FILE}"]"#);
    let message = send_of(&format!(r#"{{"id":"{ID}","to":{{"user":"bob"}},"body":1,"attachments":{list}}}"#));
    let message = message.expect("a message");
    assert_eq!(message.attachments.iter().map(ToString::to_string).collect::<Vec<_>>(), [FILE.to_owned(), other]);
    let again = ClientFrame::parse(&ClientFrame::render_send(std::slice::from_ref(&message), None));
    assert_eq!(again, Ok(ClientFrame::Send(Send { nonce: None, messages: vec![Ok(message)] })));
}

#[test]
fn a_message_says_how_urgent_it_is() {
    for (word, urgency) in [("urgent", Urgency::Urgent), ("quiet", Urgency::Quiet), ("silent", Urgency::Silent)] {
        let message = send_of(&format!(r#"{{"id":"{ID}","to":{{"user":"bob"}},"body":1,"urgency":"{word}"}}"#));
        let message = message.expect(word);
        assert_eq!(message.urgency, urgency);
        let again = ClientFrame::parse(&ClientFrame::render_send(std::slice::from_ref(&message), None));
        assert_eq!(again, Ok(ClientFrame::Send(Send { nonce: None, messages: vec![Ok(message)] })));
    }
}

#[test]
fn any_json_value_is_a_body() {
    for body in ["null", "0", "\"\"", "[]", "{}", "false"] {
        let message = send_of(&format!(r#"{{"id":"{ID}","to":{{"user":"bob"}},"body":{body}}}"#)).expect(body);
        assert_eq!(message.body.as_json(), body);
    }
}

#[test]
fn a_bad_message_has_a_code() {
    let good = format!(r#""id":"{ID}","to":{{"user":"bob"}},"body":1"#);
    for (message, code) in [
        ("7".to_owned(), Code::InvalidMessage),
        (r#"{"to":{"user":"bob"},"body":1}"#.to_owned(), Code::InvalidId),
        (r#"{"id":7,"to":{"user":"bob"},"body":1}"#.to_owned(), Code::InvalidId),
        (r#"{"id":"x","to":{"user":"bob"},"body":1}"#.to_owned(), Code::InvalidId),
        (format!(r#"{{"id":"{}","to":{{"user":"bob"}},"body":1}}"#, ID.replace("-7a", "-4a")), Code::InvalidId),
        (format!(r#"{{"id":"{ID}","body":1}}"#), Code::InvalidRecipient),
        (format!(r#"{{"id":"{ID}","to":"bob","body":1}}"#), Code::InvalidRecipient),
        (format!(r#"{{"id":"{ID}","to":{{"user":"b#b"}},"body":1}}"#), Code::InvalidRecipient),
        (format!(r#"{{"id":"{ID}","to":{{"user":"b","group":"g"}},"body":1}}"#), Code::InvalidRecipient),
        (format!(r#"{{"id":"{ID}","to":{{}},"body":1}}"#), Code::InvalidRecipient),
        (format!(r#"{{"id":"{ID}","to":{{"user":"b","user":"b"}},"body":1}}"#), Code::InvalidFrame),
        (format!(r#"{{"id":"{ID}","to":{{"user":"bob"}}}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"ephemeral":1}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"receipts":"yes"}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"receipts":true,"ephemeral":true}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"urgency":"loud"}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"urgency":["quiet"]}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"expires_in":-1}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"expires_in":0}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"expires_in":1.5}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"expires_in":2592001}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"attachments":[]}}"#), Code::InvalidAttachment),
        (format!(r#"{{{good},"attachments":null}}"#), Code::InvalidAttachment),
        (format!(r#"{{{good},"attachments":"{FILE}"}}"#), Code::InvalidAttachment),
        (format!(r#"{{{good},"attachments":["x"]}}"#), Code::InvalidAttachment),
        (format!(r#"{{{good},"attachments":["{FILE}",7]}}"#), Code::InvalidAttachment),
        (format!(r#"{{{good},"attachments":["{}"]}}"#, FILE.to_uppercase()), Code::InvalidAttachment),
        (format!(r#"{{{good},"attachments":["{}"]}}"#, [FILE; 11].join("\",\"")), Code::InvalidAttachment),
        (format!(r#"{{{good},"attachments":["{FILE}"],"ephemeral":true}}"#), Code::InvalidMessage),
        (format!(r#"{{{good},"body":2}}"#), Code::InvalidFrame),
    ] {
        assert_eq!(send_of(&message), Err(code), "{message}");
    }
}

#[test]
fn one_bad_message_refuses_that_message_alone() {
    let good = format!(r#"{{"id":"{ID}","to":{{"user":"bob"}},"body":1}}"#);
    let frame = format!(r#"{{"action":"send","nonce":"n","messages":[{good},{{"id":"x"}},{good}]}}"#);
    let Ok(ClientFrame::Send(send)) = ClientFrame::parse(&frame) else { panic!("{frame}") };
    assert_eq!(send.nonce.as_ref().map(Nonce::as_str), Some("n"));
    assert!(send.messages[0].is_ok() && send.messages[2].is_ok());
    let refusal = send.messages[1].as_ref().expect_err("refused");
    assert_eq!((refusal.index, refusal.id.as_deref(), refusal.code), (1, Some("x"), Code::InvalidId));
}

#[test]
fn a_bad_frame_has_a_code() {
    for frame in [
        "",
        "hello",
        "[]",
        "7",
        "null",
        "{",
        r#"{"action":"send"}"#,
        r#"{"action":"send","messages":[]}"#,
        r#"{"action":"send","messages":{}}"#,
        &format!(r#"{{"action":"send","messages":[{}]}}"#, ["{}"; 26].join(",")),
        r#"{"action":"ping","action":"ack"}"#,
        r#"{"action":"ping","x":1,"x":2}"#,
        r#"{"action":"ping"} {}"#,
        &format!(r#"{{"action":"ping","nonce":"{}"}}"#, "n".repeat(65)),
        r#"{"action":"ping","nonce":7}"#,
        r#"{"action":"ack"}"#,
        r#"{"action":"ack","refs":[]}"#,
        r#"{"action":"read","refs":"all"}"#,
        r#"{"action":"sync","limit":0}"#,
        r#"{"action":"sync","limit":101}"#,
        r#"{"action":"sync","limit":"7"}"#,
        r#"{"action":"device","presence":1}"#,
        r#"{"action":"device","push":null}"#,
        r#"{"action":"device","push":[{"service":"fcm","token":"a","token":"b"}]}"#,
        r#"{"action":"device","push":[{"service":"pigeon","token":"a"}]}"#,
        r#"{"action":"device","notices":{"quiet":"at night"}}"#,
        r#"{"action":"device","presence":true,"presence":false}"#,
    ] {
        assert_eq!(rejection_of(frame), Code::InvalidFrame, "{frame}");
    }
    for frame in ["{}", r#"{"action":"dance"}"#, r#"{"action":7}"#, r#"{"action":null}"#, r#"{"action":"SEND"}"#] {
        assert_eq!(rejection_of(frame), Code::UnknownAction, "{frame}");
    }
    for frame in [r#"{"action":"sync","after":"x"}"#, r#"{"action":"sync","after":7}"#] {
        assert_eq!(rejection_of(frame), Code::InvalidCursor, "{frame}");
    }
}

#[test]
fn an_action_may_be_written_with_escapes() {
    assert_eq!(ClientFrame::parse(r#"{"\u0061ction":"p\u0069ng"}"#), Ok(ClientFrame::Ping { nonce: None }));
}

#[test]
fn a_rejection_is_short_and_quotes_nothing() {
    let secret = "\u{200b}secret".repeat(10_000);
    for frame in [
        format!(r#""{secret}""#),
        format!(r#"{{"{secret}":1,"{secret}":2}}"#),
        format!(r#"{{"action":"{secret}"}}"#),
        format!(r#"{{"action":"send","messages":[{{"{secret}":1,"{secret}":2}}]}}"#),
        format!(r#"{{"action":"sync","after":"{secret}"}}"#),
        format!(r#"{{"action":"ping","nonce":"{secret}"}}"#),
        format!(r#"{{"action":"device","push":[{{"service":"fcm","token":"{secret}"}}]}}"#),
        format!(r#"{{"action":"device","notices":{{"quiet":"{secret}"}}}}"#),
    ] {
        let rejected = ClientFrame::parse(&frame).expect_err("rejected");
        assert!(rejected.detail.len() < 200 && !rejected.detail.contains("secret"), "{}", rejected.detail);
    }
}

#[test]
fn an_ack_keeps_each_ref_once_and_counts_garbage() {
    let frame = format!(r#"{{"action":"ack","refs":["{ID}~alice","{ID}~alice","{ID}~alice~*","garbage",7]}}"#);
    let Ok(ClientFrame::Ack(ack)) = ClientFrame::parse(&frame) else { panic!("{frame}") };
    let refs: Vec<String> = ack.refs.iter().map(ToString::to_string).collect();
    assert_eq!(refs, [format!("{ID}~alice"), format!("{ID}~alice~*")]);
    assert_eq!(ack.malformed, 2);
}

#[test]
fn a_device_says_as_much_as_it_wants_and_each_target_once() {
    let read = |members: &str| match ClientFrame::parse(&format!(r#"{{"action":"device"{members}}}"#)) {
        Ok(ClientFrame::Device { nonce: None, said }) => said,
        other => panic!("{members}: {other:?}"),
    };
    assert_eq!(read(""), Enrolment::default());
    assert_eq!(read(r#","presence":true"#), Enrolment { presence: Some(true), ..Enrolment::default() });
    assert_eq!(read(r#","push":[],"later":1"#), Enrolment { push: Some(Vec::new()), ..Enrolment::default() });
    let twice = read(r#","push":[{"service":"fcm","token":"t"},{"service":"fcm","token":"t"}]"#);
    assert_eq!(twice.push, Some(vec![PushTarget::Fcm { token: "t".to_owned() }]));
    let default = Enrolment { notices: Some(Notices::default()), ..Enrolment::default() };
    assert_eq!(read(r#","notices":{}"#), default);
    let target = |n: usize| format!(r#"{{"service":"fcm","token":"t{n}"}}"#);
    let long = |n: usize| format!(r#"{{"service":"fcm","token":"{n}{}"}}"#, "x".repeat(1_010));
    for targets in [(0..5).map(target).collect::<Vec<_>>(), (0..3).map(long).collect()] {
        let frame = format!(r#"{{"action":"device","nonce":"n","push":[{}]}}"#, targets.join(","));
        let rejected = ClientFrame::parse(&frame).expect_err("too many, or too long");
        assert_eq!((rejected.code, rejected.nonce), (Code::InvalidFrame, Nonce::new("n".to_owned())));
        assert!(rejected.detail.contains("at most 4 push targets, 3 KB"), "{}", rejected.detail);
    }
}

#[test]
fn clients_render_what_the_server_reads() {
    let to = Recipient::User("bob".parse().expect("a user"));
    let message = Outgoing::new(ID.parse().expect("an id"), to, Body::text("hi"));
    let send = ClientFrame::render_send(std::slice::from_ref(&message), None);
    expect![[
        r#"{"action":"send","messages":[{"id":"0198a5c0-7c00-7abc-8def-0123456789ab","to":{"user":"bob"},"body":"hi"}]}"#
    ]]
    .assert_eq(&send);
    let parsed = ClientFrame::parse(&send);
    assert_eq!(parsed, Ok(ClientFrame::Send(Send { nonce: None, messages: vec![Ok(message)] })));

    let reference: Ref = format!("{ID}~alice").parse().expect("a ref");
    let ack = ClientFrame::render_ack(std::slice::from_ref(&reference));
    expect![[r#"{"action":"ack","refs":["0198a5c0-7c00-7abc-8def-0123456789ab~alice"]}"#]].assert_eq(&ack);
    let read = ClientFrame::render_read(std::slice::from_ref(&reference));
    let refs = vec![reference.clone()];
    assert_eq!(ClientFrame::parse(&read), Ok(ClientFrame::Read(Ack { nonce: None, refs, malformed: 0 })));
    let sync = ClientFrame::render_sync(Some(&reference), Some(5), None);
    expect![[r#"{"action":"sync","after":"0198a5c0-7c00-7abc-8def-0123456789ab~alice","limit":5}"#]].assert_eq(&sync);
    assert_eq!(
        ClientFrame::parse(&sync),
        Ok(ClientFrame::Sync(Sync { nonce: None, after: Some(reference), limit: 5 }))
    );
    let said = Enrolment {
        presence: Some(false),
        push: Some(vec![PushTarget::Fcm { token: "t".to_owned() }]),
        notices: Some(Notices { preview: true, quiet: Quiet::Always }),
    };
    let device = ClientFrame::render_device(&said, Nonce::new("n".to_owned()).as_ref());
    expect![[
        r#"{"action":"device","presence":false,"push":[{"service":"fcm","token":"t"}],"notices":{"preview":true,"quiet":"always"},"nonce":"n"}"#
    ]]
    .assert_eq(&device);
    assert_eq!(ClientFrame::parse(&device), Ok(ClientFrame::Device { nonce: Nonce::new("n".to_owned()), said }));
    assert_eq!(ClientFrame::parse(&ClientFrame::render_ping()), Ok(ClientFrame::Ping { nonce: None }));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = ClientFrame::parse(&text);
    }

    #[test]
    fn no_json_makes_it_panic(action in "send|ack|read|sync|device|ping", value in "[\\[\\]{}\",:0-9a-z~*]{0,80}") {
        let lists = format!(r#""messages":[{value}],"refs":[{value}],"push":[{value}]"#);
        let _ = ClientFrame::parse(&format!(r#"{{"action":"{action}",{lists}}}"#));
    }
}
