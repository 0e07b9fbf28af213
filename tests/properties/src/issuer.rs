//! An issuer of tokens with one key, served over loopback, and the authorizer that believes it. It counts how often it is asked.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connect::{Authorizer, TokenRules};
use lambda::HandlerError;
use protocol::UserId;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::NOW;

/// `iss`.
pub(crate) const ISSUER: &str = "https://issuer";

/// `aud`.
pub(crate) const AUDIENCE: &str = "chat";

/// The name of its key.
pub(crate) const KEY_ID: &str = "k1";

pub(crate) struct Issuer {
    key: Ed25519KeyPair,
    authorizer: Authorizer,
    /// Drives the one connection to the issuer, so it lives as long.
    runtime: Runtime,
    fetches: Arc<AtomicUsize>,
}

/// One for the process, as a function has one authorizer for its life.
pub(crate) static THE_ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::start);

impl Issuer {
    fn start() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any 32 bytes are a seed");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let jwks_url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
        let rules = TokenRules { jwks_url, issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() };
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let keys =
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": KEY_ID, "x": x}]}).to_string();
        let fetches = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&fetches);
        thread::spawn(move || serve(&listener, &keys, &counted));
        Self {
            key,
            authorizer: Authorizer::new(rules).expect("a TLS back end"),
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            fetches,
        }
    }

    /// A token with this payload, whatever it is, under the issuer's signature.
    pub(crate) fn sign(&self, header: &Value, payload: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What the authorizer says to an event. Since no time passes, it may ask for the keys once in all.
    pub(crate) fn ask(&self, event: Value) -> Result<UserId, HandlerError> {
        let request = connect::token::request(event)?;
        let answer = self.runtime.block_on(self.authorizer.user(&request, NOW));
        assert!(self.fetches.load(Ordering::SeqCst) <= 1, "a token made the authorizer fetch again");
        answer
    }
}

fn serve(listener: &TcpListener, keys: &str, fetches: &AtomicUsize) {
    for mut stream in listener.incoming().flatten() {
        fetches.fetch_add(1, Ordering::SeqCst);
        // A request without a body ends with an empty line; this one fits into the first packet over loopback.
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{keys}", keys.len());
    }
}
