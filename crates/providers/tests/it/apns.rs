//! APNs: the provider token, headers, payloads, and devices.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use providers::{Fault, Service, Times, Whom};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Version};
use serde_json::{Value, json};
use web_push_native::p256::SecretKey;
use web_push_native::p256::pkcs8::DecodePrivateKey;

use crate::world::{World, answer, sign, trusting};

pub(crate) const TOPIC: &str = "com.example.chat";

/// The secret of a team.
pub(crate) struct Team {
    secret: Value,
}

impl Team {
    pub(crate) fn of(world: &World) -> Self {
        let secret: Value = serde_json::from_str(&world.providers.apns_credentials()).expect("JSON");
        assert_eq!(secret["sandbox"], false);
        Self { secret }
    }

    fn text(&self, name: &str) -> &str {
        self.secret[name].as_str().expect("text")
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        sign(&header, claims, self.text("key"))
    }

    /// A provider token, issued at `issued_at`.
    pub(crate) fn token(&self, issued_at: u64) -> String {
        self.sign(Some(self.text("key_id")), &json!({"iss": self.text("team_id"), "iat": issued_at}))
    }
}

/// The headers of an urgent push.
fn headers() -> HeaderMap {
    let all = [
        ("apns-topic", TOPIC),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", "1800003600"),
        ("apns-collapse-id", "alice"),
    ];
    all.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn payload() -> Value {
    json!({"aps": {"alert": {"body": "New message"}, "badge": 3}, "vartalap": {"badge": 3}})
}

fn url(world: &World, device: &str) -> String {
    format!("{}/3/device/{device}", world.providers.url())
}

/// A good push with that provider token.
pub(crate) fn push(world: &World, device: &str, token: &str) -> RequestBuilder {
    world.client.post(url(world, device)).headers(headers()).bearer_auth(token).json(&payload())
}

/// Status and reason.
pub(crate) async fn ask(request: RequestBuilder) -> (u16, Option<String>) {
    let (status, body) = answer(request.send().await.expect("an answer")).await;
    (status, body["reason"].as_str().map(str::to_owned))
}

fn refusal(status: u16, reason: &str) -> (u16, Option<String>) {
    (status, Some(reason.to_owned()))
}

const TAKEN: (u16, Option<String>) = (200, None);

#[tokio::test]
async fn a_push_is_taken_over_http_2() {
    let world = World::start().await;
    let (team, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let response = push(&world, &device.to_uppercase(), &team.token(world.now())).send().await.expect("an answer");
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    assert_eq!(response.headers()["apns-id"].len(), 36);
    assert!(response.bytes().await.expect("a body").is_empty());

    let [received] = &world.providers.received()[..] else { panic!("one push") };
    assert_eq!((received.service, &received.target), (Service::Apns, &device));
    assert_eq!((&received.content, &received.message), (&json!({"badge": 3}), &payload()));
    assert_eq!(
        (received.collapse.as_deref(), received.priority.as_str(), received.ttl),
        (Some("alice"), "10", Some(3_600))
    );
    assert_eq!(received.push_type.as_deref(), Some("alert"));

    let id = "0198a5c0-7c00-7abc-8def-0123456789ab";
    let response = push(&world, &device, &team.token(world.now() - 1)).header("apns-id", id).send().await;
    assert_eq!(response.expect("an answer").headers()["apns-id"], id, "even of a refusal");
}

#[tokio::test]
async fn http_1_1_is_not_spoken() {
    let world = World::start().await;
    let (team, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let client = trusting(&world.providers).http1_only().build().expect("a client");
    for request in [push(&world, &device, &team.token(world.now())), world.client.get(url(&world, ""))] {
        let response = client.execute(request.build().expect("a request")).await.expect("an answer");
        assert_eq!(response.status().as_u16(), 505);
    }
}

#[tokio::test]
async fn the_key_is_a_p256_key_in_pkcs8() {
    let world = World::start().await;
    let team = Team::of(&world);
    assert!(SecretKey::from_pkcs8_pem(team.text("key")).is_ok());
    assert_eq!((team.text("key_id").len(), team.text("team_id").len()), (10, 10));
}

#[tokio::test]
async fn the_provider_token_is_judged() {
    let world = World::start().await;
    let (team, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let (now, team_id, kid) = (world.now(), team.text("team_id"), Some(team.text("key_id")));
    let missing = world.client.post(url(&world, &device)).headers(headers()).json(&payload());
    assert_eq!(ask(missing).await, refusal(403, "MissingProviderToken"));
    let other = World::start().await;
    for (why, token) in [
        ("no token", "x".to_owned()),
        ("no kid", team.sign(None, &json!({"iss": team_id, "iat": now}))),
        ("another kid", team.sign(Some("ABCDE12345"), &json!({"iss": team_id, "iat": now}))),
        ("another key", Team::of(&other).sign(kid, &json!({"iss": team_id, "iat": now}))),
        ("another team", team.sign(kid, &json!({"iss": "ABCDE12345", "iat": now}))),
        ("no iat", team.sign(kid, &json!({"iss": team_id}))),
        ("from the future", team.token(now + 1)),
    ] {
        assert_eq!(ask(push(&world, &device, &token)).await, refusal(403, "InvalidProviderToken"), "{why}");
    }
    assert_eq!(ask(push(&world, &device, &team.token(now - 3_601))).await, refusal(403, "ExpiredProviderToken"));
    assert_eq!(ask(push(&world, &device, &team.token(now - 3_600))).await, TAKEN, "none of the others is in use");
}

#[tokio::test]
async fn a_token_is_in_use_for_20_minutes_before_there_may_be_another() {
    let world = World::start().await;
    let (team, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let (first, second) = (team.token(world.now()), team.token(world.now() - 1));
    assert_eq!(ask(push(&world, &device, &first)).await, TAKEN);
    world.advance(Duration::from_secs(1_199));
    assert_eq!(ask(push(&world, &device, &second)).await, refusal(429, "TooManyProviderTokenUpdates"));
    assert_eq!(ask(push(&world, &device, &first)).await, TAKEN);
    world.advance(Duration::from_secs(1));
    assert_eq!(ask(push(&world, &device, &second)).await, TAKEN);
    assert_eq!(ask(push(&world, &device, &first)).await, refusal(429, "TooManyProviderTokenUpdates"), "the way back");
}

#[tokio::test]
async fn headers_are_judged() {
    let world = World::start().await;
    let (team, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let token = team.token(world.now());
    let long = "x".repeat(65);
    for (name, value, reason) in [
        ("apns-topic", None, "MissingTopic"),
        ("apns-topic", Some("com/example"), "BadTopic"),
        ("apns-topic", Some("com.example.other"), "DeviceTokenNotForTopic"),
        ("apns-push-type", None, "InvalidPushType"),
        ("apns-push-type", Some("loud"), "InvalidPushType"),
        ("apns-push-type", Some("background"), "BadPriority"),
        ("apns-priority", Some("7"), "BadPriority"),
        ("apns-expiration", Some("soon"), "BadExpirationDate"),
        ("apns-collapse-id", Some(long.as_str()), "BadCollapseId"),
        ("apns-id", Some("0198a5c07c007abc8def0123456789ab"), "BadMessageId"),
    ] {
        let mut changed = headers();
        changed.remove(name);
        if let Some(value) = value {
            changed.insert(name, value.parse().expect("a value"));
        }
        let request = world.client.post(url(&world, &device)).headers(changed).bearer_auth(&token).json(&payload());
        assert_eq!(ask(request).await, refusal(400, reason), "{name}: {value:?}");
    }
    let repeated = push(&world, &device, &token).header("apns-priority", "5");
    assert_eq!(ask(repeated).await, refusal(400, "DuplicateHeaders"));
    assert!(world.providers.received().is_empty());
}

#[tokio::test]
async fn payloads_are_judged() {
    let world = World::start().await;
    let (team, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let token = team.token(world.now());
    let ask = |push_type: &'static str, priority: &'static str, body: Vec<u8>| {
        let mut changed = headers();
        changed.insert("apns-push-type", HeaderValue::from_static(push_type));
        changed.insert("apns-priority", HeaderValue::from_static(priority));
        ask(world.client.post(url(&world, &device)).headers(changed).bearer_auth(&token).body(body))
    };
    let bytes = |value: Value| serde_json::to_vec(&value).expect("JSON");
    for body in [Vec::new(), b"hello".to_vec(), bytes(json!({"vartalap": {}})), bytes(json!({"aps": 1}))] {
        assert_eq!(ask("alert", "10", body).await, refusal(400, "PayloadEmpty"));
    }
    let of_bytes = |count: usize| bytes(json!({"aps": {}, "x": "x".repeat(count - 17)}));
    assert_eq!(of_bytes(4_096).len(), 4_096);
    assert_eq!(ask("alert", "5", of_bytes(4_097)).await, refusal(413, "PayloadTooLarge"));
    assert_eq!(ask("alert", "1", of_bytes(4_096)).await, TAKEN);

    let silent = bytes(json!({"aps": {"content-available": 1, "badge": 3}}));
    assert_eq!(ask("background", "1", silent.clone()).await, refusal(400, "BadPriority"));
    assert_eq!(ask("background", "5", silent).await, TAKEN);
    for aps in [json!({"badge": 3}), json!({"content-available": 1, "alert": "x"})] {
        let body = bytes(json!({"aps": aps}));
        assert_eq!(ask("background", "5", body).await, refusal(400, "InvalidPushType"), "{aps}");
    }
}

#[tokio::test]
async fn devices_and_paths_are_judged() {
    let world = World::start().await;
    let (team, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let token = team.token(world.now());
    for bad in ["pigeon", "00fc13ad"] {
        assert_eq!(ask(push(&world, bad, &token)).await, refusal(400, "BadDeviceToken"));
    }
    assert_eq!(ask(push(&world, "", &token)).await, refusal(400, "MissingDeviceToken"));
    assert_eq!(ask(world.client.get(url(&world, &device))).await, refusal(405, "MethodNotAllowed"));
    let elsewhere = format!("{}/3/devices", world.providers.url());
    assert_eq!(ask(world.client.request(Method::POST, elsewhere)).await, refusal(404, "BadPath"));

    let since = world.now() * 1_000;
    world.providers.misbehave(Whom::Target(device.clone()), Fault::Unregistered, Times::Next(1));
    world.advance(Duration::from_secs(60));
    for _ in 0..2 {
        let (status, body) = answer(push(&world, &device, &token).send().await.expect("an answer")).await;
        assert_eq!((status, body), (410, json!({"reason": "Unregistered", "timestamp": since})));
    }
}
