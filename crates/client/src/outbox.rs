//! Messages on their way to being accepted: which go into the next `send` frame, and what an answer means for each.
//! It keeps no clock and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use protocol::limits::{EPHEMERAL_LIFETIME, MAX_MESSAGES_PER_SEND};
use protocol::{ClientFrame, Code, MessageId, Nonce, Outgoing, Refusal, Timestamp};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::event::Event;

/// Most messages that wait to be accepted.
pub const OUTBOX_CAPACITY: usize = 10_000;

/// Largest `send` frame, in bytes. Below the limit of 32 KB, whichever way that is counted, with the WebSocket header.
pub const SEND_FRAME_BYTES: usize = 32_000;

/// How long an answer is waited for before its messages are sent again.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a message was not taken into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It would not fit into a frame.
    #[error("the message needs a frame of {bytes} bytes and 32,000 are allowed: send a link to it instead")]
    TooLarge {
        /// Size of the frame with this message alone.
        bytes: usize,
    },
    /// 10,000 messages wait already.
    #[error("10,000 messages wait to be accepted already: wait until some are")]
    Full,
    /// The client has ended: closed, displaced, or its token refused.
    #[error("this client has ended: connect a new one")]
    Ended,
}

/// Messages by id, which is the order in which they are sent. One frame is in flight at a time: what gathers meanwhile
/// shares the next one, and a sender's messages are accepted in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: BTreeMap<MessageId, Entry>,
    in_flight: Option<InFlight>,
    frames: u64,
}

#[derive(Debug)]
struct Entry {
    message: Outgoing,
    /// Of the message as JSON.
    bytes: usize,
    queued_at: Instant,
    /// Not sent before.
    from: Instant,
    backoff: Backoff,
}

#[derive(Debug)]
struct InFlight {
    nonce: Nonce,
    ids: Vec<MessageId>,
    answer_by: Instant,
}

/// What the server says about some messages.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) ids: Vec<MessageId>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) at: Timestamp,
    pub(crate) nonce: Option<Nonce>,
}

impl Outbox {
    /// Takes a message. One whose id is here already stays as it is.
    pub(crate) fn push(&mut self, message: Outgoing, now: Instant) -> Result<(), SendError> {
        let bytes = ClientFrame::render_send(std::slice::from_ref(&message), Some(&nonce(self.frames))).len();
        if bytes > SEND_FRAME_BYTES {
            return Err(SendError::TooLarge { bytes });
        }
        if self.entries.contains_key(&message.id) {
            return Ok(());
        }
        if self.entries.len() >= OUTBOX_CAPACITY {
            return Err(SendError::Full);
        }
        let bytes = bytes - shell_bytes(&nonce(self.frames));
        let entry = Entry { bytes, queued_at: now, from: now, backoff: Backoff::default(), message };
        self.entries.insert(entry.message.id, entry);
        Ok(())
    }

    /// The next `send` frame, when there is one to write. An answer that did not come is taken for lost first.
    pub(crate) fn next_frame(&mut self, now: Instant, rng: &mut Rng) -> Option<String> {
        if let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.answer_by <= now) {
            self.retry(&in_flight.ids, now, rng);
        }
        if self.in_flight.is_some() {
            return None;
        }
        let nonce = nonce(self.frames);
        let mut bytes = shell_bytes(&nonce);
        let messages: Vec<Outgoing> = self
            .entries
            .values()
            .filter(|entry| entry.from <= now)
            .take(MAX_MESSAGES_PER_SEND)
            .take_while(|entry| {
                bytes += entry.bytes + ",".len();
                bytes <= SEND_FRAME_BYTES + ",".len()
            })
            .map(|entry| entry.message.clone())
            .collect();
        if messages.is_empty() {
            return None;
        }
        self.frames += 1;
        let frame = ClientFrame::render_send(&messages, Some(&nonce));
        let ids = messages.iter().map(|message| message.id).collect();
        self.in_flight = Some(InFlight { nonce, ids, answer_by: now + ANSWER_TIMEOUT });
        Some(frame)
    }

    /// When [`Outbox::next_frame`] will have something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.in_flight {
            Some(in_flight) => Some(in_flight.answer_by),
            None => self.entries.values().map(|entry| entry.from).min(),
        }
    }

    /// An `accepted` frame. An answer that comes late counts all the same: it names its messages.
    pub(crate) fn answered(&mut self, answer: Answer, now: Instant, rng: &mut Rng) -> Vec<Event> {
        let asked = self.in_flight.take_if(|in_flight| answer.nonce.as_ref() == Some(&in_flight.nonce));
        let mut unmentioned = asked.map(|in_flight| in_flight.ids).unwrap_or_default();
        let mut refused = Vec::with_capacity(answer.refused.len());
        for refusal in answer.refused {
            let named = refusal.id.and_then(|id| id.parse().ok());
            if let Some(id) = named.or_else(|| unmentioned.get(refusal.index).copied()) {
                refused.push((id, refusal.code, refusal.detail));
            }
        }
        unmentioned.retain(|id| !answer.ids.contains(id) && refused.iter().all(|(refused, ..)| refused != id));
        self.retry(&unmentioned, now, rng);

        let accepted = answer.ids.into_iter().filter(|id| self.entries.remove(id).is_some()).collect::<Vec<_>>();
        let mut events: Vec<Event> = accepted.into_iter().map(|id| Event::Accepted { id, at: answer.at }).collect();
        for (id, code, detail) in refused {
            events.extend(self.refused(id, code, &detail, now, rng));
        }
        events
    }

    /// An `error` frame. It concerns the messages in flight if it bears their nonce.
    pub(crate) fn errored(
        &mut self,
        nonce: Option<&Nonce>,
        code: Code,
        detail: &str,
        now: Instant,
        rng: &mut Rng,
    ) -> Vec<Event> {
        let asked = self.in_flight.take_if(|in_flight| nonce == Some(&in_flight.nonce));
        let ids = asked.map(|in_flight| in_flight.ids).unwrap_or_default();
        ids.into_iter().filter_map(|id| self.refused(id, code, detail, now, rng)).collect()
    }

    fn refused(&mut self, id: MessageId, code: Code, detail: &str, now: Instant, rng: &mut Rng) -> Option<Event> {
        if code == Code::Unavailable {
            self.retry(&[id], now, rng);
            return None;
        }
        self.entries.remove(&id).map(|_| Event::Refused { id, code, detail: detail.to_owned() })
    }

    fn retry(&mut self, ids: &[MessageId], now: Instant, rng: &mut Rng) {
        for id in ids {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.from = now + entry.backoff.failed(rng);
            }
        }
    }

    /// Takes out the ephemeral messages that outlived their use. While an answer is awaited they stay: it may name them.
    pub(crate) fn drop_stale(&mut self, now: Instant) -> Vec<Event> {
        if self.in_flight.is_some() {
            return Vec::new();
        }
        let stale = |_: &MessageId, entry: &mut Entry| {
            entry.message.ephemeral && now.duration_since(entry.queued_at) >= EPHEMERAL_LIFETIME
        };
        self.entries.extract_if(.., stale).map(|(id, _)| Event::Stale { id }).collect()
    }

    /// The connection is lost, and with it the answer: what was in flight is sent again, with the same ids, on the next.
    pub(crate) fn lost(&mut self) {
        self.in_flight = None;
    }

    /// How many messages are not accepted yet.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Distinct for each frame of this outbox, so that an answer matches one of them.
fn nonce(frame: u64) -> Nonce {
    Nonce::new(format!("send-{frame}")).expect("it is short")
}

/// Size of a `send` frame with no messages.
fn shell_bytes(nonce: &Nonce) -> usize {
    ClientFrame::render_send(&[], Some(nonce)).len()
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
