//! The SDK clients of a function or a command, built once at start. The SDK itself reads region, credentials and `AWS_ENDPOINT_URL` from
//! the environment, so the code has no branch for where it runs.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use crate::files::S3Files;
use crate::meter::Meter;

/// Longest wait for one answer of DynamoDB, SQS or SNS, which usually takes milliseconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for one call, its retries included. A function has 10 s for everything, and its records come again.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

/// The same for a person's calls: from further away than a function's, and SQS may wait for records before it answers.
const UNHURRIED_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const UNHURRIED_OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// Tries for one call: a throttled or dropped request is worth repeating at once, an outage is the queue's business.
const ATTEMPTS: u32 = 3;

/// Longest wait for an answer of `@connections`.
const POST_TIMEOUT: Duration = Duration::from_secs(3);

/// What the clients are made from. Cheap to ask for each of them; they share connections.
#[derive(Clone, Debug)]
pub struct Clients {
    config: SdkConfig,
    meter: Arc<Meter>,
}

impl Clients {
    /// Reads the environment as Lambda sets it.
    pub async fn from_env() -> Self {
        Self::load(ATTEMPT_TIMEOUT, OPERATION_TIMEOUT).await
    }

    /// Reads the environment and the profile of a person at a terminal, with time for answers from another continent.
    pub async fn unhurried() -> Self {
        Self::load(UNHURRIED_ATTEMPT_TIMEOUT, UNHURRIED_OPERATION_TIMEOUT).await
    }

    async fn load(attempt: Duration, operation: Duration) -> Self {
        let config = aws_config::defaults(behavior_version())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(operation).build(),
            )
            .load()
            .await;
        Self { config, meter: Arc::default() }
    }

    /// A DynamoDB client.
    pub fn dynamo(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// An SQS client.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// An SNS client.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    /// A client of the `@connections` under `base`, such as `https://API.execute-api.REGION.amazonaws.com/STAGE`.
    ///
    /// It never retries: a post that timed out may have arrived, and the Await posts again if it did not.
    pub fn connections(&self, base: String) -> aws_sdk_apigatewaymanagement::Client {
        let config = aws_sdk_apigatewaymanagement::config::Builder::from(&self.config)
            .endpoint_url(base)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(POST_TIMEOUT).build())
            .build();
        aws_sdk_apigatewaymanagement::Client::from_conf(config)
    }

    /// Signs URLs of a bucket.
    pub fn files(&self, bucket: &str) -> S3Files {
        S3Files::new(&self.config, bucket)
    }

    /// What the clients are made from, for clients that are made elsewhere.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The counter that the adapters of this process share.
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }
}

/// The SDK's defaults as of one date, so that an update does not change retries or timeouts unseen.
pub(crate) fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}
