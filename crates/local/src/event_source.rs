//! An event source mapping: polls a queue, invokes a function with what it finds, and settles the batch by the function's answer.
//! It never reads a body.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::functions::{Function, Functions};
use crate::lifecycle::Stage;
use crate::sqs::{LocalQueue, Received};

/// How long to wait before polling a queue again that could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A queue and the function that consumes it.
#[derive(Clone, Debug)]
pub(crate) struct EventSource {
    pub(crate) queue: LocalQueue,
    pub(crate) function: Function,
    pub(crate) functions: Arc<Functions>,
}

impl EventSource {
    /// Polls until the run drains, with at most `concurrency` invocations at a time. What was received by then is still handled.
    pub(crate) async fn poll(self, concurrency: usize) {
        let lifecycle = self.functions.lifecycle.clone();
        let running = Arc::new(Semaphore::new(concurrency));
        tokio::select! {
            () = lifecycle.reached(Stage::Draining) => {}
            () = self.poll_on(running) => {}
        }
    }

    async fn poll_on(&self, running: Arc<Semaphore>) {
        while let Ok(permit) = Arc::clone(&running).acquire_owned().await {
            // In a task of its own: if the poll ends while records are received, they are handled all the same.
            let source = self.clone();
            let _ = tokio::spawn(source.poll_once(permit)).await;
        }
    }

    /// Waits for visible records and starts an invocation with them.
    async fn poll_once(self, permit: OwnedSemaphorePermit) {
        let in_hand = self.functions.lifecycle.invocations.enter();
        match self.queue.receive().await {
            Ok(batch) if batch.is_empty() => {
                drop(in_hand);
                self.queue.may_have_visible().await;
            }
            Ok(batch) => {
                tokio::spawn(async move {
                    self.handle(batch).await;
                    drop((permit, in_hand));
                });
            }
            Err(failure) => {
                drop(in_hand);
                tracing::error!(%failure, queue = self.queue.name(), "a queue cannot be read");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }

    async fn handle(&self, batch: Vec<Received>) {
        self.duplicate(&batch).await;
        let event = event(self.queue.name(), &batch);
        // An error leaves the whole batch in flight: it comes again when its visibility timeout is over.
        let Ok(answer) = self.functions.invoke(self.function, event).await else { return };
        let ids: HashSet<&str> = batch.iter().map(|record| record.id.as_str()).collect();
        let Some(failed) = failed(&answer, &ids) else {
            tracing::error!(
                queue = self.queue.name(),
                "a batch response is not valid: the whole batch counts as failed"
            );
            return;
        };
        let done: Vec<String> =
            batch.iter().filter(|record| !failed.contains(&record.id)).map(|record| record.receipt.clone()).collect();
        if done.is_empty() {
            return;
        }
        if let Err(failure) = self.queue.delete(done).await {
            tracing::warn!(%failure, queue = self.queue.name(), "records that are done will come again");
        }
    }

    async fn duplicate(&self, batch: &[Received]) {
        for record in batch.iter().filter(|record| self.functions.faults.duplicates(record.receive_count)) {
            if let Err(failure) = self.queue.show_again(record.receipt.clone()).await {
                tracing::warn!(%failure, "a record could not be duplicated");
            }
        }
    }
}

/// The event that Lambda makes of a batch, without the MD5 sums.
fn event(queue: &str, batch: &[Received]) -> Value {
    let record = |record: &Received| {
        json!({
            "messageId": record.id,
            "receiptHandle": record.receipt,
            "body": record.body,
            "attributes": {
                "ApproximateReceiveCount": record.receive_count.to_string(),
                "SentTimestamp": record.sent_at.as_millis().to_string(),
                "SenderId": "local",
                "ApproximateFirstReceiveTimestamp": record.first_received_at.as_millis().to_string(),
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:local:000000000000:{queue}"),
            "awsRegion": "local",
        })
    };
    json!({"Records": batch.iter().map(record).collect::<Vec<_>>()})
}

/// The ids that a partial batch response reports as failed; `None` if it fails the whole batch, as an empty or unknown id does.
///
/// Source: the Lambda guide, "Implementing partial batch responses", success and failure conditions.
fn failed(answer: &Value, batch: &HashSet<&str>) -> Option<HashSet<String>> {
    let failures = match answer {
        Value::Null => return Some(HashSet::new()),
        answer => match answer.as_object()?.get("batchItemFailures") {
            None | Some(Value::Null) => return Some(HashSet::new()),
            Some(failures) => failures.as_array()?,
        },
    };
    let id = |failure: &Value| {
        let id = failure.get("itemIdentifier")?.as_str()?;
        batch.contains(id).then(|| id.to_owned())
    };
    failures.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(id: &str) -> Received {
        Received {
            id: id.to_owned(),
            receipt: format!("receipt of {id}"),
            body: "b".to_owned(),
            receive_count: 3,
            sent_at: protocol::Timestamp::from_millis(1),
            first_received_at: protocol::Timestamp::from_millis(2),
        }
    }

    #[test]
    fn the_event_is_one_that_functions_read() {
        let records = lambda::batch::records(event("delivery", &[received("a"), received("b")])).expect("an event");
        let read: Vec<_> = records.iter().map(|record| (record.id.as_str(), record.receive_count)).collect();
        assert_eq!(read, [("a", 3), ("b", 3)]);
    }

    #[test]
    fn a_partial_batch_response_is_taken_at_its_word() {
        let batch = HashSet::from(["a", "b"]);
        let failing = |ids: Value| {
            let failures = ids.as_array().expect("ids").iter().map(|id| json!({"itemIdentifier": id}));
            failed(&json!({"batchItemFailures": failures.collect::<Vec<_>>()}), &batch)
        };
        for all_done in [json!(null), json!({}), json!({"batchItemFailures": null}), json!({"batchItemFailures": []})] {
            assert_eq!(failed(&all_done, &batch), Some(HashSet::new()), "{all_done}");
        }
        assert_eq!(failing(json!(["b"])), Some(HashSet::from(["b".to_owned()])));
        for none_done in [json!([""]), json!([null]), json!(["b", "unknown"])] {
            assert_eq!(failing(none_done.clone()), None, "{none_done}");
        }
        for none_done in [json!("done"), json!({"batchItemFailures": {}}), json!({"batchItemFailures": [{"id": "a"}]})]
        {
            assert_eq!(failed(&none_done, &batch), None, "{none_done}");
        }
    }
}
