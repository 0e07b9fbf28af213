//! The services that a deployment can push to, and one push to one target. What a service wants and says is in its
//! module.

use std::fmt;
use std::time::Duration;

use protocol::{PushTarget, Timestamp, VapidPublicKey};

use crate::answer::Answer;
use crate::apns::Apns;
use crate::fcm::Fcm;
use crate::hosts::Hosts;
use crate::http;
use crate::secret::Secret;
use crate::sns::{self, EndpointPattern};
use crate::web_push::{Subscription, WebPush};
use delivery::Notice;

/// Longest time that a push may take with everything that it waits for: a secret, an access token, a second try. A
/// single request has 3 s.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a deployment can push to, and where it is. The default can push to nothing.
#[derive(Debug, Default)]
pub struct Setup {
    /// The service account of FCM, as JSON that Google gives.
    pub fcm: Option<Secret>,
    /// The key of APNs: `{"key_id","team_id","key","sandbox"}`.
    pub apns: Option<Secret>,
    /// The key of Web Push: `{"private_key","subject"}`.
    pub vapid: Option<Secret>,
    /// The key of Web Push that pages are told to subscribe with. A subscription that was made with another one is dead.
    pub vapid_public_key: Option<VapidPublicKey>,
    /// A client of SNS, for platform endpoints. Its timeouts are the caller's choice.
    pub sns: Option<aws_sdk_sns::Client>,
    /// Which platform endpoints may be published to.
    pub platform_endpoints: Vec<EndpointPattern>,
    /// Where FCM, APNs and browsers' services are.
    pub hosts: Hosts,
    /// A certificate in PEM that is trusted besides the system's: that of servers that stand in for services.
    pub root_certificate: Option<String>,
}

/// What a deployment can push to. It lives as long as the process, which it keeps credentials and connections for.
/// `Debug` shows no secret.
pub struct Services {
    fcm: Option<Fcm>,
    apns: Option<Apns>,
    web_push: Option<WebPush>,
    sns: Option<aws_sdk_sns::Client>,
    platform_endpoints: Vec<EndpointPattern>,
}

/// The HTTP client could not be set up: TLS, or the certificate in [`Setup`].
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client of push services")]
pub struct InvalidSetup(#[source] reqwest::Error);

impl Services {
    /// Reads no secret and connects to nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the root certificate is none.
    pub fn new(setup: Setup) -> Result<Self, InvalidSetup> {
        let Setup { fcm, apns, vapid, vapid_public_key, sns, platform_endpoints, hosts, root_certificate } = setup;
        if fcm.is_none() && apns.is_none() && vapid.is_none() {
            // A client costs a cold start some milliseconds.
            return Ok(Self { fcm: None, apns: None, web_push: None, sns, platform_endpoints });
        }
        let http = http::client(root_certificate.as_deref()).map_err(InvalidSetup)?;
        Ok(Self {
            fcm: fcm.map(|secret| Fcm::new(http.clone(), hosts.fcm.clone(), secret)),
            apns: apns.map(|secret| Apns::new(http.clone(), hosts.clone(), secret)),
            web_push: vapid.map(|secret| WebPush::new(http.clone(), hosts.web_push.clone(), vapid_public_key, secret)),
            sns,
            platform_endpoints,
        })
    }

    /// Pushes a notice to one target.
    pub async fn push(&self, target: &PushTarget, notice: &Notice, now: Timestamp) -> Answer {
        tokio::time::timeout(TIMEOUT, self.push_in_time(target, notice, now)).await.unwrap_or(Answer::Later(None))
    }

    async fn push_in_time(&self, target: &PushTarget, notice: &Notice, now: Timestamp) -> Answer {
        match target {
            PushTarget::Fcm { token } => {
                let Some(fcm) = &self.fcm else { return Answer::Unserved };
                fcm.push(token, notice, now).await
            }
            PushTarget::Apns { token, topic } => {
                let Some(apns) = &self.apns else { return Answer::Unserved };
                apns.push(token, topic, notice, now).await
            }
            PushTarget::WebPush { endpoint, p256dh, auth, vapid } => {
                let Some(web_push) = &self.web_push else { return Answer::Unserved };
                web_push.push(Subscription { endpoint, p256dh, auth, vapid: vapid.as_ref() }, notice, now).await
            }
            PushTarget::Sns { endpoint } => {
                let Some(client) = &self.sns else { return Answer::Unserved };
                if !self.platform_endpoints.iter().any(|pattern| pattern.matches(endpoint)) {
                    return Answer::Unserved;
                }
                sns::push(client, endpoint, notice, now).await
            }
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("fcm", &self.fcm.is_some())
            .field("apns", &self.apns.is_some())
            .field("web_push", &self.web_push.is_some())
            .field("sns", &self.sns.is_some())
            .finish()
    }
}
