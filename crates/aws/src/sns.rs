//! The offline topic on SNS as the `OfflineTopic` port. Its records reach the wake queue by raw delivery, without an envelope of SNS.

use std::sync::Arc;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::{BatchResultErrorEntry, PublishBatchRequestEntry};
use delivery::{Failure, HandOver, OfflineTopic};
use futures::future::join_all;

use crate::failure::{failure, refused};
use crate::meter::{Meter, Unit};

/// Most entries in one PublishBatch; ten hand-overs are far below its 256 KB. Source: SNS quotas.
const MAX_BATCH: usize = 10;

/// The offline topic.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    client: Client,
    arn: String,
    meter: Arc<Meter>,
}

impl SnsTopic {
    /// The topic `arn`.
    pub fn new(client: Client, arn: String, meter: Arc<Meter>) -> Self {
        Self { client, arn, meter }
    }

    async fn publish_batch(&self, batch: &[HandOver]) -> Vec<Result<(), Failure>> {
        const OPERATION: &str = "publish hand-overs";
        // SNS charges each message of a batch as a publish.
        self.meter.count("sns", "PublishBatch", Unit::Publish, f64::from(u8::try_from(batch.len()).unwrap_or(u8::MAX)));
        let mut call = self.client.publish_batch().topic_arn(&self.arn);
        for (index, hand_over) in batch.iter().enumerate() {
            let entry = PublishBatchRequestEntry::builder().id(index.to_string()).message(hand_over.encode()).build();
            call = call.publish_batch_request_entries(entry.expect("id and message are set"));
        }
        let output = match call.send().await {
            Ok(output) => output,
            Err(error) => return batch.iter().map(|_| Err(failure(OPERATION, &error))).collect(),
        };
        let outcome = |index: usize| {
            let id = index.to_string();
            let failed = output.failed().iter().find(|entry: &&BatchResultErrorEntry| entry.id() == id);
            match failed {
                Some(entry) => Err(refused(OPERATION, entry.message().unwrap_or(entry.code()))),
                None if output.successful().iter().any(|entry| entry.id() == Some(id.as_str())) => Ok(()),
                None => Err(refused(OPERATION, "the answer leaves it out")),
            }
        };
        (0..batch.len()).map(outcome).collect()
    }
}

impl OfflineTopic for SnsTopic {
    async fn publish(&self, hand_overs: &[HandOver]) -> Vec<Result<(), Failure>> {
        let batches = hand_overs.chunks(MAX_BATCH).map(|batch| self.publish_batch(batch));
        join_all(batches).await.into_iter().flatten().collect()
    }
}
