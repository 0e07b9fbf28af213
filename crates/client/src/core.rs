//! What a client decides: it is told the time, what was received and what became of the connection, and says what to
//! write and what to tell the consumer. It opens no socket, waits for nothing, and reads no clock.

use std::time::Duration;

use fastrand::Rng;
use protocol::limits::CONNECTION_LIFETIME;
use protocol::{ClientFrame, Code, Delivery, MessageId, Nonce, Outgoing, Ref, ServerFrame, Timestamp};
use tokio::time::Instant;

use crate::ack_buffer::AckBuffer;
use crate::backoff::Backoff;
use crate::client::Outstanding;
use crate::event::{Cause, Event, FatalError};
use crate::in_hand::InHand;
use crate::message_id::new_message_id;
use crate::options::Acks;
use crate::outbox::{Answer, Outbox, SendError};
use crate::seen::{Novelty, SEEN_CAPACITY, Seen};
use crate::sync_passes::{PassStep, SyncPasses};

/// A connection is replaced this much before the server would cut it: 1 to 5 minutes, so that clients that connected
/// together do not reconnect together.
const AGED_MARGIN_SECS: std::ops::RangeInclusive<u64> = 60..=300;

/// No connection is replaced for its age before it has lived this long, whatever a wrong clock makes of `reconnect_by`.
const YOUNGEST_AGED: Duration = Duration::from_secs(5 * 60);

/// What the socket is to do now.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write this frame, then report [`Core::written`].
    Write(String),
    /// Leave this connection for another.
    Leave(Cause),
    /// Close this connection and end.
    Close,
    /// Nothing before this moment, unless something happens.
    Wait(Instant),
}

/// A client but for its socket.
#[derive(Debug)]
pub(crate) struct Core {
    mode: Acks,
    rng: Rng,
    backoff: Backoff,
    outbox: Outbox,
    acks: AckBuffer,
    reads: AckBuffer,
    seen: Seen,
    in_hand: InHand,
    link: Option<Link>,
    consumer: bool,
    closing: bool,
    ended: bool,
}

/// What is known of the open connection.
#[derive(Debug)]
struct Link {
    opened_at: Instant,
    replace_at: Instant,
    margin: Duration,
    drained: bool,
    passes: SyncPasses,
}

impl Core {
    pub(crate) fn new(mode: Acks, seed: u64) -> Self {
        Self {
            mode,
            rng: Rng::with_seed(seed),
            backoff: Backoff::default(),
            outbox: Outbox::default(),
            acks: AckBuffer::default(),
            reads: AckBuffer::default(),
            seen: Seen::new(SEEN_CAPACITY),
            in_hand: InHand::default(),
            link: None,
            consumer: true,
            closing: false,
            ended: false,
        }
    }

    // From the consumer.

    /// Queues a message under the id that `make` gives it.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        wall: Timestamp,
        make: impl FnOnce(MessageId) -> Outgoing,
    ) -> Result<MessageId, SendError> {
        let id = new_message_id(wall);
        self.enqueue(make(id), now).map(|()| id)
    }

    /// Queues a message that has its id.
    pub(crate) fn enqueue(&mut self, message: Outgoing, now: Instant) -> Result<(), SendError> {
        if self.ended || self.closing {
            return Err(SendError::Ended);
        }
        self.outbox.push(message, now)
    }

    /// Acks a message, unless acks are off.
    pub(crate) fn ack(&mut self, reference: &Ref, now: Instant) {
        if self.mode != Acks::Never {
            for reference in self.seen.ack(reference) {
                self.acks.add(reference, now);
            }
        }
    }

    /// Says that the user has seen a message, which acks it as well, unless acks are off.
    pub(crate) fn read(&mut self, reference: &Ref, now: Instant) {
        if self.mode != Acks::Never {
            for reference in self.seen.ack(reference) {
                self.reads.add(reference, now);
            }
        }
    }

    /// The next event for the consumer.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Event> {
        let event = self.in_hand.take()?;
        if let (Event::Message(message), Acks::OnTake) = (&event, self.mode) {
            self.ack(&message.reference, now);
        }
        Some(event)
    }

    /// There is no consumer any more: messages stay in the inbox.
    pub(crate) fn consumer_gone(&mut self) {
        self.consumer = false;
        while self.in_hand.take().is_some() {}
    }

    /// The waiting acks go at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.acks.hurry(now);
        self.reads.hurry(now);
    }

    /// End as soon as the socket is closed.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.in_hand.is_empty()
    }

    pub(crate) fn outstanding(&self) -> Outstanding {
        Outstanding { unaccepted: self.outbox.len(), unacked: self.acks.len() + self.reads.len() }
    }

    // From the socket.

    /// A connection is open.
    pub(crate) fn opened(&mut self, now: Instant) {
        let margin =
            Duration::from_millis(self.rng.u64(AGED_MARGIN_SECS.start() * 1_000..=AGED_MARGIN_SECS.end() * 1_000));
        self.link = Some(Link {
            opened_at: now,
            replace_at: now + CONNECTION_LIFETIME - margin,
            margin,
            drained: false,
            passes: SyncPasses::new(now, &mut self.rng),
        });
        self.tell(Event::Connected);
    }

    /// What to do now.
    pub(crate) fn poll(&mut self, now: Instant) -> Step {
        if self.closing {
            return Step::Close;
        }
        if let Some(refs) = self.acks.take(now) {
            return Step::Write(ClientFrame::render_ack(&refs));
        }
        if let Some(refs) = self.reads.take(now) {
            return Step::Write(ClientFrame::render_read(&refs));
        }
        for event in self.outbox.drop_stale(now) {
            self.tell(event);
        }
        if let Some(frame) = self.outbox.next_frame(now, &mut self.rng) {
            return Step::Write(frame);
        }
        let room = self.consumer && self.in_hand.has_room();
        let Some(link) = &mut self.link else { return Step::Leave(Cause::Closed(None)) };
        if link.replace_at <= now {
            return Step::Leave(Cause::Aged);
        }
        match link.passes.poll(now, room, &mut self.rng) {
            PassStep::Write(frame) => Step::Write(frame),
            PassStep::Unanswered => Step::Leave(Cause::Unanswered),
            PassStep::Wait(until) => {
                let due = [self.acks.due(), self.reads.due(), self.outbox.due(), Some(link.replace_at)];
                Step::Wait(due.into_iter().flatten().fold(until, Instant::min))
            }
        }
    }

    /// What was to be written is on the wire.
    pub(crate) fn written(&mut self) {
        self.acks.written();
        self.reads.written();
    }

    /// A text frame was received. A frame of no known type is ignored, as the protocol asks.
    pub(crate) fn received(&mut self, text: &str, now: Instant, wall: Timestamp) {
        let Some(frame) = ServerFrame::parse(text) else {
            tracing::debug!(bytes = text.len(), "frame of no known type ignored");
            return;
        };
        if !matches!(frame, ServerFrame::Error { .. }) {
            self.backoff.reset();
        }
        match frame {
            ServerFrame::Accepted { ids, refused, at, nonce } => {
                let answer = Answer { ids, refused, at, nonce };
                for event in self.outbox.answered(answer, now, &mut self.rng) {
                    self.tell(event);
                }
            }
            ServerFrame::Messages { messages, more, nonce } => self.messages(messages, more.zip(nonce), now),
            ServerFrame::Drained { reconnect_by } => self.drained(reconnect_by.since(wall), now),
            ServerFrame::Error { code: Code::Displaced, .. } => self.end(Event::Displaced),
            ServerFrame::Error { code, detail, nonce } => self.errored(code, &detail, nonce.as_ref(), now),
            ServerFrame::Device { .. } | ServerFrame::Pong { .. } => {}
        }
    }

    fn messages(&mut self, messages: Vec<Delivery>, answer: Option<(bool, Nonce)>, now: Instant) {
        let last = messages.last().map(|message| message.reference.clone());
        for message in messages {
            self.message(message, now);
        }
        let Some(link) = &mut self.link else { return };
        if let Some((more, nonce)) = answer
            && link.passes.answered(&nonce, last, more, now)
            && !std::mem::replace(&mut link.drained, true)
        {
            link.passes.drained();
            self.tell(Event::Drained);
        }
    }

    fn message(&mut self, message: Delivery, now: Instant) {
        let again = self.mode != Acks::Never && self.seen.contains(&message);
        let behind = self.link.as_ref().is_some_and(|link| link.passes.is_behind());
        if !self.consumer || (!again && (behind || self.in_hand.is_full())) {
            // Neither shown nor acked, it stays in the inbox.
            if let Some(link) = &mut self.link {
                link.passes.want();
            }
            return;
        }
        if self.mode == Acks::Never {
            self.in_hand.push_message(message);
            return;
        }
        match self.seen.note(&message) {
            Novelty::New => self.in_hand.push_message(message),
            // An ack could go before the read, which would then find nothing to tell anybody of.
            Novelty::Again { acked: true } if self.reads.holds(&message.reference) => {}
            Novelty::Again { acked: true } => self.acks.add(message.reference, now),
            Novelty::Again { acked: false } => {}
        }
    }

    fn drained(&mut self, left: Duration, now: Instant) {
        let Some(link) = &mut self.link else { return };
        link.passes.drained();
        // The server's clock and this one may differ, so the server's word counts within what is sensible only.
        let age = (now + left.min(CONNECTION_LIFETIME)).duration_since(link.opened_at + link.margin);
        link.replace_at = link.opened_at + age.clamp(YOUNGEST_AGED, CONNECTION_LIFETIME - link.margin);
        if !std::mem::replace(&mut link.drained, true) {
            self.tell(Event::Drained);
        }
    }

    fn errored(&mut self, code: Code, detail: &str, nonce: Option<&Nonce>, now: Instant) {
        tracing::warn!(?code, detail, "the server could not take a frame");
        for event in self.outbox.errored(nonce, code, detail, now, &mut self.rng) {
            self.tell(event);
        }
        if let (Some(link), Some(nonce)) = (&mut self.link, nonce) {
            link.passes.errored(nonce, code, now, &mut self.rng);
        }
    }

    /// There is no connection, or none yet. Answers in how long to try again.
    pub(crate) fn lost(&mut self, cause: Cause, now: Instant) -> Duration {
        self.link = None;
        self.outbox.lost();
        self.acks.lost(now);
        self.reads.lost(now);
        let retry_in = if matches!(cause, Cause::Aged) { Duration::ZERO } else { self.backoff.failed(&mut self.rng) };
        self.tell(Event::Disconnected { retry_in, cause });
        retry_in
    }

    /// This client must not connect again.
    pub(crate) fn fatal(&mut self, error: FatalError) {
        self.end(Event::Fatal(error));
    }

    /// The socket is closed for good.
    pub(crate) fn end_silently(&mut self) {
        self.ended = true;
    }

    fn end(&mut self, event: Event) {
        self.tell(event);
        self.ended = true;
    }

    fn tell(&mut self, event: Event) {
        if self.consumer {
            self.in_hand.push(event);
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
