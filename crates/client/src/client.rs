//! The handle to a client, its events, and the task between them. What they share is a [`Core`] under a lock that is never
//! held across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{Body, MessageId, Outgoing, Recipient, Ref};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock;
use crate::core::Core;
use crate::driver::{CLOSE_TIMEOUT, drive};
use crate::event::Event;
use crate::network::{Network, Tcp};
use crate::options::Options;
use crate::outbox::SendError;

/// What a client still had to do when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Messages that the server has not accepted.
    pub unaccepted: usize,
    /// Acks and reads that are not on the wire. Their messages come again.
    pub unacked: usize,
}

impl Outstanding {
    /// Whether there is nothing.
    pub fn is_none(self) -> bool {
        self == Self { unaccepted: 0, unacked: 0 }
    }
}

/// A device's connection to the server, kept up by a task in the background. Cheap to clone; when the last clone is dropped
/// the connection is closed at once, whatever is still to be sent. [`Client::close`] waits for that.
#[derive(Clone, Debug)]
pub struct Client(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.change(|core, _| core.close());
    }
}

/// What happens to a client, to be taken one by one.
///
/// At most 1,000 messages are in hand; further ones, and what comes after them, are left in the inbox and fetched when
/// there is room. When `Events` is
/// dropped, the client goes on sending, and leaves every message in the inbox.
#[derive(Debug)]
pub struct Events(Arc<Shared>);

impl Client {
    /// Makes a client. Whether it can connect is told by the events; it tries until it is closed, displaced or refused.
    ///
    /// # Panics
    /// Outside a tokio runtime whose time and I/O are enabled.
    pub fn connect(options: Options) -> (Self, Events) {
        Self::over(options, Tcp)
    }

    pub(crate) fn over<N: Network>(options: Options, network: N) -> (Self, Events) {
        let shared = Arc::new(Shared::new(Core::new(options.acks, fastrand::u64(..))));
        tokio::spawn(drive(Arc::clone(&shared), options, network));
        (Self(Arc::new(Handle(Arc::clone(&shared)))), Events(shared))
    }

    /// Queues a message that is stored until it is acked, for 30 days at most. [`Event::Accepted`] or [`Event::Refused`]
    /// follows under the id that is answered. It is sent again, with this id, until the server has answered.
    ///
    /// # Errors
    /// [`SendError`] when the message cannot be queued.
    pub fn send(&self, to: Recipient, body: Body) -> Result<MessageId, SendError> {
        let message = |id| Outgoing::new(id, to, body);
        self.0.0.change(|core, now| core.send(now, clock::now(), message))
    }

    /// Queues a message that has its id, from [`new_message_id`](crate::new_message_id): for applications that keep their
    /// own outbox, and for messages that are ephemeral, expire, ask for receipts, or name attachments. Queueing one again whose id is queued
    /// changes nothing.
    ///
    /// # Errors
    /// [`SendError`] when the message cannot be queued.
    pub fn enqueue(&self, message: Outgoing) -> Result<(), SendError> {
        self.0.0.change(|core, now| core.enqueue(message, now))
    }

    /// Acks a message that was received as `reference`, within 250 ms while connected and else on the next connection.
    /// Needed under [`Acks::Manual`](crate::Acks::Manual) only; under [`Acks::Never`](crate::Acks::Never) it does nothing, and nothing
    /// ever for a receipt that says what another device of the user has acked, since that is kept nowhere.
    pub fn ack(&self, reference: &Ref) {
        self.0.0.change(|core, now| core.ack(reference, now));
    }

    /// Says that the user has seen a message that was received as `reference`, which acks it as well; otherwise as [`Client::ack`]. Who
    /// sent it is told, if that was asked for, and so are the user's other devices.
    pub fn read(&self, reference: &Ref) {
        self.0.0.change(|core, now| core.read(reference, now));
    }

    /// What is still to be done.
    pub fn outstanding(&self) -> Outstanding {
        self.0.0.lock().outstanding()
    }

    /// Waits until every queued message is accepted or refused and every ack is on the wire, the client has ended, or
    /// `within` has passed. Answers what is still to be done.
    pub async fn flush(&self, within: Duration) -> Outstanding {
        let shared = &self.0.0;
        shared.change(Core::hurry);
        let flushed = shared.until(|core| core.has_ended() || core.outstanding().is_none());
        let _elapsed = tokio::time::timeout(within, flushed).await;
        self.outstanding()
    }

    /// Flushes within `within`, then closes the connection, which adds at most 2 s, and ends. Answers what was not done.
    pub async fn close(&self, within: Duration) -> Outstanding {
        let outstanding = self.flush(within).await;
        let shared = &self.0.0;
        shared.change(|core, _| core.close());
        let _elapsed = tokio::time::timeout(CLOSE_TIMEOUT, shared.until(Core::has_ended)).await;
        outstanding
    }
}

impl Events {
    /// The next event, in the order in which they happened; `None` when the client has ended and all were taken. No event is
    /// lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.until(|core| core.has_ended() || core.has_events()).await;
        self.0.change(Core::take)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.change(|core, _| core.consumer_gone());
    }
}

/// What the handle, the events and the task share.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Wakes the task.
    to_driver: Notify,
    /// Wakes who waits for the task.
    from_driver: Notify,
}

impl Shared {
    fn new(core: Core) -> Self {
        Self { core: Mutex::new(core), to_driver: Notify::new(), from_driver: Notify::new() }
    }

    /// A panic while it was held is no reason for another one: every change leaves the core whole.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The consumer's side changes something.
    fn change<T>(&self, change: impl FnOnce(&mut Core, Instant) -> T) -> T {
        let changed = change(&mut self.lock(), Instant::now());
        self.to_driver.notify_one();
        changed
    }

    /// The task changes something.
    pub(crate) fn report<T>(&self, change: impl FnOnce(&mut Core, Instant) -> T) -> T {
        let changed = change(&mut self.lock(), Instant::now());
        self.from_driver.notify_waiters();
        changed
    }

    /// Waits until the consumer's side has changed something.
    pub(crate) async fn changed(&self) {
        self.to_driver.notified().await;
    }

    /// Waits until the consumer's side closes the client.
    pub(crate) async fn closing(&self) {
        while !self.lock().is_closing() {
            self.changed().await;
        }
    }

    /// Waits until the task has made `true_of` true.
    async fn until(&self, true_of: impl Fn(&Core) -> bool) {
        loop {
            // Listening starts before looking, so that no change falls between the two.
            let mut told = std::pin::pin!(self.from_driver.notified());
            told.as_mut().enable();
            if true_of(&self.lock()) {
                return;
            }
            told.await;
        }
    }
}
