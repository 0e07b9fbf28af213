//! The `notify` function as Lambda runs it.

use aws::{Clients, DynamoDirectory, DynamoInbox, SqsQueue};
use lambda::settings::Reader;
use lambda::start;
use notify::gateway::Gateway;
use notify::webhook::Webhook;
use notify::{Notify, Settings};
use push::{Hosts, Secret, Services, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start::telemetry();
    let settings = Settings::read(Reader::from_env())?;
    let aws = Clients::from_env().await;
    let webhook = settings.webhook.map(|(url, secret)| Webhook::new(url, secret)).transpose()?;
    let secret = |arn: Option<String>| arn.map(|arn| Secret::from_arn(&arn, aws.config())).transpose();
    let mut hosts = Hosts::default();
    hosts.web_push.extend(settings.web_push_hosts.0);
    let services = Services::new(Setup {
        fcm: secret(settings.fcm_secret)?,
        apns: secret(settings.apns_secret)?,
        vapid: secret(settings.vapid_secret)?,
        vapid_public_key: settings.vapid_public_key,
        sns: Some(aws.sns()),
        platform_endpoints: settings.platform_endpoints.0,
        hosts,
        root_certificate: None,
    })?;
    let gateway = Gateway { services, webhook };
    let function = Notify {
        inbox: DynamoInbox::new(aws.dynamo(), settings.inbox_table, aws.meter()),
        directory: DynamoDirectory::new(aws.dynamo(), settings.directory_table, aws.meter()),
        queue: SqsQueue::new(aws.sqs(), settings.wake_queue_url, Some(settings.dead_letter_queue_url), aws.meter()),
        gateway,
        interval: settings.interval,
        previews: settings.previews,
    };
    start::serve(|event, invocation| function.handle(event, invocation)).await
}
