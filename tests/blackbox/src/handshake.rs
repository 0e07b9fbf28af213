//! Who is let in: nobody without a good token and a device, and with what status. A token that expired cannot be had from a token
//! command, so that is not tested here.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blackbox::{Deployment, Device, Frame, NotOpened, Socket};
use serde_json::json;
use tokio::join;

/// The status that refuses a connection.
async fn refusal(cloud: &Deployment, what: &str, query: &str, token: Option<&str>) -> u16 {
    match Socket::open(&cloud.url(query), token).await {
        Err(NotOpened::Refused(status)) => status,
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: it was let in"),
    }
}

pub(crate) async fn a_token_may_be_in_the_header_or_in_the_query(cloud: &Deployment) {
    let alice = cloud.user("alice").await;
    let query = format!("device=tablet&access_token={}", alice.token);
    let in_query = Socket::open(&cloud.url(&query), None).await.unwrap_or_else(|error| panic!("{error}"));
    let (mut in_header, mut in_query) = (alice.connect("phone").await, Device::new(in_query));
    for device in [&mut in_header, &mut in_query] {
        device.say(&json!({"action": "ping"})).await;
        device.frame("a pong", |frame| matches!(frame, Frame::Pong {})).await;
    }
}

pub(crate) async fn a_bad_token_is_refused(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (alices, bobs) = (parts(&alice.token), parts(&bob.token));
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let bad = [
        ("garbage", "garbage".to_owned()),
        ("garbage of three parts", "a.b.c".to_owned()),
        ("another's claims under one's own signature", format!("{}.{}.{}", alices[0], bobs[1], alices[2])),
        ("the right claims, signed by another key", signed_by_another_key(&format!("{}.{}", alices[0], alices[1]))),
        ("the right claims without a signature", format!("{}.{}.", alices[0], alices[1])),
        ("the right claims, said to need no signature", format!("{unsigned}.{}.", alices[1])),
    ];
    // localstack/README.md: "Any error of the authorizer is a 500; on AWS `Unauthorized` is a 401".
    let status = cloud.target().status_of_bad_token();
    assert_eq!(refusal(cloud, "no token", "device=phone", None).await, status, "no token");
    for (what, token) in bad {
        assert_eq!(refusal(cloud, what, "device=phone", Some(&token)).await, status, "{what}, in the header");
        let query = format!("device=phone&access_token={token}");
        assert_eq!(refusal(cloud, what, &query, None).await, status, "{what}, in the query");
    }
}

pub(crate) async fn a_bad_device_is_refused(cloud: &Deployment) {
    let alice = cloud.user("alice").await;
    let long = format!("device={}", "d".repeat(65));
    // localstack/README.md: "Any refusal by `$connect` itself is a 403 without a body; on AWS it is the function's status".
    let status = cloud.target().status_of_bad_device();
    let queries = ["", "device=", "device=a%23b", "device=a.b", "other=phone", &long];
    for query in queries {
        let what = format!("with the query `{query}`");
        assert_eq!(refusal(cloud, &what, query, Some(&alice.token)).await, status, "{what}");
    }
    let longest = "d".repeat(64);
    alice.online(&longest).await;
}

/// Header, claims and signature.
fn parts(token: &str) -> Vec<&str> {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "the token command prints a signed JWT");
    parts
}

/// A signature as ES256 has it, which a deployment whose tokens are of another kind refuses all the more.
fn signed_by_another_key(signed: &str) -> String {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
