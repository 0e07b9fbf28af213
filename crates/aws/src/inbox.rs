//! The inbox table as the `Inbox` port. Keys and items are in [`crate::keys`].

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use delivery::{Failure, Holder, Inbox, Key, Lookup, Page, Row, Told};
use futures::future::join_all;
use protocol::{DeviceId, MessageName, Ref, Timestamp, UserId};

use crate::dynamo::{Items, MAX_BATCH_GET, Table, delete, identity, is_condition_failure, put};
use crate::failure::failure;
use crate::keys::{self, Item, UnreadableItem};
use crate::meter::{Meter, Unit};

/// The inbox table.
#[derive(Clone, Debug)]
pub struct DynamoInbox {
    table: Table,
}

/// Which way a shelf is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forth,
    Back,
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
        Self { table: Table::new(client, table, meter) }
    }

    async fn get_chunk(&self, keys: &[Key], now: Timestamp) -> Result<Vec<Lookup>, Failure> {
        let Items { found, left } = self.table.get("read envelopes", keys.iter().map(keys::row_key).collect()).await?;
        let lookup = |key: &Key| {
            let identity = identity(&keys::row_key(key)).expect("a key has both parts");
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
        way: Way,
        from: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<ShelfPage, Failure> {
        let shelf = holder.shelf();
        let beyond = |from: &Ref| match way {
            Way::Forth => keys::after_condition(from, shelf),
            Way::Back => keys::before_condition(from, shelf),
        };
        let condition = from.map(|from| format!(" AND {}", beyond(from))).unwrap_or_default();
        let mut rows = Vec::new();
        let mut start: Option<Item> = None;
        // One more than asked for tells whether there are more.
        let mut items = limit.saturating_add(1);
        loop {
            let query = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .consistent_read(true)
                .scan_index_forward(way == Way::Forth)
                .key_condition_expression(format!("pk = :pk{condition}"))
                .expression_attribute_values(":pk", keys::inbox_pk(user, holder))
                .set_exclusive_start_key(start)
                .limit(i32::try_from(items).unwrap_or(i32::MAX))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let query = match from {
                Some(from) => query.expression_attribute_values(":from", AttributeValue::S(from.position())),
                None => query,
            };
            let output = query.send().await.map_err(|error| failure("read an inbox", &error))?;
            self.table.count("Query", Unit::ReadUnit, output.consumed_capacity());
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

    async fn merged(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        (way, from): (Way, Option<&Ref>),
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, Failure> {
        let holders = device.cloned().map(Holder::Device).into_iter().chain([Holder::Unclaimed]);
        let shelves: Vec<Holder> = holders.collect();
        let pages = join_all(shelves.iter().map(|holder| self.shelf(user, holder, way, from, limit, now))).await;
        let pages = pages.into_iter().collect::<Result<Vec<ShelfPage>, _>>()?;
        Ok(merge(pages, way, limit))
    }
}

impl Inbox for DynamoInbox {
    async fn put(&self, rows: &[Row]) -> Vec<Result<(), Failure>> {
        self.table.write("put envelopes", rows.iter().map(|row| put(keys::row_item(row))).collect()).await
    }

    async fn delete(&self, keys: &[Key]) -> Vec<Result<(), Failure>> {
        self.table.write("delete acked envelopes", keys.iter().map(|key| delete(keys::row_key(key))).collect()).await
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
        self.merged(user, device, (Way::Forth, after), limit, now).await
    }

    async fn page_back(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        before: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, Failure> {
        self.merged(user, device, (Way::Back, before), limit, now).await
    }

    async fn told(&self, user: &UserId, messages: &[MessageName], now: Timestamp) -> Result<Vec<Told>, Failure> {
        const OPERATION: &str = "read what senders were told";
        let keys = messages.iter().map(|name| keys::told_key(user, name)).collect();
        let found = self.table.get_all(OPERATION, keys).await?;
        let told = found.iter().filter(|item| !keys::is_expired(item, now)).filter_map(|item| {
            let unreadable = |error: &UnreadableItem| {
                tracing::error!(metric = "inbox.unreadable", %error, "what a sender was told is unreadable and is skipped");
            };
            keys::told(user, item).inspect_err(unreadable).ok()
        });
        Ok(told.collect())
    }

    async fn keep_told(&self, told: &[Told]) -> Result<(), Failure> {
        let puts = told.iter().map(|told| put(keys::told_item(told))).collect();
        self.table.write("keep what senders were told", puts).await.into_iter().collect()
    }

    async fn forget_told(&self, user: &UserId) -> Result<(), Failure> {
        const OPERATION: &str = "forget what senders were told";
        let mut start: Option<Item> = None;
        loop {
            let query = self.table.client.query().table_name(&self.table.name).consistent_read(true);
            let output = query
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", keys::told_pk(user))
                .projection_expression("pk, sk")
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure(OPERATION, &error))?;
            self.table.count("Query", Unit::ReadUnit, output.consumed_capacity());
            let deletes = output.items().iter().cloned().map(delete).collect();
            self.table.write(OPERATION, deletes).await.into_iter().collect::<Result<(), _>>()?;
            start = output.last_evaluated_key().filter(|key| !key.is_empty()).cloned();
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn mark_undelivered(&self, key: &Key) -> Result<(), Failure> {
        let update = self.table.update(keys::row_key(key), keys::undelivered_update());
        let outcome = update.send().await;
        match outcome {
            Ok(output) => {
                self.table.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity());
                Ok(())
            }
            // Acked meanwhile.
            Err(error) if is_condition_failure(&error) => Ok(()),
            Err(error) => Err(failure("mark an envelope as undelivered", &error)),
        }
    }
}

/// Merges shelves in order of refs, or against it. A shelf that stopped early bounds the page: what another shelf has beyond that point may come
/// after what was not read.
fn merge(pages: Vec<ShelfPage>, way: Way, limit: usize) -> Page {
    let stops = pages.iter().filter_map(|page| page.stopped_at.clone());
    let bound = if way == Way::Forth { stops.min() } else { stops.max() };
    let mut more = bound.is_some();
    let mut rows: Vec<Row> = pages.into_iter().flat_map(|page| page.rows).collect();
    rows.sort_by_cached_key(|row| row.key().reference());
    if way == Way::Back {
        rows.reverse();
    }
    if let Some(bound) = bound {
        rows.retain(|row| match way {
            Way::Forth => row.key().reference() <= bound,
            Way::Back => row.key().reference() >= bound,
        });
    }
    more |= rows.len() > limit;
    rows.truncate(limit);
    Page { rows, more }
}
