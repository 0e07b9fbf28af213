//! SQS and its event source mapping: records that are delayed, hidden, seen again, seen twice, and batched anyhow. What is in a record
//! is not known here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery::{Job, Receipt};
use serde_json::Value;
use testkit::queue::{Received, event};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::fault::{Fault, Service};
use crate::functions::{AWAIT_RECEIVES, Function, Functions};
use crate::lock;
use crate::mutation::Mutation;
use crate::world::World;

/// How long a received record stays hidden unless told otherwise; the template's.
const VISIBILITY: Duration = Duration::from_secs(60);

/// A record that was received so often goes to the dead-letter queue; the template's.
const MAX_RECEIVES: u32 = 200;

/// The largest batch; the template's.
const BATCH: u64 = 10;

#[derive(Clone, Debug)]
struct Record {
    body: String,
    visible_at: Duration,
    receives: u32,
}

pub(crate) struct SimQueue {
    name: &'static str,
    records: Mutex<BTreeMap<u64, Record>>,
    count: Mutex<u64>,
    changed: Notify,
}

impl SimQueue {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, records: Mutex::default(), count: Mutex::default(), changed: Notify::new() }
    }

    pub(crate) fn put(&self, world: &World, body: String, delay: Duration) {
        let mut count = lock(&self.count);
        *count += 1;
        let visible_at = world.elapsed() + delay;
        lock(&self.records).insert(*count, Record { body, visible_at, receives: 0 });
        self.changed.notify_one();
    }

    /// Hides a record from now on, whichever receive the receipt is of.
    pub(crate) fn hide(&self, world: &World, receipt: &Receipt, wait: Duration) {
        let Some(number) = number(receipt) else { return };
        if let Some(record) = lock(&self.records).get_mut(&number) {
            record.visible_at = world.elapsed() + wait;
        }
        self.changed.notify_one();
    }

    /// What is left, for whoever asks why.
    pub(crate) fn left(&self) -> Vec<String> {
        lock(&self.records)
            .values()
            .map(|record| format!("{} (received {} times)", record.body, record.receives))
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.records).is_empty()
    }

    /// Receives and invokes, for as long as the run takes.
    pub(crate) async fn serve(world: Arc<World>, functions: Arc<Functions>, function: Function) {
        loop {
            let queue = world.queue(function);
            world.pause(1..30).await;
            if world.is_down(Service::Queues) {
                sleep(Duration::from_secs(5)).await;
                continue;
            }
            let batch = queue.receive(&world);
            if batch.is_empty() {
                let next = lock(&queue.records).values().map(|record| record.visible_at).min();
                let wait = next.map_or(Duration::from_secs(3_600), |next| next.saturating_sub(world.elapsed()));
                // Whatever is put meanwhile ends the wait.
                drop(timeout(wait, queue.changed.notified()).await);
                continue;
            }
            let (world, functions) = (Arc::clone(&world), Arc::clone(&functions));
            tokio::spawn(async move { Self::process(&world, &functions, function, batch).await });
        }
    }

    fn receive(&self, world: &World) -> Vec<Received> {
        let now = world.elapsed();
        let mut records = lock(&self.records);
        let mut visible: Vec<u64> =
            records.iter().filter(|(_, record)| record.visible_at <= now).map(|(number, _)| *number).collect();
        let mut batch = Vec::new();
        // Any of them, in any order, as many as there happen to be on the server that was asked.
        let size = world.draw(1..BATCH + 1);
        while (batch.len() as u64) < size && !visible.is_empty() {
            let number = visible.swap_remove(usize::try_from(world.draw(0..visible.len() as u64)).unwrap_or_default());
            let Some(record) = records.get_mut(&number) else { continue };
            if world.strikes(Fault::Late) {
                record.visible_at = now + Duration::from_secs(world.draw(1..90));
                continue;
            }
            record.receives += 1;
            record.visible_at = now + VISIBILITY;
            if world.strikes(Fault::Lapse) {
                record.visible_at = now + Duration::from_millis(world.draw(0..3_000));
            }
            batch.push(Received {
                id: format!("{}-{number}", self.name),
                receipt: Receipt(format!("{number}/{}", record.receives)),
                receive_count: record.receives,
                body: record.body.clone(),
            });
            if record.receives > MAX_RECEIVES {
                world.violate(|| format!("received {MAX_RECEIVES} times: {}", record.body));
                records.remove(&number);
            }
        }
        batch
    }

    async fn process(world: &World, functions: &Functions, function: Function, mut batch: Vec<Received>) {
        let queue = world.queue(function);
        let receives = batch.iter().map(|record| record.receive_count).max().unwrap_or_default();
        world.tell(|| {
            let names: Vec<String> = batch.iter().map(|one| format!("{}/{}", one.id, one.receive_count)).collect();
            format!("{function:?} receives {}", names.join(", "))
        });
        queue.mutate(world, &mut batch).await;
        let ended = functions.invoke(function, event(&batch), receives).await;
        let Some(answer) = ended.answer else { return };
        let mut failed = failures(&answer);
        if ended.clean {
            judge(world, &batch, &failed);
        }
        if !failed.is_empty() && world.mutated(Mutation::WholeBatchFails) {
            failed = batch.iter().map(|record| record.id.clone()).collect();
            if ended.clean {
                judge(world, &batch, &failed);
            }
        }
        if world.mutated(Mutation::WholeBatchDone) {
            failed.clear();
        }
        world.pause(1..20).await;
        for record in batch.iter().filter(|record| !failed.contains(&record.id)) {
            queue.delete(world, &record.receipt);
            if function == Function::Notify {
                let stranded = lock(&world.facts).stranded(world, &record.body, &queue.bodies());
                stranded.into_iter().for_each(|wrong| world.violate(|| wrong));
            }
        }
    }

    fn bodies(&self) -> Vec<String> {
        lock(&self.records).values().map(|record| record.body.clone()).collect()
    }

    /// Deletes, or seems to.
    fn delete(&self, world: &World, receipt: &Receipt) {
        let Some(number) = number(receipt) else { return };
        let mut records = lock(&self.records);
        if world.strikes(Fault::Duplicate) {
            if let Some(record) = records.get_mut(&number) {
                record.visible_at = world.elapsed() + Duration::from_secs(world.draw(0..120));
            }
        } else {
            records.remove(&number);
        }
        self.changed.notify_one();
    }

    async fn mutate(&self, world: &World, batch: &mut Vec<Received>) {
        for record in batch.iter_mut() {
            if world.mutated(Mutation::AttemptsCountedTwice) {
                record.receive_count += 2;
            }
            if world.mutated(Mutation::AttemptsNotCounted) {
                record.receive_count = 1;
            }
        }
        if !world.mutated(Mutation::MissingRowIsAckInDeliver) {
            return;
        }
        let rows = world.inbox.rows();
        let acked = |record: &Received| {
            let Ok(Job::Deliver(job)) = Job::decode(&record.body) else { return false };
            let lies = rows.iter().any(|row| row.user == job.recipient && row.envelope.id == job.envelope.id);
            record.receive_count > 1 && !lies
        };
        let (done, rest): (Vec<Received>, Vec<Received>) = std::mem::take(batch).into_iter().partition(acked);
        *batch = rest;
        for record in done {
            lock(&self.records).remove(&number(&record.receipt).unwrap_or_default());
        }
    }
}

impl World {
    /// The queue that a function consumes.
    pub(crate) fn queue(&self, function: Function) -> &SimQueue {
        if function == Function::Notify { &self.wakes } else { &self.deliveries }
    }
}

fn number(receipt: &Receipt) -> Option<u64> {
    receipt.0.split('/').next()?.parse().ok()
}

fn failures(answer: &Value) -> Vec<String> {
    let items = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item["itemIdentifier"].as_str().map(ToOwned::to_owned)).collect()
}

/// How often a record had been received when it got this receipt, whatever the event said.
fn receives(receipt: &Receipt) -> u32 {
    receipt.0.split('/').nth(1).and_then(|receives| receives.parse().ok()).unwrap_or_default()
}

/// What an invocation in which nothing went wrong may keep: an Await that still has attempts, and no Deliver once everybody is back.
fn judge(world: &World, batch: &[Received], failed: &[String]) {
    for record in batch.iter().filter(|record| failed.contains(&record.id)) {
        match Job::decode(&record.body) {
            Ok(Job::Await(_)) if receives(&record.receipt) >= AWAIT_RECEIVES => {
                world.violate(|| format!("{} goes on after its last receive", record.receipt.0));
            }
            Ok(Job::Deliver(_)) if world.has_settled() => {
                world.violate(|| format!("{} was kept although nothing went wrong", record.id));
            }
            _ => {}
        }
    }
}
