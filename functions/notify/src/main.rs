//! The `notify` function as Lambda runs it.

use aws::{Clients, DynamoDirectory, DynamoInbox, SqsQueue};
use lambda::settings::Reader;
use lambda::start;
use notify::webhook::{Gateway, Webhook};
use notify::{Notify, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start::telemetry();
    let settings = Settings::read(Reader::from_env())?;
    let aws = Clients::from_env().await;
    let gateway = match settings.webhook {
        Some((url, secret)) => Gateway::Webhook(Box::new(Webhook::new(url, secret)?)),
        None => Gateway::None,
    };
    let function = Notify {
        inbox: DynamoInbox::new(aws.dynamo(), settings.inbox_table, aws.meter()),
        directory: DynamoDirectory::new(aws.dynamo(), settings.directory_table, aws.meter()),
        queue: SqsQueue::new(aws.sqs(), settings.wake_queue_url, Some(settings.dead_letter_queue_url), aws.meter()),
        gateway,
        interval: settings.interval,
    };
    start::serve(|event, invocation| function.handle(event, invocation)).await
}
