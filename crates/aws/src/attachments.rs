//! Attachments in the directory table as the `Attachments` port: what they are and who may have them. Keys and items are in [`crate::keys`],
//! and the bytes in [`crate::files`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ConsumedCapacity, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest};
use delivery::{Attachment, Attachments, Failure, Grant};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use protocol::{AttachmentId, Timestamp, UserId};

use crate::dynamo::capacity;
use crate::failure::{failure, refused};
use crate::keys::{self, Item};
use crate::meter::{Meter, Unit};

/// Most items in one BatchWriteItem. Source: DynamoDB quotas.
const MAX_BATCH_WRITE: usize = 25;

/// Most Queries at a time, each for an attachment that somebody else has uploaded.
const AT_ONCE: usize = 16;

/// The attachments in the directory table.
#[derive(Clone, Debug)]
pub struct DynamoAttachments {
    client: Client,
    table: String,
    meter: Arc<Meter>,
}

impl DynamoAttachments {
    /// The attachments in `table`.
    pub fn new(client: Client, table: String, meter: Arc<Meter>) -> Self {
        Self { client, table, meter }
    }

    fn count(&self, operation: &'static str, unit: Unit, consumed: &[ConsumedCapacity]) {
        self.meter.count("dynamodb", operation, unit, capacity(consumed));
    }

    /// Those of `ids` that there are.
    async fn read(&self, ids: &[AttachmentId], now: Timestamp) -> Result<HashMap<AttachmentId, Attachment>, Failure> {
        const OPERATION: &str = "read attachments";
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let wanted = KeysAndAttributes::builder()
            .consistent_read(true)
            .set_keys(Some(ids.iter().copied().map(keys::attachment_key).collect()))
            .build()
            .map_err(|error| failure(OPERATION, &error))?;
        let output = self
            .client
            .batch_get_item()
            .request_items(&self.table, wanted)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(OPERATION, &error))?;
        self.count("BatchGetItem", Unit::ReadUnit, output.consumed_capacity());
        if output.unprocessed_keys().is_some_and(|tables| !tables.is_empty()) {
            return Err(refused(OPERATION, "unprocessed"));
        }
        let items = output.responses().and_then(|tables| tables.get(&self.table)).into_iter().flatten();
        let mut found = HashMap::new();
        for item in items {
            match keys::attachment(item) {
                Ok(attachment) if attachment.is_expired(now) => {}
                Ok(attachment) => {
                    found.insert(attachment.id, attachment);
                }
                // Nobody may have what nobody can read.
                Err(error) => {
                    tracing::error!(metric = "directory.unreadable", %error, "an attachment is unreadable and is skipped");
                }
            }
        }
        Ok(found)
    }

    /// Whether one of the grants of an attachment is to `user`.
    async fn is_granted(&self, id: AttachmentId, user: &UserId) -> Result<bool, Failure> {
        let mut start: Option<Item> = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression(keys::GRANTS_OF)
                .filter_expression(keys::GRANTED_TO)
                .set_expression_attribute_values(Some(keys::grants_to(id, user)))
                .projection_expression(keys::SK)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure("read who may have an attachment", &error))?;
            self.count("Query", Unit::ReadUnit, output.consumed_capacity().map_or(&[], std::slice::from_ref));
            if !output.items().is_empty() {
                return Ok(true);
            }
            // A megabyte of grants to others, which is some two thousand of them.
            start = output.last_evaluated_key().filter(|key| !key.is_empty()).cloned();
            if start.is_none() {
                return Ok(false);
            }
        }
    }

    /// Puts up to 25 grants.
    async fn put(&self, grants: &[Grant]) -> Vec<Result<(), Failure>> {
        const OPERATION: &str = "grant attachments";
        let items: Vec<Item> = grants.iter().map(keys::grant_item).collect();
        let request = |item: &Item| {
            let put = PutRequest::builder().set_item(Some(item.clone())).build().expect("the item is set");
            WriteRequest::builder().put_request(put).build()
        };
        let outcome = self
            .client
            .batch_write_item()
            .request_items(&self.table, items.iter().map(request).collect())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match outcome {
            Err(error) => {
                self.count("BatchWriteItem", Unit::WriteUnit, &[]);
                grants.iter().map(|_| Err(failure(OPERATION, &error))).collect()
            }
            Ok(output) => {
                self.count("BatchWriteItem", Unit::WriteUnit, output.consumed_capacity());
                let left = output.unprocessed_items().into_iter().flat_map(HashMap::values).flatten();
                let left: HashSet<(&str, &str)> =
                    left.filter_map(|request| keys::identity(request.put_request()?.item())).collect();
                let is_left = |item: &Item| keys::identity(item).is_some_and(|identity| left.contains(&identity));
                let done = |item| if is_left(item) { Err(refused(OPERATION, "unprocessed")) } else { Ok(()) };
                items.iter().map(done).collect()
            }
        }
    }
}

impl Attachments for DynamoAttachments {
    async fn keep(&self, attachment: &Attachment) -> Result<(), Failure> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(keys::attachment_item(attachment)));
        match call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => {
                self.count("PutItem", Unit::WriteUnit, output.consumed_capacity().map_or(&[], std::slice::from_ref));
                Ok(())
            }
            Err(error) => Err(failure("keep an attachment", &error)),
        }
    }

    async fn open_to(
        &self,
        user: &UserId,
        ids: &[AttachmentId],
        now: Timestamp,
    ) -> Result<Vec<Option<Attachment>>, Failure> {
        let found = self.read(ids, now).await?;
        let looks = ids.iter().map(|id| {
            let attachment = found.get(id).cloned();
            async move {
                match attachment {
                    Some(other) if other.uploader != *user => {
                        Ok(self.is_granted(other.id, user).await?.then_some(other))
                    }
                    own_or_none => Ok(own_or_none),
                }
            }
        });
        let looks: Vec<_> = looks.collect();
        stream::iter(looks).buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
    }

    async fn grant(&self, grants: &[Grant]) -> Vec<Result<(), Failure>> {
        let chunks = grants.chunks(MAX_BATCH_WRITE).map(|chunk| self.put(chunk));
        join_all(chunks).await.into_iter().flatten().collect()
    }
}
