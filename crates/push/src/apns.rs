//! Apple's push service: payload and headers, the provider token, and what an answer means.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use protocol::{Timestamp, Urgency};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::{Answer, is_later, later, word};
use crate::content::content;
use crate::credentials::{Credentials, InvalidCredentials};
use crate::es256::Es256;
use crate::hosts::Hosts;
use crate::http::{body, secret_header, unanswered};
use crate::secret::Secret;
use delivery::Notice;

/// How long one provider token is used, in seconds. Apple takes one for an hour and wants no new one within 20 minutes,
/// from all processes together: so all make theirs of the same half hour, and it is the same token.
const SLOT_SECS: u64 = 1_800;

/// How soon after it was made a token is made anew, in seconds.
const ANEW_SECS: u64 = 1_200;

#[derive(Serialize)]
struct Payload {
    aps: Aps,
    vartalap: Box<RawValue>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aps {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_available: Option<u8>,
    badge: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutable_content: Option<u8>,
}

#[derive(Serialize)]
struct Alert {
    body: String,
}

/// The payload of a notice, as JSON.
pub(crate) fn payload(notice: &Notice) -> String {
    let badge = notice.badge;
    let aps = match notice.urgency {
        Urgency::Silent => Aps { content_available: Some(1), badge, ..Aps::default() },
        Urgency::Urgent | Urgency::Quiet => Aps {
            // The app's own extension may write something better over it, from the content.
            alert: Some(Alert {
                body: if badge > 1 { format!("{badge} new messages") } else { "New message".to_owned() },
            }),
            content_available: None,
            badge,
            sound: (notice.urgency == Urgency::Urgent).then_some("default"),
            thread_id: Some(notice.collapse.clone()),
            mutable_content: Some(1),
        },
    };
    serde_json::to_string(&Payload { aps, vartalap: content(notice) }).expect("strings and numbers are always JSON")
}

/// `apns-push-type` and `apns-priority`.
pub(crate) fn kind(urgency: Urgency) -> (&'static str, &'static str) {
    match urgency {
        Urgency::Urgent => ("alert", "10"),
        Urgency::Quiet => ("alert", "5"),
        Urgency::Silent => ("background", "5"),
    }
}

/// APNs with one team's credentials.
#[derive(Debug)]
pub(crate) struct Apns {
    http: Client,
    hosts: Hosts,
    credentials: Credentials<Provider>,
}

/// The key of a team, and the token that was made of it last.
#[derive(Debug)]
struct Provider {
    key: Es256,
    key_id: String,
    team_id: String,
    sandbox: bool,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    text: String,
    made_at: u64,
}

/// What one request came to.
enum Outcome {
    Answer(Answer),
    /// The token is too old; what to say if there is no newer one.
    Expired(String),
    /// The key is rejected; what to say if there is no other.
    Rejected(String),
}

impl Apns {
    pub(crate) fn new(http: Client, hosts: Hosts, secret: Secret) -> Self {
        Self { http, hosts, credentials: Credentials::new(secret, provider) }
    }

    pub(crate) async fn push(&self, device: &str, topic: &str, notice: &Notice, now: Timestamp) -> Answer {
        let mut provider = match self.credentials.get(now).await {
            Ok(provider) => provider,
            Err(answer) => return answer,
        };
        let mut token = provider.token(now);
        let (mut may_renew, mut may_read_again) = (true, true);
        loop {
            let request = self.request(&provider, &token, device, topic, notice);
            match self.send(request, now).await {
                Outcome::Answer(answer) => return answer,
                Outcome::Expired(advice) => match provider.instead_of(&token, now).filter(|_| may_renew) {
                    Some(anew) => (token, may_renew) = (anew, false),
                    None => return Answer::Refused(advice),
                },
                Outcome::Rejected(advice) => {
                    let other = if may_read_again { self.credentials.instead_of(&provider, now).await } else { None };
                    let Some(other) = other else { return Answer::Refused(advice) };
                    (token, may_read_again) = (other.token(now), false);
                    provider = other;
                }
            }
        }
    }

    fn request(
        &self,
        provider: &Provider,
        token: &Token,
        device: &str,
        topic: &str,
        notice: &Notice,
    ) -> RequestBuilder {
        let mut url = if provider.sandbox { self.hosts.apns_sandbox.clone() } else { self.hosts.apns.clone() };
        url.set_path(&format!("/3/device/{device}"));
        let (push_type, priority) = kind(notice.urgency);
        self.http
            .post(url)
            .header("authorization", secret_header(&format!("bearer {}", token.text)))
            .header("apns-topic", topic)
            .header("apns-push-type", push_type)
            .header("apns-priority", priority)
            .header("apns-collapse-id", &notice.collapse)
            .header("apns-expiration", notice.expires_at.as_secs())
            .body(payload(notice))
    }

    async fn send(&self, request: RequestBuilder, now: Timestamp) -> Outcome {
        #[derive(Default, Deserialize)]
        struct Reason {
            reason: String,
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Answer(unanswered("APNs", error)),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return Outcome::Answer(Answer::Taken);
        }
        if is_later(status) {
            return Outcome::Answer(later(&headers, now));
        }
        let Reason { reason } = serde_json::from_slice(&body(response).await).unwrap_or_default();
        outcome(status, &reason)
    }
}

/// What a status and a reason say that neither take nor postpone a push.
fn outcome(status: StatusCode, reason: &str) -> Outcome {
    let status = status.as_u16();
    let refused = |advice: &str| format!("APNs refused a push ({status} {}): {advice}", word(reason));
    match (status, reason) {
        (410, _) | (400, "BadDeviceToken" | "DeviceTokenNotForTopic") => Outcome::Answer(Answer::Dead),
        (403, "ExpiredProviderToken") => Outcome::Expired(refused("see that the clock is right")),
        (403, "InvalidProviderToken") => Outcome::Rejected(refused(
            "see that key, key_id and team_id in the secret belong together, that the key was not revoked, and that it is for this \
             environment (sandbox)",
        )),
        (400, "TopicDisallowed" | "BadTopic" | "MissingTopic") => {
            // The topic comes from a client, so it is no use to try again.
            tracing::warn!(
                why = refused("see that the key may push to the app whose bundle id is the target's topic"),
                "a push service refuses a target"
            );
            Outcome::Answer(Answer::Unserved)
        }
        (403, _) => {
            Outcome::Answer(Answer::Refused(refused("see in Apple's developer account what the key is allowed")))
        }
        _ => Outcome::Answer(Answer::Refused(refused("this is a fault of Vartalap's"))),
    }
}

impl Provider {
    /// The token of this half hour, or one that was made in it.
    fn token(&self, now: Timestamp) -> Token {
        let slot = now.as_secs() / SLOT_SECS * SLOT_SECS;
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match token.as_ref().filter(|token| token.made_at >= slot) {
            Some(token) => token.clone(),
            None => token.insert(self.make(slot)).clone(),
        }
    }

    /// A token that is newer than `expired`, if Apple would take one.
    fn instead_of(&self, expired: &Token, now: Timestamp) -> Option<Token> {
        let now = now.as_secs();
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match token.as_ref() {
            Some(other) if other.made_at > expired.made_at => Some(other.clone()),
            _ if now < expired.made_at + ANEW_SECS => None,
            _ => Some(token.insert(self.make(now)).clone()),
        }
    }

    fn make(&self, made_at: u64) -> Token {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: &'a str,
            kid: &'a str,
        }
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            iat: u64,
        }
        let header = Header { alg: "ES256", kid: &self.key_id };
        Token { text: self.key.token(&header, &Claims { iss: &self.team_id, iat: made_at }), made_at }
    }
}

/// Reads `{"key_id", "team_id", "key", "sandbox"}`.
fn provider(text: &str) -> Result<Provider, InvalidCredentials> {
    const INVALID: InvalidCredentials = InvalidCredentials(
        "APNs credentials are JSON with key_id and team_id (10 letters or digits each), key (the text of Apple's .p8 file) and, for builds \
         of developers, sandbox: true",
    );
    #[derive(Deserialize)]
    struct File {
        key_id: String,
        team_id: String,
        key: String,
        #[serde(default)]
        sandbox: bool,
    }
    let File { key_id, team_id, key, sandbox } = serde_json::from_str(text).map_err(|_| INVALID)?;
    let is_id = |id: &str| id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_id(&key_id) || !is_id(&team_id) {
        return Err(INVALID);
    }
    let key = Es256::from_pem(&key).ok_or(INVALID)?;
    Ok(Provider { key, key_id, team_id, sandbox, token: Mutex::new(None) })
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(made at {})", self.made_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;
    use crate::content::tests::{NOW, longest, notice};

    fn key() -> String {
        rcgen::KeyPair::generate().expect("a key").serialize_pem()
    }

    fn a_provider(key: &str) -> Provider {
        let json = serde_json::json!({"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "key": key});
        provider(&json.to_string()).expect("a provider")
    }

    #[test]
    fn a_payload_is_shown_or_wakes_the_app() {
        let of = |urgency, badge| payload(&Notice { urgency, badge, ..notice() });
        expect![[r#"{"aps":{"alert":{"body":"50 new messages"},"badge":50,"sound":"default","thread-id":"c-alice","mutable-content":1},"vartalap":{"user":"bob","id":"0198a5c0-7c00-7abc-8def-0123456789ab","conversation":{"user":"alice"},"badge":50,"kind":"message"}}"#]]
            .assert_eq(&of(Urgency::Urgent, 50));
        expect![[r#"{"aps":{"alert":{"body":"New message"},"badge":1,"thread-id":"c-alice","mutable-content":1},"vartalap":{"user":"bob","id":"0198a5c0-7c00-7abc-8def-0123456789ab","conversation":{"user":"alice"},"badge":1,"kind":"message"}}"#]]
            .assert_eq(&of(Urgency::Quiet, 1));
        expect![[r#"{"aps":{"content-available":1,"badge":0},"vartalap":{"user":"bob","id":"0198a5c0-7c00-7abc-8def-0123456789ab","conversation":{"user":"alice"},"badge":0,"kind":"silent"}}"#]]
            .assert_eq(&of(Urgency::Silent, 0));
    }

    #[test]
    fn the_longest_content_fits() {
        assert!(payload(&longest()).len() <= 4_096);
    }

    #[test]
    fn every_process_makes_the_same_token_of_half_an_hour() {
        let end = NOW.plus(Duration::from_secs(SLOT_SECS - 1));
        assert_eq!(NOW.as_secs() % SLOT_SECS, 0);
        let key = key();
        let token = a_provider(&key).token(NOW);
        assert_eq!(token.text, a_provider(&key).token(end).text);
        assert_ne!(token.text, a_provider(&key).token(end.plus(Duration::from_secs(1))).text);
    }

    #[test]
    fn a_token_is_not_made_anew_within_20_minutes() {
        let provider = a_provider(&key());
        let at = |secs| NOW.plus(Duration::from_secs(secs));
        let first = provider.token(NOW);
        assert!(provider.instead_of(&first, at(ANEW_SECS - 1)).is_none());
        let second = provider.instead_of(&first, at(ANEW_SECS)).expect("a newer one");
        assert_eq!(provider.instead_of(&first, at(ANEW_SECS + 1)).expect("the same").text, second.text);
        assert_eq!(provider.token(at(ANEW_SECS + 2)).text, second.text);
        assert!(provider.instead_of(&second, at(SLOT_SECS)).is_none());
    }

    #[test]
    fn what_are_no_credentials_is_refused_without_quoting_it() {
        for bad in ["", "{}", r#"{"key_id":"ABC123DEFG","team_id":"DEF123GHIJ","key":"secret"}"#] {
            let invalid = provider(bad).expect_err(bad);
            assert!(!invalid.to_string().contains("secret"));
        }
        let provider = a_provider(&key());
        provider.token(NOW);
        let shown = format!("{provider:?}");
        assert!(
            shown.contains("Token(made at 1800000000)") && !shown.contains("eyJ") && !shown.contains("MIG"),
            "{shown}"
        );
    }
}
