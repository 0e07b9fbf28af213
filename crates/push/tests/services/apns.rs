//! APNs, over HTTP/2.

use std::time::Duration;

use axum::http::Version;
use delivery::Notice;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use protocol::{PushTarget, Timestamp, Urgency};
use push::{Answer, Hosts, Secret, Services, Setup};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::stand_in::StandIn;
use crate::{CONTENT, NOW, after, notice};

const TAKEN: (u16, &str) = (200, "");
const EXPIRED: (u16, &str) = (403, r#"{"reason":"ExpiredProviderToken"}"#);

fn credentials(key: &KeyPair, sandbox: bool) -> String {
    let sandbox = if sandbox { json!(true) } else { Value::Null };
    let mut json = json!({"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "key": key.serialize_pem()});
    if !sandbox.is_null() {
        json["sandbox"] = sandbox;
    }
    json.to_string()
}

/// Pushes to one server; the other environment is nowhere.
struct Stage {
    server: StandIn,
    services: Services,
    key: KeyPair,
}

impl Stage {
    async fn answering<const N: usize>(answers: [(u16, &str); N], sandbox: bool) -> Self {
        let (server, key) = (StandIn::answering(answers).await, KeyPair::generate().expect("a key"));
        let nowhere = || "https://127.0.0.1:1".parse().expect("a URL");
        let hosts = if sandbox {
            Hosts { apns: nowhere(), apns_sandbox: server.url.clone(), ..Hosts::default() }
        } else {
            Hosts { apns: server.url.clone(), apns_sandbox: nowhere(), ..Hosts::default() }
        };
        let secret = Secret::fixed(credentials(&key, sandbox));
        let services = Services::new(Setup { apns: Some(secret), hosts, ..server.setup() }).expect("services");
        Self { server, services, key }
    }

    async fn push(&self, now: Timestamp) -> Answer {
        let target = PushTarget::Apns { token: "00fc13ad".to_owned(), topic: "com.example.chat".to_owned() };
        self.services.push(&target, &notice(), now).await
    }

    /// `iat` of the tokens of all requests, which are good.
    fn made_at(&self) -> Vec<u64> {
        let raw = self.key.public_key_pem();
        let key = DecodingKey::from_ec_pem(raw.as_bytes()).expect("a key");
        let mut rules = Validation::new(Algorithm::ES256);
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        let made_at = |authorization: &str| {
            let token = authorization.strip_prefix("bearer ").expect("a token");
            let token = jsonwebtoken::decode::<Value>(token, &key, &rules).expect("a good token");
            assert_eq!(token.header.kid.as_deref(), Some("ABC123DEFG"));
            assert_eq!(token.claims["iss"], "DEF123GHIJ");
            token.claims["iat"].as_u64().expect("a number")
        };
        self.server.asked().iter().map(|asked| made_at(asked.header("authorization"))).collect()
    }
}

#[tokio::test]
async fn a_notification_is_posted_over_http_2() {
    let stage = Stage::answering([TAKEN], false).await;
    assert_eq!(stage.push(after(1_000)).await, Answer::Taken);
    let asked = stage.server.asked().remove(0);
    assert_eq!((asked.version, asked.path.as_str()), (Version::HTTP_2, "/3/device/00fc13ad"));
    for (name, value) in [
        ("apns-topic", "com.example.chat"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-collapse-id", "c-alice"),
        ("apns-expiration", "1800000600"),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    let content: Value = serde_json::from_str(CONTENT).expect("JSON");
    let aps = json!({
        "alert": {"body": "2 new messages"}, "badge": 2, "sound": "default", "thread-id": "c-alice", "mutable-content": 1,
    });
    assert_eq!(asked.json(), json!({"aps": aps, "vartalap": content}));
}

#[tokio::test]
async fn a_silent_one_is_a_background_push() {
    let stage = Stage::answering([TAKEN], false).await;
    let target = PushTarget::Apns { token: "00".to_owned(), topic: "com.example.chat".to_owned() };
    let silent = Notice { urgency: Urgency::Silent, ..notice() };
    assert_eq!(stage.services.push(&target, &silent, NOW).await, Answer::Taken);
    let asked = stage.server.asked().remove(0);
    assert_eq!((asked.header("apns-push-type"), asked.header("apns-priority")), ("background", "5"));
    assert_eq!(asked.json()["aps"], json!({"content-available": 1, "badge": 2}));
}

#[tokio::test]
async fn builds_of_developers_are_in_the_sandbox() {
    let stage = Stage::answering([TAKEN], true).await;
    assert_eq!(stage.push(NOW).await, Answer::Taken);
    let stage = Stage::answering([TAKEN], false).await;
    assert_eq!(stage.push(NOW).await, Answer::Taken);
}

#[tokio::test]
async fn one_token_serves_half_an_hour() {
    let stage = Stage::answering([TAKEN, TAKEN, TAKEN], false).await;
    for secs in [10, 1_799, 1_800] {
        assert_eq!(stage.push(after(secs)).await, Answer::Taken);
    }
    assert_eq!(stage.made_at(), [NOW, NOW, after(1_800)].map(Timestamp::as_secs));
}

#[tokio::test]
async fn an_expired_token_is_made_anew_once() {
    let stage = Stage::answering([EXPIRED, TAKEN, EXPIRED], false).await;
    assert_eq!(stage.push(after(1_500)).await, Answer::Taken);
    assert_eq!(stage.made_at(), [NOW, after(1_500)].map(Timestamp::as_secs));
    // Apple wants no other so soon, so the clock must be wrong.
    let Answer::Refused(advice) = stage.push(after(1_600)).await else { panic!("refused") };
    assert!(advice.contains("ExpiredProviderToken") && advice.contains("clock"), "{advice}");
    assert_eq!(stage.made_at(), [after(1_500).as_secs()]);
}

#[tokio::test]
async fn what_apns_says_of_a_target_is_known() {
    let stage = Stage::answering([], false).await;
    for (status, reason) in
        [(410, "Unregistered"), (410, "ExpiredToken"), (400, "BadDeviceToken"), (400, "DeviceTokenNotForTopic")]
    {
        stage.server.will_answer(status, &[], &format!(r#"{{"reason":"{reason}","timestamp":1800000000000}}"#));
        assert_eq!(stage.push(NOW).await, Answer::Dead, "{reason}");
    }
    stage.server.will_answer(429, &[("retry-after", "7")], r#"{"reason":"TooManyRequests"}"#);
    assert_eq!(stage.push(NOW).await, Answer::Later(Some(Duration::from_secs(7))));
    stage.server.will_answer(503, &[], r#"{"reason":"Shutdown"}"#);
    assert_eq!(stage.push(NOW).await, Answer::Later(None));
    for reason in ["TopicDisallowed", "BadTopic"] {
        stage.server.will_answer(400, &[], &format!(r#"{{"reason":"{reason}"}}"#));
        assert_eq!(stage.push(NOW).await, Answer::Unserved, "what a client names is not tried again and again");
    }
    for (status, reason) in [(403, "InvalidProviderToken"), (413, "PayloadTooLarge")] {
        stage.server.will_answer(status, &[], &format!(r#"{{"reason":"{reason}"}}"#));
        let Answer::Refused(advice) = stage.push(NOW).await else { panic!("{reason}") };
        assert!(advice.contains(reason) && !advice.contains("00fc13ad"), "{advice}");
    }
}
