//! The settings of `http`.

use delivery::AttachmentRules;
use lambda::settings::{InvalidSettings, Reader};
use protocol::VapidPublicKey;

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
    /// `VARTALAP_ATTACHMENTS_BUCKET`.
    pub attachments_bucket: String,
    /// `VARTALAP_MAX_ATTACHMENT_BYTES`, `VARTALAP_ATTACHMENT_TYPES` and `VARTALAP_ATTACHMENT_DAYS`.
    pub attachment_rules: AttachmentRules,
    /// `VARTALAP_VAPID_PUBLIC_KEY`, what browsers subscribe with.
    pub vapid_public_key: Option<VapidPublicKey>,
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
        let attachments_bucket = from.required("VARTALAP_ATTACHMENTS_BUCKET");
        let defaults = AttachmentRules::default();
        let attachment_rules = AttachmentRules {
            max_bytes: from.optional("VARTALAP_MAX_ATTACHMENT_BYTES").unwrap_or(defaults.max_bytes),
            types: from.optional("VARTALAP_ATTACHMENT_TYPES").unwrap_or(defaults.types),
            lifetime: from.optional("VARTALAP_ATTACHMENT_DAYS").unwrap_or(defaults.lifetime),
        };
        let vapid_public_key = from.optional("VARTALAP_VAPID_PUBLIC_KEY");
        let settings = || {
            Some(Self {
                directory_table: directory_table?,
                inbox_table: inbox_table?,
                delivery_queue_url: delivery_queue_url?,
                connections_url: connections_url?,
                attachments_bucket: attachments_bucket?,
                attachment_rules,
                vapid_public_key,
            })
        };
        from.finish(settings())
    }
}
