//! The settings of `http`.

use lambda::settings::{InvalidSettings, Reader};

/// What a deployment says to `http`.
#[derive(Debug)]
pub struct Settings {
    /// `VARTALAP_DIRECTORY_TABLE`.
    pub directory_table: String,
    /// `VARTALAP_INBOX_TABLE`.
    pub inbox_table: String,
    /// `VARTALAP_DELIVERY_QUEUE_URL`.
    pub delivery_queue_url: String,
    /// `VARTALAP_CONNECTIONS_URL`: the base of `@connections`.
    pub connections_url: String,
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
        let connections_url = from.required("VARTALAP_CONNECTIONS_URL");
        let settings = || {
            Some(Self {
                directory_table: directory_table?,
                inbox_table: inbox_table?,
                delivery_queue_url: delivery_queue_url?,
                connections_url: connections_url?,
            })
        };
        from.finish(settings())
    }
}
