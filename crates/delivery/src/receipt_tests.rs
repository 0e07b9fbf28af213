//! Who is told of an ack or a read, and who is not.

use protocol::Notices;

use super::*;
use crate::envelope::{Connection, Dialect};

const ID: &str = "0198a5c0-7c00-7abc-8def-00000000000";

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

fn device(name: &str) -> DeviceId {
    name.parse().expect("a device")
}

fn name(n: u64, from: &str) -> MessageName {
    MessageName { id: format!("{ID}{n}").parse().expect("an id"), from: from.parse().expect("a sender") }
}

fn row(receipts: bool, shared: bool) -> Option<AckedRow> {
    Some(AckedRow { receipts, expires_at: Timestamp::from_secs(2_000_000_000), shared, urgency: Urgency::Urgent })
}

fn acked(event: ReceiptEvent, messages: &[(MessageName, Option<AckedRow>)]) -> Acked {
    let messages = messages.iter().map(|(name, row)| AckedMessage { name: name.clone(), row: *row }).collect();
    let id = format!("{ID}9").parse().expect("an id");
    Acked { id, user: user("bob"), device: device("phone"), event, messages, round: 0 }
}

/// Who is told of which messages, but for what.
fn said(tidings: &Tidings) -> Vec<(String, Option<String>, Vec<MessageName>)> {
    let line = |deliver: &Deliver| {
        let receipt = Receipt::of(&deliver.envelope.body).expect("a receipt");
        assert_eq!((receipt.by, &deliver.envelope.from), (user("bob"), &Sender::System));
        (deliver.recipient.to_string(), deliver.except.as_ref().map(ToString::to_string), receipt.messages)
    };
    tidings.delivers.iter().map(line).collect()
}

fn told(name: MessageName, event: ReceiptEvent) -> Told {
    Told { user: user("bob"), name, event, expires_at: Timestamp::from_secs(2_000_000_000) }
}

use ReceiptEvent::{Delivered, Read};

#[test]
fn a_sender_is_told_once_of_all_that_asked() {
    let messages = [
        (name(1, "alice"), row(true, false)),
        (name(2, "carol"), row(true, false)),
        (name(3, "alice"), row(false, false)),
        (name(4, "alice"), row(true, false)),
    ];
    let tidings = tidings(&acked(Delivered, &messages), &[], false);
    let alice = vec![name(1, "alice"), name(4, "alice")];
    assert_eq!(said(&tidings), [("alice".into(), None, alice), ("carol".into(), None, vec![name(2, "carol")])]);
    assert_eq!(tidings.told.len(), 3);
    assert_eq!(tidings.delivers[0].envelope.expires_at.as_secs() - tidings.delivers[0].envelope.at.as_secs(), 86_400);
}

#[test]
fn what_was_told_is_not_told_again() {
    let message = [(name(1, "alice"), row(true, true))];
    for (event, before, is_told) in
        [(Delivered, Delivered, false), (Delivered, Read, false), (Read, Read, false), (Read, Delivered, true)]
    {
        let tidings = tidings(&acked(event, &message), &[told(name(1, "alice"), before)], false);
        assert_eq!(!tidings.delivers.is_empty(), is_told, "{event:?} after {before:?}");
        assert_eq!(!tidings.told.is_empty(), is_told);
    }
}

#[test]
fn what_is_told_again_has_the_id_that_it_had_and_what_is_left_to_tell_another() {
    let both = acked(Delivered, &[(name(1, "alice"), row(true, false)), (name(2, "alice"), row(true, false))]);
    let ids = |before: &[Told]| tidings(&both, before, false).delivers[0].envelope.id;
    assert_eq!(ids(&[]), ids(&[]));
    assert_ne!(ids(&[]), ids(&[told(name(1, "alice"), Delivered)]), "it would replace a receipt that says more");
}

#[test]
fn nobody_can_forge_a_receipt() {
    // A row that did not ask, and no row at all.
    for (event, row) in [(Delivered, row(false, false)), (Read, row(false, false)), (Read, None)] {
        assert_eq!(tidings(&acked(event, &[(name(1, "alice"), row)]), &[], false), Tidings::default());
    }
    // What was acked before can be read now.
    let read = acked(Read, &[(name(1, "alice"), None)]);
    assert_eq!(in_question(&read), [name(1, "alice")]);
    let read = tidings(&read, &[told(name(1, "alice"), Delivered)], false);
    assert_eq!(said(&read), [("alice".into(), None, vec![name(1, "alice")])]);
}

#[test]
fn a_read_that_came_before_its_ack_was_told_is_asked_about_twice_more() {
    let messages = [
        (name(1, "alice"), None),
        (name(2, "alice"), None),
        (name(3, "alice"), row(true, true)),
        (name(4, "~system"), None),
        (name(5, "bob"), None),
    ];
    let read = acked(Read, &messages);
    let before = [told(name(2, "alice"), Delivered)];
    let mut waits = Vec::new();
    let mut next = left(&read, &before);
    while let Some(Scheduled { job, delay }) = next.take() {
        let Job::Acked(again) = job else { panic!("{job:?}") };
        assert_eq!(again.messages, [AckedMessage { name: name(1, "alice"), row: None }]);
        assert_eq!(said(&tidings(&again, &[told(name(1, "alice"), Delivered)], false)).len(), 1);
        assert_eq!(left(&again, &[told(name(1, "alice"), Delivered)]), None);
        waits.push(delay.as_secs());
        next = left(&again, &before);
    }
    assert_eq!(waits, [2, 20]);
    assert_eq!(left(&acked(Delivered, &messages[2..3]), &[]), None);
}

#[test]
fn other_devices_are_told_of_what_they_may_have() {
    let messages = [
        (name(1, "alice"), row(false, true)),
        (name(2, "alice"), row(false, false)),
        (name(3, "~system"), row(false, true)),
        (name(4, "bob"), row(true, true)),
    ];
    let own = vec![name(1, "alice"), name(3, "~system"), name(4, "bob")];
    let job = acked(Delivered, &messages);
    assert_eq!(in_question(&job), [name(4, "bob")]);
    let told = tidings(&job, &[], true);
    let receipt = Receipt::of(&told.posted.expect("an envelope").body).expect("a receipt");
    assert_eq!((receipt.event, receipt.messages, told.delivers), (Delivered, own.clone(), vec![]));
    let read = tidings(&acked(Read, &messages), &[], true);
    assert_eq!(said(&read), [("bob".into(), Some("phone".into()), own)]);
    assert_eq!((read.posted, read.delivers[0].ephemeral), (None, false));
    assert_eq!(tidings(&job, &[], false), Tidings::default(), "there is no other device");
}

#[test]
fn of_an_ack_those_are_told_who_were_there() {
    let at = acked(Delivered, &[]).id.timestamp();
    let secs = Duration::from_secs;
    let device = |name: &str, connected_at: Option<Timestamp>| {
        let connection =
            connected_at.map(|connected_at| Connection { id: name.into(), connected_at, dialect: Dialect::Current });
        Device {
            id: device(name),
            connection,
            last_seen: at,
            shows_presence: false,
            push: vec![],
            notices: Notices::default(),
            known_since: None,
            last_wake: None,
        }
    };
    let before = Some(at.minus(secs(1)));
    let devices =
        [device("phone", before), device("tablet", before), device("laptop", Some(at)), device("watch", None)];
    for (event, expected) in [(Delivered, &["tablet"][..]), (Read, &["tablet", "laptop", "watch"])] {
        let told = listeners(&acked(event, &[]), &devices);
        assert_eq!(told.iter().map(|device| device.id.as_str()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn what_was_pushed_is_taken_back_from_devices_that_are_not_there() {
    let made_at = name(2, "alice").id.timestamp();
    let id = new_message_id(made_at.minus(Duration::from_secs(5)), &mut Rng::with_seed(1));
    let older = MessageName { id, from: "alice".parse().expect("a user") };
    let messages = [(older.clone(), row(false, true)), (name(2, "alice"), row(false, true)), (name(3, "alice"), None)];
    let job = acked(Delivered, &messages);
    let pushed_to = |name: &str, last_wake: Option<Timestamp>, is_there: bool, targets: usize| Device {
        id: device(name),
        connection: is_there.then(|| Connection { id: name.into(), connected_at: made_at, dialect: Dialect::Current }),
        last_seen: made_at,
        shows_presence: false,
        push: vec![protocol::PushTarget::Fcm { token: "token".to_owned() }; targets],
        notices: Notices::default(),
        known_since: None,
        last_wake,
    };
    let before = made_at.minus(Duration::from_secs(1));
    let devices = [
        pushed_to("phone", Some(made_at), false, 1),
        pushed_to("tablet", Some(made_at), false, 1),
        pushed_to("there", Some(made_at), true, 1),
        pushed_to("nowhere", Some(made_at), false, 0),
        pushed_to("never", None, false, 1),
        pushed_to("earlier", Some(before), false, 1),
    ];
    let taken_back = withdrawals(&job, &devices);
    let said: Vec<(String, String, Reason)> = taken_back
        .iter()
        .map(|one| (one.device.as_ref().expect("a device").to_string(), one.reference.to_string(), one.reason))
        .collect();
    // Of what came after its last wake a summary is on its way to the second.
    let expected = [("tablet", format!("{ID}2~alice")), ("earlier", format!("{}~alice", older.id))];
    assert_eq!(said, expected.map(|(name, reference)| (name.to_owned(), reference, Reason::Acked)));
    assert!(withdrawals(&acked(Read, &messages[2..]), &devices).is_empty(), "its row was gone before");
    assert!(withdrawals(&acked(Delivered, &[(name(1, "alice"), row(false, false))]), &devices).is_empty());
}

#[test]
fn only_a_read_speaks_of_what_is_gone() {
    let reference: Ref = format!("{ID}1~alice~!").parse().expect("a ref");
    for (lookup, event, is_told) in [
        (Lookup::Missing, Delivered, false),
        (Lookup::Missing, Read, true),
        (Lookup::Unreadable, Read, false),
        (Lookup::Unprocessed, Read, false),
    ] {
        assert_eq!(!super::acked(event, [(&reference, &lookup)]).is_empty(), is_told, "{lookup:?} {event:?}");
    }
}
