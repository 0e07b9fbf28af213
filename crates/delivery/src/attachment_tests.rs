//! What is taken, what a record gives to whom, and which attachments of a `send` are looked for.

use protocol::{Body, Kind, Outgoing, Recipient, Urgency};

use super::*;
use crate::envelope::Envelope;
use crate::job::Fanout;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_999);

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

fn media_type(text: &str) -> MediaType {
    text.parse().expect("a type")
}

fn admit(rules: &AttachmentRules, kind: &str, bytes: u64) -> Result<Attachment, Code> {
    let admitted = rules.admit(AttachmentId::new(7), user("alice"), media_type(kind), bytes, NOW);
    admitted.map_err(|not| not.code)
}

#[test]
fn a_file_is_taken_by_its_type_and_size() {
    let rules = AttachmentRules::default();
    let taken = admit(&rules, "image/jpeg", 100 * 1024 * 1024).expect("it is taken");
    assert_eq!((taken.bytes, taken.media_type.as_str(), taken.uploader.as_str()), (104_857_600, "image/jpeg", "alice"));
    assert_eq!(taken.expires_at, Timestamp::from_secs(1_800_000_000 + 60 * 86_400), "in whole seconds, and not later");
    assert!(!taken.is_expired(NOW) && taken.is_expired(taken.expires_at));
    assert_eq!(admit(&rules, "image/jpeg", 100 * 1024 * 1024 + 1), Err(Code::TooLarge));
    for kind in ["text/html", "application/javascript", "application/pdfx", "imag/jpeg", "images/jpeg"] {
        assert_eq!(admit(&rules, kind, 1), Err(Code::InvalidRequest), "{kind}");
    }
    for kind in ["image/svg+xml", "video/mp4", "audio/ogg", "text/plain", "application/octet-stream"] {
        assert!(admit(&rules, kind, 1).is_ok(), "{kind}");
    }
}

#[test]
fn rules_are_read_or_refused() {
    assert!("image/*, application/PDF".parse::<MediaTypes>().expect("types").take(&media_type("application/pdf")));
    assert_eq!(MediaTypes::default().to_string().replace(' ', ""), DEFAULT_TYPES);
    for bad in ["", "*", "*/*", "image", "image/*,", "/*", "image/*/*"] {
        assert!(bad.parse::<MediaTypes>().is_err(), "{bad}");
    }
    assert_eq!("5368709120".parse(), Ok(MaxBytes(LARGEST_UPLOAD)));
    for bad in ["", "0", "-1", "5368709121", "1e3"] {
        assert!(bad.parse::<MaxBytes>().is_err(), "{bad}");
    }
    assert_eq!("3650".parse(), Ok(Days(3_650)));
    for bad in ["", "0", "3651", "1.5"] {
        assert!(bad.parse::<Days>().is_err(), "{bad}");
    }
}

fn message(ids: std::ops::Range<u128>) -> Outgoing {
    let id = "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id");
    let attachments = ids.map(AttachmentId::new).collect();
    Outgoing { attachments, ..Outgoing::new(id, Recipient::User(user("bob")), Body::text("hi")) }
}

#[test]
fn the_attachments_of_a_send_are_looked_for_up_to_a_hundred() {
    let mut messages: Vec<_> = (0..10).map(|n| Ok(message(n * 9..n * 9 + 10))).collect();
    let send = |messages: &[Result<Outgoing, protocol::Refusal>]| Send { nonce: None, messages: messages.to_vec() };
    assert_eq!(named(&send(&messages)).len(), 91, "each once");
    messages.push(Ok(message(200..210)));
    messages.push(Ok(message(300..309)));
    let named = named(&send(&messages));
    assert_eq!(named.len(), MAX_ATTACHMENTS_PER_SEND, "a message is looked for as a whole or not at all");
    assert!(named.contains(&AttachmentId::new(308)) && !named.contains(&AttachmentId::new(200)));
    assert!(super::named(&send(&[Ok(message(0..0))])).is_empty());
}

fn fanout(members: &[&str], attachments: Vec<Attached>) -> Vec<Deliver> {
    let envelope = Envelope {
        id: "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id"),
        from: user("alice").into(),
        to: Recipient::Group("team".parse().expect("a group")),
        kind: Kind::Message,
        at: NOW,
        expires_at: NOW.plus(Duration::from_secs(60)),
        receipts: false,
        urgency: Urgency::default(),
        body: Body::text("hi"),
    };
    let members = members.iter().map(|name| user(name)).collect();
    Fanout { envelope, members, ephemeral: false, attachments }.delivers().collect()
}

#[test]
fn a_record_gives_all_its_recipients_each_of_its_attachments() {
    let attached = |n, secs| Attached { id: AttachmentId::new(n), expires_at: NOW.plus(Duration::from_secs(secs)) };
    let record = fanout(&["carol", "bob", "carol"], vec![attached(1, 60), attached(2, 60), attached(3, 0)]);
    let given = grants(&record, NOW);
    assert_eq!(given.iter().map(|grant| grant.attachment).collect::<Vec<_>>(), [attached(1, 60), attached(2, 60)]);
    for grant in &given {
        assert_eq!(grant.recipients, BTreeSet::from([user("bob"), user("carol")]));
        assert_eq!((&grant.sender, grant.message), (&user("alice").into(), record[0].envelope.id));
    }
    assert!(grants(&record, NOW.plus(Duration::from_secs(60))).is_empty(), "nobody gets an expired message");
    assert!(grants(&fanout(&["bob"], vec![]), NOW).is_empty());
    assert!(grants(&fanout(&[], vec![attached(1, 60)]), NOW).is_empty());
}
