//! The `route` function as Lambda runs it.

use aws::{Clients, DynamoAttachments, DynamoDirectory, DynamoGroups, DynamoInbox, GatewayConnections, SqsQueue};
use lambda::settings::Reader;
use lambda::start;
use route::{Answers, Route, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start::telemetry();
    let settings = Settings::read(Reader::from_env())?;
    let aws = Clients::from_env().await;
    let function = Route {
        answers: Answers {
            inbox: DynamoInbox::new(aws.dynamo(), settings.inbox_table, aws.meter()),
            groups: DynamoGroups::new(aws.dynamo(), settings.directory_table.clone(), aws.meter()),
            queue: SqsQueue::new(aws.sqs(), settings.delivery_queue_url, None, aws.meter()),
            attachments: DynamoAttachments::new(aws.dynamo(), settings.directory_table.clone(), aws.meter()),
        },
        directory: DynamoDirectory::new(aws.dynamo(), settings.directory_table, aws.meter()),
        connections: GatewayConnections::new(aws.connections(settings.connections_url), aws.meter()),
    };
    start::serve(|event, invocation| function.handle(event, invocation)).await
}
