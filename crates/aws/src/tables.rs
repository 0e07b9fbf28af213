//! Makes the two tables where no template does: in the local cloud and in tests. On AWS, `infra/template.yaml` has them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
    TimeToLiveStatus,
};
use delivery::Failure;

use crate::failure::failure;
use crate::keys::{PK, SK, TTL};

/// The names of the two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// The directory table.
    pub directory: String,
    /// The inbox table.
    pub inbox: String,
}

/// Makes both tables, with expiry by `ttl`. Tables that exist are left as they are.
///
/// # Errors
/// When the store refuses or is out of reach.
pub async fn create(client: &Client, tables: &Tables) -> Result<(), Failure> {
    for table in [&tables.directory, &tables.inbox] {
        create_one(client, table).await?;
    }
    Ok(())
}

async fn create_one(client: &Client, table: &str) -> Result<(), Failure> {
    const OPERATION: &str = "create a table";
    let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, role) in [(PK, KeyType::Hash), (SK, KeyType::Range)] {
        let definition =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
        let element = KeySchemaElement::builder().attribute_name(name).key_type(role).build();
        call = call
            .attribute_definitions(definition.map_err(|error| failure(OPERATION, &error))?)
            .key_schema(element.map_err(|error| failure(OPERATION, &error))?);
    }
    match call.send().await {
        Ok(_) => {}
        Err(error) if error.code() == Some("ResourceInUseException") => {}
        Err(error) => return Err(failure(OPERATION, &error)),
    }
    expire_by_ttl(client, table).await
}

/// Asked of an existing table as well: whoever made it may have ended before this.
async fn expire_by_ttl(client: &Client, table: &str) -> Result<(), Failure> {
    const OPERATION: &str = "turn on a table's expiry";
    let described =
        client.describe_time_to_live().table_name(table).send().await.map_err(|error| failure(OPERATION, &error))?;
    let status = described.time_to_live_description().and_then(|expiry| expiry.time_to_live_status());
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let expiry = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true).build();
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(expiry.map_err(|error| failure(OPERATION, &error))?)
        .send()
        .await
        .map_err(|error| failure(OPERATION, &error))?;
    Ok(())
}
