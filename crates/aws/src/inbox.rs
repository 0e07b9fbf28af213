//! The inbox table as the `Inbox` port. Keys and items are in [`crate::keys`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity,
    WriteRequest,
};
use delivery::{Failure, Holder, Inbox, Key, Lookup, Page, Row, Told};
use futures::future::join_all;
use protocol::{DeviceId, MessageName, Ref, Timestamp, UserId};

use crate::dynamo::{self, capacity, is_condition_failure};
use crate::failure::{failure, refused};
use crate::keys::{self, Item};
use crate::meter::{Meter, Unit};

/// Most items in one BatchWriteItem. Source: DynamoDB quotas.
const MAX_BATCH_WRITE: usize = 25;

/// Most keys in one BatchGetItem. Source: DynamoDB quotas.
const MAX_BATCH_GET: usize = 100;

/// The inbox table.
#[derive(Clone, Debug)]
pub struct DynamoInbox {
    client: Client,
    table: String,
    meter: Arc<Meter>,
}

/// What was read by keys.
struct Items {
    found: HashMap<Identity, Item>,
    /// What the table answered nothing about.
    left: HashSet<Identity>,
}

/// What was read of one shelf.
struct ShelfPage {
    rows: Vec<Row>,
    /// Where reading stopped before the shelf's end.
    stopped_at: Option<Ref>,
}

impl DynamoInbox {
    /// The inbox in `table`.
    pub fn new(client: Client, table: String, meter: Arc<Meter>) -> Self {
        Self { client, table, meter }
    }

    fn count(&self, operation: &'static str, unit: Unit, consumed: &[ConsumedCapacity]) {
        self.meter.count("dynamodb", operation, unit, capacity(consumed));
    }

    /// Writes up to 25 requests; answers for each identity whether it was done.
    async fn write(
        &self,
        operation: &'static str,
        requests: Vec<(Identity, WriteRequest)>,
    ) -> Vec<Result<(), Failure>> {
        let (identities, requests): (Vec<Identity>, Vec<WriteRequest>) = requests.into_iter().unzip();
        let outcome = self
            .client
            .batch_write_item()
            .request_items(&self.table, requests)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match outcome {
            Err(error) => {
                self.count("BatchWriteItem", Unit::WriteUnit, &[]);
                identities.iter().map(|_| Err(failure(operation, &error))).collect()
            }
            Ok(output) => {
                self.count("BatchWriteItem", Unit::WriteUnit, output.consumed_capacity());
                let left: HashSet<Identity> = output
                    .unprocessed_items()
                    .into_iter()
                    .flat_map(|tables| tables.values())
                    .flatten()
                    .filter_map(written)
                    .collect();
                let done =
                    |identity| if left.contains(&identity) { Err(refused(operation, "unprocessed")) } else { Ok(()) };
                identities.into_iter().map(done).collect()
            }
        }
    }

    async fn write_all(
        &self,
        operation: &'static str,
        requests: Vec<(Identity, WriteRequest)>,
    ) -> Vec<Result<(), Failure>> {
        let mut chunks = Vec::new();
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            chunks.push(requests.by_ref().take(MAX_BATCH_WRITE).collect());
        }
        join_all(chunks.into_iter().map(|chunk| self.write(operation, chunk))).await.into_iter().flatten().collect()
    }

    /// Reads up to 100 items by their keys.
    async fn get_items(&self, operation: &'static str, keys: Vec<Item>) -> Result<Items, Failure> {
        let wanted = KeysAndAttributes::builder()
            .consistent_read(true)
            .set_keys(Some(keys))
            .build()
            .map_err(|error| failure(operation, &error))?;
        let output = self
            .client
            .batch_get_item()
            .request_items(&self.table, wanted)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(operation, &error))?;
        self.count("BatchGetItem", Unit::ReadUnit, output.consumed_capacity());
        let found = output
            .responses()
            .and_then(|tables| tables.get(&self.table))
            .into_iter()
            .flatten()
            .filter_map(|item| Some((owned(keys::identity(item)?), item.clone())))
            .collect();
        let left = output
            .unprocessed_keys()
            .and_then(|tables| tables.get(&self.table))
            .into_iter()
            .flat_map(KeysAndAttributes::keys)
            .filter_map(|key| keys::identity(key).map(owned))
            .collect();
        Ok(Items { found, left })
    }

    async fn get_chunk(&self, keys: &[Key], now: Timestamp) -> Result<Vec<Lookup>, Failure> {
        let Items { found, left } = self.get_items("read envelopes", keys.iter().map(keys::row_key).collect()).await?;
        let lookup = |key: &Key| {
            let identity = identity_of(key);
            match found.get(&identity).map(|item| keys::row(&key.user, &key.holder, item)) {
                Some(Ok(row)) if row.envelope.is_expired(now) => Lookup::Missing,
                Some(Ok(row)) => Lookup::Found(row),
                Some(Err(error)) => {
                    tracing::error!(metric = "inbox.unreadable", %error, "an envelope is unreadable and is skipped");
                    Lookup::Unreadable
                }
                None if left.contains(&identity) => Lookup::Unprocessed,
                None => Lookup::Missing,
            }
        };
        Ok(keys.iter().map(lookup).collect())
    }

    /// Reads one shelf until something readable was found or it ends.
    async fn shelf(
        &self,
        user: &UserId,
        holder: &Holder,
        after: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<ShelfPage, Failure> {
        let shelf = holder.shelf();
        let condition = after.map(|after| format!(" AND {}", keys::after_condition(after, shelf))).unwrap_or_default();
        let mut rows = Vec::new();
        let mut start: Option<Item> = None;
        // One more than asked for tells whether there are more.
        let mut items = limit.saturating_add(1);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression(format!("pk = :pk{condition}"))
                .expression_attribute_values(":pk", keys::inbox_pk(user, holder))
                .set_exclusive_start_key(start)
                .limit(i32::try_from(items).unwrap_or(i32::MAX))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let query = match after {
                Some(after) => query.expression_attribute_values(":after", AttributeValue::S(after.position())),
                None => query,
            };
            let output = query.send().await.map_err(|error| failure("read an inbox", &error))?;
            self.count("Query", Unit::ReadUnit, output.consumed_capacity().map_or(&[], std::slice::from_ref));
            for item in output.items() {
                match keys::row(user, holder, item) {
                    Ok(row) if row.envelope.is_expired(now) => {}
                    Ok(row) => rows.push(row),
                    Err(error) => {
                        tracing::error!(metric = "inbox.unreadable", %error, "an envelope is unreadable and is skipped")
                    }
                }
            }
            start = output.last_evaluated_key().filter(|key| !key.is_empty()).cloned();
            if start.is_none() || !rows.is_empty() {
                break;
            }
            // Nothing but expired or unreadable rows: by as many at a time as a megabyte holds.
            items = usize::MAX;
        }
        let stopped_at = start.is_some().then(|| rows.last().map(|row: &Row| row.key().reference())).flatten();
        Ok(ShelfPage { rows, stopped_at })
    }
}

impl Inbox for DynamoInbox {
    async fn put(&self, rows: &[Row]) -> Vec<Result<(), Failure>> {
        let request = |row: &Row| {
            let put = PutRequest::builder().set_item(Some(keys::row_item(row))).build().expect("the item is set");
            (identity_of(&row.key()), WriteRequest::builder().put_request(put).build())
        };
        self.write_all("put envelopes", rows.iter().map(request).collect()).await
    }

    async fn delete(&self, keys: &[Key]) -> Vec<Result<(), Failure>> {
        let request = |key: &Key| {
            let delete = DeleteRequest::builder().set_key(Some(keys::row_key(key))).build().expect("the key is set");
            (identity_of(key), WriteRequest::builder().delete_request(delete).build())
        };
        self.write_all("delete acked envelopes", keys.iter().map(request).collect()).await
    }

    async fn get(&self, keys: &[Key], now: Timestamp) -> Result<Vec<Lookup>, Failure> {
        let chunks = join_all(keys.chunks(MAX_BATCH_GET).map(|chunk| self.get_chunk(chunk, now))).await;
        Ok(chunks.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    async fn page(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        after: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, Failure> {
        let holders = device.cloned().map(Holder::Device).into_iter().chain([Holder::Unclaimed]);
        let shelves: Vec<Holder> = holders.collect();
        let pages = join_all(shelves.iter().map(|holder| self.shelf(user, holder, after, limit, now))).await;
        let pages = pages.into_iter().collect::<Result<Vec<ShelfPage>, _>>()?;
        Ok(merge(pages, limit))
    }

    async fn told(&self, user: &UserId, messages: &[MessageName], now: Timestamp) -> Result<Vec<Told>, Failure> {
        const OPERATION: &str = "read what senders were told";
        let keys = messages.iter().map(|name| keys::told_key(user, name)).collect();
        let Items { found, left } = self.get_items(OPERATION, keys).await?;
        if !left.is_empty() {
            return Err(refused(OPERATION, "unprocessed"));
        }
        let told = found.values().filter(|item| !keys::is_expired(item, now)).map(|item| keys::told(user, item));
        told.collect::<Result<_, _>>().map_err(|error| refused(OPERATION, error.to_string()))
    }

    async fn keep_told(&self, told: &[Told]) -> Result<(), Failure> {
        let request = |told: &Told| {
            let put = PutRequest::builder().set_item(Some(keys::told_item(told))).build().expect("the item is set");
            let key = keys::told_key(&told.user, &told.name);
            (identity(&key), WriteRequest::builder().put_request(put).build())
        };
        let written = self.write_all("keep what senders were told", told.iter().map(request).collect()).await;
        written.into_iter().collect()
    }

    async fn forget_told(&self, user: &UserId) -> Result<(), Failure> {
        const OPERATION: &str = "forget what senders were told";
        let mut start: Option<Item> = None;
        loop {
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            let output = query
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", keys::told_pk(user))
                .projection_expression("pk, sk")
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure(OPERATION, &error))?;
            self.count("Query", Unit::ReadUnit, output.consumed_capacity().map_or(&[], std::slice::from_ref));
            let deletes = output.items().iter().map(|key| {
                let delete = DeleteRequest::builder().set_key(Some(key.clone())).build().expect("the key is set");
                (identity(key), WriteRequest::builder().delete_request(delete).build())
            });
            self.write_all(OPERATION, deletes.collect()).await.into_iter().collect::<Result<(), _>>()?;
            start = output.last_evaluated_key().filter(|key| !key.is_empty()).cloned();
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn mark_undelivered(&self, key: &Key) -> Result<(), Failure> {
        let update = dynamo::update(&self.client, &self.table, keys::row_key(key), keys::undelivered_update());
        let outcome = update.send().await;
        match outcome {
            Ok(output) => {
                self.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity().map_or(&[], std::slice::from_ref));
                Ok(())
            }
            // Acked meanwhile.
            Err(error) if is_condition_failure(&error) => Ok(()),
            Err(error) => Err(failure("mark an envelope as undelivered", &error)),
        }
    }
}

/// Merges shelves in order of refs. A shelf that stopped early bounds the page: what another shelf has beyond that point may
/// come after what was not read.
fn merge(pages: Vec<ShelfPage>, limit: usize) -> Page {
    let bound = pages.iter().filter_map(|page| page.stopped_at.clone()).min();
    let mut more = bound.is_some();
    let mut rows: Vec<Row> = pages.into_iter().flat_map(|page| page.rows).collect();
    rows.sort_by_cached_key(|row| row.key().reference());
    if let Some(bound) = bound {
        rows.retain(|row| row.key().reference() <= bound);
    }
    more |= rows.len() > limit;
    rows.truncate(limit);
    Page { rows, more }
}

/// Partition and sort key.
type Identity = (String, String);

fn owned((pk, sk): (&str, &str)) -> Identity {
    (pk.to_owned(), sk.to_owned())
}

fn identity_of(key: &Key) -> Identity {
    identity(&keys::row_key(key))
}

fn identity(key: &Item) -> Identity {
    keys::identity(key).map(owned).expect("a key has both parts")
}

/// What a request that was left unprocessed is about.
fn written(request: &WriteRequest) -> Option<Identity> {
    let item = request.put_request().map(PutRequest::item).or(request.delete_request().map(DeleteRequest::key))?;
    keys::identity(item).map(owned)
}
