//! An SQS queue as the `Queue` port, with the dead-letter queue beside it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue,
    SendMessageBatchRequestEntry,
};
use delivery::{Failure, Queue, Receipt, Scheduled};
use futures::future::join_all;

use crate::failure::{failure, refused};
use crate::meter::{Meter, Unit, steps};

/// Most entries in one batch call. Source: SQS quotas.
pub const MAX_BATCH: usize = 10;

/// Most bytes in one record, and in one batch call. Source: SQS quotas, 1 MiB.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// SQS charges a request for each 64 KB of it.
pub const METERED_BYTES: usize = 64 * 1024;

/// The message attribute that says why a function put a record into the dead-letter queue.
pub(crate) const REASON: &str = "reason";

/// A queue that a function sends to, consumes, or both.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
    dead_letter_url: Option<String>,
    meter: Arc<Meter>,
}

impl SqsQueue {
    /// The queue at `url`. A function that only sends needs no dead-letter queue.
    pub fn new(client: Client, url: String, dead_letter_url: Option<String>, meter: Arc<Meter>) -> Self {
        Self { client, url, dead_letter_url, meter }
    }

    /// Sends at most a batch, as [`cut`] makes them. Answers in order.
    pub(crate) async fn send_batch(&self, batch: &[(String, Duration)]) -> Vec<Result<(), Failure>> {
        const OPERATION: &str = "send records";
        let bytes = batch.iter().map(|(body, _)| body.len()).sum();
        self.meter.count("sqs", "SendMessageBatch", Unit::QueueRequest, steps(bytes, METERED_BYTES));
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for (index, (body, delay)) in batch.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .delay_seconds(whole_seconds(*delay))
                .build()
                .expect("id and body are set");
            call = call.entries(entry);
        }
        match call.send().await {
            Ok(output) => {
                let taken: Vec<&str> =
                    output.successful().iter().map(aws_sdk_sqs::types::SendMessageBatchResultEntry::id).collect();
                outcomes(OPERATION, batch.len(), output.failed(), |id| taken.contains(&id))
            }
            Err(error) => batch.iter().map(|_| Err(failure(OPERATION, &error))).collect(),
        }
    }

    async fn set_visibility_batch(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), Failure>> {
        const OPERATION: &str = "hide records";
        self.meter.count("sqs", "ChangeMessageVisibilityBatch", Unit::QueueRequest, 1.0);
        let mut call = self.client.change_message_visibility_batch().queue_url(&self.url);
        for (index, (receipt, wait)) in batch.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&receipt.0)
                .visibility_timeout(whole_seconds(*wait))
                .build()
                .expect("id and receipt handle are set");
            call = call.entries(entry);
        }
        match call.send().await {
            Ok(output) => {
                let taken: Vec<&str> = output
                    .successful()
                    .iter()
                    .map(aws_sdk_sqs::types::ChangeMessageVisibilityBatchResultEntry::id)
                    .collect();
                outcomes(OPERATION, batch.len(), output.failed(), |id| taken.contains(&id))
            }
            Err(error) => batch.iter().map(|_| Err(failure(OPERATION, &error))).collect(),
        }
    }
}

impl Queue for SqsQueue {
    async fn send(&self, jobs: &[Scheduled]) -> Vec<Result<(), Failure>> {
        let records = jobs.iter().map(|scheduled| (scheduled.job.encode(), scheduled.delay)).collect();
        let batches = cut(records);
        join_all(batches.iter().map(|batch| self.send_batch(batch))).await.into_iter().flatten().collect()
    }

    async fn set_visibility(&self, records: &[(Receipt, Duration)]) -> Vec<Result<(), Failure>> {
        let batches = records.chunks(MAX_BATCH).map(|batch| self.set_visibility_batch(batch));
        join_all(batches).await.into_iter().flatten().collect()
    }

    async fn send_later(&self, body: &str, delay: Duration) -> Result<(), Failure> {
        const OPERATION: &str = "send a record";
        self.meter.count("sqs", "SendMessage", Unit::QueueRequest, steps(body.len(), METERED_BYTES));
        let call = self.client.send_message().queue_url(&self.url).message_body(body);
        call.delay_seconds(whole_seconds(delay)).send().await.map_err(|error| failure(OPERATION, &error))?;
        Ok(())
    }

    async fn dead_letter(&self, body: &str, reason: &str) -> Result<(), Failure> {
        const OPERATION: &str = "dead-letter a record";
        let Some(url) = &self.dead_letter_url else {
            return Err(refused(OPERATION, "this function has no dead-letter queue"));
        };
        self.meter.count("sqs", "SendMessage", Unit::QueueRequest, steps(body.len(), METERED_BYTES));
        let reason = MessageAttributeValue::builder().data_type("String").string_value(reason).build();
        self.client
            .send_message()
            .queue_url(url)
            .message_body(body)
            .message_attributes(REASON, reason.map_err(|error| failure(OPERATION, &error))?)
            .send()
            .await
            .map_err(|error| failure(OPERATION, &error))?;
        Ok(())
    }
}

/// Cuts records, in their order, into batches that one call may carry.
pub fn cut(records: Vec<(String, Duration)>) -> Vec<Vec<(String, Duration)>> {
    let mut batches: Vec<Vec<(String, Duration)>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        bytes += record.0.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH && bytes <= MAX_BATCH_BYTES => batch.push(record),
            _ => {
                bytes = record.0.len();
                batches.push(vec![record]);
            }
        }
    }
    batches
}

/// The outcome of each of `count` entries, whose ids are their places. An answer of 200 may still have failed some; one that
/// is in neither list is not known to be done.
pub(crate) fn outcomes(
    operation: &'static str,
    count: usize,
    failed: &[BatchResultErrorEntry],
    taken: impl Fn(&str) -> bool,
) -> Vec<Result<(), Failure>> {
    let failed: HashMap<&str, &BatchResultErrorEntry> = failed.iter().map(|entry| (entry.id(), entry)).collect();
    let outcome = |index: usize| {
        let id = index.to_string();
        match failed.get(id.as_str()) {
            Some(entry) => Err(refused(operation, entry.message().unwrap_or(entry.code()))),
            None if taken(&id) => Ok(()),
            None => Err(refused(operation, "the answer leaves it out")),
        }
    };
    (0..count).map(outcome).collect()
}

/// Waits and delays are whole seconds by then, and at most 12 hours.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
