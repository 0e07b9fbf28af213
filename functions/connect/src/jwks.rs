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

/// A JWKS behind a URL.
#[derive(Debug)]
pub struct Jwks {
    url: String,
    http: reqwest::Client,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    keys: JwkSet,
    fetched_at: Timestamp,
}

impl Jwks {
    /// The key set at `url`. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the TLS back end cannot be set up.
    pub fn new(url: String) -> Result<Self, reqwest::Error> {
        // The URL is the deployment's own setting; a proxy from the environment would only come between.
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { url, http, cached: Mutex::new(None) })
    }

    /// The key named `kid`, or the only key if the token names none. `None` if the issuer has no such key.
    ///
    /// # Errors
    /// When the JWKS must be fetched and is out of reach.
    pub async fn key(&self, kid: Option<&str>, now: Timestamp) -> Result<Option<Jwk>, Failure> {
        // Held while fetching, so that a cold start under load fetches once.
        let mut cached = self.cached.lock().await;
        if let Some(Cached { keys, fetched_at }) = &*cached {
            let (age, found) = (now.since(*fetched_at), find(keys, kid));
            if age < REFETCH_INTERVAL || (age < MAX_AGE && found.is_some()) {
                return Ok(found);
            }
        }
        let keys = match (self.fetch().await, &*cached) {
            (Ok(keys), _) => keys,
            // A known key outlives an outage of its issuer.
            (Err(failure), Some(Cached { keys, .. })) => return find(keys, kid).map(Some).ok_or(failure),
            (Err(failure), None) => return Err(failure),
        };
        let found = find(&keys, kid);
        *cached = Some(Cached { keys, fetched_at: now });
        Ok(found)
    }

    async fn fetch(&self) -> Result<JwkSet, Failure> {
        let response = async { self.http.get(&self.url).send().await?.error_for_status()?.json().await };
        response.await.map_err(|error: reqwest::Error| {
            let cause = error.without_url();
            Failure { operation: "fetch the JWKS", cause: cause.to_string() }
        })
    }
}

fn find(keys: &JwkSet, kid: Option<&str>) -> Option<Jwk> {
    match (kid, keys.keys.as_slice()) {
        (Some(kid), _) => keys.find(kid).cloned(),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}
