//! Every frame of the server as it goes over the wire, and back.

use expect_test::{Expect, expect};

use super::*;
use crate::reference::Shelf;

/// The envelope of the `n`th message from alice to bob.
pub(crate) fn delivery(n: u64, text: &str) -> Delivery {
    let id: MessageId = format!("0198a5c0-7c00-7abc-8def-{n:012x}").parse().expect("an id");
    let from: Sender = "alice".parse().expect("a user");
    Delivery {
        reference: Ref { id, sender: from.clone(), shelf: Shelf::Own, watched: false },
        id,
        from,
        to: Recipient::User("bob".parse().expect("a user")),
        kind: Kind::Message,
        at: Timestamp::from_millis(1_755_500_000_000),
        attempt: 1,
        urgency: Urgency::default(),
        body: Body::text(text),
    }
}

fn check(frame: &ServerFrame, expected: &Expect) {
    expected.assert_eq(&frame.render());
    assert_eq!(ServerFrame::parse(&frame.render()).as_ref(), Some(frame));
}

#[test]
fn accepted() {
    let refused = Refusal { index: 1, id: None, code: Code::InvalidId, detail: "why".to_owned() };
    check(
        &ServerFrame::Accepted {
            ids: vec![delivery(7, "").id],
            refused: vec![refused],
            at: Timestamp::from_millis(5),
            nonce: Nonce::new("n".to_owned()),
        },
        &expect![[
            r#"{"type":"accepted","ids":["0198a5c0-7c00-7abc-8def-000000000007"],"refused":[{"index":1,"id":null,"code":"invalid_id","detail":"why"}],"at":5,"nonce":"n"}"#
        ]],
    );
}

#[test]
fn messages() {
    check(
        &ServerFrame::Messages { messages: vec![delivery(7, "hi")], more: None, nonce: None },
        &expect![[
            r#"{"type":"messages","messages":[{"ref":"0198a5c0-7c00-7abc-8def-000000000007~alice","id":"0198a5c0-7c00-7abc-8def-000000000007","from":"alice","to":{"user":"bob"},"kind":"message","at":1755500000000,"attempt":1,"body":"hi"}]}"#
        ]],
    );
    let quiet = Delivery { urgency: Urgency::Quiet, ..delivery(7, "hi") };
    let frame = ServerFrame::Messages { messages: vec![quiet], more: None, nonce: None };
    assert!(frame.render().ends_with(r#""attempt":1,"urgency":"quiet","body":"hi"}]}"#), "{}", frame.render());
    assert_eq!(ServerFrame::parse(&frame.render()), Some(frame));
    let later = ServerFrame::parse(&frame_of_a_later_version());
    let Some(ServerFrame::Messages { messages, .. }) = later else { panic!("{later:?}") };
    assert_eq!(messages[0].urgency, Urgency::Urgent);
    check(
        &ServerFrame::Messages { messages: Vec::new(), more: Some(false), nonce: None },
        &expect![[r#"{"type":"messages","messages":[],"more":false}"#]],
    );
}

/// A word that is not known is read as the default, so that nothing is kept from anybody.
fn frame_of_a_later_version() -> String {
    let frame = ServerFrame::Messages { messages: vec![delivery(7, "hi")], more: None, nonce: None };
    frame.render().replace(r#""attempt":1"#, r#""attempt":1,"urgency":"deafening""#)
}

#[test]
fn drained() {
    check(
        &ServerFrame::Drained { reconnect_by: Timestamp::from_millis(7_200_000) },
        &expect![[r#"{"type":"drained","reconnect_by":7200000}"#]],
    );
}

#[test]
fn device() {
    check(&ServerFrame::Device { nonce: None }, &expect![[r#"{"type":"device"}"#]]);
    check(&ServerFrame::Device { nonce: Nonce::new("n".to_owned()) }, &expect![[r#"{"type":"device","nonce":"n"}"#]]);
}

#[test]
fn error() {
    check(
        &ServerFrame::Error { code: Code::UnknownAction, detail: "why".to_owned(), nonce: None },
        &expect![[r#"{"type":"error","code":"unknown_action","detail":"why"}"#]],
    );
}

#[test]
fn pong() {
    check(&ServerFrame::Pong { nonce: None }, &expect![[r#"{"type":"pong"}"#]]);
}

#[test]
fn what_a_client_does_not_know_is_ignored() {
    for text in ["", "{}", r#"{"type":"presence"}"#, r#"{"message":"Forbidden","connectionId":"x"}"#] {
        assert_eq!(ServerFrame::parse(text), None, "{text}");
    }
}

#[test]
fn a_word_of_a_later_version_spoils_no_frame() {
    let known = ServerFrame::Messages { messages: vec![delivery(7, "hi"), delivery(8, "hi")], more: None, nonce: None };
    let later = known.render().replacen(r#""kind":"message""#, r#""kind":"gift""#, 1);
    let Some(ServerFrame::Messages { messages, .. }) = ServerFrame::parse(&later) else { panic!("{later}") };
    assert_eq!(messages.iter().map(|one| one.kind).collect::<Vec<_>>(), [Kind::Unknown, Kind::Message]);
    let error = r#"{"type":"error","code":"later","detail":"why"}"#;
    assert!(matches!(ServerFrame::parse(error), Some(ServerFrame::Error { code: Code::Unknown, .. })));
}
