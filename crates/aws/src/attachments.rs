//! Attachments in the directory table as the `Attachments` port: what they are and who may have them. Keys and items are in [`crate::keys`],
//! and the bytes in [`crate::files`].

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use delivery::{Attachment, Attachments, Failure, Grant};
use futures::stream::{self, StreamExt};
use protocol::{AttachmentId, Timestamp, UserId};

use crate::dynamo::{Table, put};
use crate::failure::failure;
use crate::keys::{self, Item};
use crate::meter::{Meter, Unit};

/// Most Queries at a time, each for an attachment that somebody else has uploaded.
const AT_ONCE: usize = 16;

/// The attachments in the directory table.
#[derive(Clone, Debug)]
pub struct DynamoAttachments {
    table: Table,
}

impl DynamoAttachments {
    /// The attachments in `table`.
    pub fn new(client: Client, table: String, meter: Arc<Meter>) -> Self {
        Self { table: Table::new(client, table, meter) }
    }

    /// Those of `ids` that there are.
    async fn read(&self, ids: &[AttachmentId], now: Timestamp) -> Result<HashMap<AttachmentId, Attachment>, Failure> {
        const OPERATION: &str = "read attachments";
        let items = self.table.get_all(OPERATION, ids.iter().copied().map(keys::attachment_key).collect()).await?;
        let mut found = HashMap::new();
        for item in &items {
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
                .table
                .client
                .query()
                .table_name(&self.table.name)
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
            self.table.count("Query", Unit::ReadUnit, output.consumed_capacity());
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
}

impl Attachments for DynamoAttachments {
    async fn keep(&self, attachment: &Attachment) -> Result<(), Failure> {
        let call =
            self.table.client.put_item().table_name(&self.table.name).set_item(Some(keys::attachment_item(attachment)));
        match call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => {
                self.table.count("PutItem", Unit::WriteUnit, output.consumed_capacity());
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
        self.table.write("grant attachments", grants.iter().map(|grant| put(keys::grant_item(grant))).collect()).await
    }
}
