//! Where the text of a secret comes from: Secrets Manager or SSM, by its ARN, or whoever runs the process. What the
//! text means, and how long it is kept, is in `credentials`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sns::config::Region;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_types::SdkConfig;

use crate::answer::{Answer, word};
use crate::sdk::is_passing;

/// Where the text of a secret comes from. `Debug` shows an ARN, never the text.
#[derive(Clone)]
pub struct Secret(Source);

/// How soon a secret is read again, at the earliest, whatever a service says of it.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Clone)]
enum Source {
    Fixed(String),
    Asked(Arc<dyn Fn() -> String + Send + Sync>),
    SecretsManager { client: aws_sdk_secretsmanager::Client, arn: String },
    Ssm { client: aws_sdk_ssm::Client, arn: String },
}

/// What is no ARN of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret is the ARN of a secret in Secrets Manager (arn:aws:secretsmanager:...) or of a parameter in SSM (arn:aws:ssm:...)"
)]
pub struct InvalidSecretArn;

impl Secret {
    /// A text that does not change, for the local cloud and tests.
    pub fn fixed(text: impl Into<String>) -> Self {
        Self(Source::Fixed(text.into()))
    }

    /// A text that this process knows and may change, for the local cloud. `ask` may take its time; it is asked again as soon as a service
    /// rejects what it said.
    pub fn asked(ask: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Source::Asked(Arc::new(ask)))
    }

    /// A secret in Secrets Manager or a parameter in SSM, read in the region that the ARN names.
    ///
    /// # Errors
    /// When it is the ARN of neither.
    pub fn from_arn(arn: &str, config: &SdkConfig) -> Result<Self, InvalidSecretArn> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let &["arn", _, service, region, _, resource] = parts.as_slice() else { return Err(InvalidSecretArn) };
        let config = config.to_builder().region(Region::new(region.to_owned())).build();
        match service {
            "secretsmanager" if resource.starts_with("secret:") => {
                Ok(Self::in_secrets_manager(aws_sdk_secretsmanager::Client::new(&config), arn))
            }
            "ssm" if resource.starts_with("parameter/") => Ok(Self::in_ssm(aws_sdk_ssm::Client::new(&config), arn)),
            _ => Err(InvalidSecretArn),
        }
    }

    /// A secret in Secrets Manager that a client of one's own reads.
    pub fn in_secrets_manager(client: aws_sdk_secretsmanager::Client, arn: &str) -> Self {
        Self(Source::SecretsManager { client, arn: arn.to_owned() })
    }

    /// A parameter in SSM that a client of one's own reads, decrypted.
    pub fn in_ssm(client: aws_sdk_ssm::Client, arn: &str) -> Self {
        Self(Source::Ssm { client, arn: arn.to_owned() })
    }

    /// How soon it may be read again. What costs nobody anything may be at once.
    pub(crate) fn pause(&self) -> Duration {
        match &self.0 {
            Source::Asked(_) => Duration::ZERO,
            Source::Fixed(_) | Source::SecretsManager { .. } | Source::Ssm { .. } => PAUSE,
        }
    }

    /// The text as it is now, or the answer to a push that needs it.
    pub(crate) async fn read(&self) -> Result<String, Answer> {
        match &self.0 {
            Source::Fixed(text) => Ok(text.clone()),
            Source::Asked(ask) => {
                let ask = Arc::clone(ask);
                let asked = tokio::task::spawn_blocking(move || ask()).await;
                asked.map_err(|_| Answer::Refused("whoever was asked for a secret panicked".to_owned()))
            }
            Source::SecretsManager { client, arn } => {
                let output = client.get_secret_value().secret_id(arn).send().await;
                let output = output.map_err(|error| unreadable(arn, "secretsmanager:GetSecretValue", &error))?;
                let text = output.secret_string.ok_or("it is binary, and has to be text");
                text.map_err(|why| Answer::Refused(format!("{arn} cannot be read: {why}")))
            }
            Source::Ssm { client, arn } => {
                let output = client.get_parameter().name(arn).with_decryption(true).send().await;
                let output = output.map_err(|error| unreadable(arn, "ssm:GetParameter", &error))?;
                let text = output.parameter.and_then(|parameter| parameter.value);
                text.ok_or_else(|| Answer::Refused(format!("{arn} cannot be read: it has no value")))
            }
        }
    }
}

fn unreadable<E: ProvideErrorMetadata>(arn: &str, action: &str, error: &SdkError<E, HttpResponse>) -> Answer {
    if is_passing(error) {
        tracing::warn!(arn, code = error.code(), "credentials of a push service could not be read");
        return Answer::Later(None);
    }
    let code = word(error.code().unwrap_or_default());
    Answer::Refused(format!("{arn} cannot be read ({code}): see that it exists and that the function may {action} it"))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Fixed(_) => f.write_str("Secret(fixed)"),
            Source::Asked(_) => f.write_str("Secret(asked)"),
            Source::SecretsManager { arn, .. } | Source::Ssm { arn, .. } => write!(f, "Secret({arn})"),
        }
    }
}
