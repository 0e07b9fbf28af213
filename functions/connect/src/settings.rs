//! The settings of `connect`.

use lambda::settings::{InvalidSettings, Reader};

use crate::token::TokenRules;

/// What a deployment says to `connect`.
#[derive(Debug)]
pub struct Settings {
    /// `VARTALAP_JWKS_URL`, `VARTALAP_ISSUER`, `VARTALAP_AUDIENCE`.
    pub token_rules: TokenRules,
    /// `VARTALAP_DIRECTORY_TABLE`.
    pub directory_table: String,
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
        let jwks_url = from.required("VARTALAP_JWKS_URL");
        let issuer = from.required("VARTALAP_ISSUER");
        let audience = from.required("VARTALAP_AUDIENCE");
        let directory_table = from.required("VARTALAP_DIRECTORY_TABLE");
        let delivery_queue_url = from.required("VARTALAP_DELIVERY_QUEUE_URL");
        let connections_url = from.required("VARTALAP_CONNECTIONS_URL");
        let settings = || {
            Some(Self {
                token_rules: TokenRules { jwks_url: jwks_url?, issuer: issuer?, audience: audience? },
                directory_table: directory_table?,
                delivery_queue_url: delivery_queue_url?,
                connections_url: connections_url?,
            })
        };
        from.finish(settings())
    }
}
