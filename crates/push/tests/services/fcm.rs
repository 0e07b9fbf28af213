//! FCM and the endpoint of its access tokens.

use std::sync::LazyLock;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use protocol::{PushTarget, Timestamp};
use push::{Answer, Hosts, Secret, Services, Setup};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::stand_in::StandIn;
use crate::{CONTENT, NOW, after, notice};

/// Making one takes a while.
static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key"));

const GRANTED: (u16, &str) = (200, r#"{"access_token":"ya29.first","expires_in":3599,"token_type":"Bearer"}"#);
const GRANTED_ANEW: (u16, &str) = (200, r#"{"access_token":"ya29.second","expires_in":3599,"token_type":"Bearer"}"#);
const TAKEN: (u16, &str) = (200, r#"{"name":"projects/chat/messages/1"}"#);
const UNAUTHENTICATED: (u16, &str) = (401, r#"{"error":{"code":401,"message":"x","status":"UNAUTHENTICATED"}}"#);

pub(crate) fn service_account(server: &StandIn, email: &str) -> String {
    json!({
        "type": "service_account",
        "project_id": "chat-example",
        "private_key_id": "key-1",
        "private_key": KEY.serialize_pem(),
        "client_email": email,
        "token_uri": format!("{}token", server.url),
    })
    .to_string()
}

pub(crate) fn services(server: &StandIn, secret: Secret) -> Services {
    let hosts = Hosts { fcm: server.url.clone(), ..Hosts::default() };
    Services::new(Setup { fcm: Some(secret), hosts, ..server.setup() }).expect("services")
}

/// Pushes with a fixed service account.
pub(crate) struct Stage {
    server: StandIn,
    services: Services,
}

impl Stage {
    async fn answering<const N: usize>(answers: [(u16, &str); N]) -> Self {
        let server = StandIn::answering(answers).await;
        let services = services(&server, Secret::fixed(service_account(&server, "push@example.com")));
        Self { server, services }
    }

    async fn push(&self, now: Timestamp) -> Answer {
        self.services.push(&target(), &notice(), now).await
    }

    fn asked(&self) -> Vec<String> {
        let of_request = |asked: &crate::stand_in::Asked| match asked.path.as_str() {
            "/token" => "token".to_owned(),
            _ => asked.header("authorization").to_owned(),
        };
        self.server.asked().iter().map(of_request).collect()
    }
}

pub(crate) fn target() -> PushTarget {
    PushTarget::Fcm { token: "dW9:APA91b".to_owned() }
}

#[tokio::test]
async fn a_message_is_posted_with_a_granted_access_token() {
    let stage = Stage::answering([GRANTED, TAKEN]).await;
    assert_eq!(stage.push(NOW).await, Answer::Taken);
    let [grant, message] = stage.server.asked().try_into().unwrap_or_else(|_| panic!("two requests"));

    assert_eq!(grant.header("content-type"), "application/x-www-form-urlencoded");
    let body = String::from_utf8(grant.body).expect("text");
    let assertion = body.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.validate_exp = false;
    rules.set_audience(&[format!("{}token", stage.server.url)]);
    let key = DecodingKey::from_rsa_pem(KEY.public_key_pem().as_bytes()).expect("a key");
    let token = jsonwebtoken::decode::<Value>(assertion.expect("an assertion"), &key, &rules).expect("a good token");
    assert_eq!(token.header.kid.as_deref(), Some("key-1"));
    assert_eq!(token.claims["iss"], "push@example.com");
    assert_eq!(token.claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
    assert_eq!((&token.claims["iat"], &token.claims["exp"]), (&json!(NOW.as_secs()), &json!(after(3_600).as_secs())));

    assert_eq!(message.path, "/v1/projects/chat-example/messages:send");
    assert_eq!(message.header("authorization"), "Bearer ya29.first");
    let expected = json!({"message": {
        "token": "dW9:APA91b",
        "data": {"vartalap": CONTENT},
        "android": {"priority": "high", "ttl": "600s", "collapse_key": "c-alice"},
    }});
    assert_eq!(message.json(), expected);
}

#[tokio::test]
async fn an_access_token_is_used_until_shortly_before_its_end() {
    let stage = Stage::answering([GRANTED, TAKEN, TAKEN, GRANTED_ANEW, TAKEN]).await;
    for secs in [0, 3_298, 3_299] {
        assert_eq!(stage.push(after(secs)).await, Answer::Taken);
    }
    let expected = ["token", "Bearer ya29.first", "Bearer ya29.first", "token", "Bearer ya29.second"];
    assert_eq!(stage.asked(), expected);
}

#[tokio::test]
async fn a_rejected_access_token_is_renewed_once() {
    let stage = Stage::answering([GRANTED, TAKEN, UNAUTHENTICATED, GRANTED_ANEW, TAKEN]).await;
    assert_eq!(stage.push(NOW).await, Answer::Taken);
    assert_eq!(stage.push(after(60)).await, Answer::Taken);
    stage.asked();

    // Whatever is wrong, it is not the token.
    stage.server.will_answer(401, &[], UNAUTHENTICATED.1);
    assert!(matches!(stage.push(after(61)).await, Answer::Refused(_)));
    assert_eq!(stage.asked(), ["Bearer ya29.second"]);
}

#[tokio::test]
async fn what_fcm_says_of_a_target_is_known() {
    let stage = Stage::answering([GRANTED]).await;
    let unregistered = r#"{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND","details":[
        {"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}"#;
    stage.server.will_answer(404, &[], unregistered);
    assert_eq!(stage.push(NOW).await, Answer::Dead);
    stage.server.will_answer(429, &[("retry-after", "60")], "");
    assert_eq!(stage.push(NOW).await, Answer::Later(Some(Duration::from_secs(60))));
    stage.server.will_answer(503, &[], "");
    assert_eq!(stage.push(NOW).await, Answer::Later(None));
}

#[tokio::test]
async fn a_service_account_that_google_rejects_is_refused_with_advice() {
    let stage = Stage::answering([(400, r#"{"error":"invalid_grant","error_description":"hush"}"#)]).await;
    let Answer::Refused(advice) = stage.push(NOW).await else { panic!("refused") };
    assert!(
        advice.contains("400 invalid_grant") && advice.contains("see that") && !advice.contains("hush"),
        "{advice}"
    );
    stage.server.will_answer(503, &[("retry-after", "5")], "");
    assert_eq!(stage.push(NOW).await, Answer::Later(Some(Duration::from_secs(5))));
}
