//! Receipts, as the check knows them: what was acked, who was told, and what may not be said. Messages are in `facts`.

use std::collections::{BTreeMap, BTreeSet};

use delivery::{Address, Deliver};
use protocol::{Delivery, DeviceId, MessageId, Receipt, ReceiptEvent, Sender, Timestamp, UserId};

use crate::facts::{Name, Sent};

/// Something that was queued to be told to a user.
#[derive(Debug)]
pub(crate) struct Telling {
    body: String,
    except: Option<DeviceId>,
    pub(crate) expires_at: Timestamp,
    /// The devices that the user had before, beside the one that it is not for.
    pub(crate) owed: BTreeSet<DeviceId>,
}

/// What is remembered of receipts.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// What each user has said to have, or to have read.
    pub(crate) acked: BTreeSet<(UserId, ReceiptEvent, Name)>,
    /// What was queued, for whom, by its id.
    pub(crate) queued: BTreeMap<(UserId, MessageId), Telling>,
    /// Who was told that whom has what.
    pub(crate) told: BTreeSet<(UserId, UserId, Name)>,
}

impl Receipts {
    /// A receipt is about to be queued, for a user with these devices. `Err` says what is wrong with it.
    pub(crate) fn enqueued(
        &mut self,
        job: &Deliver,
        devices: BTreeSet<DeviceId>,
        messages: &BTreeMap<Name, Sent>,
    ) -> Result<(), String> {
        let (to, id) = (&job.recipient, job.envelope.id);
        let Some(receipt) = Receipt::of(&job.envelope.body) else {
            return Err(format!("the receipt {id} to {to} cannot be read"));
        };
        let owed = devices.into_iter().filter(|device| Some(device) != job.except.as_ref()).collect();
        let body = job.envelope.body.as_json().to_owned();
        let telling = Telling { body, except: job.except.clone(), expires_at: job.envelope.expires_at, owed };
        self.queued.entry((to.clone(), id)).or_insert(telling);
        for message in &receipt.messages {
            let name = (message.from.clone(), message.id);
            if !self.acked.contains(&(receipt.by.clone(), receipt.event, name.clone())) {
                return Err(format!(
                    "{to} is told by {} of {name:?}: {:?}, which it never was",
                    receipt.by, receipt.event
                ));
            }
            let asked = || name.0 == Sender::User(to.clone()) && messages.get(&name).is_some_and(|sent| sent.receipts);
            if receipt.by != *to && !asked() {
                return Err(format!("{to} is told that {} has {name:?}, and did not ask", receipt.by));
            }
            self.told.insert((to.clone(), receipt.by.clone(), name));
        }
        Ok(())
    }

    /// A device has received a receipt. `Err` says what is wrong with it.
    pub(crate) fn check_shown(&self, address: &Address, delivery: &Delivery) -> Result<(), String> {
        let receipt = Receipt::of(&delivery.body).ok_or("a receipt cannot be read")?;
        if receipt.by == address.user && receipt.event == ReceiptEvent::Delivered {
            // Posted at once and never queued.
            let mut acks = receipt
                .messages
                .into_iter()
                .map(|message| (address.user.clone(), receipt.event, (message.from, message.id)));
            return acks
                .all(|ack| self.acked.contains(&ack))
                .then_some(())
                .ok_or_else(|| format!("{address:?} was told of an ack that never was: {}", delivery.reference));
        }
        let Some(telling) = self.queued.get(&(address.user.clone(), delivery.id)) else {
            return Err(format!("{address:?} received a receipt that nobody queued: {}", delivery.reference));
        };
        if delivery.body.as_json() != telling.body {
            return Err(format!("{address:?} received another receipt: {}", delivery.reference));
        }
        if Receipt::of(&delivery.body).is_some_and(|receipt| receipt.by == address.user)
            && telling.except.as_ref() == Some(&address.device)
        {
            return Err(format!("{address:?} was told of its own ack: {}", delivery.reference));
        }
        Ok(())
    }
}
