//! The settings of `notify`.

use std::time::Duration;

use delivery::wake::MAX_INTERVAL;
use lambda::settings::{InvalidSettings, Reader};

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
        let settings = || {
            Some(Self {
                directory_table: directory_table?,
                inbox_table: inbox_table?,
                wake_queue_url: wake_queue_url?,
                dead_letter_queue_url: dead_letter_queue_url?,
                interval,
                webhook: url.zip(secret),
            })
        };
        from.finish(settings())
    }
}
