//! The `deliver` function as Lambda runs it.

use aws::{
    Clients, DynamoAttachments, DynamoDirectory, DynamoGroups, DynamoInbox, GatewayConnections, SnsTopic, SqsQueue,
};
use deliver::{Deliver, Settings};
use lambda::settings::Reader;
use lambda::start;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start::telemetry();
    let settings = Settings::read(Reader::from_env())?;
    let aws = Clients::from_env().await;
    let function = Deliver {
        inbox: DynamoInbox::new(aws.dynamo(), settings.inbox_table, aws.meter()),
        directory: DynamoDirectory::new(aws.dynamo(), settings.directory_table.clone(), aws.meter()),
        groups: DynamoGroups::new(aws.dynamo(), settings.directory_table.clone(), aws.meter()),
        queue: SqsQueue::new(aws.sqs(), settings.delivery_queue_url, Some(settings.dead_letter_queue_url), aws.meter()),
        connections: GatewayConnections::new(aws.connections(settings.connections_url), aws.meter()),
        offline: SnsTopic::new(aws.sns(), settings.offline_topic_arn, aws.meter()),
        attachments: DynamoAttachments::new(aws.dynamo(), settings.directory_table, aws.meter()),
        waits: settings.waits,
    };
    start::serve(|event, invocation| function.handle(event, invocation)).await
}
