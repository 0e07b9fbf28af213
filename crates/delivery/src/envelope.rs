//! An envelope, where it lies, and the devices and connections it may go to. Values only; their storage form is in `aws`.

use std::fmt;
use std::sync::Arc;

use fastrand::Rng;
use protocol::{
    Body, Delivery, DeviceId, Kind, MessageId, Notices, PushTarget, Recipient, Ref, Sender, Shelf, Timestamp, Urgency,
    UserId,
};
use serde::{Deserialize, Serialize};

/// An id for a message that Vartalap itself makes at `now`.
pub fn new_message_id(now: Timestamp, rng: &mut Rng) -> MessageId {
    let mut random = [0; 10];
    rng.fill(&mut random);
    MessageId::made(now, &random)
}

/// A message on its way to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The sender's id for the message.
    pub id: MessageId,
    /// Who sent it: a user by the authorizer's word, or Vartalap.
    pub from: Sender,
    /// Whom the sender wrote to.
    pub to: Recipient,
    /// What it carries.
    #[serde(default)]
    pub kind: Kind,
    /// When it was accepted.
    pub at: Timestamp,
    /// When it ceases to be owed, in whole seconds. `expires_in` after acceptance.
    pub expires_at: Timestamp,
    /// Whether its sender is told when a recipient has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub receipts: bool,
    /// How much its sender wants made of it.
    #[serde(default, skip_serializing_if = "Urgency::is_default")]
    pub urgency: Urgency,
    /// What it says.
    pub body: Body,
}

impl Envelope {
    /// Whether it is no longer owed. DynamoDB deletes an expired row late, so every reader asks.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// Whether a device that is not there is woken for it. A receipt waits until the device comes for something else.
    pub fn wakes(&self) -> bool {
        self.kind != Kind::Receipt
    }

    /// Whether its user is to see it. What is silent is for the app alone.
    pub fn is_seen(&self) -> bool {
        self.urgency != Urgency::Silent
    }

    /// How loud a notice of it may be: as its sender says, but news of a group make no sound.
    pub fn loudness(&self) -> Urgency {
        if self.kind == Kind::System { self.urgency.min(Urgency::Quiet) } else { self.urgency }
    }

    /// The longest form in which a device can receive it: from the unclaimed inbox, and with somebody waiting for its ack.
    pub fn longest_delivery(&self) -> Delivery {
        self.delivery(Shelf::Unclaimed, true, 0)
    }

    fn delivery(&self, shelf: Shelf, watched: bool, attempt: u32) -> Delivery {
        Delivery {
            reference: Ref { id: self.id, sender: self.from.clone(), shelf, watched },
            id: self.id,
            from: self.from.clone(),
            to: self.to.clone(),
            kind: self.kind,
            at: self.at,
            attempt,
            urgency: self.urgency,
            body: self.body.clone(),
        }
    }
}

/// A device of a user: whom a connection speaks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
}

/// Whose inbox an envelope lies in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// One device's.
    Device(DeviceId),
    /// The user's, who had no device when the envelope was put; any device of the user may ack it.
    Unclaimed,
}

impl Holder {
    /// The device, unless nobody has claimed the inbox.
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device(device) => Some(device),
            Self::Unclaimed => None,
        }
    }

    /// Which of a device's two inboxes it is.
    pub fn shelf(&self) -> Shelf {
        match self {
            Self::Device(_) => Shelf::Own,
            Self::Unclaimed => Shelf::Unclaimed,
        }
    }
}

/// The one place where an envelope lies: a row of the inbox. Putting twice under a key is the same as once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The recipient.
    pub user: UserId,
    /// Which of the recipient's inboxes.
    pub holder: Holder,
    /// The message.
    pub id: MessageId,
    /// Its sender: another sender's message of the same id lies elsewhere.
    pub sender: Sender,
}

impl Key {
    /// The key of what `device` of `user` knows as `reference`. A device can name no inbox but its own and its user's.
    pub fn of(user: &UserId, device: &DeviceId, reference: &Ref) -> Self {
        let holder = match reference.shelf {
            Shelf::Own => Holder::Device(device.clone()),
            Shelf::Unclaimed => Holder::Unclaimed,
        };
        Self { user: user.clone(), holder, id: reference.id, sender: reference.sender.clone() }
    }

    /// Its ref, as far as the key tells: not whether it is watched.
    pub fn reference(&self) -> Ref {
        Ref { id: self.id, sender: self.sender.clone(), shelf: self.holder.shelf(), watched: false }
    }
}

/// An envelope in an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The recipient.
    pub user: UserId,
    /// Whose inbox.
    pub holder: Holder,
    /// What lies there.
    pub envelope: Envelope,
    /// The mark: an Await has handed it to the offline path, and no Await does again.
    pub undelivered: bool,
    /// Whether other devices of the recipient have it as well.
    pub shared: bool,
}

impl Row {
    /// Where it lies.
    pub fn key(&self) -> Key {
        Key {
            user: self.user.clone(),
            holder: self.holder.clone(),
            id: self.envelope.id,
            sender: self.envelope.from.clone(),
        }
    }

    /// The ref under which a device acks it.
    pub fn reference(&self) -> Ref {
        Ref { watched: self.is_watched(), ..self.key().reference() }
    }

    /// The envelope as a device receives it.
    pub fn delivery(&self, attempt: u32) -> Delivery {
        self.envelope.delivery(self.holder.shelf(), self.is_watched(), attempt)
    }

    /// Whether its ack is to be told to somebody: to its sender, or to the other devices that have it.
    fn is_watched(&self) -> bool {
        self.envelope.receipts || self.shared
    }
}

/// The gateway's name for one live socket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(Arc<str>);

impl ConnectionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ConnectionId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// In which words whoever is behind a connection says things and is told them. What the words are only the edge knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The wire protocol.
    #[default]
    Current,
    /// JSON of the server that this one replaces.
    OldJson,
    /// Protobuf of the server that this one replaces, in base64.
    OldBase64,
}

/// The device that a user's old client is: it names none, and the server that this one replaces had one socket for a user.
pub fn old_device() -> DeviceId {
    "legacy".parse().expect("six letters are a device")
}

impl Dialect {
    /// The dialect that a word of [`Dialect::word`] means; the current one where there is none, or one of a later version.
    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("json") => Self::OldJson,
            Some("base64") => Self::OldBase64,
            _ => Self::Current,
        }
    }

    /// Its word. The current one has none, so that it costs nothing where it is kept.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Current => None,
            Self::OldJson => Some("json"),
            Self::OldBase64 => Some("base64"),
        }
    }
}

/// A registered connection: a hint that somebody may be behind it, never a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The gateway's name for it.
    pub id: ConnectionId,
    /// When the client connected, by the gateway's clock.
    pub connected_at: Timestamp,
    /// How its client speaks.
    pub dialect: Dialect,
}

impl Connection {
    /// When the gateway will cut it.
    pub fn ends_at(&self) -> Timestamp {
        self.connected_at.plus(protocol::limits::CONNECTION_LIFETIME)
    }
}

/// A device as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Its connection, if one is registered and has not reached its end.
    pub connection: Option<Connection>,
    /// When it last opened or closed a connection, was made known, or read its inbox over HTTP from the start.
    pub last_seen: Timestamp,
    /// Whether others may be told of its connection and of when it was last seen.
    pub shows_presence: bool,
    /// Where it can be woken.
    pub push: Vec<PushTarget>,
    /// How it wants to be notified.
    pub notices: Notices,
    /// Since when it is known, if that was noted: what was accepted since then was put into its inbox.
    pub known_since: Option<Timestamp>,
    /// When it was last woken, if it was.
    pub last_wake: Option<Timestamp>,
}
