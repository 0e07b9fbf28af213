//! The bodies of records in the queues: jobs and hand-overs. What is done for one is not here.

use delivery::{
    Acked, AckedMessage, AckedRow, Announce, Attached, Await, Deliver, Drain, Envelope, Fanout, HandOver, Holder, Job,
    Pending, Reason,
};
use protocol::{Body, Kind, MessageName, ReceiptEvent, Recipient, Ref, Timestamp, Urgency};

use crate::{ID, MARK, NOW, assert_discreet, known};

/// Any record is a job that is written and read again the same, or is unreadable, which is said without quoting it.
pub fn job(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Job::decode(text) {
        Ok(job) => {
            assert_eq!(Job::decode(&job.encode()).expect("it was just written"), job);
            if let Job::Await(Await { pending }) = &job {
                for one in pending {
                    let named = Ref { watched: one.reference.watched, ..one.key().reference() };
                    assert_eq!(named, one.reference, "a key names what its ref names");
                }
            }
        }
        Err(error) => assert_discreet(&error.to_string()),
    }
}

/// Valid jobs.
pub fn job_seeds() -> Vec<String> {
    let reference: Ref = known(&format!("{ID}~alice~*"));
    let envelope = Envelope {
        id: reference.id,
        from: reference.sender.clone(),
        to: Recipient::Group(known("team")),
        kind: Kind::Message,
        at: NOW,
        expires_at: Timestamp::from_secs(1_758_092_000),
        receipts: false,
        urgency: Urgency::default(),
        body: Body::from_json(format!(r#"{{"text":"{MARK} \ud800","list":[1,2.5e-7,null]}}"#)).expect("JSON"),
    };
    let attached = Attached { id: known("0f1e2d3c4b5a69788796a5b4c3d2e1f0"), expires_at: Timestamp::from_secs(7) };
    let pending = Pending { user: known("bob"), device: known("phone"), reference: reference.clone() };
    let drain =
        Drain { user: known("bob"), device: known("phone"), connection: "c1=".into(), after: Some(reference.clone()) };
    [
        Job::Deliver(Deliver {
            envelope: envelope.clone(),
            recipient: known("bob"),
            ephemeral: true,
            except: Some(known("phone")),
            attachments: Vec::new(),
        }),
        Job::Fanout(Fanout {
            envelope,
            members: vec![known("bob"), known("carol")],
            ephemeral: false,
            attachments: vec![attached],
        }),
        Job::Announce(Announce { group: known("team"), id: reference.id }),
        Job::Acked(Acked {
            id: reference.id,
            user: known("bob"),
            device: known("phone"),
            event: ReceiptEvent::Read,
            messages: vec![AckedMessage {
                name: MessageName { id: reference.id, from: reference.sender.clone() },
                row: Some(AckedRow {
                    receipts: true,
                    expires_at: Timestamp::from_secs(1_758_092_000),
                    shared: false,
                    urgency: Urgency::Quiet,
                }),
            }],
            round: 1,
        }),
        Job::Await(Await { pending: vec![pending.clone(), pending] }),
        Job::Drain(drain),
    ]
    .iter()
    .map(Job::encode)
    .collect()
}

/// Any record is a hand-over that is written and read again the same, or is unreadable, which is said without quoting it.
pub fn hand_over(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match HandOver::decode(text) {
        Ok(hand_over) => {
            assert_eq!(HandOver::decode(&hand_over.encode()).expect("it was just written"), hand_over);
            let key = hand_over.key();
            assert_eq!((&key.user, key.id), (&hand_over.user, hand_over.reference.id));
            assert!(hand_over.device.is_some() || key.holder == Holder::Unclaimed, "nobody's inbox but the user's");
        }
        Err(error) => assert_discreet(&error.to_string()),
    }
}

/// Valid hand-overs.
pub fn hand_over_seeds() -> Vec<String> {
    let reference: Ref = known(&format!("{ID}~{MARK}"));
    let hand_over = |device: Option<&str>, reason, due: Option<&str>| HandOver {
        user: known("bob"),
        device: device.map(known),
        reference: reference.clone(),
        reason,
        urgency: if due.is_some() { Urgency::Quiet } else { Urgency::Urgent },
        due: due.map(str::to_owned),
    };
    [hand_over(Some("phone"), Reason::Exhausted, None), hand_over(None, Reason::Absent, Some("r1/7f/0"))]
        .iter()
        .map(HandOver::encode)
        .collect()
}
