//! A standard queue in memory: delays, visibility, receive counts, and the batches that an event source mapping would make.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery::ports::MAX_DELAY;
use delivery::{Failure, Job, Queue, Receipt, Scheduled};
use protocol::Timestamp;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::ledger::{Ledger, planned};
use crate::lock;

/// How long a received record stays hidden unless told otherwise.
pub const VISIBILITY: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Stored {
    id: String,
    body: String,
    visible_at: Timestamp,
    receive_count: u32,
}

/// One receive of one record.
#[derive(Clone, Debug)]
pub struct Received {
    /// The record's id.
    pub id: String,
    /// What this receive is settled by.
    pub receipt: Receipt,
    /// How often it was received.
    pub receive_count: u32,
    /// What it says.
    pub body: String,
}

/// A queue that its clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryQueue {
    clock: Clock,
    records: Arc<Mutex<Vec<Stored>>>,
    dead: Arc<Mutex<Vec<(String, String)>>>,
    sent: Arc<Mutex<u64>>,
    /// Calls: `send`, `send_later`, `set_visibility`, `dead_letter`.
    pub ledger: Ledger,
}

impl MemoryQueue {
    /// An empty queue on this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Puts a record with any body, to be seen at once.
    pub fn put_raw(&self, body: &str) {
        self.put(body.to_owned(), Duration::ZERO);
    }

    /// The jobs of all records, seen and hidden, in order of sending.
    pub fn jobs(&self) -> Vec<Job> {
        lock(&self.records).iter().filter_map(|record| Job::decode(&record.body).ok()).collect()
    }

    /// How many records there are, seen and hidden.
    pub fn len(&self) -> usize {
        lock(&self.records).len()
    }

    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bodies and reasons of the dead letters.
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        lock(&self.dead).clone()
    }

    /// When the next record will be seen, if none is now.
    pub fn next_visible(&self) -> Option<Timestamp> {
        lock(&self.records).iter().map(|record| record.visible_at).min()
    }

    /// Receives up to `max` records that can be seen.
    pub fn receive(&self, max: usize) -> Vec<Received> {
        let now = self.clock.now();
        let mut records = lock(&self.records);
        let seen = records.iter_mut().filter(|record| record.visible_at <= now).take(max);
        seen.map(|record| {
            record.receive_count += 1;
            record.visible_at = now.plus(VISIBILITY);
            Received {
                id: record.id.clone(),
                receipt: Receipt(format!("{}/{}", record.id, record.receive_count)),
                receive_count: record.receive_count,
                body: record.body.clone(),
            }
        })
        .collect()
    }

    /// Deletes the record of a receipt.
    pub fn delete(&self, receipt: &Receipt) {
        let id = receipt.0.split('/').next().unwrap_or_default();
        lock(&self.records).retain(|record| record.id != id);
    }

    /// Settles a batch by a handler's response, as the event source mapping does.
    pub fn settle(&self, batch: &[Received], response: &Value) {
        let failed: Vec<&str> = response["batchItemFailures"]
            .as_array()
            .map(|items| items.iter().filter_map(|item| item["itemIdentifier"].as_str()).collect())
            .unwrap_or_default();
        for id in &failed {
            assert!(batch.iter().any(|record| record.id == *id), "an unknown id fails the whole batch: {id}");
        }
        for record in batch.iter().filter(|record| !failed.contains(&record.id.as_str())) {
            self.delete(&record.receipt);
        }
    }

    fn put(&self, body: String, delay: Duration) {
        let mut sent = lock(&self.sent);
        *sent += 1;
        let visible_at = self.clock.now().plus(delay);
        lock(&self.records).push(Stored { id: format!("record-{sent}"), body, visible_at, receive_count: 0 });
    }
}

/// A batch as the event that a function receives.
pub fn event(batch: &[Received]) -> Value {
    let record = |record: &Received| {
        json!({
            "messageId": record.id,
            "receiptHandle": record.receipt.0,
            "body": record.body,
            "attributes": {"ApproximateReceiveCount": record.receive_count.to_string()},
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:local:000000000000:queue",
            "awsRegion": "local",
        })
    };
    json!({"Records": batch.iter().map(record).collect::<Vec<_>>()})
}

impl Queue for MemoryQueue {
    async fn send(&self, jobs: &[Scheduled]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::new();
        // One call carries ten entries.
        for batch in jobs.chunks(10) {
            let entered = self.ledger.enter("send");
            for scheduled in batch {
                if entered.is_ok() {
                    assert!(scheduled.delay <= MAX_DELAY, "SQS delays by at most 15 minutes");
                    self.put(scheduled.job.encode(), scheduled.delay);
                }
                outcomes.push(entered.as_ref().copied().map_err(|_| planned()));
            }
        }
        outcomes
    }

    async fn set_visibility(&self, records: &[(Receipt, Duration)]) -> Vec<Result<(), Failure>> {
        let now = self.clock.now();
        let mut outcomes = Vec::new();
        for (receipt, wait) in records {
            let entered = self.ledger.enter("set_visibility");
            let id = receipt.0.split('/').next().unwrap_or_default();
            if let (Ok(()), Some(record)) = (&entered, lock(&self.records).iter_mut().find(|record| record.id == id)) {
                record.visible_at = now.plus(*wait);
            }
            outcomes.push(entered);
        }
        outcomes
    }

    async fn send_later(&self, body: &str, delay: Duration) -> Result<(), Failure> {
        self.ledger.enter("send_later")?;
        assert!(delay <= MAX_DELAY, "SQS delays by at most 15 minutes");
        self.put(body.to_owned(), delay);
        Ok(())
    }

    async fn dead_letter(&self, body: &str, reason: &str) -> Result<(), Failure> {
        self.ledger.enter("dead_letter")?;
        lock(&self.dead).push((body.to_owned(), reason.to_owned()));
        Ok(())
    }
}
