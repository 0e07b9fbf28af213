//! The settings of `notify`.

use std::str::FromStr;
use std::time::Duration;

use delivery::wake::MAX_INTERVAL;
use lambda::settings::{InvalidSettings, Reader};
use protocol::VapidPublicKey;
use push::{EndpointPattern, HostPattern, InvalidEndpointPattern, InvalidHostPattern};

use crate::webhook::Secret;

/// The shortest time between two wakes of one device, unless the deployment says otherwise.
const WAKE_INTERVAL: Duration = Duration::from_secs(30);

/// What a deployment says to `notify`.
#[derive(Debug)]
pub struct Settings {
    /// `VARTALAP_DIRECTORY_TABLE`.
    pub directory_table: String,
    /// `VARTALAP_INBOX_TABLE`.
    pub inbox_table: String,
    /// `VARTALAP_WAKE_QUEUE_URL`.
    pub wake_queue_url: String,
    /// `VARTALAP_WAKE_DEAD_LETTER_QUEUE_URL`.
    pub dead_letter_queue_url: String,
    /// `VARTALAP_WAKE_INTERVAL`, in seconds, at most 3,600; 30 when left out.
    pub interval: Duration,
    /// `VARTALAP_WEBHOOK_URL` and `VARTALAP_WEBHOOK_SECRET`; both or neither.
    pub webhook: Option<(reqwest::Url, Secret)>,
    /// `VARTALAP_FCM_SECRET`, the ARN of FCM's service account in Secrets Manager or SSM.
    pub fcm_secret: Option<String>,
    /// `VARTALAP_APNS_SECRET`, the ARN of the key of APNs.
    pub apns_secret: Option<String>,
    /// `VARTALAP_VAPID_SECRET`, the ARN of the key of Web Push.
    pub vapid_secret: Option<String>,
    /// `VARTALAP_VAPID_PUBLIC_KEY`, what pages are told to subscribe with.
    pub vapid_public_key: Option<VapidPublicKey>,
    /// `VARTALAP_WEB_PUSH_HOSTS`, hosts of browsers' push services beside the known ones, with commas between them.
    pub web_push_hosts: HostPatterns,
    /// `VARTALAP_PLATFORM_ENDPOINTS`, which platform endpoints of SNS may be published to, as ARNs that may end in `*`, with commas between them.
    pub platform_endpoints: EndpointPatterns,
    /// `VARTALAP_PUSH_PREVIEWS`: `true` lets pushes show who wrote what to devices that want it; `false` when left out.
    pub previews: bool,
}

/// See [`Settings::web_push_hosts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPatterns(pub Vec<HostPattern>);

impl FromStr for HostPatterns {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|host| host.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

/// See [`Settings::platform_endpoints`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointPatterns(pub Vec<EndpointPattern>);

impl FromStr for EndpointPatterns {
    type Err = InvalidEndpointPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::trim).filter(|arn| !arn.is_empty()).map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Settings {
    /// Parses the settings.
    ///
    /// # Errors
    /// Everything that is missing or cannot be parsed, together.
    pub fn read(mut from: Reader) -> Result<Self, InvalidSettings> {
        let directory_table = from.required("VARTALAP_DIRECTORY_TABLE");
        let inbox_table = from.required("VARTALAP_INBOX_TABLE");
        let wake_queue_url = from.required("VARTALAP_WAKE_QUEUE_URL");
        let dead_letter_queue_url = from.required("VARTALAP_WAKE_DEAD_LETTER_QUEUE_URL");
        let interval = from.optional_secs("VARTALAP_WAKE_INTERVAL", MAX_INTERVAL).unwrap_or(WAKE_INTERVAL);
        let url = from.optional("VARTALAP_WEBHOOK_URL");
        let secret = if url.is_some() { from.required("VARTALAP_WEBHOOK_SECRET") } else { None };
        let fcm_secret = from.optional("VARTALAP_FCM_SECRET");
        let apns_secret = from.optional("VARTALAP_APNS_SECRET");
        let vapid_secret = from.optional("VARTALAP_VAPID_SECRET");
        let vapid_public_key = from.optional("VARTALAP_VAPID_PUBLIC_KEY");
        let web_push_hosts = from.optional("VARTALAP_WEB_PUSH_HOSTS").unwrap_or_default();
        let platform_endpoints = from.optional("VARTALAP_PLATFORM_ENDPOINTS").unwrap_or_default();
        let previews = from.optional("VARTALAP_PUSH_PREVIEWS").unwrap_or_default();
        let settings = || {
            Some(Self {
                directory_table: directory_table?,
                inbox_table: inbox_table?,
                wake_queue_url: wake_queue_url?,
                dead_letter_queue_url: dead_letter_queue_url?,
                interval,
                webhook: url.zip(secret),
                fcm_secret,
                apns_secret,
                vapid_secret,
                vapid_public_key,
                web_push_hosts,
                platform_endpoints,
                previews,
            })
        };
        from.finish(settings())
    }
}
