//! The provider token: who pushes. It knows one key, and the token of it that is in use.

use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey};
use protocol::Timestamp;
use rcgen::KeyPair;

use super::{Refusal, TEAM_ID, notification, refused};
use crate::{jwt, tokens};

/// How old a token may be.
const OLDEST: Duration = Duration::from_secs(60 * 60);

/// How long a token is in use at least before there may be another one.
const SHORTEST_USE: Duration = Duration::from_secs(20 * 60);

/// The key of a team, as downloaded.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) private: String,
    public: DecodingKey,
    /// The token in use, and since when.
    in_use: Option<(String, Timestamp)>,
}

impl Key {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("the library makes P-256 keys");
        Self {
            id: tokens::hex::<5>().to_uppercase(),
            private: key.serialize_pem(),
            public: jwt::p256_key(key.public_key_raw()).expect("a point of P-256"),
            in_use: None,
        }
    }

    /// The next token is in use from its first push on, whatever is in use now.
    pub(super) fn forget(&mut self) {
        self.in_use = None;
    }

    /// Judges the `authorization` of a push, and takes its token into use.
    pub(super) fn judge(&mut self, headers: &HeaderMap, now: Timestamp) -> Result<(), Refusal> {
        let authorization = notification::one(headers, AUTHORIZATION.as_str())?;
        let bearer = authorization.and_then(|value| value.split_once(' '));
        let token = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        let token = token.ok_or(refused(StatusCode::FORBIDDEN, "MissingProviderToken"))?;

        let invalid = refused(StatusCode::FORBIDDEN, "InvalidProviderToken");
        if jwt::header(token).and_then(|header| header.kid).as_deref() != Some(&self.id) {
            return Err(invalid);
        }
        let Ok(claims) = jwt::claims(token, Algorithm::ES256, &self.public) else { return Err(invalid) };
        let (Some(issued_at), true) = (claims["iat"].as_u64(), claims["iss"] == TEAM_ID) else { return Err(invalid) };
        if issued_at > now.as_secs() {
            return Err(invalid);
        }
        if now.as_secs() - issued_at > OLDEST.as_secs() {
            return Err(refused(StatusCode::FORBIDDEN, "ExpiredProviderToken"));
        }
        match &self.in_use {
            Some((in_use, _)) if in_use == token => {}
            Some((_, since)) if now.since(*since) < SHORTEST_USE => {
                return Err(refused(StatusCode::TOO_MANY_REQUESTS, "TooManyProviderTokenUpdates"));
            }
            Some(_) | None => self.in_use = Some((token.to_owned(), now)),
        }
        Ok(())
    }
}
