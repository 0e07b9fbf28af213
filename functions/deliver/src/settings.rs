//! The settings of `deliver`.

use delivery::Waits;
use lambda::settings::{InvalidSettings, Reader};

/// What a deployment says to `deliver`.
#[derive(Debug)]
pub struct Settings {
    /// `VARTALAP_DIRECTORY_TABLE`.
    pub directory_table: String,
    /// `VARTALAP_INBOX_TABLE`.
    pub inbox_table: String,
    /// `VARTALAP_DELIVERY_QUEUE_URL`.
    pub delivery_queue_url: String,
    /// `VARTALAP_DELIVERY_DEAD_LETTER_QUEUE_URL`.
    pub dead_letter_queue_url: String,
    /// `VARTALAP_OFFLINE_TOPIC_ARN`.
    pub offline_topic_arn: String,
    /// `VARTALAP_CONNECTIONS_URL`: the base of `@connections`.
    pub connections_url: String,
    /// `VARTALAP_WAITS`, such as `5,15,45,5`.
    pub waits: Waits,
}

impl Settings {
    /// Parses the settings.
    ///
    /// # Errors
    /// Everything that is missing or cannot be parsed, together.
    pub fn read(mut from: Reader) -> Result<Self, InvalidSettings> {
        let directory_table = from.required("VARTALAP_DIRECTORY_TABLE");
        let inbox_table = from.required("VARTALAP_INBOX_TABLE");
        let delivery_queue_url = from.required("VARTALAP_DELIVERY_QUEUE_URL");
        let dead_letter_queue_url = from.required("VARTALAP_DELIVERY_DEAD_LETTER_QUEUE_URL");
        let offline_topic_arn = from.required("VARTALAP_OFFLINE_TOPIC_ARN");
        let connections_url = from.required("VARTALAP_CONNECTIONS_URL");
        let waits = from.optional("VARTALAP_WAITS").unwrap_or_default();
        let settings = || {
            Some(Self {
                directory_table: directory_table?,
                inbox_table: inbox_table?,
                delivery_queue_url: delivery_queue_url?,
                dead_letter_queue_url: dead_letter_queue_url?,
                offline_topic_arn: offline_topic_arn?,
                connections_url: connections_url?,
                waits,
            })
        };
        from.finish(settings())
    }
}
