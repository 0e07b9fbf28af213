//! Who is let in: nobody without a good token and a device.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::deployment::Deployment;
use crate::socket::Socket;

/// Signs any claims with the deployment's own key.
fn signed(cloud: &Deployment, claims: &Value) -> String {
    let pem = std::fs::read(cloud.data().join("signing-key.pem")).expect("the key");
    let good = cloud.token("alice");
    let kid = jsonwebtoken::decode_header(&good).expect("a header").kid;
    let header = Header { kid, ..Header::new(Algorithm::ES256) };
    encode(&header, claims, &EncodingKey::from_ec_pem(&pem).expect("a key")).expect("a token")
}

#[tokio::test]
async fn bad_tokens_are_refused_with_401() {
    let cloud = Deployment::start().await;
    let now = lambda::start::invocation().now.as_secs();
    let good =
        json!({"sub": "alice", "iss": local::signing::ISSUER, "aud": local::signing::AUDIENCE, "exp": now + 600});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    assert!(Socket::open(cloud.ws(), "device=phone", Some(&signed(&cloud, &good))).await.is_ok());
    let token = cloud.token("alice");
    let mut parts = token.split('.');
    let (header, payload) = (parts.next().expect("a header"), parts.next().expect("a payload"));
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none"}).to_string());
    let pem = std::fs::read(cloud.data().join("signing-key.pem")).expect("the key");
    let hmac = encode(&Header::new(Algorithm::HS256), &good, &EncodingKey::from_secret(&pem)).expect("a token");
    let bad = [
        ("expired", signed(&cloud, &with("exp", json!(now - 120)))),
        ("future", signed(&cloud, &with("nbf", json!(now + 120)))),
        ("another audience's", signed(&cloud, &with("aud", json!("other")))),
        ("another issuer's", signed(&cloud, &with("iss", json!("other")))),
        ("for a subject that is no user", signed(&cloud, &with("sub", json!("a#b")))),
        ("unsigned", format!("{none}.{payload}.")),
        ("stripped of its signature", format!("{header}.{payload}.")),
        ("signed by HMAC", hmac),
        ("garbage", "garbage".to_owned()),
    ];
    for (what, token) in bad {
        assert_eq!(cloud.refusal("device=phone", Some(&token)).await, 401, "{what}");
        assert_eq!(cloud.refusal(&format!("device=phone&access_token={token}"), None).await, 401, "{what}");
    }
    assert_eq!(cloud.refusal("device=phone", None).await, 401);
}

#[tokio::test]
async fn a_token_in_the_query_is_as_good() {
    let cloud = Deployment::start().await;
    let query = format!("device=phone&access_token={}", cloud.token("alice"));
    let mut alice = Socket::open(cloud.ws(), &query, None).await.expect("a connection");
    assert_eq!(alice.ask(&json!({"action": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn a_connection_without_a_good_device_is_refused_with_400() {
    let cloud = Deployment::start().await;
    let token = cloud.token("alice");
    let long = format!("device={}", "d".repeat(65));
    for query in ["", "device=", "device=a%23b", "device=a.b", &long] {
        assert_eq!(cloud.refusal(query, Some(&token)).await, 400, "{query}");
    }
}

#[tokio::test]
async fn a_shutdown_closes_sockets_cleanly() {
    let cloud = Deployment::with(|options| options.limits.shutdown = Duration::from_secs(5)).await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let (code, summary) = tokio::join!(alice.close_code(), cloud.shutdown());
    assert_eq!(code, 1001);
    assert_eq!(summary.unfinished, 0);
}
