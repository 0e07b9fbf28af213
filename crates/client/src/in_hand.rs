//! Events that the consumer has not taken yet. It bounds the messages among them and keeps those of one sender in order.

use std::collections::VecDeque;

use protocol::Delivery;

use crate::event::Event;

/// Most messages in hand. What comes beyond them, and after that, is left in the inbox and fetched once there is
/// room.
pub const IN_HAND_CAPACITY: usize = 1_000;

/// A pass over the inbox starts, and goes on, while no more messages than this are in hand.
const ROOM_BELOW: usize = IN_HAND_CAPACITY / 2;

/// Events in the order in which they happened.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    events: VecDeque<Event>,
    messages: usize,
}

impl InHand {
    /// Adds an event that is not a message. Of several vain tries to connect in a row the last one is kept.
    pub(crate) fn push(&mut self, event: Event) {
        let vain = |event: &Event| matches!(event, Event::Disconnected { .. });
        if vain(&event) && self.events.back().is_some_and(vain) {
            self.events.pop_back();
        }
        self.events.push_back(event);
    }

    /// Adds a message, before those of its sender that have a greater id.
    pub(crate) fn push_message(&mut self, message: Delivery) {
        let later = |event: &Event| matches!(event, Event::Message(other) if other.from == message.from && other.id > message.id);
        let place = self.events.iter().position(later).unwrap_or(self.events.len());
        self.events.insert(place, Event::Message(message));
        self.messages += 1;
    }

    /// The next event for the consumer.
    pub(crate) fn take(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::Message(_)) {
            self.messages -= 1;
        }
        Some(event)
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether one more message is too many.
    pub(crate) fn is_full(&self) -> bool {
        self.messages >= IN_HAND_CAPACITY
    }

    /// Whether a page of the inbox fits.
    pub(crate) fn has_room(&self) -> bool {
        self.messages <= ROOM_BELOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::delivery;

    #[test]
    fn messages_of_one_sender_come_in_the_order_of_their_ids() {
        let mut in_hand = InHand::default();
        in_hand.push_message(delivery("alice", 2));
        in_hand.push_message(delivery("carol", 1));
        in_hand.push(Event::Drained);
        in_hand.push_message(delivery("alice", 1));
        in_hand.push_message(delivery("alice", 3));
        let taken: Vec<String> = std::iter::from_fn(|| in_hand.take())
            .map(|event| match event {
                Event::Message(message) => format!("{} {}", message.from, message.body.as_json()),
                other => format!("{other:?}"),
            })
            .collect();
        let expected =
            ["alice \"message 1\"", "alice \"message 2\"", "carol \"message 1\"", "Drained", "alice \"message 3\""];
        assert_eq!(taken, expected);
    }

    #[test]
    fn only_messages_count() {
        let mut in_hand = InHand::default();
        for n in 0..1_000 {
            in_hand.push(Event::Connected);
            assert!(!in_hand.is_full());
            in_hand.push_message(delivery("alice", n));
        }
        assert!(in_hand.is_full() && !in_hand.has_room());
        for _ in 0..1_000 {
            in_hand.take();
        }
        assert!(in_hand.has_room());
    }
}
