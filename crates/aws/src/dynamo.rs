//! What the two tables share: how an SDK client is made for a store in the same process, how a
//! conditional update is made, what a call consumed, and how a failed condition is told from a failure.

use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::client::http::HttpClient;

use crate::clients::behavior_version;
use crate::keys::{Item, Update};

pub use aws_sdk_dynamodb::Client;

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

/// An update of the item under `key`, conditional unless its condition is empty, not yet sent.
pub(crate) fn update(client: &Client, table: &str, key: Item, update: Update) -> UpdateItemFluentBuilder {
    client
        .update_item()
        .table_name(table)
        .set_key(Some(key))
        .update_expression(update.update)
        .set_condition_expression(Some(update.condition).filter(|condition| !condition.is_empty()))
        .set_expression_attribute_values(Some(update.values))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
}

/// The units that a call consumed, as the store says.
pub(crate) fn capacity(consumed: &[ConsumedCapacity]) -> f64 {
    consumed.iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

/// Whether a conditional write was refused because its condition did not hold: an outcome, not a failure.
pub(crate) fn is_condition_failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}
