//! The webhook: a signed POST of the wake to a URL of the operator's, by the Standard Webhooks scheme
//! (`webhook-id`, `webhook-timestamp`, `webhook-signature`). Retries are the wake queue's business, not this one's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::{Failure, Wake};

/// How long the other side has to answer. Well below the function's timeout of 10 s.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The key that both sides share: `whsec_` and 24 to 64 bytes in base64. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// A text that is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is `whsec_` followed by 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok()).ok_or(InvalidSecret)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self(hmac::Key::new(HMAC_SHA256, &bytes)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A URL to which wakes are posted.
#[derive(Clone, Debug)]
pub struct Webhook {
    http: reqwest::Client,
    url: reqwest::Url,
    secret: Secret,
}

impl Webhook {
    /// A gateway that posts to `url`, signing with `secret`.
    ///
    /// # Errors
    /// When the TLS back end cannot be set up.
    pub fn new(url: reqwest::Url, secret: Secret) -> Result<Self, reqwest::Error> {
        // A redirect or a proxy from the environment would carry the wake elsewhere than the operator said.
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, url, secret })
    }
}

impl Webhook {
    /// Posts a wake.
    ///
    /// # Errors
    /// When it does not answer in time, or not with success.
    pub async fn post(&self, wake: &Wake) -> Result<(), Failure> {
        const OPERATION: &str = "post a wake to the webhook";
        let body = serde_json::to_string(wake).expect("a wake of strings and numbers is always JSON");
        // A wake that is tried again is decided again, at another time and perhaps for more, so it has another id.
        let device = wake.device.as_ref().map_or("*", |device| device.as_str());
        let id = format!("{}#{}#{}", wake.user, device, wake.at.as_millis());
        let timestamp = wake.at.as_secs();
        let tag = hmac::sign(&self.secret.0, format!("{id}.{timestamp}.{body}").as_bytes());
        let response = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(tag)))
            .body(body)
            .send()
            .await
            .map_err(|error| Failure::new(OPERATION, &error.without_url()))?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(Failure { operation: OPERATION, cause: format!("it answered {}", response.status()) })
        }
    }
}
