//! Which messages were received already. It bounds its memory and decides nothing about acks but what there is to ack.

use std::collections::{HashMap, VecDeque};

use protocol::{Delivery, Kind, MessageId, Receipt, ReceiptEvent, Recipient, Ref, Sender};

/// How many messages are remembered, the latest. A message that comes again after this many others is shown again.
pub const SEEN_CAPACITY: usize = 10_000;

/// A sender chooses the id, so only both together name a message.
type Key = (Sender, MessageId);

/// What [`Seen::note`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// It was not received before.
    New,
    /// It was received before, and is acked or not yet.
    Again {
        /// Whether the consumer has acked it.
        acked: bool,
    },
}

#[derive(Debug, Default)]
struct Entry {
    acked: bool,
    /// Until it is acked: every ref under which it came. One message can lie in the device's own inbox and among the
    /// user's unclaimed envelopes, and each is removed by its own ref only.
    refs: Vec<Ref>,
    /// It is a notice, of which there is nothing to ack.
    notice: bool,
}

/// The latest messages received.
#[derive(Debug)]
pub(crate) struct Seen {
    capacity: usize,
    entries: HashMap<Key, Entry>,
    oldest_first: VecDeque<Key>,
}

impl Seen {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: HashMap::new(), oldest_first: VecDeque::new() }
    }

    /// Whether this message was received before, without remembering it.
    pub(crate) fn contains(&self, delivery: &Delivery) -> bool {
        self.entries.contains_key(&key(delivery))
    }

    /// Remembers a message that was received.
    pub(crate) fn note(&mut self, delivery: &Delivery) -> Novelty {
        let key = key(delivery);
        if let Some(entry) = self.entries.get_mut(&key) {
            if !entry.acked && !entry.refs.contains(&delivery.reference) {
                entry.refs.push(delivery.reference.clone());
            }
            return Novelty::Again { acked: entry.acked };
        }
        if self.oldest_first.len() >= self.capacity
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.oldest_first.push_back(key.clone());
        let refs = vec![delivery.reference.clone()];
        self.entries.insert(key, Entry { acked: false, refs, notice: is_notice(delivery) });
        Novelty::New
    }

    /// The consumer acks the message that it received as `reference`: the refs to send.
    pub(crate) fn ack(&mut self, reference: &Ref) -> Vec<Ref> {
        let mut refs = match self.entries.get_mut(&(reference.sender.clone(), reference.id)) {
            Some(entry) if entry.notice => return Vec::new(),
            Some(entry) => {
                entry.acked = true;
                std::mem::take(&mut entry.refs)
            }
            None => Vec::new(),
        };
        if !refs.contains(reference) {
            refs.push(reference.clone());
        }
        refs
    }
}

fn key(delivery: &Delivery) -> Key {
    (delivery.from.clone(), delivery.id)
}

/// Whether it says that another device of the same user has acked something. That is posted and kept nowhere, so an ack would delete nothing and
/// cost a frame. Receipts are to whom they tell, so that is the user who is told of himself.
fn is_notice(delivery: &Delivery) -> bool {
    let of_oneself =
        |receipt: Receipt| receipt.event == ReceiptEvent::Delivered && delivery.to == Recipient::User(receipt.by);
    delivery.kind == Kind::Receipt && Receipt::of(&delivery.body).is_some_and(of_oneself)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::delivery;

    #[test]
    fn a_message_is_new_once() {
        let mut seen = Seen::new(10);
        assert_eq!(seen.note(&delivery("alice", 1)), Novelty::New);
        assert_eq!(seen.note(&delivery("alice", 1)), Novelty::Again { acked: false });
        assert_eq!(seen.note(&delivery("carol", 1)), Novelty::New, "another sender may choose the same id");
        assert_eq!(seen.ack(&delivery("alice", 1).reference), [delivery("alice", 1).reference]);
        assert_eq!(seen.note(&delivery("alice", 1)), Novelty::Again { acked: true });
    }

    #[test]
    fn an_ack_names_every_ref_of_the_message() {
        let mut seen = Seen::new(10);
        let own = delivery("alice", 1);
        let mut unclaimed = own.clone();
        unclaimed.reference.shelf = protocol::Shelf::Unclaimed;
        seen.note(&own);
        seen.note(&unclaimed);
        assert_eq!(seen.ack(&own.reference), [own.reference, unclaimed.reference]);
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut seen = Seen::new(2);
        for n in 1..=3 {
            seen.note(&delivery("alice", n));
        }
        assert!(seen.contains(&delivery("alice", 2)) && seen.contains(&delivery("alice", 3)));
        assert!(!seen.contains(&delivery("alice", 1)));
        assert_eq!(seen.ack(&delivery("alice", 1).reference), [delivery("alice", 1).reference]);
        assert_eq!(seen.entries.len(), 2);
    }
}
