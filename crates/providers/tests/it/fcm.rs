//! FCM: the grant of an access token, and messages.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use providers::{Fault, Service, Times, Whom};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::world::{World, answer, sign};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

pub(crate) struct Account {
    key: Value,
}

impl Account {
    pub(crate) fn of(world: &World) -> Self {
        Self { key: serde_json::from_str(&world.providers.fcm_credentials()).expect("JSON") }
    }

    fn text(&self, name: &str) -> &str {
        self.key[name].as_str().expect("text")
    }

    pub(crate) fn claims(&self, world: &World) -> Value {
        let (email, uri, now) = (self.text("client_email"), self.text("token_uri"), world.now());
        json!({"iss": email, "scope": SCOPE, "aud": uri, "iat": now, "exp": now + 3_600})
    }

    pub(crate) fn assertion(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.text("private_key_id").to_owned()), ..Header::new(Algorithm::RS256) };
        sign(&header, claims, self.text("private_key"))
    }

    pub(crate) async fn grant(&self, world: &World, assertion: &str) -> (u16, Value) {
        let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let request = world.client.post(self.text("token_uri")).form(&[("grant_type", kind), ("assertion", assertion)]);
        answer(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn access(&self, world: &World) -> String {
        let (status, body) = self.grant(world, &self.assertion(&self.claims(world))).await;
        assert_eq!(
            (status, &body["token_type"], &body["expires_in"]),
            (200, &json!("Bearer"), &json!(3_599)),
            "{body}"
        );
        body["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) fn send(&self, world: &World, access: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}/v1/projects/{}/messages:send", world.providers.url(), self.text("project_id"));
        world.client.post(url).bearer_auth(access).json(body)
    }
}

pub(crate) fn message(token: &str) -> Value {
    let android = json!({"priority": "high", "ttl": "3600s", "collapse_key": "alice"});
    json!({"message": {"token": token, "data": {"vartalap": r#"{"badge":3}"#}, "android": android}})
}

pub(crate) async fn ask(request: RequestBuilder) -> (u16, Value) {
    answer(request.send().await.expect("an answer")).await
}

/// Status, its name, and the code of FCM's own detail.
pub(crate) async fn refusal(request: RequestBuilder) -> (u16, String, Option<String>) {
    let (status, body) = ask(request).await;
    let error = &body["error"];
    assert_eq!(error["code"], status, "{body}");
    let is_fcm = |detail: &&Value| detail["@type"] == "type.googleapis.com/google.firebase.fcm.v1.FcmError";
    let fcm = error["details"].as_array().and_then(|details| details.iter().find(is_fcm));
    let fcm = fcm.map(|detail| detail["errorCode"].as_str().expect("a code").to_owned());
    (status, error["status"].as_str().expect("a status").to_owned(), fcm)
}

#[tokio::test]
async fn a_message_is_sent_with_an_access_token() {
    let world = World::start().await;
    let (account, token) = (Account::of(&world), world.providers.register_fcm());
    let access = account.access(&world).await;
    let (status, body) = ask(account.send(&world, &access, &message(&token))).await;
    assert_eq!(status, 200, "{body}");
    assert!(body["name"].as_str().expect("a name").starts_with("projects/vartalap-local/messages/0:"), "{body}");

    let [push] = &world.providers.received()[..] else { panic!("one push") };
    assert_eq!((push.service, &push.target), (Service::Fcm, &token));
    assert_eq!((&push.content, &push.message), (&json!({"badge": 3}), &message(&token)["message"]));
    assert_eq!((push.collapse.as_deref(), push.priority.as_str(), push.ttl), (Some("alice"), "high", Some(3_600)));
}

#[tokio::test]
async fn the_grant_is_judged() {
    let world = World::start().await;
    let account = Account::of(&world);
    let now = world.now();
    for (name, value, error) in [
        ("iss", json!("other@example.iam.gserviceaccount.com"), "invalid_grant"),
        ("aud", json!("https://oauth2.googleapis.com/token"), "invalid_grant"),
        ("exp", json!(now + 3_601), "invalid_grant"),
        ("exp", json!(now), "invalid_grant"),
        ("iat", json!(now + 1), "invalid_grant"),
        ("iat", Value::Null, "invalid_grant"),
        ("scope", json!("firebase"), "invalid_scope"),
        ("scope", Value::Null, "invalid_scope"),
    ] {
        let mut claims = account.claims(&world);
        claims[name] = value.clone();
        let (status, body) = account.grant(&world, &account.assertion(&claims)).await;
        assert_eq!((status, &body["error"]), (400, &json!(error)), "{name}: {value}");
    }
    let assertion = account.assertion(&account.claims(&world));
    let (header, rest) = assertion.split_once('.').expect("a token");
    let (_, signature) = rest.split_once('.').expect("a token");
    let forged = account.assertion(&json!({}));
    let payload = forged.split('.').nth(1).expect("a payload");
    for bad in [format!("{header}.{payload}.{signature}"), "x".to_owned()] {
        let (status, body) = account.grant(&world, &bad).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")), "{bad}");
    }
    let form = [("grant_type", "client_credentials")];
    let (status, body) = ask(world.client.post(account.text("token_uri")).form(&form)).await;
    assert_eq!((status, &body["error"]), (400, &json!("unsupported_grant_type")));
}

#[tokio::test]
async fn only_a_fresh_access_token_of_the_project_sends() {
    let world = World::start().await;
    let (account, token) = (Account::of(&world), world.providers.register_fcm());
    let access = account.access(&world).await;
    let unauthenticated = (401, "UNAUTHENTICATED".to_owned(), None);
    let denied = (403, "PERMISSION_DENIED".to_owned(), None);
    assert_eq!(refusal(account.send(&world, "ya29.other", &message(&token))).await, unauthenticated);
    let url = format!("{}/v1/projects/other/messages:send", world.providers.url());
    assert_eq!(refusal(world.client.post(&url).json(&message(&token))).await, unauthenticated);
    let elsewhere = world.client.post(&url).bearer_auth(&access).json(&message(&token));
    assert_eq!(refusal(elsewhere).await, denied);

    let mut claims = account.claims(&world);
    claims["scope"] = json!("https://www.googleapis.com/auth/devstorage.read_only");
    let (_, body) = account.grant(&world, &account.assertion(&claims)).await;
    let other_scope = body["access_token"].as_str().expect("a token");
    assert_eq!(refusal(account.send(&world, other_scope, &message(&token))).await, denied);

    world.advance(Duration::from_secs(3_598));
    assert_eq!(ask(account.send(&world, &access, &message(&token))).await.0, 200);
    world.advance(Duration::from_secs(1));
    assert_eq!(refusal(account.send(&world, &access, &message(&token))).await, unauthenticated);
}

#[tokio::test]
async fn the_shape_of_a_message_is_judged() {
    let world = World::start().await;
    let (account, token) = (Account::of(&world), world.providers.register_fcm());
    let access = account.access(&world).await;
    let fcm = Some("INVALID_ARGUMENT");
    for (place, value, code) in [
        ("/message/data/vartalap", json!(12), None),
        ("/message/data/vartalap", json!("x".repeat(4_089)), fcm),
        ("/message/data", json!({"from": "x"}), fcm),
        ("/message/data", json!({"google.x": "x"}), fcm),
        ("/message/android/ttl", json!("3600"), None),
        ("/message/android/ttl", json!(3_600), None),
        ("/message/android/ttl", json!("1.0000000001s"), None),
        ("/message/android/ttl", json!("-1s"), None),
        ("/message/android/ttl", json!("2419201s"), fcm),
        ("/message/android/priority", json!("urgent"), None),
        ("/message/android/collapse_key", json!(1), None),
        ("/message/android", json!({"color": "red"}), None),
        ("/message/token", json!("pigeon"), fcm),
        ("/message/token", Value::Null, fcm),
        ("/message", json!({"topic": "news"}), fcm),
        ("/message", json!({"to": token}), None),
        ("", json!([]), None),
    ] {
        let mut body = message(&token);
        *body.pointer_mut(place).expect("a place") = value.clone();
        let expected = (400, "INVALID_ARGUMENT".to_owned(), code.map(str::to_owned));
        assert_eq!(refusal(account.send(&world, &access, &body)).await, expected, "{place}: {value}");
    }
    assert!(world.providers.received().is_empty());
    for (place, value) in [
        ("/message/data/vartalap", json!("x".repeat(4_088))),
        ("/message/android", json!({"collapseKey": "x", "priority": "NORMAL", "ttl": "2419200.5s"})),
        ("/message/android", Value::Null),
    ] {
        let mut body = message(&token);
        *body.pointer_mut(place).expect("a place") = value.clone();
        assert_eq!(ask(account.send(&world, &access, &body)).await.0, 200, "{place}: {value}");
    }
    let mut body = message(&token);
    body["validate_only"] = json!(true);
    let (_, named) = ask(account.send(&world, &access, &body)).await;
    assert_eq!(named["name"], "projects/vartalap-local/messages/fake_message_id");
    assert_eq!(world.providers.received().len(), 3);
}

#[tokio::test]
async fn what_is_unregistered_stays_so() {
    let world = World::start().await;
    let (account, token) = (Account::of(&world), world.providers.register_fcm());
    let access = account.access(&world).await;
    let unregistered = (404, "NOT_FOUND".to_owned(), Some("UNREGISTERED".to_owned()));
    let unknown = format!("x{token}");
    assert_eq!(refusal(account.send(&world, &access, &message(&unknown))).await, unregistered);
    world.providers.misbehave(Whom::Target(token.clone()), Fault::Unregistered, Times::Next(1));
    for _ in 0..2 {
        assert_eq!(refusal(account.send(&world, &access, &message(&token))).await, unregistered);
    }
}
