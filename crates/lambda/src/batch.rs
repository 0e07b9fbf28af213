//! A batch of SQS records: taken apart, and settled record by record, so that one bad record never fails its neighbours.
//!
//! It knows the envelope around a job (message id, receipt handle, receive count), never the job.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use delivery::schedule::backoff;
use delivery::{Invocation, Queue, Receipt};
use serde_json::Value;

use crate::error::HandlerError;

/// One receive of one record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The record's id, the same on every receive.
    pub id: String,
    /// What this receive is settled by.
    pub receipt: Receipt,
    /// How often the record was received, this time included.
    pub receive_count: u32,
    /// What it says.
    pub body: String,
}

/// How a record ended, this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// SQS may delete it.
    Done,
    /// It comes again after this wait.
    Wait(Duration),
    /// The infrastructure failed it, for this reason; it comes again after a back-off.
    Retry(String),
    /// It can never be done, for this reason, and belongs into the dead-letter queue now.
    Reject(String),
}

/// Reads an event of the SQS event source mapping.
///
/// # Errors
/// [`HandlerError::WrongShape`] when it is none. A record without an id could not be reported as failed, so it spoils the
/// whole event rather than be lost.
pub fn records(event: Value) -> Result<Vec<Record>, HandlerError> {
    // serde's own words would quote the event, and a body with it.
    let event: SqsEvent =
        serde_json::from_value(event).map_err(|_| HandlerError::WrongShape("it is no SQS batch".to_owned()))?;
    event.records.into_iter().map(record).collect()
}

fn record(message: SqsMessage) -> Result<Record, HandlerError> {
    let missing = |what: &str| HandlerError::WrongShape(format!("a record without {what}"));
    let receive_count = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    Ok(Record {
        id: message.message_id.filter(|id| !id.is_empty()).ok_or_else(|| missing("messageId"))?,
        receipt: Receipt(message.receipt_handle.ok_or_else(|| missing("receiptHandle"))?),
        receive_count: receive_count.ok_or_else(|| missing("ApproximateReceiveCount"))?,
        body: message.body.unwrap_or_default(),
    })
}

/// Carries out the verdicts and makes the partial batch response: rejected records are dead-lettered, waiting ones hidden,
/// and everything that is not done is reported as failed, so that SQS keeps it.
pub async fn settle(queue: &impl Queue, verdicts: Vec<(Record, Verdict)>, invocation: Invocation) -> SqsBatchResponse {
    let mut rng = invocation.rng();
    let mut response = SqsBatchResponse::default();
    let mut waits = Vec::new();
    for (record, verdict) in verdicts {
        let wait = match verdict {
            Verdict::Done => continue,
            Verdict::Wait(wait) => wait,
            Verdict::Retry(reason) => {
                tracing::warn!(record.id, record.receive_count, reason, "record will be retried");
                backoff(record.receive_count, &mut rng)
            }
            Verdict::Reject(reason) => match queue.dead_letter(&record.body, &reason).await {
                Ok(()) => {
                    tracing::error!(record.id, record.receive_count, reason, "record was dead-lettered");
                    continue;
                }
                Err(failure) => {
                    tracing::warn!(record.id, record.receive_count, %failure, "record will be retried");
                    backoff(record.receive_count, &mut rng)
                }
            },
        };
        response.add_failure(record.id);
        waits.push((record.receipt, wait));
    }
    if !waits.is_empty() {
        for failure in queue.set_visibility(&waits).await.into_iter().filter_map(Result::err) {
            // The record comes again all the same, after the queue's own visibility timeout.
            tracing::warn!(%failure, "the wait of a record could not be set");
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(id: &str) -> Value {
        json!({"messageId": id, "receiptHandle": "r", "body": "b", "attributes": {"ApproximateReceiveCount": "3"}})
    }

    #[test]
    fn records_are_read() {
        let records = records(json!({"Records": [message("a"), message("b")]})).expect("an SQS event");
        assert_eq!(records.len(), 2);
        assert_eq!((records[1].id.as_str(), records[1].receive_count), ("b", 3));
    }

    #[test]
    fn an_event_of_the_wrong_shape_is_refused_whole() {
        for event in [
            json!({}),
            json!([]),
            json!({"Records": 7}),
            json!({"Records": [message("")]}),
            json!({"Records": [{"messageId": "a"}]}),
            json!({"Records": [{"messageId": "a", "attributes": "b"}]}),
        ] {
            let error = records(event.clone()).expect_err("no batch");
            assert!(matches!(error, HandlerError::WrongShape(_)), "{event}");
            assert!(!error.to_string().contains("\"b\""), "{error}");
        }
    }
}
