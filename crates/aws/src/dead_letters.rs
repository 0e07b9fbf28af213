//! The dead-letter queues of a deployed system: found by receiving them, sent back to where they came from, or let go. Which ones are
//! meant is for the caller to say.
//!
//! SQS has no way to look at a queue, so finding is receiving: records are hidden meanwhile, from everybody else who looks, and their
//! receive counts grow. A dead-letter queue has no redrive policy, so that harms nothing.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, DeleteMessageBatchResultEntry, Message,
    MessageSystemAttributeName,
};
use delivery::{DeadLetter, Failure, Origin, Stamp};
use futures::future::join_all;
use protocol::Timestamp;

use crate::failure::failure;
use crate::meter::Meter;
use crate::sqs::{MAX_BATCH, REASON, SqsQueue, cut, outcomes};

/// Seconds that a record is hidden once it was received: enough to find thousands, and soon over if they are not let go.
const HIDDEN: i32 = 120;

/// Seconds that SQS waits for records. With any wait it asks all of its servers, instead of a few that may have none.
const WAIT: i32 = 1;

/// So many receives in a row must bring nothing new before a queue counts as seen.
const RECEIVES_WITHOUT_NEWS: usize = 3;

/// The URLs of a queue and of its dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUrls {
    /// Where records are sent back to.
    pub queue: String,
    /// Where they lie.
    pub dead_letters: String,
}

/// Why dead letters cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There was no answer.
    #[error(transparent)]
    Unreachable(Failure),
    /// The answer was no: no such queue, no right to it, or no credentials or region to ask with.
    #[error(transparent)]
    Refused(Failure),
}

/// What was received and is hidden still.
#[derive(Debug)]
struct Held {
    /// The latest; an earlier one may not delete.
    receipt: String,
    /// None of what is not wanted: a queue may hold more than memory does.
    raw: Option<String>,
}

/// One dead-letter queue, and what is held of it by record id.
#[derive(Debug)]
struct Pair {
    origin: Origin,
    urls: QueueUrls,
    queue: SqsQueue,
    held: HashMap<String, Held>,
}

/// The dead-letter queues of a deployed system, in the hands of one operator.
#[derive(Debug)]
pub struct SqsDeadLetters {
    client: Client,
    pairs: Vec<Pair>,
}

impl SqsDeadLetters {
    /// Those of `queues`.
    pub fn new(client: Client, queues: impl IntoIterator<Item = (Origin, QueueUrls)>, meter: &Arc<Meter>) -> Self {
        let pair = |(origin, urls): (Origin, QueueUrls)| {
            let queue = SqsQueue::new(client.clone(), urls.queue.clone(), None, Arc::clone(meter));
            Pair { origin, urls, queue, held: HashMap::new() }
        };
        let pairs = queues.into_iter().map(pair).collect();
        Self { client, pairs }
    }

    /// Receives what the queues have and answers those that are `wanted`. All stay hidden until they are let go, or for two minutes.
    /// What somebody else has received is not found. Once `stop` is set it answers what it has, after the receive in hand: one that is cut
    /// off goes on in SQS, and would take what is let go.
    ///
    /// # Errors
    /// When a queue cannot be received from. What was received before stays held.
    pub async fn find(
        &mut self,
        wanted: impl Fn(&DeadLetter) -> bool,
        stop: &AtomicBool,
    ) -> Result<Vec<DeadLetter>, FindError> {
        let (client, wanted) = (&self.client, &wanted);
        let found = join_all(self.pairs.iter_mut().map(|pair| pair.find(client, wanted, stop))).await;
        let mut letters: Vec<DeadLetter> = found.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        letters.sort_by(|a, b| (a.sent_at, &a.id).cmp(&(b.sent_at, &b.id)));
        Ok(letters)
    }

    /// The whole record of a dead letter that was found, as it is. It may hold what users wrote.
    pub fn raw(&self, letter: &DeadLetter) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.origin == letter.queue)?.held.get(&letter.id)?.raw.as_deref()
    }

    /// Sends dead letters that were found back to the queue that they came from, and deletes each of them once its send was taken: what
    /// goes wrong in between leaves two, never none. Answers in order of `letters`.
    pub async fn redrive(&mut self, letters: &[DeadLetter]) -> Vec<Result<(), Failure>> {
        let mut answers: HashMap<(Origin, &str), Result<(), Failure>> = HashMap::new();
        for pair in &mut self.pairs {
            let ids = letters.iter().filter(|letter| letter.queue == pair.origin).map(|letter| letter.id.as_str());
            let ids: Vec<&str> = ids.filter(|id| pair.held.get(*id).is_some_and(|held| held.raw.is_some())).collect();
            let outcomes = pair.redrive(&self.client, &ids).await;
            answers.extend(ids.into_iter().zip(outcomes).map(|(id, outcome)| ((pair.origin, id), outcome)));
        }
        let unknown =
            || Err(Failure { operation: "redrive a dead letter", cause: "it was not found before".to_owned() });
        letters
            .iter()
            .map(|letter| answers.remove(&(letter.queue, letter.id.as_str())).unwrap_or_else(unknown))
            .collect()
    }

    /// Lets go of what is held, so that others see it at once. What cannot be let go is seen when its time is over.
    pub async fn release(&mut self) {
        for pair in &mut self.pairs {
            pair.release(&self.client).await;
        }
    }
}

impl Pair {
    async fn find(
        &mut self,
        client: &Client,
        wanted: &impl Fn(&DeadLetter) -> bool,
        stop: &AtomicBool,
    ) -> Result<Vec<DeadLetter>, FindError> {
        let (mut letters, mut without_news) = (Vec::new(), 0);
        while without_news < RECEIVES_WITHOUT_NEWS && !stop.load(Ordering::Relaxed) {
            without_news += 1;
            for message in self.receive(client).await? {
                let Some((letter, receipt, raw)) = self.read(message) else { continue };
                if let Some(held) = self.held.get_mut(&letter.id) {
                    // SQS may deliver twice, and its time may be over.
                    held.receipt = receipt;
                    continue;
                }
                without_news = 0;
                let is_wanted = wanted(&letter);
                self.held.insert(letter.id.clone(), Held { receipt, raw: is_wanted.then_some(raw) });
                letters.extend(is_wanted.then_some(letter));
            }
        }
        Ok(letters)
    }

    async fn receive(&self, client: &Client) -> Result<Vec<Message>, FindError> {
        const OPERATION: &str = "look for dead letters";
        let received = client
            .receive_message()
            .queue_url(&self.urls.dead_letters)
            .max_number_of_messages(i32::try_from(MAX_BATCH).unwrap_or(1))
            .visibility_timeout(HIDDEN)
            .wait_time_seconds(WAIT)
            .message_attribute_names(REASON)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await;
        Ok(received.map_err(|error| find_error(OPERATION, &error))?.messages.unwrap_or_default())
    }

    /// The dead letter, its receipt and the raw record. A message without an id or a receipt can be neither named nor deleted; SQS sends
    /// none.
    fn read(&self, message: Message) -> Option<(DeadLetter, String, String)> {
        let number = |name| message.attributes()?.get(&name)?.parse::<u64>().ok();
        let sent_at = number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default();
        let receive_count = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or_default();
        let reason = message.message_attributes().and_then(|attributes| attributes.get(REASON)?.string_value());
        let stamp = Stamp {
            id: message.message_id()?.to_owned(),
            queue: self.origin,
            sent_at: Timestamp::from_millis(sent_at),
            receive_count: u32::try_from(receive_count).unwrap_or(u32::MAX),
            reason: reason.map(str::to_owned),
        };
        let raw = message.body.unwrap_or_default();
        Some((DeadLetter::describe(stamp, &raw), message.receipt_handle?, raw))
    }

    /// Answers in order of `ids`, all of which are held with their records.
    async fn redrive(&mut self, client: &Client, ids: &[&str]) -> Vec<Result<(), Failure>> {
        let raw = |id: &&str| self.held.get(*id).and_then(|held| held.raw.clone()).unwrap_or_default();
        // The reason is an attribute of the dead letter, and stays behind.
        let records = ids.iter().map(|id| (raw(id), std::time::Duration::ZERO)).collect();
        let mut answers = Vec::with_capacity(ids.len());
        for batch in cut(records) {
            let ids = &ids[answers.len()..answers.len() + batch.len()];
            let mut sent = self.queue.send_batch(&batch).await;
            let taken: Vec<&str> = ids.iter().zip(&sent).filter(|(_, sent)| sent.is_ok()).map(|(id, _)| *id).collect();
            let mut deleted = self.delete(client, &taken).await.into_iter();
            for outcome in sent.iter_mut().filter(|sent| sent.is_ok()) {
                *outcome = deleted.next().unwrap_or(Ok(()));
            }
            for (id, _) in ids.iter().zip(&sent).filter(|(_, outcome)| outcome.is_ok()) {
                self.held.remove(*id);
            }
            answers.extend(sent);
        }
        answers
    }

    /// Deletes at most a batch. Answers in order of `ids`.
    async fn delete(&self, client: &Client, ids: &[&str]) -> Vec<Result<(), Failure>> {
        const OPERATION: &str = "delete a dead letter that was sent back";
        if ids.is_empty() {
            return Vec::new();
        }
        let mut call = client.delete_message_batch().queue_url(&self.urls.dead_letters);
        for (index, receipt) in ids.iter().filter_map(|id| self.held.get(*id)).map(|held| &held.receipt).enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt);
            call = call.entries(entry.build().expect("id and receipt handle are set"));
        }
        match call.send().await {
            Ok(output) => {
                let taken: Vec<&str> = output.successful().iter().map(DeleteMessageBatchResultEntry::id).collect();
                outcomes(OPERATION, ids.len(), output.failed(), |id| taken.contains(&id))
            }
            Err(error) => ids.iter().map(|_| Err(failure(OPERATION, &error))).collect(),
        }
    }

    async fn release(&mut self, client: &Client) {
        let receipts: Vec<String> = self.held.drain().map(|(_, held)| held.receipt).collect();
        for batch in receipts.chunks(MAX_BATCH) {
            let mut call = client.change_message_visibility_batch().queue_url(&self.urls.dead_letters);
            for (index, receipt) in batch.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                let entry = entry.receipt_handle(receipt).visibility_timeout(0).build();
                call = call.entries(entry.expect("id and receipt handle are set"));
            }
            if let Err(error) = call.send().await {
                let failure = failure("let go of dead letters", &error);
                tracing::warn!(%failure, "they are hidden for up to {HIDDEN} s more");
                return;
            }
        }
    }
}

/// Tells silence from a no. The SDK reports missing credentials as a failed dispatch too.
fn find_error<E, R>(operation: &'static str, error: &SdkError<E, R>) -> FindError
where
    E: Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let failure = failure(operation, error);
    match error {
        SdkError::TimeoutError(_) => FindError::Unreachable(failure),
        SdkError::DispatchFailure(dispatch) if dispatch.is_io() || dispatch.is_timeout() => {
            FindError::Unreachable(failure)
        }
        _ => FindError::Refused(failure),
    }
}
