//! What the two tables share: the calls that more than one adapter makes, what each consumed, how a failed condition is told from a
//! failure, and how an SDK client is made for a store in the same process. What an item holds stands in [`crate::keys`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    ConsumedCapacity, DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, TransactWriteItem,
    WriteRequest,
};
use aws_smithy_runtime_api::client::http::HttpClient;
use delivery::Failure;
use futures::stream::{self, StreamExt};

use crate::clients::behavior_version;
use crate::failure::{failure, refused};
use crate::keys::{self, Item, Update};
use crate::meter::{Meter, Unit};

pub use aws_sdk_dynamodb::Client;

/// Most items in one BatchWriteItem. Source: DynamoDB quotas.
const MAX_BATCH_WRITE: usize = 25;

/// Most keys in one BatchGetItem. Source: DynamoDB quotas.
pub(crate) const MAX_BATCH_GET: usize = 100;

/// Most BatchWriteItem of one write that are under way at a time.
const WRITES_AT_ONCE: usize = 32;

/// A real client over `http`, for a store that answers in the same process: no credentials, no retries, no time limit of its own.
pub fn client(http: impl HttpClient + 'static) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(behavior_version())
        .region(Region::from_static("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "the store in this process asks for none"))
        .endpoint_url("http://in-process")
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .timeout_config(aws_config::timeout::TimeoutConfig::disabled())
        .stalled_stream_protection(aws_sdk_dynamodb::config::StalledStreamProtectionConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// One of the two tables, as its adapters reach it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    meter: Arc<Meter>,
}

/// What was read by keys.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) found: HashMap<Identity, Item>,
    /// What the table answered nothing about.
    pub(crate) left: HashSet<Identity>,
}

/// Partition and sort key.
pub(crate) type Identity = (String, String);

impl Items {
    /// Those that there are, unless something was answered nothing about.
    pub(crate) fn all(self, operation: &'static str) -> Result<HashMap<Identity, Item>, Failure> {
        if self.left.is_empty() { Ok(self.found) } else { Err(refused(operation, "unprocessed")) }
    }
}

impl Table {
    pub(crate) fn new(client: Client, name: String, meter: Arc<Meter>) -> Self {
        Self { client, name, meter }
    }

    /// Counts a call and the units that it consumed, as the store says.
    pub(crate) fn count<'a>(
        &self,
        operation: &'static str,
        unit: Unit,
        consumed: impl IntoIterator<Item = &'a ConsumedCapacity>,
    ) {
        let units = consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
        self.meter.count("dynamodb", operation, unit, units);
    }

    /// An update of the item under `key`, conditional unless its condition is empty, not yet sent.
    pub(crate) fn update(&self, key: Item, update: Update) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .update_expression(update.update)
            .set_condition_expression(Some(update.condition).filter(|condition| !condition.is_empty()))
            .set_expression_attribute_values(Some(update.values))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// Reads items by up to [`MAX_BATCH_GET`] keys, in one call; in none if there is no key.
    pub(crate) async fn get(&self, operation: &'static str, keys: Vec<Item>) -> Result<Items, Failure> {
        if keys.is_empty() {
            return Ok(Items { found: HashMap::new(), left: HashSet::new() });
        }
        let wanted = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys)).build();
        let output = self
            .client
            .batch_get_item()
            .request_items(&self.name, wanted.map_err(|error| failure(operation, &error))?)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(operation, &error))?;
        self.count("BatchGetItem", Unit::ReadUnit, output.consumed_capacity());
        let left = output.unprocessed_keys().and_then(|tables| tables.get(&self.name)).into_iter();
        let left = left.flat_map(KeysAndAttributes::keys).filter_map(identity).collect();
        let items = output.responses.unwrap_or_default().remove(&self.name).into_iter().flatten();
        let found = items.filter_map(|item| Some((identity(&item)?, item))).collect();
        Ok(Items { found, left })
    }

    /// The same, where what is left unprocessed fails all. Those that there are, in no order.
    pub(crate) async fn get_all(&self, operation: &'static str, keys: Vec<Item>) -> Result<Vec<Item>, Failure> {
        Ok(self.get(operation, keys).await?.all(operation)?.into_values().collect())
    }

    /// Makes all of these writes or none; answers whether they were made. They were not if a condition does not hold, or if somebody
    /// else is writing one of the items at this moment.
    pub(crate) async fn transact(
        &self,
        operation: &'static str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<bool, Failure> {
        let call = self.client.transact_write_items().set_transact_items(Some(writes));
        match call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => {
                self.count("TransactWriteItems", Unit::WriteUnit, output.consumed_capacity());
                Ok(true)
            }
            Err(error) if lost_a_race(&error) => Ok(false),
            Err(error) => Err(failure(operation, &error)),
        }
    }

    /// Writes, [`MAX_BATCH_WRITE`] to a call; answers for each request whether it was done.
    pub(crate) async fn write(&self, operation: &'static str, requests: Vec<WriteRequest>) -> Vec<Result<(), Failure>> {
        let chunks: Vec<_> = requests.chunks(MAX_BATCH_WRITE).map(|chunk| self.write_chunk(operation, chunk)).collect();
        stream::iter(chunks).buffered(WRITES_AT_ONCE).collect::<Vec<_>>().await.into_iter().flatten().collect()
    }

    async fn write_chunk(&self, operation: &'static str, requests: &[WriteRequest]) -> Vec<Result<(), Failure>> {
        let outcome = self
            .client
            .batch_write_item()
            .request_items(&self.name, requests.to_vec())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match outcome {
            Err(error) => {
                self.count("BatchWriteItem", Unit::WriteUnit, []);
                requests.iter().map(|_| Err(failure(operation, &error))).collect()
            }
            Ok(output) => {
                self.count("BatchWriteItem", Unit::WriteUnit, output.consumed_capacity());
                let left = output.unprocessed_items().into_iter().flat_map(HashMap::values).flatten();
                let left: HashSet<Identity> = left.filter_map(written).collect();
                let is_left = |request| written(request).is_none_or(|identity| left.contains(&identity));
                let done = |request| if is_left(request) { Err(refused(operation, "unprocessed")) } else { Ok(()) };
                requests.iter().map(done).collect()
            }
        }
    }
}

/// Puts this item, whatever is there.
pub(crate) fn put(item: Item) -> WriteRequest {
    let put = PutRequest::builder().set_item(Some(item)).build().expect("the item is set");
    WriteRequest::builder().put_request(put).build()
}

/// Deletes what is under this key, if there is anything.
pub(crate) fn delete(key: Item) -> WriteRequest {
    let delete = DeleteRequest::builder().set_key(Some(key)).build().expect("the key is set");
    WriteRequest::builder().delete_request(delete).build()
}

/// What an item or a key is known by, if it is one.
pub(crate) fn identity(item: &Item) -> Option<Identity> {
    keys::identity(item).map(|(pk, sk)| (pk.to_owned(), sk.to_owned()))
}

/// What a write is about.
fn written(request: &WriteRequest) -> Option<Identity> {
    identity(request.put_request().map(PutRequest::item).or(request.delete_request().map(DeleteRequest::key))?)
}

/// Whether a transaction was not made because of what others wrote, or are writing.
fn lost_a_race(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return false;
    };
    let codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    let mut reasons = codes.filter(|code| *code != "None").peekable();
    reasons.peek().is_some() && reasons.all(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict"))
}

/// Whether a conditional write was refused because its condition did not hold: an outcome, not a failure.
pub(crate) fn is_condition_failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}
