//! The jobs that travel through the delivery queue, and what is handed to the offline topic, as JSON records.
//!
//! Records outlive a deployment by days, so a change here must read what the version before it wrote. A job holds no
//! AWS name; its receive count and receipt belong to the record around it.

use protocol::{DeviceId, GroupId, MessageId, MessageName, ReceiptEvent, Ref, Timestamp, Urgency, UserId};
use serde::{Deserialize, Serialize};

use crate::attachment::Attached;
use crate::envelope::{Address, ConnectionId, Envelope, Key};

/// One record of the delivery queue. The tag stands outside (`{"deliver": {..}}`), since serde buffers content that is
/// tagged inside and raw bodies do not survive that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Put an envelope into a recipient's inboxes and attempt it.
    Deliver(Deliver),
    /// The same for each of many recipients.
    Fanout(Fanout),
    /// Tell a group what became of it.
    Announce(Announce),
    /// Tell those who wait for it that something was acked or read.
    Acked(Acked),
    /// Attempt again what is still unacked.
    Await(Await),
    /// Post a device's backlog.
    Drain(Drain),
}

/// See [`Job::Deliver`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// What to deliver.
    pub envelope: Envelope,
    /// To whom: a user even if the envelope is to a group.
    pub recipient: UserId,
    /// Post once to who is connected; never store, retry or push.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// A device of the recipient that it is not for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<DeviceId>,
    /// What the recipient may download from then on. Not in the envelope: who may is settled before the envelope is put.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attached>,
}

/// See [`Job::Fanout`]. It carries the members, so that whoever sends it needs one call, however many they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fanout {
    /// What to deliver.
    pub envelope: Envelope,
    /// To whom, each once.
    pub members: Vec<UserId>,
    /// As in [`Deliver`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// As in [`Deliver`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attached>,
}

/// Most members that one record delivers to; one with more is cut into records of as many.
pub const MAX_FANOUT: usize = 25;

impl Fanout {
    /// A Deliver for each member.
    pub fn delivers(&self) -> impl Iterator<Item = Deliver> {
        self.members.iter().map(|member| Deliver {
            envelope: self.envelope.clone(),
            recipient: member.clone(),
            ephemeral: self.ephemeral,
            except: None,
            attachments: self.attachments.clone(),
        })
    }

    /// Fanouts of at most [`MAX_FANOUT`] members each.
    pub fn steps(&self) -> impl Iterator<Item = Self> {
        self.members.chunks(MAX_FANOUT).map(|members| Self {
            envelope: self.envelope.clone(),
            members: members.to_vec(),
            ephemeral: self.ephemeral,
            attachments: self.attachments.clone(),
        })
    }
}

/// See [`Job::Announce`]. It is queued before the change is made, or a function that ends in between would leave a change that nobody
/// hears of; so the change may not be there yet, or never be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// The group.
    pub group: GroupId,
    /// The change, and the message about it.
    pub id: MessageId,
}

/// See [`Job::Acked`]. It is queued before the rows are deleted, or a function that ends in between would leave nobody told; so it may
/// come twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// A name for this ack, with its time.
    pub id: MessageId,
    /// Who acked or read.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// Which of the two.
    pub event: ReceiptEvent,
    /// What; at most 100.
    pub messages: Vec<AckedMessage>,
    /// How often what is left of it was queued again; see [`crate::receipt::left`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: u8,
}

fn is_zero(round: &u8) -> bool {
    *round == 0
}

/// See [`Acked::messages`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckedMessage {
    /// The message.
    #[serde(flatten)]
    pub name: MessageName,
    /// What its row said; none if the row had gone before, and so it can only be read now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<AckedRow>,
}

/// What is to be known of a row that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckedRow {
    /// As in [`Envelope`].
    pub receipts: bool,
    /// As in [`Envelope`].
    pub expires_at: Timestamp,
    /// Whether other devices of the user may have it.
    pub shared: bool,
    /// As in [`Envelope`].
    #[serde(default, skip_serializing_if = "Urgency::is_default")]
    pub urgency: Urgency,
}

/// See [`Job::Await`]. At most [`MAX_PENDING`] envelopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Await {
    /// What was posted and is not known to be acked. It was in the inbox before it was posted.
    pub pending: Vec<Pending>,
}

/// Most envelopes in one [`Await`]: what one BatchGetItem reads.
pub const MAX_PENDING: usize = 100;

/// An envelope that was posted to a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pending {
    /// The recipient.
    pub user: UserId,
    /// The device it was posted to.
    pub device: DeviceId,
    /// What that device acks it by.
    #[serde(rename = "ref")]
    pub reference: Ref,
}

impl Pending {
    /// Where the envelope lies.
    pub fn key(&self) -> Key {
        Key::of(&self.user, &self.device, &self.reference)
    }

    /// The device it was posted to.
    pub fn address(&self) -> Address {
        Address { user: self.user.clone(), device: self.device.clone() }
    }
}

/// See [`Job::Drain`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The user.
    pub user: UserId,
    /// The device that came online.
    pub device: DeviceId,
    /// On this connection; if another is registered by now, that one has a Drain of its own.
    pub connection: ConnectionId,
    /// Where the page before this one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Ref>,
}

/// Why an envelope was handed to the offline path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The device had no connection.
    Absent,
    /// The device had one and acked none of the attempts.
    Exhausted,
    /// The device was told of it, and another device of its user has acked it since.
    Acked,
}

/// One record of the offline topic: an envelope that its device could not be given. It carries no body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// The recipient.
    pub user: UserId,
    /// The device; none if the user has none and the envelope is unclaimed.
    pub device: Option<DeviceId>,
    /// The envelope.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// Why.
    pub reason: Reason,
    /// How loud its envelope may be where the device is pushed to.
    #[serde(default, skip_serializing_if = "Urgency::is_default")]
    pub urgency: Urgency,
    /// The due wake that this record is to push; none in what `deliver` publishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

/// A record that is not a job. Never quotes the record, which may hold a body.
#[derive(Debug, thiserror::Error)]
#[error("the record is not a job of this version: {0}")]
pub struct Unreadable(String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        // serde's text quotes unexpected values; its category and place are enough to find them in the dead letter.
        Self(format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()))
    }
}

impl Job {
    /// The job as the body of a record.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a job of strings, numbers and a JSON body is always JSON")
    }

    /// Reads the body of a record.
    ///
    /// # Errors
    /// When it is not a job of this version. Receiving it again will not help.
    pub fn decode(body: &str) -> Result<Self, Unreadable> {
        Ok(serde_json::from_str(body)?)
    }
}

impl HandOver {
    /// How loud it may be. One that only takes something back makes no sound, whatever it says.
    pub fn loudness(&self) -> Urgency {
        if self.reason == Reason::Acked { Urgency::Silent } else { self.urgency }
    }

    /// The hand-over as the body of a record.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a hand-over of strings is always JSON")
    }

    /// Reads the body of a record.
    ///
    /// # Errors
    /// When it is not a hand-over of this version. Receiving it again will not help.
    pub fn decode(body: &str) -> Result<Self, Unreadable> {
        Ok(serde_json::from_str(body)?)
    }

    /// Where the envelope lies.
    pub fn key(&self) -> Key {
        match &self.device {
            Some(device) => Key::of(&self.user, device, &self.reference),
            None => Key {
                user: self.user.clone(),
                holder: crate::envelope::Holder::Unclaimed,
                id: self.reference.id,
                sender: self.reference.sender.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use protocol::{Body, Kind, Recipient};

    use super::*;

    const REF: &str = "0198a5c0-7c00-7abc-8def-0123456789ab~alice";

    fn check(job: &Job, expected: &Expect) {
        expected.assert_eq(&job.encode());
        assert_eq!(&Job::decode(&job.encode()).expect("a job"), job);
    }

    fn user(name: &str) -> UserId {
        name.parse().expect("a user")
    }

    fn deliver() -> Deliver {
        let reference: Ref = REF.parse().expect("a ref");
        Deliver {
            envelope: Envelope {
                id: reference.id,
                from: reference.sender,
                to: Recipient::User(user("bob")),
                kind: Kind::Message,
                at: Timestamp::from_millis(1_755_500_000_123),
                expires_at: Timestamp::from_secs(1_758_092_000),
                receipts: false,
                urgency: Urgency::default(),
                body: Body::from_json(r#"{"text":"hi"}"#.to_owned()).expect("JSON"),
            },
            recipient: user("bob"),
            ephemeral: false,
            except: None,
            attachments: Vec::new(),
        }
    }

    #[test]
    fn a_deliver_record() {
        check(
            &Job::Deliver(deliver()),
            &expect![[
                r#"{"deliver":{"envelope":{"id":"0198a5c0-7c00-7abc-8def-0123456789ab","from":"alice","to":{"user":"bob"},"kind":"message","at":1755500000123,"expires_at":1758092000000,"body":{"text":"hi"}},"recipient":"bob"}}"#
            ]],
        );
        check(
            &Job::Deliver(Deliver { ephemeral: true, ..deliver() }),
            &expect![[
                r#"{"deliver":{"envelope":{"id":"0198a5c0-7c00-7abc-8def-0123456789ab","from":"alice","to":{"user":"bob"},"kind":"message","at":1755500000123,"expires_at":1758092000000,"body":{"text":"hi"}},"recipient":"bob","ephemeral":true}}"#
            ]],
        );
    }

    #[test]
    fn a_record_names_attachments_if_its_message_does() {
        let attached = Attached {
            id: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".parse().expect("an id"),
            expires_at: Timestamp::from_secs(1_760_000_000),
        };
        let Deliver { envelope, .. } = deliver();
        let fanout = Fanout { envelope, members: vec![user("bob")], ephemeral: false, attachments: vec![attached] };
        check(
            &Job::Fanout(fanout.clone()),
            &expect![[
                r#"{"fanout":{"envelope":{"id":"0198a5c0-7c00-7abc-8def-0123456789ab","from":"alice","to":{"user":"bob"},"kind":"message","at":1755500000123,"expires_at":1758092000000,"body":{"text":"hi"}},"members":["bob"],"attachments":[{"id":"0f1e2d3c4b5a69788796a5b4c3d2e1f0","expires_at":1760000000000}]}}"#
            ]],
        );
        assert!(fanout.delivers().all(|one| one.attachments == [attached]));
        assert!(fanout.steps().all(|one| one.attachments == [attached]));
    }

    #[test]
    fn an_await_record() {
        let pending = Pending {
            user: user("bob"),
            device: "phone".parse().expect("a device"),
            reference: REF.parse().expect("a ref"),
        };
        check(
            &Job::Await(Await { pending: vec![pending] }),
            &expect![[
                r#"{"await":{"pending":[{"user":"bob","device":"phone","ref":"0198a5c0-7c00-7abc-8def-0123456789ab~alice"}]}}"#
            ]],
        );
    }

    #[test]
    fn a_drain_record() {
        check(
            &Job::Drain(Drain {
                user: user("bob"),
                device: "phone".parse().expect("a device"),
                connection: "c1".into(),
                after: Some(REF.parse().expect("a ref")),
            }),
            &expect![[
                r#"{"drain":{"user":"bob","device":"phone","connection":"c1","after":"0198a5c0-7c00-7abc-8def-0123456789ab~alice"}}"#
            ]],
        );
    }

    #[test]
    fn a_hand_over_record() {
        let hand_over = HandOver {
            user: user("bob"),
            device: None,
            reference: format!("{REF}~*").parse().expect("a ref"),
            reason: Reason::Absent,
            urgency: Urgency::Urgent,
            due: None,
        };
        expect![[
            r#"{"user":"bob","device":null,"ref":"0198a5c0-7c00-7abc-8def-0123456789ab~alice~*","reason":"absent"}"#
        ]]
        .assert_eq(&hand_over.encode());
        assert_eq!(HandOver::decode(&hand_over.encode()).expect("a hand-over"), hand_over);
        let quiet = Deliver { envelope: Envelope { urgency: Urgency::Quiet, ..deliver().envelope }, ..deliver() };
        let job = Job::Deliver(quiet);
        assert!(job.encode().contains(r#""expires_at":1758092000000,"urgency":"quiet","body""#), "{}", job.encode());
        assert_eq!(Job::decode(&job.encode()).expect("a job"), job);
        let holder = HandOver { due: Some("7".to_owned()), urgency: Urgency::Quiet, ..hand_over };
        assert!(holder.encode().ends_with(r#","reason":"absent","urgency":"quiet","due":"7"}"#));
        assert_eq!(HandOver::decode(&holder.encode()).expect("a hand-over"), holder);
    }

    #[test]
    fn what_cannot_be_read_is_told_without_its_content() {
        for body in ["", "secret", r#"{"deliver":"secret"}"#, r#"{"secret":{}}"#] {
            let error = Job::decode(body).expect_err(body).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
