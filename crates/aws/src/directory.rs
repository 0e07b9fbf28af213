//! The directory table as the `Directory` port. Keys and items are in [`crate::keys`].

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};
use delivery::{
    Address, Connection, ConnectionId, Device, Directory, Enrolment, Failure, Holder, Registration, WakeState, Wakeable,
};
use protocol::{PushTarget, Timestamp, UserId};

use crate::claims;
use crate::dynamo::{Table, is_condition_failure};
use crate::failure::{failure, refused};
use crate::keys::{self, Item};
use crate::meter::{Meter, Unit};

/// A device that was not seen for this long is forgotten, and its inbox stops growing.
pub const DEVICE_LIFETIME: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// How long the wakes of a user without a device are remembered; far longer than any interval between them.
const UNCLAIMED_WAKE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The directory table.
#[derive(Clone, Debug)]
pub struct DynamoDirectory {
    table: Table,
}

impl DynamoDirectory {
    /// The directory in `table`.
    pub fn new(client: Client, table: String, meter: Arc<Meter>) -> Self {
        Self { table: Table::new(client, table, meter) }
    }

    /// Makes an update that notes that a device was seen, unless its condition does not hold.
    async fn see(&self, operation: &'static str, address: &Address, update: keys::Update) -> Result<(), Failure> {
        let call =
            self.table.update(keys::device_key(address), update).expression_attribute_names(keys::TTL_NAME, keys::TTL);
        match call.send().await {
            Ok(output) => {
                self.table.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity());
                Ok(())
            }
            Err(error) if is_condition_failure(&error) => Ok(()),
            Err(error) => Err(failure(operation, &error)),
        }
    }
}

impl Directory for DynamoDirectory {
    async fn register(
        &self,
        address: &Address,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Registration, Failure> {
        let update = keys::register_update(connection, now, now.plus(DEVICE_LIFETIME));
        let outcome = self
            .table
            .update(keys::device_key(address), update)
            .expression_attribute_names(keys::TTL_NAME, keys::TTL)
            .return_values(ReturnValue::UpdatedOld)
            .send()
            .await;
        match outcome {
            Ok(output) => {
                self.table.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity());
                let before = output.attributes().and_then(|item| keys::connection(item).ok().flatten());
                let displaced = before.filter(|before| before.id != connection.id && before.ends_at() > now);
                Ok(Registration::Registered { displaced })
            }
            Err(error) if is_condition_failure(&error) => Ok(Registration::Superseded),
            Err(error) => Err(failure("register a connection", &error)),
        }
    }

    async fn unregister(&self, address: &Address, connection: &ConnectionId) -> Result<(), Failure> {
        let outcome = self.table.update(keys::device_key(address), keys::unregister_update(connection)).send().await;
        match outcome {
            Ok(output) => {
                self.table.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity());
                Ok(())
            }
            // Another connection took over, or this one was forgotten already.
            Err(error) if is_condition_failure(&error) => Ok(()),
            Err(error) => Err(failure("unregister a connection", &error)),
        }
    }

    async fn left(&self, address: &Address, connection: &ConnectionId, now: Timestamp) -> Result<(), Failure> {
        let update = keys::left_update(connection, now, now.plus(DEVICE_LIFETIME));
        self.see("unregister a connection", address, update).await
    }

    async fn enrol(&self, address: &Address, said: &Enrolment, now: Timestamp) -> Result<(), Failure> {
        const OPERATION: &str = "make a device known";
        if let Some(targets) = said.push.as_deref().filter(|targets| !targets.is_empty()) {
            return claims::enrol(&self.table, address, said, targets, now).await;
        }
        let update = keys::enrol_update(said, now, now.plus(DEVICE_LIFETIME));
        let call = self.table.update(keys::device_key(address), update);
        let call = call.expression_attribute_names(keys::TTL_NAME, keys::TTL).return_values(ReturnValue::UpdatedOld);
        let output = call.send().await.map_err(|error| failure(OPERATION, &error))?;
        self.table.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity());
        if said.push.is_some() {
            let before = output.attributes().map(keys::push_targets).unwrap_or_default();
            claims::release_left(&self.table, address, &before, &[]).await;
        }
        Ok(())
    }

    async fn seen(&self, address: &Address, now: Timestamp) -> Result<(), Failure> {
        self.see("note that a device was seen", address, keys::seen_update(now, now.plus(DEVICE_LIFETIME))).await
    }

    async fn forget(&self, address: &Address) -> Result<(), Failure> {
        const OPERATION: &str = "forget a device";
        let key = keys::device_key(address);
        // The claims first: they are found by the device alone.
        for device in self.table.get_all(OPERATION, vec![key.clone()]).await? {
            claims::release(&self.table, address, &keys::push_targets(&device)).await?;
        }
        let call = self.table.client.delete_item().table_name(&self.table.name).set_key(Some(key));
        match call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => {
                self.table.count("DeleteItem", Unit::WriteUnit, output.consumed_capacity());
                Ok(())
            }
            Err(error) => Err(failure(OPERATION, &error)),
        }
    }

    async fn devices(&self, user: &UserId, now: Timestamp) -> Result<Vec<Device>, Failure> {
        let mut devices = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let output = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :device)")
                .expression_attribute_values(":pk", keys::user_pk(user))
                .expression_attribute_values(":device", AttributeValue::S(keys::DEVICE_PREFIX.to_owned()))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure("look up a user's devices", &error))?;
            self.table.count("Query", Unit::ReadUnit, output.consumed_capacity());
            for item in output.items().iter().filter(|item| !keys::is_expired(item, now)) {
                match keys::device(item, now) {
                    Ok(device) => devices.push(device),
                    Err(error) => {
                        tracing::error!(metric = "directory.unreadable", %error, "a device is unreadable and is skipped")
                    }
                }
            }
            start = output.last_evaluated_key().filter(|key| !key.is_empty()).cloned();
            if start.is_none() {
                return Ok(devices);
            }
        }
    }

    async fn wakeable(&self, user: &UserId, holder: &Holder) -> Result<Option<Wakeable>, Failure> {
        let output = self
            .table
            .client
            .get_item()
            .table_name(&self.table.name)
            .consistent_read(true)
            .set_key(Some(keys::holder_key(user, holder)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure("read a wake state", &error))?;
        self.table.count("GetItem", Unit::ReadUnit, output.consumed_capacity());
        match (output.item(), holder) {
            (Some(item), _) => {
                let state = keys::wake_state(item).map_err(|error| refused("read a wake state", error.to_string()))?;
                Ok(Some(Wakeable { state, push: keys::push_targets(item), notices: keys::notices(item) }))
            }
            (None, Holder::Device(_)) => Ok(None),
            (None, Holder::Unclaimed) => Ok(Some(Wakeable::default())),
        }
    }

    async fn replace_wake_state(
        &self,
        user: &UserId,
        holder: &Holder,
        before: &WakeState,
        after: &WakeState,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let update = keys::wake_update(holder, before, after, now.plus(UNCLAIMED_WAKE_LIFETIME));
        let call = self.table.update(keys::holder_key(user, holder), update);
        let call = match holder {
            Holder::Device(_) => call,
            Holder::Unclaimed => call.expression_attribute_names(keys::TTL_NAME, keys::TTL),
        };
        match call.send().await {
            Ok(output) => {
                self.table.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity());
                Ok(true)
            }
            Err(error) if is_condition_failure(&error) => Ok(false),
            Err(error) => Err(failure("replace a wake state", &error)),
        }
    }

    async fn drop_push(&self, address: &Address, before: &[PushTarget], dead: &[PushTarget]) -> Result<bool, Failure> {
        let left: Vec<PushTarget> = before.iter().filter(|target| !dead.contains(target)).cloned().collect();
        match self.table.update(keys::device_key(address), keys::drop_push_update(before, &left)).send().await {
            Ok(output) => {
                self.table.count("UpdateItem", Unit::WriteUnit, output.consumed_capacity());
                claims::release_left(&self.table, address, before, &left).await;
                Ok(true)
            }
            Err(error) if is_condition_failure(&error) => Ok(false),
            Err(error) => Err(failure("drop dead push targets", &error)),
        }
    }
}
