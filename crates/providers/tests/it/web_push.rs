//! Web Push: RFC 8030, 8291 and 8292.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use providers::{Fault, Service, Subscription, Times, Whom};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use web_push_native::Auth;
use web_push_native::p256::elliptic_curve::rand_core::OsRng;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;
use web_push_native::p256::pkcs8::{EncodePrivateKey, LineEnding};
use web_push_native::p256::{PublicKey, SecretKey};

use crate::world::{World, answer, sign};

const DAY: u64 = 86_400;

pub(crate) fn application_key(world: &World) -> SecretKey {
    let credentials: Value = serde_json::from_str(&world.providers.vapid_credentials()).expect("JSON");
    assert_eq!(credentials["subject"].as_str().map(|subject| subject.starts_with("mailto:")), Some(true));
    let key = URL_SAFE_NO_PAD.decode(credentials["private_key"].as_str().expect("a key")).expect("base64url");
    SecretKey::from_slice(&key).expect("a key")
}

fn vapid(key: &SecretKey, claims: &Value) -> String {
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("PEM");
    let point = URL_SAFE_NO_PAD.encode(key.public_key().to_encoded_point(false));
    format!("vapid t={}, k={point}", sign(&Header::new(Algorithm::ES256), claims, &pem))
}

fn claims(world: &World) -> Value {
    json!({"aud": world.providers.url(), "exp": world.now() + DAY, "sub": "mailto:ops@example.com"})
}

fn sealed(subscription: &Subscription, content: &[u8]) -> Vec<u8> {
    let key = URL_SAFE_NO_PAD.decode(&subscription.p256dh).expect("base64url");
    let auth = URL_SAFE_NO_PAD.decode(&subscription.auth).expect("base64url");
    let key = PublicKey::from_sec1_bytes(&key).expect("a key");
    web_push_native::encrypt(content.to_vec(), &key, &Auth::clone_from_slice(&auth)).expect("sealed")
}

/// A good push but for its `TTL` and its body.
fn authorized(world: &World, key: &SecretKey, subscription: &Subscription) -> RequestBuilder {
    world.client.post(&subscription.endpoint).header("authorization", vapid(key, &claims(world)))
}

/// A good push.
pub(crate) fn good(world: &World, subscription: &Subscription) -> RequestBuilder {
    good_by(world, &application_key(world), subscription)
}

/// The same by whoever has `key`.
pub(crate) fn good_by(world: &World, key: &SecretKey, subscription: &Subscription) -> RequestBuilder {
    let body = sealed(subscription, br#"{"badge":3}"#);
    authorized(world, key, subscription).header("ttl", "60").header("content-encoding", "aes128gcm").body(body)
}

/// Status and `errno`.
pub(crate) async fn refusal(request: RequestBuilder) -> (u16, u64) {
    let (status, body) = answer(request.send().await.expect("an answer")).await;
    assert_eq!(body["code"], status, "{body}");
    (status, body["errno"].as_u64().expect("errno"))
}

#[tokio::test]
async fn a_push_is_decrypted_and_kept() {
    let world = World::start().await;
    let subscription = world.providers.subscribe();
    let response = good(&world, &subscription).header("urgency", "high").header("topic", "c-1_x").send().await;
    let response = response.expect("an answer");
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str().expect("text").to_owned();
    assert!(location.starts_with(&format!("{}/m/", world.providers.url())), "{location}");

    let [push] = &world.providers.received_at_least(1).await[..] else { panic!("one push") };
    assert_eq!((push.service, &push.target), (Service::WebPush, &subscription.endpoint));
    assert_eq!(push.content, json!({"badge": 3}));
    assert_eq!((push.collapse.as_deref(), push.priority.as_str(), push.ttl), (Some("c-1_x"), "high", Some(60)));
    assert_eq!(push.at.as_secs(), world.now());
}

#[tokio::test]
async fn it_is_served_over_http_1_1_as_well() {
    let world = World::start().await;
    let subscription = world.providers.subscribe();
    let client = crate::world::trusting(&world.providers).http1_only().build().expect("a client");
    let request = good(&world, &subscription).build().expect("a request");
    assert_eq!(client.execute(request).await.expect("an answer").status(), 201);
}

#[tokio::test]
async fn headers_are_judged() {
    let world = World::start().await;
    let subscription = world.providers.subscribe();
    assert_eq!(refusal(authorized(&world, &application_key(&world), &subscription)).await, (400, 111), "no TTL");
    for (name, value, errno) in [
        ("ttl", "soon", 112),
        ("ttl", "-1", 112),
        ("urgency", "urgent", 111),
        ("topic", "a.b", 113),
        ("topic", "x23456789x123456789x123456789x123", 113),
    ] {
        let request = good(&world, &subscription).build().expect("a request");
        let mut headers = request.headers().clone();
        headers.insert(name, value.parse().expect("a value"));
        let request = world.client.post(&subscription.endpoint).headers(headers).body("x");
        assert_eq!(refusal(request).await, (400, errno), "{name}: {value}");
    }
    assert_eq!(refusal(good(&world, &subscription).header("topic", "a").header("topic", "b")).await, (400, 111));
    assert!(world.providers.received().is_empty());
}

#[tokio::test]
async fn whoever_pushes_has_to_say_who_it_is() {
    let world = World::start().await;
    let subscription = world.providers.subscribe();
    let ask = |authorization: Option<String>| {
        let request = world.client.post(&subscription.endpoint).header("ttl", "0");
        authorization.into_iter().fold(request, |request, value| request.header("authorization", value))
    };
    let key = application_key(&world);
    assert_eq!(refusal(ask(None)).await, (401, 109));
    assert_eq!(refusal(ask(Some("Bearer x".to_owned()))).await, (401, 109));
    let changed = |name: &str, value: Value| {
        let mut claims = claims(&world);
        claims[name] = value;
        vapid(&key, &claims)
    };
    for bad in [
        changed("aud", json!("https://push.example")),
        changed("exp", json!(world.now() + DAY + 1)),
        changed("exp", json!(world.now())),
        changed("exp", Value::Null),
        changed("sub", Value::Null),
        changed("sub", json!("ops@example.com")),
        vapid(&SecretKey::random(&mut OsRng), &claims(&world)),
        vapid(&key, &claims(&world)).replace(", k=B", ", k=C"),
        vapid(&SecretKey::random(&mut OsRng), &claims(&world)).split(", k=").next().map_or_else(String::new, |token| {
            let point = URL_SAFE_NO_PAD.encode(key.public_key().to_encoded_point(false));
            format!("{token}, k={point}")
        }),
    ] {
        assert_eq!(refusal(ask(Some(bad.clone()))).await, (403, 109), "{bad}");
    }
    let good = changed("sub", json!("https://example.com"));
    assert_eq!(ask(Some(good)).send().await.expect("an answer").status(), 201, "a push without a body");
}

#[tokio::test]
async fn a_subscription_for_anybody_needs_no_key_and_refuses_a_bad_one() {
    let world = World::start().await;
    let subscription = world.providers.subscribe_for_anybody();
    let ask = || world.client.post(&subscription.endpoint).header("ttl", "0");
    let other = SecretKey::random(&mut OsRng);
    assert_eq!(ask().send().await.expect("an answer").status(), 201);
    let signed = ask().header("authorization", vapid(&other, &claims(&world)));
    assert_eq!(signed.send().await.expect("an answer").status(), 201);
    let expired = vapid(&other, &json!({"aud": world.providers.url(), "exp": 1, "sub": "mailto:ops@example.com"}));
    assert_eq!(refusal(ask().header("authorization", expired)).await, (403, 109));
}

#[tokio::test]
async fn a_body_has_to_be_sealed_for_the_subscription() {
    let world = World::start().await;
    let subscription = world.providers.subscribe();
    let other = world.providers.subscribe();
    let ask = |body: Vec<u8>| {
        authorized(&world, &application_key(&world), &subscription)
            .header("ttl", "60")
            .header("content-encoding", "aes128gcm")
            .body(body)
    };
    let mut two_records = sealed(&subscription, br#"{"badge":3}"#);
    two_records[19] = 18;
    for (why, body) in [
        ("for another", sealed(&other, b"{}")),
        ("clear", br#"{"badge":3}"#.to_vec()),
        ("two records", two_records),
        ("no JSON", sealed(&subscription, b"hello")),
    ] {
        assert_eq!(refusal(ask(body)).await, (400, 110), "{why}");
    }
    let unsaid = authorized(&world, &application_key(&world), &subscription)
        .header("ttl", "60")
        .body(sealed(&subscription, b"{}"));
    assert_eq!(refusal(unsaid).await, (400, 110), "no Content-Encoding");

    // What is sealed is 103 bytes longer: header, key, delimiter and tag.
    let text = |bytes: usize| serde_json::to_vec(&"x".repeat(bytes - 2)).expect("JSON");
    assert_eq!(refusal(ask(sealed(&subscription, &text(3_994)))).await, (413, 104));
    assert_eq!(ask(sealed(&subscription, &text(3_993))).send().await.expect("an answer").status(), 201);
}

#[tokio::test]
async fn what_is_gone_stays_gone() {
    let world = World::start().await;
    let subscription = world.providers.subscribe();
    let unknown = Subscription { endpoint: format!("{}x", subscription.endpoint), ..subscription.clone() };
    assert_eq!(refusal(good(&world, &unknown)).await, (404, 102));
    let target = Whom::Target(subscription.endpoint.clone());
    world.providers.misbehave(target.clone(), Fault::Unregistered, Times::Next(1));
    for _ in 0..2 {
        assert_eq!(refusal(good(&world, &subscription)).await, (410, 106));
    }
    world.providers.behave(&target);
    assert_eq!(refusal(good(&world, &subscription)).await, (410, 106));
    assert_eq!(good(&world, &world.providers.subscribe()).send().await.expect("an answer").status(), 201);
}
