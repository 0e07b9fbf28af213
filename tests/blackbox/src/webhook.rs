//! The webhook to which a deployment posts its wakes: every one must be signed by the Standard Webhooks scheme, which the scheme's own
//! library checks. It collects them for whoever looks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use crate::options::Secret;
use crate::wakes::{NoWakes, Wake};

/// What has come. Clones share it.
#[derive(Clone)]
pub(crate) struct Webhook(Arc<Shared>);

struct Shared {
    verifier: standardwebhooks::Webhook,
    /// What the ids of this run's users begin with.
    users: String,
    received: Mutex<Received>,
}

#[derive(Default)]
struct Received {
    wakes: Vec<Wake>,
    /// What was wrong with the first wake of this run that was not signed as it must be.
    bad_signature: Option<String>,
}

/// The webhook cannot do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotListen {
    /// The secret is none.
    #[error("--webhook-secret is no secret: {0}")]
    Secret(standardwebhooks::WebhookError),
    /// The address is not to be had.
    #[error("--webhook cannot listen at {0}: {1}")]
    Address(SocketAddr, std::io::Error),
}

impl Webhook {
    /// Listens at `address` as long as the runtime lives.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) async fn listen(address: SocketAddr, secret: &Secret, users: String) -> Result<Self, CannotListen> {
        let verifier = standardwebhooks::Webhook::new(secret.as_str()).map_err(CannotListen::Secret)?;
        let webhook = Self(Arc::new(Shared { verifier, users, received: Mutex::default() }));
        let listening = tokio::net::TcpListener::bind(address).await;
        let listener = listening.map_err(|error| CannotListen::Address(address, error))?;
        let router = Router::new().fallback(receive).with_state(webhook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(webhook)
    }

    /// All wakes so far.
    ///
    /// # Errors
    /// When one of this run was not signed as it must be.
    pub(crate) fn received(&self) -> Result<Vec<Wake>, NoWakes> {
        let received = self.0.received.lock().unwrap_or_else(PoisonError::into_inner);
        match &received.bad_signature {
            Some(why) => Err(NoWakes::BadSignature(why.clone())),
            None => Ok(received.wakes.clone()),
        }
    }

    /// Takes one request. Wakes of earlier runs may still come, signed or not, and are nobody's business here.
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let Ok(wake) = serde_json::from_slice::<Wake>(body) else { return StatusCode::BAD_REQUEST };
        if !wake.user.starts_with(&self.0.users) {
            return StatusCode::NO_CONTENT;
        }
        let verified = self.0.verifier.verify(body, headers);
        let mut received = self.0.received.lock().unwrap_or_else(PoisonError::into_inner);
        match verified {
            Ok(()) => {
                received.wakes.push(wake);
                StatusCode::NO_CONTENT
            }
            Err(error) => {
                received.bad_signature.get_or_insert(error.to_string());
                StatusCode::UNAUTHORIZED
            }
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("users", &self.0.users).finish_non_exhaustive()
    }
}

async fn receive(State(webhook): State<Webhook>, headers: HeaderMap, body: Bytes) -> StatusCode {
    webhook.take(&headers, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    const WAKE: &str = r#"{"user":"bb-1-bob","device":null,"ids":["i"],"reason":"absent","at":5}"#;

    async fn webhook() -> Webhook {
        let secret = SECRET.parse().expect("a secret");
        Webhook::listen(([127, 0, 0, 1], 0).into(), &secret, "bb-1".to_owned()).await.expect("a webhook")
    }

    /// Headers signed at a time that is now enough, or not.
    fn signed(age: i64) -> HeaderMap {
        let now: i64 = uuid::Uuid::now_v7().get_timestamp().expect("version 7").to_unix().0.try_into().expect("a time");
        let signature = standardwebhooks::Webhook::new(SECRET).expect("a key").sign("id#1", now - age, WAKE.as_bytes());
        [
            ("webhook-id", "id#1".to_owned()),
            ("webhook-timestamp", (now - age).to_string()),
            ("webhook-signature", signature.expect("a signature")),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .collect()
    }

    #[tokio::test]
    async fn a_signed_wake_is_received() {
        let webhook = webhook().await;
        assert_eq!(webhook.take(&signed(0), WAKE.as_bytes()), StatusCode::NO_CONTENT);
        assert_eq!(webhook.received().expect("wakes")[0].ids, ["i"]);
    }

    #[tokio::test]
    async fn a_wake_that_is_not_well_signed_fails_whoever_looks_for_wakes() {
        let other = WAKE.replace("absent", "exhausted");
        for (headers, body) in [(HeaderMap::new(), WAKE), (signed(0), other.as_str()), (signed(600), WAKE)] {
            let webhook = webhook().await;
            assert_eq!(webhook.take(&headers, body.as_bytes()), StatusCode::UNAUTHORIZED);
            let error = webhook.received().expect_err("a bad signature").to_string();
            assert!(error.starts_with("a wake came to the webhook with a bad signature"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_wake_of_this_run_is_passed_over() {
        let webhook = webhook().await;
        let other = WAKE.replace("bb-1", "bb-2");
        assert_eq!(webhook.take(&HeaderMap::new(), other.as_bytes()), StatusCode::NO_CONTENT);
        assert_eq!(webhook.take(&HeaderMap::new(), b"hello"), StatusCode::BAD_REQUEST);
        assert!(webhook.received().expect("wakes").is_empty());
    }
}
