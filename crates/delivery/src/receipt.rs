//! Receipts: who is told that a user has acked or read messages, and that each is told once. Pure decisions; what was told before comes from
//! the [`Inbox`] port, which also keeps it.
//!
//! A sender is told of a message that a row of the recipient's own was really deleted for, or that he was told of before, and of nothing
//! else: whoever makes up a ref finds neither.
//!
//! The user's other devices are told of an ack if they were there, since all that follows is that they show a notification no longer; what was
//! read they are told as senders are, when they come. One that is not there and was told by a push is pushed to once more, in silence.
//!
//! [`Inbox`]: crate::ports::Inbox

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use fastrand::Rng;
use protocol::{
    DeviceId, Kind, MessageName, Receipt, ReceiptEvent, Recipient, Ref, Sender, Shelf, Timestamp, Urgency, UserId,
};

use crate::drain;
use crate::envelope::{Connection, Device, Dialect, Envelope, new_message_id};
use crate::job::{Acked, AckedMessage, AckedRow, Deliver, HandOver, Job, Reason};
use crate::ports::{Lookup, Scheduled};

/// How long a receipt is owed. Whoever is away for longer asks for the state of his conversations some other way.
pub const RECEIPT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long what is left of a read waits each time. An app that shows what it gets acks and reads in one breath, so the first is short; the
/// second outlasts what keeps an [`Acked`] from its first few tries.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(20)];

/// What the sender of a message was told last of one of its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The recipient.
    pub user: UserId,
    /// The message.
    pub name: MessageName,
    /// What.
    pub event: ReceiptEvent,
    /// When it may be forgotten: with the message itself, since until then another device may ack it.
    pub expires_at: Timestamp,
}

/// What an ack or a read has come upon, to be told: what lies in the rows that it names, and what was acked before and is read now.
pub fn acked<'a>(event: ReceiptEvent, found: impl IntoIterator<Item = (&'a Ref, &'a Lookup)>) -> Vec<AckedMessage> {
    let told = found.into_iter().filter_map(|(reference, lookup)| {
        let row = match lookup {
            // Nobody is told of the ack of a receipt, or receipts would never end.
            Lookup::Found(row) if row.envelope.kind == Kind::Receipt => return None,
            Lookup::Found(row) => Some(AckedRow {
                receipts: row.envelope.receipts,
                expires_at: row.envelope.expires_at,
                shared: row.shared || row.holder.device().is_none(),
                urgency: row.envelope.urgency,
            }),
            Lookup::Missing if event == ReceiptEvent::Read => None,
            Lookup::Missing | Lookup::Unreadable | Lookup::Unprocessed => return None,
        };
        Some(AckedMessage { name: MessageName { id: reference.id, from: reference.sender.clone() }, row })
    });
    told.collect()
}

/// What follows from an [`Acked`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tidings {
    /// What is to be delivered: to each sender one message, and of a read one to the user's other devices.
    pub delivers: Vec<Deliver>,
    /// What the user's other devices are told at once of an ack. It is posted, and not stored.
    pub posted: Option<Envelope>,
    /// What the senders have been told then.
    pub told: Vec<Told>,
}

/// The messages of which it has to be known what their senders were told before.
pub fn in_question(acked: &Acked) -> Vec<MessageName> {
    let asked = |message: &&AckedMessage| message.row.is_none_or(|row| row.receipts);
    acked.messages.iter().filter(asked).map(|message| message.name.clone()).collect()
}

/// The messages of a read whose rows had gone and of which nobody was told. Their senders did not ask, or this has overtaken what is to tell
/// them of the ack, which nothing keeps in order; so it is asked again, alone and twice at most.
pub fn left(acked: &Acked, before: &[Told]) -> Option<Scheduled> {
    let delay = *AGAIN.get(usize::from(acked.round))?;
    let unknown = |message: &&AckedMessage| {
        let is_of_another = matches!(&message.name.from, Sender::User(sender) if *sender != acked.user);
        message.row.is_none() && is_of_another && before.iter().all(|told| told.name != message.name)
    };
    let messages: Vec<AckedMessage> = acked.messages.iter().filter(unknown).cloned().collect();
    let round = acked.round + 1;
    (!messages.is_empty()).then(|| Scheduled { job: Job::Acked(Acked { messages, round, ..acked.clone() }), delay })
}

/// The user's other devices that are told. Of an ack only those that were there by then, and had their Drain: one that came later has not
/// shown what it would have to take back. An old client takes nothing back.
pub fn listeners<'a>(acked: &Acked, devices: &'a [Device]) -> Vec<&'a Device> {
    let was_there = |device: &Device| {
        let by = acked.id.timestamp();
        let takes_back = |to: &Connection| to.dialect == Dialect::Current && to.connected_at.plus(drain::DELAY) <= by;
        device.connection.as_ref().is_some_and(takes_back)
    };
    let others = devices.iter().filter(|device| device.id != acked.device);
    others.filter(|device| acked.event == ReceiptEvent::Read || was_there(device)).collect()
}

/// The absent devices that were told by a push of something that is acked now: they are to be told that it is.
pub fn withdrawals(acked: &Acked, devices: &[Device]) -> Vec<HandOver> {
    let was_shown = |row: AckedRow| row.shared && row.urgency != Urgency::Silent;
    let shared = acked.messages.iter().filter(|message| message.row.is_some_and(was_shown));
    let names: Vec<&MessageName> = shared.map(|message| &message.name).collect();
    let is_away =
        |device: &&Device| device.id != acked.device && device.connection.is_none() && !device.push.is_empty();
    let hand_over = |device: &Device| {
        let last = device.last_wake?;
        let newest = names.iter().filter(|name| name.id.timestamp() <= last).max_by_key(|name| name.id)?;
        Some(HandOver {
            user: acked.user.clone(),
            device: Some(device.id.clone()),
            reference: Ref { id: newest.id, sender: newest.from.clone(), shelf: Shelf::Own, watched: false },
            reason: Reason::Acked,
            urgency: Urgency::Silent,
            due: None,
        })
    };
    devices.iter().filter(is_away).filter_map(hand_over).collect()
}

/// Decides who is told. `before` is what the senders were told of those of the messages that are [`in_question`]; `has_listeners` is
/// whether there are [`listeners`].
pub fn tidings(acked: &Acked, before: &[Told], has_listeners: bool) -> Tidings {
    let mut by_sender: BTreeMap<&UserId, Vec<MessageName>> = BTreeMap::new();
    let (mut told, mut own) = (Vec::new(), Vec::new());
    for AckedMessage { name, row } in &acked.messages {
        if has_listeners && row.is_none_or(|row| row.shared) {
            own.push(name.clone());
        }
        let before = before.iter().find(|told| told.name == *name);
        let expires_at =
            before.map(|told| told.expires_at).or(row.filter(|row| row.receipts).map(|row| row.expires_at));
        let Some(expires_at) = expires_at.filter(|_| before.is_none_or(|told| told.event < acked.event)) else {
            continue;
        };
        // What one writes to oneself one's other devices are told of.
        let Sender::User(sender) = &name.from else { continue };
        if *sender != acked.user {
            by_sender.entry(sender).or_default().push(name.clone());
            told.push(Told { user: acked.user.clone(), name: name.clone(), event: acked.event, expires_at });
        }
    }
    let mut delivers: Vec<Deliver> =
        by_sender.into_iter().map(|(sender, messages)| deliver(acked, sender, messages, None)).collect();
    let mut posted = None;
    if !own.is_empty() {
        match acked.event {
            ReceiptEvent::Delivered => posted = Some(envelope(acked, &acked.user, own)),
            ReceiptEvent::Read => delivers.push(deliver(acked, &acked.user, own, Some(acked.device.clone()))),
        }
    }
    Tidings { delivers, posted, told }
}

/// One message with what `to` is told.
fn deliver(acked: &Acked, to: &UserId, messages: Vec<MessageName>, except: Option<DeviceId>) -> Deliver {
    let envelope = envelope(acked, to, messages);
    Deliver { envelope, recipient: to.clone(), ephemeral: false, except, attachments: Vec::new() }
}

/// The same as an envelope. The same told for the same ack has the same id; a second receive of the [`Acked`] that finds less left
/// to tell has another, so that it does not take the place of the first.
fn envelope(acked: &Acked, to: &UserId, messages: Vec<MessageName>) -> Envelope {
    let at = acked.id.timestamp();
    let mut hasher = DefaultHasher::new();
    (acked.id, &messages).hash(&mut hasher);
    let id = new_message_id(at, &mut Rng::with_seed(hasher.finish()));
    let receipt = Receipt { event: acked.event, by: acked.user.clone(), messages };
    Envelope {
        id,
        from: Sender::System,
        to: Recipient::User(to.clone()),
        kind: Kind::Receipt,
        at,
        expires_at: Timestamp::from_secs(at.plus(RECEIPT_LIFETIME).as_secs()),
        receipts: false,
        urgency: Urgency::default(),
        body: receipt.body(),
    }
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
