//! The stand-ins on a free port, a clock that a test moves, and a client that trusts them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use protocol::Timestamp;
use providers::Providers;
use reqwest::{Certificate, Client, ClientBuilder, Response};
use serde_json::Value;

/// A started set of stand-ins.
pub(crate) struct World {
    pub(crate) providers: Providers,
    pub(crate) client: Client,
    millis: Arc<AtomicU64>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (millis, now) = clock();
        Self::of(Providers::start_at(0, now).await.expect("it starts"), millis)
    }

    /// The same with a file of what is kept.
    pub(crate) async fn start_kept(path: &Path) -> Self {
        let (millis, now) = clock();
        Self::of(Providers::start_kept(path, now).await.expect("it starts"), millis)
    }

    fn of(providers: Providers, millis: Arc<AtomicU64>) -> Self {
        let client = trusting(&providers).build().expect("a client");
        Self { providers, client, millis }
    }

    /// Seconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        self.millis.load(Ordering::SeqCst) / 1000
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.millis.fetch_add(u64::try_from(by.as_millis()).expect("less than ages"), Ordering::SeqCst);
    }
}

fn clock() -> (Arc<AtomicU64>, impl Fn() -> Timestamp + Send + Sync) {
    let millis = Arc::new(AtomicU64::new(1_800_000_000_000));
    let clock = Arc::clone(&millis);
    (millis, move || Timestamp::from_millis(clock.load(Ordering::SeqCst)))
}

/// A client that trusts the stand-ins and nobody else.
pub(crate) fn trusting(providers: &Providers) -> ClientBuilder {
    let root = Certificate::from_pem(providers.root_certificate().as_bytes()).expect("a certificate");
    Client::builder().tls_certs_only([root]).no_proxy()
}

/// A token over `claims`.
pub(crate) fn sign(header: &Header, claims: &Value, pem: &str) -> String {
    let key = match header.alg {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
        _ => EncodingKey::from_ec_pem(pem.as_bytes()),
    };
    encode(header, claims, &key.expect("a key")).expect("a token")
}

/// Status and JSON of an answer; null if it has no body.
pub(crate) async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.bytes().await.expect("a body");
    (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") })
}
