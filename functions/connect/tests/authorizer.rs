//! Whole tokens against a JWKS that is served over loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use connect::{Authorizer, Connect, TokenRules};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use lambda::HandlerError;
use serde_json::{Value, json};
use testkit::{Clock, MemoryConnections, MemoryDirectory, MemoryQueue, events};
use tokio::sync::Mutex;

struct Issuer {
    keys: Arc<Mutex<JwkSet>>,
    fetches: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    clock: Clock,
    function: Connect<MemoryDirectory, MemoryQueue, MemoryConnections>,
}

fn es256() -> EncodingKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("PKCS #8").as_ref())
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).expect("a JWK");
    jwk.common.key_id = Some(kid.to_owned());
    jwk
}

impl Issuer {
    async fn with(keys: Vec<Jwk>) -> Self {
        let keys = Arc::new(Mutex::new(JwkSet { keys }));
        let (fetches, down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let state = (Arc::clone(&keys), Arc::clone(&fetches), Arc::clone(&down));
        let serve = get(move || {
            let (keys, fetches, down) = state.clone();
            async move {
                fetches.fetch_add(1, Ordering::SeqCst);
                if down.load(Ordering::SeqCst) {
                    return Err(StatusCode::SERVICE_UNAVAILABLE);
                }
                Ok(Json(serde_json::to_value(&*keys.lock().await).expect("JSON")))
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let jwks_url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/jwks.json", serve)).await });
        let clock = Clock::default();
        let rules = TokenRules { jwks_url, issuer: "issuer".to_owned(), audience: "chat".to_owned() };
        let function = Connect {
            authorizer: Authorizer::new(rules).expect("an authorizer"),
            directory: MemoryDirectory::default(),
            queue: MemoryQueue::new(clock.clone()),
            connections: MemoryConnections::default(),
        };
        Self { keys, fetches, down, clock, function }
    }

    fn claims(&self) -> Value {
        let now = self.clock.now().as_secs();
        json!({"sub": "alice", "iss": "issuer", "aud": "chat", "iat": now, "exp": now + 3_600})
    }

    fn token(&self, key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, &self.claims(), key).expect("a token")
    }

    async fn ask(&self, event: Value) -> Result<Value, HandlerError> {
        self.function.handle(event, self.clock.invocation()).await
    }

    async fn offer(&self, token: &str) -> Result<Value, HandlerError> {
        self.ask(events::authorizer(Some(&format!("Bearer {token}")), &[("device", "phone")])).await
    }

    async fn refuses(&self, token: &str) -> bool {
        matches!(self.offer(token).await, Err(HandlerError::Unauthorized))
    }
}

#[tokio::test]
async fn a_good_token_is_allowed_on_the_whole_stage_and_travels_in_the_context() {
    let key = es256();
    let issuer = Issuer::with(vec![jwk(&key, Algorithm::ES256, "k1")]).await;
    let token = issuer.token(&key, Algorithm::ES256, Some("k1"));
    let policy = issuer.offer(&token).await.expect("a policy");
    assert_eq!(
        policy,
        json!({
            "principalId": "alice",
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": "arn:aws:execute-api:local:000000000000:api/local/*",
                }],
            },
            "context": {"user": "alice", "device": "phone"},
        })
    );
    let by_query = issuer.ask(events::authorizer(None, &[("access_token", &token), ("device", "a b")])).await;
    assert_eq!(by_query.expect("a policy")["context"], json!({"user": "alice"}), "a bad device is for $connect");
    let old =
        issuer.ask(events::authorizer(None, &[("access_token", &token), ("ack", "true"), ("format", "text")])).await;
    let context = json!({"user": "alice", "device": "legacy", "dialect": "json", "acks": "true"});
    assert_eq!(old.expect("a policy")["context"], context, "what an old client is need not be read again");
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1, "keys are kept");
    let nameless = issuer.token(&key, Algorithm::ES256, None);
    assert!(issuer.offer(&nameless).await.is_ok(), "there is only one key it can mean");
}

#[tokio::test]
async fn eddsa_is_believed() {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().expect("PKCS #8").as_ref());
    let issuer = Issuer::with(vec![jwk(&key, Algorithm::EdDSA, "k1")]).await;
    assert!(issuer.offer(&issuer.token(&key, Algorithm::EdDSA, Some("k1"))).await.is_ok());
}

#[tokio::test]
async fn rs256_is_believed() {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS #8");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key");
    let issuer = Issuer::with(vec![jwk(&key, Algorithm::RS256, "k1")]).await;
    assert!(issuer.offer(&issuer.token(&key, Algorithm::RS256, Some("k1"))).await.is_ok());
    assert!(issuer.refuses(&issuer.token(&key, Algorithm::RS512, Some("k1"))).await, "not among the algorithms");
}

#[tokio::test]
async fn bad_tokens_are_refused() {
    let key = es256();
    let issuer = Issuer::with(vec![jwk(&key, Algorithm::ES256, "k1")]).await;
    let good = issuer.token(&key, Algorithm::ES256, Some("k1"));
    let payload = good.split('.').nth(1).expect("a payload");
    let unsigned = |header: Value| format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header.to_string()));
    let (body, signature) = good.rsplit_once('.').expect("a signature");
    let by_public_key = {
        let public = serde_json::to_vec(&*issuer.keys.lock().await).expect("JSON");
        issuer.token(&EncodingKey::from_secret(&public), Algorithm::HS256, Some("k1"))
    };
    for token in [
        String::new(),
        "garbage".to_owned(),
        unsigned(json!({"alg": "none", "kid": "k1"})),
        unsigned(json!({"alg": "ES256", "kid": "k1"})),
        by_public_key,
        issuer.token(&es256(), Algorithm::ES256, Some("k1")),
        format!("{body}.{}", signature.chars().rev().collect::<String>()),
        format!("{body}x.{signature}"),
    ] {
        assert!(issuer.refuses(&token).await, "{token}");
    }
    for event in [events::authorizer(None, &[]), events::authorizer(Some("Basic YTpi"), &[("access_token", &good)])] {
        assert!(matches!(issuer.ask(event).await, Err(HandlerError::Unauthorized)));
    }
    issuer.clock.advance(Duration::from_secs(3_600 + 60));
    assert!(issuer.refuses(&good).await, "it has expired");
}

#[tokio::test]
async fn an_unknown_key_is_fetched_at_most_once_a_minute() {
    let (first, second) = (es256(), es256());
    let issuer = Issuer::with(vec![jwk(&first, Algorithm::ES256, "k1")]).await;
    assert!(issuer.offer(&issuer.token(&first, Algorithm::ES256, Some("k1"))).await.is_ok());
    issuer.keys.lock().await.keys.push(jwk(&second, Algorithm::ES256, "k2"));
    let rotated = issuer.token(&second, Algorithm::ES256, Some("k2"));
    for _ in 0..3 {
        assert!(issuer.refuses(&rotated).await);
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1);
    issuer.clock.advance(Duration::from_secs(60));
    assert!(issuer.offer(&rotated).await.is_ok());
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn keys_out_of_reach_are_not_the_tokens_fault() {
    let key = es256();
    let issuer = Issuer::with(vec![jwk(&key, Algorithm::ES256, "k1")]).await;
    let token = issuer.token(&key, Algorithm::ES256, Some("k1"));
    issuer.down.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(matches!(issuer.offer(&token).await, Err(HandlerError::Unavailable(_))));
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1, "an issuer that is down is not asked for every token");
    issuer.down.store(false, Ordering::SeqCst);
    issuer.clock.advance(Duration::from_secs(5));
    assert!(issuer.offer(&token).await.is_ok());
    issuer.down.store(true, Ordering::SeqCst);
    issuer.clock.advance(Duration::from_secs(3_600 + 30));
    assert!(issuer.offer(&token).await.is_ok(), "a known key outlives an outage");
}
