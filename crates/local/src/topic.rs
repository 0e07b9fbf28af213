//! The offline topic of the local cloud: publishes hand-overs by raw delivery into the wake queue, at once and durably. There is no
//! other subscriber.

use std::sync::Arc;

use aws::meter::{Meter, Unit};
use delivery::{Failure, HandOver, OfflineTopic};

use crate::sqs::LocalQueue;

/// Most entries of a PublishBatch.
const MAX_ENTRIES: usize = 10;

/// The topic. Clones are the same topic.
#[derive(Clone, Debug)]
pub(crate) struct LocalTopic {
    wakes: LocalQueue,
    meter: Arc<Meter>,
}

impl LocalTopic {
    /// A topic whose subscriber is `wakes`.
    pub(crate) fn new(wakes: LocalQueue, meter: Arc<Meter>) -> Self {
        Self { wakes, meter }
    }
}

impl OfflineTopic for LocalTopic {
    async fn publish(&self, hand_overs: &[HandOver]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(hand_overs.len());
        for batch in hand_overs.chunks(MAX_ENTRIES) {
            // SNS charges each message of a batch as a publish, and nothing for delivering it to SQS.
            let published = u8::try_from(batch.len()).unwrap_or(u8::MAX);
            self.meter.count("sns", "PublishBatch", Unit::Publish, f64::from(published));
            outcomes.extend(self.wakes.take_published(batch.iter().map(HandOver::encode).collect()).await);
        }
        outcomes
    }
}
