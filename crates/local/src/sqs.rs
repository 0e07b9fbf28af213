//! The queues of the local cloud: the domain's queue port, and what a poller needs, on a standard queue that lies in SQLite.
//!
//! [`records`] says what a standard queue does and [`entries`] what it refuses; here calls are cut into batches, brought to the
//! storage thread, and metered as SQS would charge them. Receives that find nothing are not metered: how many of those Lambda's
//! own pollers make depends on it, not on the run. There are no message attributes, no FIFO queues and no MD5 sums.

mod dead_letters;
pub(crate) mod entries;
pub(crate) mod records;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws::meter::{Meter, Unit, steps};
use aws::sqs::{MAX_BATCH, METERED_BYTES};
use delivery::{DeadLetter, Failure, Job, Origin, Queue, Receipt, Scheduled};
use protocol::Timestamp;
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::worker::Worker;
use entries::Entry;
pub(crate) use records::{Received, Spec};

/// Tells the time. The local cloud runs by the machine's; tests run by their own.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that reads `time`.
    pub(crate) fn new(time: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(time))
    }

    /// The machine's.
    pub(crate) fn machine() -> Self {
        Self::new(|| lambda::start::invocation().now)
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Nobody waits longer for a record than this without looking again: the machine may have slept, or its clock been set.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// One queue with its dead-letter queue. Clones are the same queue.
#[derive(Clone, Debug)]
pub(crate) struct LocalQueue {
    store: Worker<Connection>,
    spec: Arc<Spec>,
    clock: Clock,
    changed: Arc<Notify>,
    meter: Arc<Meter>,
}

impl LocalQueue {
    /// The queue `spec` in `store`, which has the schema of [`records`].
    pub(crate) fn new(store: Worker<Connection>, spec: Spec, clock: Clock, meter: Arc<Meter>) -> Self {
        Self { store, spec: Arc::new(spec), clock, changed: Arc::default(), meter }
    }

    /// Takes bodies from the topic, visible at once: whoever publishes is charged, not the queue. What is answered `Ok` survives the
    /// end of the process. Answers in order.
    pub(crate) async fn take_published(&self, bodies: Vec<String>) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(bodies.len());
        for batch in entries::batches(bodies.into_iter().map(|body| (body, Duration::ZERO)).collect()) {
            outcomes.extend(self.send_batch(batch).await);
        }
        outcomes
    }

    /// Sends bodies, each hidden for its delay (at most 900 s). What is answered `Ok` survives the end of the process. Answers in order.
    async fn send_bodies(&self, bodies: Vec<(String, Duration)>) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(bodies.len());
        for batch in entries::batches(bodies) {
            self.count("SendMessageBatch", batch.iter().map(|entry| entry.body.len()).sum());
            outcomes.extend(self.send_batch(batch).await);
        }
        outcomes
    }

    async fn send_batch(&self, batch: Vec<Entry>) -> Vec<Result<(), Failure>> {
        let count = batch.len();
        let (spec, now) = (Arc::clone(&self.spec), self.clock.now());
        let sent = self.call("send records", move |store| records::send(store, &spec, &batch, now)).await;
        self.changed.notify_one();
        match sent {
            Ok(outcomes) => {
                outcomes.into_iter().map(|sent| sent.map_err(|why| failure("send a record", why))).collect()
            }
            Err(Failure { operation, cause }) => (0..count).map(|_| Err(failure(operation, &cause))).collect(),
        }
    }

    /// Receives up to 10 visible records, each hidden for the queue's visibility timeout. Worn-out ones go to the dead-letter queue.
    ///
    /// # Errors
    /// When the store fails; then nothing was received.
    pub(crate) async fn receive(&self) -> Result<Vec<Received>, Failure> {
        let (spec, now) = (Arc::clone(&self.spec), self.clock.now());
        let received = self.call("receive records", move |store| records::receive(store, &spec, now)).await?;
        if !received.is_empty() {
            self.count("ReceiveMessage", received.iter().map(|record| record.body.len()).sum());
        }
        Ok(received)
    }

    /// Deletes up to 10 records by their latest receipts. A receipt that is not the latest deletes nothing and is no error.
    ///
    /// # Errors
    /// When the store fails; then nothing was deleted.
    pub(crate) async fn delete(&self, receipts: Vec<String>) -> Result<(), Failure> {
        self.count("DeleteMessageBatch", 0);
        let spec = Arc::clone(&self.spec);
        self.call("delete records", move |store| records::delete(store, &spec, &receipts)).await
    }

    /// What lies in the dead-letter queue, oldest first. Looking is no receive, which SQS would charge.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn dead_letters(&self, origin: Origin) -> Result<Vec<DeadLetter>, Failure> {
        let spec = Arc::clone(&self.spec);
        self.call("look for dead letters", move |store| dead_letters::all(store, &spec, origin)).await
    }

    /// The whole record of a dead letter. It may hold what users wrote.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn dead_letter_raw(&self, id: &str) -> Result<Option<String>, Failure> {
        let (spec, id) = (Arc::clone(&self.spec), id.to_owned());
        self.call("read a dead letter", move |store| dead_letters::raw(store, &spec, &id)).await
    }

    /// Sends dead letters back to the queue, all or none, and answers which of `ids` were there. The same again finds none.
    ///
    /// # Errors
    /// When the store fails; then nothing was sent back.
    pub(crate) async fn redrive(&self, ids: Vec<String>) -> Result<Vec<String>, Failure> {
        let (spec, now) = (Arc::clone(&self.spec), self.clock.now());
        let redriven =
            self.call("redrive dead letters", move |store| dead_letters::redrive(store, &spec, &ids, now)).await?;
        for _ in redriven.chunks(MAX_BATCH) {
            self.count("SendMessageBatch", 0);
            self.count("DeleteMessageBatch", 0);
        }
        self.changed.notify_one();
        Ok(redriven)
    }

    /// Shows a record that was just received to the next receiver too, as SQS may do at times; the receipt is void.
    pub(crate) async fn show_again(&self, receipt: String) -> Result<(), Failure> {
        let (spec, now) = (Arc::clone(&self.spec), self.clock.now());
        let shown =
            self.call("show a record again", move |store| records::show_again(store, &spec, &receipt, now)).await;
        self.changed.notify_one();
        shown
    }

    /// Waits until a receive may find something: until the next record becomes visible, or one is sent or shown. For one waiter.
    pub(crate) async fn may_have_visible(&self) {
        let spec = Arc::clone(&self.spec);
        let next = self.call("look for records", move |store| records::next_visible(store, &spec)).await;
        let wait = match next {
            Ok(next) => next.map_or(LONGEST_WAIT, |at| at.since(self.clock.now()).min(LONGEST_WAIT)),
            Err(failure) => {
                tracing::error!(%failure, queue = self.spec.name, "a queue cannot be read");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.changed.notified() => {}
        }
    }

    /// The queue's name.
    pub(crate) fn name(&self) -> &'static str {
        self.spec.name
    }

    async fn call<R: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, Failure> {
        match self.store.call(work).await {
            Ok(result) => result.map_err(|error| failure(operation, error)),
            Err(unanswered) => Err(failure(operation, unanswered)),
        }
    }

    fn count(&self, operation: &'static str, bytes: usize) {
        self.meter.count("sqs", operation, Unit::QueueRequest, steps(bytes, METERED_BYTES));
    }
}

fn failure(operation: &'static str, cause: impl fmt::Display) -> Failure {
    Failure { operation, cause: cause.to_string() }
}

impl Queue for LocalQueue {
    async fn send(&self, jobs: &[Scheduled]) -> Vec<Result<(), Failure>> {
        self.send_bodies(jobs.iter().map(|scheduled| (Job::encode(&scheduled.job), scheduled.delay)).collect()).await
    }

    async fn set_visibility(&self, records: &[(Receipt, Duration)]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(records.len());
        for batch in records.chunks(MAX_BATCH) {
            self.count("ChangeMessageVisibilityBatch", 0);
            let (spec, now, batch) = (Arc::clone(&self.spec), self.clock.now(), batch.to_vec());
            let count = batch.len();
            let operation = "set the visibility of records";
            match self.call(operation, move |store| records::set_visibility(store, &spec, &batch, now)).await {
                Ok(set) => outcomes.extend(set.into_iter().map(|set| set.map_err(|why| failure(operation, why)))),
                Err(Failure { cause, .. }) => outcomes.extend((0..count).map(|_| Err(failure(operation, &cause)))),
            }
        }
        self.changed.notify_one();
        outcomes
    }

    async fn send_later(&self, body: &str, delay: Duration) -> Result<(), Failure> {
        self.send_bodies(vec![(body.to_owned(), delay)])
            .await
            .pop()
            .unwrap_or_else(|| Err(failure("send a record", "nothing was answered")))
    }

    async fn dead_letter(&self, body: &str, reason: &str) -> Result<(), Failure> {
        self.count("SendMessage", body.len());
        let (spec, now) = (Arc::clone(&self.spec), self.clock.now());
        let (body, reason) = (body.to_owned(), reason.to_owned());
        let operation = "send a record to the dead-letter queue";
        self.call(operation, move |store| records::dead_letter(store, &spec, &body, &reason, now)).await
    }
}

#[cfg(test)]
#[path = "sqs/queue_tests.rs"]
mod tests;
