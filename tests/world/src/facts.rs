//! What happened, as far as it matters for what must be true at the end. What became of receipts is in `receipts`, of wakes in `wakes`. It judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use delivery::{Address, Deliver, Device, Envelope, Key, Row};
use protocol::{
    Body, Delivery, DeviceId, Kind, MessageId, ReceiptEvent, Recipient, Sender, Timestamp, Urgency, UserId,
};
use serde_json::Value;

use crate::device::Planned;
use crate::receipts::Receipts;
use crate::wakes::Wakes;
use crate::world::World;

/// A message is known by its sender and the sender's id for it.
pub(crate) type Name = (Sender, MessageId);

/// What is known about a message.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) to: Recipient,
    pub(crate) text: String,
    pub(crate) ephemeral: bool,
    pub(crate) receipts: bool,
    pub(crate) urgency: Urgency,
    /// When it was accepted last, once it was: one that is sent again is.
    pub(crate) at: Option<Timestamp>,
    /// Whether the sender was told that it is accepted.
    pub(crate) accepted: bool,
    /// Once a queue has it: when it expires, and the devices that each recipient had before.
    pub(crate) enqueued: Option<(Timestamp, Owed)>,
    /// Whom a resend reached beside those: who had come into the group by then.
    pub(crate) reached: BTreeSet<UserId>,
}

impl Sent {
    /// One that asks for nothing.
    fn plain(to: Recipient, text: String, urgency: Urgency) -> Self {
        let (accepted, enqueued, reached) = (false, None, BTreeSet::new());
        Self { to, text, ephemeral: false, receipts: false, urgency, at: None, accepted, enqueued, reached }
    }
}

/// What a device was told, in whatever words.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) name: Name,
    pub(crate) to: Recipient,
    pub(crate) text: Option<String>,
    /// As the sender wrote it, if it is told.
    pub(crate) urgency: Option<Urgency>,
}

impl Heard {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let name = (delivery.from.clone(), delivery.id);
        Self { name, to: delivery.to.clone(), text: Some(text_of(&delivery.body)), urgency: Some(delivery.urgency) }
    }
}

/// What a body says: its own text, or that in the body of an old client. News say all that is in them.
fn text_of(body: &Body) -> String {
    let says = match serde_json::from_str::<Value>(body.as_json()) {
        Ok(Value::String(text)) => Some(text),
        Ok(body) => body["body"]["text"].as_str().map(str::to_owned),
        Err(_) => None,
    };
    says.unwrap_or_else(|| body.as_json().to_owned())
}

/// A change of the group that was made.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) id: MessageId,
    pub(crate) members: Vec<UserId>,
    pub(crate) removed: Vec<UserId>,
}

/// The devices of each recipient that are owed a message.
pub(crate) type Owed = BTreeMap<UserId, BTreeSet<DeviceId>>;

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) messages: BTreeMap<Name, Sent>,
    /// Every device that was ever registered.
    pub(crate) devices: BTreeMap<UserId, BTreeSet<DeviceId>>,
    /// What each device has shown to its user, in order.
    pub(crate) shown: BTreeMap<Address, Vec<Name>>,
    /// What was posted to old clients that they never ack. It may be lost with a dying socket, as LEGACY.md says.
    pub(crate) posted_once: BTreeSet<(Address, Name)>,
    /// What old clients call their messages.
    old_ids: BTreeMap<(UserId, String), MessageId>,
    pub(crate) dead_letters: Vec<String>,
    pub(crate) poison: BTreeSet<String>,
    /// What was done that must never be.
    pub(crate) violations: Vec<String>,
    /// Every change of the group that was made, in order.
    pub(crate) changes: Vec<Changed>,
    pub(crate) receipts: Receipts,
    pub(crate) wakes: Wakes,
    /// Rows that were there until they were acked.
    pub(crate) deleted: Vec<Row>,
    looks: BTreeMap<(u32, UserId), (Timestamp, Vec<Device>)>,
    /// When each envelope was last put, and by which invocation.
    puts: BTreeMap<Key, (Timestamp, Option<u32>)>,
    /// The invocations that a fault has happened in.
    pub(crate) unclean: BTreeSet<u32>,
}

impl Facts {
    /// A client is about to send this.
    pub(crate) fn sent(&mut self, name: Name, planned: &Planned) {
        let plain = Sent::plain(planned.to.clone(), planned.id.to_string(), planned.urgency);
        self.messages.insert(name, Sent { ephemeral: planned.ephemeral, receipts: planned.receipts, ..plain });
    }

    /// An old client of `from` is about to send this under the id of what it planned, which becomes the message `id`.
    pub(crate) fn sent_by_old(&mut self, from: &UserId, id: MessageId, planned: &Planned) {
        self.old_ids.insert((from.clone(), planned.id.to_string()), id);
        self.sent((from.clone().into(), id), planned);
    }

    /// What an old client is about to send is a notification, and so for the app alone.
    pub(crate) fn is_notification(&mut self, from: &UserId, id: MessageId) {
        if let Some(sent) = self.messages.get_mut(&(from.clone().into(), id)) {
            sent.urgency = Urgency::Silent;
        }
    }

    /// The message that old clients know by this id.
    pub(crate) fn named_by_old(&self, sender: &Sender, id: &str) -> Option<MessageId> {
        let own = sender.user().and_then(|user| self.old_ids.get(&(user.clone(), id.to_owned())).copied());
        own.or_else(|| id.parse().ok())
    }

    /// A client is about to say that it has these, or that its user has read them.
    pub(crate) fn acked(&mut self, user: &UserId, event: ReceiptEvent, names: &[Name]) {
        self.receipts.acked.extend(names.iter().map(|name| (user.clone(), event, name.clone())));
    }

    /// The sender has read that these are accepted.
    pub(crate) fn accepted(&mut self, from: &UserId, ids: &[MessageId]) {
        for id in ids {
            if let Some(sent) = self.messages.get_mut(&(from.clone().into(), *id)) {
                sent.accepted = true;
            }
        }
    }

    /// The queue is about to have a message. Who is registered by now is owed it.
    pub(crate) fn enqueued(&mut self, envelope: &Envelope, recipients: &[UserId]) {
        let devices = |user: &UserId| self.devices.get(user).cloned().unwrap_or_default();
        let owed = recipients.iter().map(|user| (user.clone(), devices(user))).collect();
        let name = (envelope.from.clone(), envelope.id);
        if envelope.from == Sender::System {
            let sent = || Sent::plain(envelope.to.clone(), text_of(&envelope.body), envelope.urgency);
            self.messages.entry(name.clone()).or_insert_with(sent);
        }
        if let Some(sent) = self.messages.get_mut(&name) {
            sent.at = sent.at.max(Some(envelope.at));
            sent.enqueued.get_or_insert((envelope.expires_at, owed));
            sent.reached.extend(recipients.iter().cloned());
        }
    }

    /// The queue is about to have a receipt. `Err` says what is wrong with it.
    pub(crate) fn enqueued_receipt(&mut self, job: &Deliver) -> Result<(), String> {
        let devices = self.devices.get(&job.recipient).cloned().unwrap_or_default();
        self.receipts.enqueued(job, devices, &self.messages)
    }

    /// What woke nobody, although the last record has ended that could have.
    pub(crate) fn stranded(&self, world: &World, ended: &str, left: &[String]) -> Vec<String> {
        self.wakes.stranded(world, self, ended, left)
    }

    pub(crate) fn is_ephemeral(&self, key: &Key) -> bool {
        self.messages.get(&(key.sender.clone(), key.id)).is_some_and(|sent| sent.ephemeral)
    }

    pub(crate) fn registered(&mut self, address: &Address) {
        self.devices.entry(address.user.clone()).or_default().insert(address.device.clone());
    }

    /// A device has received an envelope. Answers whether it shows it now, or has shown it before; or what is wrong with it.
    pub(crate) fn show(&mut self, address: &Address, delivery: &Delivery) -> Result<bool, String> {
        let heard = Heard::of(delivery);
        if delivery.kind == Kind::Receipt {
            self.receipts.check_shown(address, delivery)?;
            return Ok(self.note_shown(address, heard.name));
        }
        self.hear(address, heard)
    }

    /// The same of a message that came in whatever words.
    pub(crate) fn hear(&mut self, address: &Address, heard: Heard) -> Result<bool, String> {
        let Heard { name, to, text, urgency } = heard;
        let said = |what: &str| Err(format!("{address:?} received {what}: {}~{}", name.1, name.0));
        let Some(sent) = self.messages.get(&name) else {
            return said("what nobody sent");
        };
        if !sent.reached.contains(&address.user) || to != sent.to {
            return said(&format!("what was sent to {:?}", sent.to));
        }
        if text.is_some_and(|text| text != sent.text) {
            return said("another text");
        }
        if urgency.is_some_and(|urgency| urgency != sent.urgency) {
            return said("another urgency");
        }
        Ok(self.note_shown(address, name))
    }

    /// Whether it is shown for the first time.
    fn note_shown(&mut self, address: &Address, name: Name) -> bool {
        let shown = self.shown.entry(address.clone()).or_default();
        let news = !shown.contains(&name);
        if news {
            shown.push(name);
        }
        news
    }

    pub(crate) fn put(&mut self, key: Key, now: Timestamp, invocation: Option<u32>) {
        self.puts.insert(key, (now, invocation));
    }

    /// Whether an ack deleted this envelope, and what put it again came to grief. SQS may hand a record to two invocations at once: if one
    /// of them is done with it, nobody takes up what the other leaves.
    pub(crate) fn is_left_behind(&self, key: &Key) -> bool {
        let by = self.puts.get(key).and_then(|(_, invocation)| *invocation);
        let posted = |device: &DeviceId| {
            let address = Address { user: key.user.clone(), device: device.clone() };
            self.posted_once.contains(&(address, (key.sender.clone(), key.id)))
        };
        by.is_some_and(|by| self.unclean.contains(&by))
            && (self.deleted.iter().any(|row| row.key() == *key) || key.holder.device().is_some_and(posted))
    }

    /// Whether an envelope was put within `age`, so that a read which lags by as much misses it.
    pub(crate) fn is_newly_put(&self, key: &Key, now: Timestamp, age: Duration) -> bool {
        self.puts.get(key).is_some_and(|(at, _)| now.since(*at) < age)
    }

    /// The look of this scope that is not older than `age`, if there is one; otherwise the fresh one.
    pub(crate) fn look(
        &mut self,
        scope: u32,
        user: &UserId,
        fresh: Vec<Device>,
        now: Timestamp,
        age: Duration,
    ) -> Vec<Device> {
        let kept = self.looks.entry((scope, user.clone())).or_insert_with(|| (now, fresh.clone()));
        if now.since(kept.0) > age {
            *kept = (now, fresh);
        }
        kept.1.clone()
    }
}
