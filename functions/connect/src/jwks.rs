//! The keys that tokens are signed with: fetched from the issuer's JWKS, kept, and fetched again when a token names a key
//! that is not among them. It judges no token.

use std::time::Duration;

use delivery::Failure;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use protocol::Timestamp;
use tokio::sync::Mutex;

/// Tokens with made-up key ids cannot make us fetch more often than this.
const REFETCH_INTERVAL: Duration = Duration::from_secs(60);

/// A key that the issuer has withdrawn is believed for at most this long.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// How long the issuer has to answer. A client waits for `$connect` meanwhile.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An issuer that could not be reached is left alone for this long; whoever needs a key meanwhile is told so at once.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// A JWKS behind a URL.
#[derive(Debug)]
pub struct Jwks {
    url: String,
    http: reqwest::Client,
    cached: Mutex<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    keys: Option<JwkSet>,
    fetched_at: Timestamp,
    failed_at: Option<Timestamp>,
}

impl Cached {
    /// Whether fetching is worth it, given whether the key was found among those that are kept.
    fn wants_fetch(&self, found: bool, now: Timestamp) -> bool {
        if self.failed_at.is_some_and(|failed_at| now.since(failed_at) < RETRY_INTERVAL) {
            return false;
        }
        let age = now.since(self.fetched_at);
        self.keys.is_none() || age >= if found { MAX_AGE } else { REFETCH_INTERVAL }
    }

    fn find(&self, kid: Option<&str>) -> Option<Jwk> {
        self.keys.as_ref().and_then(|keys| find(keys, kid))
    }
}

impl Jwks {
    /// The key set at `url`. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the TLS back end cannot be set up.
    pub fn new(url: String) -> Result<Self, reqwest::Error> {
        // The URL is the deployment's own setting; a proxy from the environment would only come between.
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { url, http, cached: Mutex::default() })
    }

    /// The key named `kid`, or the only key if the token names none. `None` if the issuer has no such key. A key that is kept
    /// outlives an outage of its issuer.
    ///
    /// # Errors
    /// When the key is not among those that are kept and the JWKS is out of reach.
    pub async fn key(&self, kid: Option<&str>, now: Timestamp) -> Result<Option<Jwk>, Failure> {
        // Held while fetching, so that a cold start under load fetches once.
        let mut cached = self.cached.lock().await;
        let found = cached.find(kid);
        if cached.wants_fetch(found.is_some(), now) {
            match self.fetch().await {
                Ok(keys) => *cached = Cached { keys: Some(keys), fetched_at: now, failed_at: None },
                Err(failure) => {
                    tracing::warn!(%failure, "the issuer's keys are out of reach");
                    cached.failed_at = Some(now);
                }
            }
        }
        match (cached.find(kid), cached.failed_at) {
            (None, Some(_)) => {
                Err(Failure { operation: "fetch the JWKS", cause: "the issuer is out of reach".to_owned() })
            }
            (found, _) => Ok(found),
        }
    }

    async fn fetch(&self) -> Result<JwkSet, Failure> {
        let response = async { self.http.get(&self.url).send().await?.error_for_status()?.json().await };
        response.await.map_err(|error: reqwest::Error| Failure::new("fetch the JWKS", &error.without_url()))
    }
}

fn find(keys: &JwkSet, kid: Option<&str>) -> Option<Jwk> {
    match (kid, keys.keys.as_slice()) {
        (Some(kid), _) => keys.find(kid).cloned(),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}
