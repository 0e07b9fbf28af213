//! A dead letter as an operator may see it: what the record is about, without what users wrote, and which ones are asked for. It
//! moves nothing and holds no body.

use std::fmt;

use protocol::{Body, MessageId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envelope::Envelope;
use crate::job::{HandOver, Job};

/// The queue that a dead letter came from, and goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The delivery queue, which `deliver` consumes.
    Delivery,
    /// The wake queue, which `notify` consumes.
    Wake,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivery => "delivery",
            Self::Wake => "wake",
        })
    }
}

/// What the consumer of its queue would take a record for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// [`Job::Deliver`].
    Deliver,
    /// [`Job::Fanout`].
    Fanout,
    /// [`Job::Announce`].
    Announce,
    /// [`Job::Acked`].
    Acked,
    /// [`Job::Await`].
    Await,
    /// [`Job::Drain`].
    Drain,
    /// A [`HandOver`].
    HandOver,
    /// Nothing that this version reads. Sent back, it comes straight to the dead letters again.
    Unreadable,
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deliver => "deliver",
            Self::Fanout => "fanout",
            Self::Announce => "announce",
            Self::Acked => "acked",
            Self::Await => "await",
            Self::Drain => "drain",
            Self::HandOver => "hand-over",
            Self::Unreadable => "unreadable",
        })
    }
}

/// What a dead-letter queue says of a record, beside the record itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The record's id in the dead-letter queue.
    pub id: String,
    /// Where it came from.
    pub queue: Origin,
    /// When it was sent: to its queue if it failed too often there, to the dead-letter queue if a function put it there.
    pub sent_at: Timestamp,
    /// How often it was received, as its queue counts.
    pub receive_count: u32,
    /// Why a function put it there. SQS itself gives none.
    pub reason: Option<String>,
}

/// A record of a dead-letter queue, without what users wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The record's id in the dead-letter queue.
    pub id: String,
    /// Where it came from.
    pub queue: Origin,
    /// See [`Stamp::sent_at`].
    pub sent_at: Timestamp,
    /// How often it was received, as its queue counts.
    pub receive_count: u32,
    /// Why a function put it there; none if SQS did.
    pub reason: Option<String>,
    /// How long the record is.
    pub bytes: usize,
    /// What it is.
    pub kind: RecordKind,
    /// Whom it is about, each once: recipients, then senders. Empty if it is unreadable.
    pub users: Vec<UserId>,
    /// Which messages it is about, each once. A Drain names none.
    pub messages: Vec<MessageId>,
    /// The record as it was read, with `body_bytes` in place of a message's body; none if it is unreadable.
    pub record: Option<Value>,
}

impl DeadLetter {
    /// Describes the record `raw`. What its queue's consumer could not read is [`RecordKind::Unreadable`].
    pub fn describe(stamp: Stamp, raw: &str) -> Self {
        let about = match stamp.queue {
            Origin::Delivery => Job::decode(raw).map(About::job),
            Origin::Wake => HandOver::decode(raw).map(|hand_over| About::hand_over(&hand_over)),
        };
        let About { kind, users, messages, record } = about.unwrap_or_else(|_| About::nothing());
        let Stamp { id, queue, sent_at, receive_count, reason } = stamp;
        Self { id, queue, sent_at, receive_count, reason, bytes: raw.len(), kind, users, messages, record }
    }
}

/// What a record says of itself.
struct About {
    kind: RecordKind,
    users: Vec<UserId>,
    messages: Vec<MessageId>,
    record: Option<Value>,
}

impl About {
    fn job(job: Job) -> Self {
        match job {
            Job::Deliver(mut deliver) => {
                let users =
                    once([Some(&deliver.recipient), deliver.envelope.from.user()].into_iter().flatten().cloned());
                let messages = vec![deliver.envelope.id];
                let bytes = take_body(&mut deliver.envelope);
                let record = bodiless(&Job::Deliver(deliver), "/deliver/envelope", bytes);
                Self { kind: RecordKind::Deliver, users, messages, record }
            }
            Job::Fanout(mut fanout) => {
                let users = once(fanout.members.iter().chain(fanout.envelope.from.user()).cloned());
                let messages = vec![fanout.envelope.id];
                let bytes = take_body(&mut fanout.envelope);
                let record = bodiless(&Job::Fanout(fanout), "/fanout/envelope", bytes);
                Self { kind: RecordKind::Fanout, users, messages, record }
            }
            Job::Announce(announce) => {
                let messages = vec![announce.id];
                let record = shown(&Job::Announce(announce));
                Self { kind: RecordKind::Announce, users: Vec::new(), messages, record }
            }
            Job::Acked(acked) => {
                let senders = acked.messages.iter().filter_map(|message| message.name.from.user().cloned());
                let users = once([acked.user.clone()].into_iter().chain(senders));
                let messages = once(acked.messages.iter().map(|message| message.name.id));
                Self { kind: RecordKind::Acked, users, messages, record: shown(&Job::Acked(acked)) }
            }
            Job::Await(wait) => {
                let recipients = wait.pending.iter().map(|pending| pending.user.clone());
                let senders = wait.pending.iter().filter_map(|pending| pending.reference.sender.user().cloned());
                let users = once(recipients.chain(senders));
                let messages = once(wait.pending.iter().map(|pending| pending.reference.id));
                Self { kind: RecordKind::Await, users, messages, record: shown(&Job::Await(wait)) }
            }
            Job::Drain(drain) => {
                let users = vec![drain.user.clone()];
                Self { kind: RecordKind::Drain, users, messages: Vec::new(), record: shown(&Job::Drain(drain)) }
            }
        }
    }

    fn hand_over(hand_over: &HandOver) -> Self {
        let sender = hand_over.reference.sender.user().cloned();
        let users = once([Some(hand_over.user.clone()), sender].into_iter().flatten());
        let messages = vec![hand_over.reference.id];
        Self { kind: RecordKind::HandOver, users, messages, record: shown(hand_over) }
    }

    fn nothing() -> Self {
        Self { kind: RecordKind::Unreadable, users: Vec::new(), messages: Vec::new(), record: None }
    }
}

/// Takes the body out of an envelope that is to be shown; answers how long it was.
fn take_body(envelope: &mut Envelope) -> usize {
    std::mem::replace(&mut envelope.body, Body::text("")).as_json().len()
}

/// A job as it is shown, with the length of its body in the body's place.
fn bodiless(job: &Job, envelope: &str, bytes: usize) -> Option<Value> {
    let mut record = shown(job)?;
    let envelope = record.pointer_mut(envelope)?.as_object_mut()?;
    envelope.remove("body");
    envelope.insert("body_bytes".to_owned(), bytes.into());
    Some(record)
}

/// What was read, and no more: a field that this version does not know may hold anything.
fn shown(read: &impl Serialize) -> Option<Value> {
    serde_json::to_value(read).ok()
}

/// Each value once, where it comes first.
fn once<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    values.into_iter().fold(Vec::new(), |mut kept, value| {
        if !kept.contains(&value) {
            kept.push(value);
        }
        kept
    })
}

/// Which dead letters are asked for: those that everything given here applies to. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these records; any if empty.
    pub ids: Vec<String>,
    /// About this user, as recipient or sender. An unreadable record is about nobody.
    pub user: Option<UserId>,
    /// About this message.
    pub message: Option<MessageId>,
    /// Sent at this moment or later.
    pub since: Option<Timestamp>,
    /// Sent before this moment.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether `letter` is asked for.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        (self.ids.is_empty() || self.ids.contains(&letter.id))
            && self.user.as_ref().is_none_or(|user| letter.users.contains(user))
            && self.message.is_none_or(|message| letter.messages.contains(&message))
            && self.since.is_none_or(|since| since <= letter.sent_at)
            && self.until.is_none_or(|until| letter.sent_at < until)
    }
}

#[cfg(test)]
#[path = "dead_letter_tests.rs"]
mod tests;
