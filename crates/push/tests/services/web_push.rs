//! Web Push, as a browser would receive it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use delivery::Notice;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use protocol::{PushTarget, Urgency};
use push::{Answer, Hosts, Secret, Services, Setup, vapid_public_key};
use reqwest::Url;
use serde_json::{Value, json};
use web_push_native::Auth;

use crate::stand_in::StandIn;
use crate::{CONTENT, NOW, notice};

const AUTH: [u8; 16] = *b"sixteen bytes it";

fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).expect("a key")
}

/// A secret of VAPID, another for each number.
fn secret(byte: u8) -> String {
    let private_key = URL_SAFE_NO_PAD.encode(key(byte).to_bytes());
    json!({"private_key": private_key, "subject": "mailto:ops@example.com"}).to_string()
}

/// Pushes to a browser whose service is the server.
struct Stage {
    server: StandIn,
    services: Services,
    browser: SecretKey,
    vapid: String,
}

impl Stage {
    async fn answering<const N: usize>(answers: [(u16, &str); N]) -> Self {
        let (server, vapid) = (StandIn::answering(answers).await, secret(2));
        let published = vapid_public_key(&vapid).expect("a key").parse().expect("a key");
        let mut hosts = Hosts::default();
        hosts.web_push.push(server.url.authority().parse().expect("a host"));
        let setup =
            Setup { vapid: Some(Secret::fixed(&vapid)), vapid_public_key: Some(published), hosts, ..server.setup() };
        Self { services: Services::new(setup).expect("services"), server, browser: key(1), vapid }
    }

    async fn push(&self, endpoint: &str) -> Answer {
        self.push_under(endpoint, None, &notice()).await
    }

    async fn push_under(&self, endpoint: &str, vapid: Option<&str>, notice: &Notice) -> Answer {
        let public = self.browser.public_key().to_encoded_point(false);
        let target = PushTarget::WebPush {
            endpoint: endpoint.to_owned(),
            p256dh: URL_SAFE_NO_PAD.encode(public),
            auth: URL_SAFE_NO_PAD.encode(AUTH),
            vapid: vapid.map(|key| key.parse().expect("a key")),
        };
        self.services.push(&target, notice, NOW).await
    }

    fn endpoint(&self) -> String {
        format!("{}wpush/v2/hush", self.server.url)
    }

    async fn push_here(&self) -> Answer {
        self.push(&self.endpoint()).await
    }
}

#[tokio::test]
async fn a_browser_reads_the_content() {
    let stage = Stage::answering([(201, "")]).await;
    assert_eq!(stage.push_here().await, Answer::Taken);
    let asked = stage.server.asked().remove(0);
    assert_eq!(asked.path, "/wpush/v2/hush");
    for (name, value) in [("ttl", "600"), ("urgency", "high"), ("topic", "c-alice"), ("content-encoding", "aes128gcm")]
    {
        assert_eq!(asked.header(name), value, "{name}");
    }
    let content =
        web_push_native::decrypt(asked.body.clone(), &stage.browser, &Auth::from(AUTH)).expect("it is for it");
    assert_eq!(String::from_utf8(content).expect("text"), CONTENT);
}

#[tokio::test]
async fn the_service_can_tell_who_pushes() {
    let stage = Stage::answering([(201, "")]).await;
    assert_eq!(stage.push_here().await, Answer::Taken);
    let asked = stage.server.asked().remove(0);
    let parameters = asked.header("authorization").strip_prefix("vapid t=").expect("a token");
    let (token, public) = parameters.split_once(", k=").expect("a key");
    assert_eq!(Ok(public.to_owned()), vapid_public_key(&stage.vapid));
    let point = URL_SAFE_NO_PAD.decode(public).expect("base64url");
    let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
    let key = DecodingKey::from_ec_components(&coordinate(1), &coordinate(33)).expect("a key");
    let mut rules = Validation::new(Algorithm::ES256);
    rules.validate_exp = false;
    rules.set_audience(&[stage.server.url.origin().ascii_serialization()]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &rules).expect("a good token").claims;
    assert_eq!(claims["sub"], "mailto:ops@example.com");
    assert!(claims["exp"].as_u64().is_some_and(|exp| exp > NOW.as_secs() && exp <= NOW.as_secs() + 24 * 3_600));
}

#[tokio::test]
async fn nothing_is_posted_to_hosts_that_are_no_push_service() {
    let stage = Stage::answering([]).await;
    let port = stage.server.url.port().expect("a port");
    for endpoint in [format!("https://localhost:{port}/x"), format!("http://127.0.0.1:{port}/x"), "https://".to_owned()]
    {
        assert_eq!(stage.push(&endpoint).await, Answer::Dead, "{endpoint}");
    }
    assert!(stage.server.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (stage, elsewhere) = (Stage::answering([]).await, StandIn::answering([]).await);
    stage.server.will_answer(307, &[("location", elsewhere.url.as_str())], "");
    assert!(matches!(stage.push_here().await, Answer::Refused(advice) if advice.contains("(307)")));
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn what_the_service_says_of_a_subscription_is_known() {
    let stage = Stage::answering([(404, ""), (410, "")]).await;
    assert_eq!([stage.push_here().await, stage.push_here().await], [Answer::Dead, Answer::Dead]);
    stage.server.will_answer(429, &[("retry-after", "Fri, 15 Jan 2027 08:00:30 GMT")], "");
    assert_eq!(stage.push_here().await, Answer::Later(Some(Duration::from_secs(30))));
    stage.server.will_answer(500, &[], "");
    assert_eq!(stage.push_here().await, Answer::Later(None));
    for (status, advice) in [(403, "public key"), (413, "fault")] {
        stage.server.will_answer(status, &[], "");
        let answer = stage.push_here().await;
        assert!(
            matches!(&answer, Answer::Refused(text) if text.contains(advice) && !text.contains("hush")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_subscription_under_a_key_that_is_published_no_more_is_dead() {
    let stage = Stage::answering([(201, ""), (201, "")]).await;
    let public = |byte| vapid_public_key(&secret(byte)).expect("a key");
    let endpoint = stage.endpoint();
    assert_eq!(stage.push_under(&endpoint, Some(&public(2)), &notice()).await, Answer::Taken);
    assert_eq!(stage.push_under(&endpoint, Some(&public(3)), &notice()).await, Answer::Dead);
    assert_eq!(stage.push_under(&endpoint, None, &notice()).await, Answer::Taken, "who does not say it is tried");
    assert_eq!(stage.server.asked().len(), 2);
}

#[tokio::test]
async fn a_browser_is_not_asked_to_show_nothing_but_to_take_something_away() {
    let stage = Stage::answering([(201, "")]).await;
    let silent = Notice { urgency: Urgency::Silent, ..notice() };
    assert_eq!(stage.push_under(&stage.endpoint(), None, &silent).await, Answer::Needless);
    assert!(stage.server.asked().is_empty());
    let taking = Notice { takes_back: true, ..silent };
    assert_eq!(stage.push_under(&stage.endpoint(), None, &taking).await, Answer::Taken);
    assert_eq!(stage.server.asked().len(), 1);
}

#[tokio::test]
async fn a_subscription_without_keys_is_dead() {
    let stage = Stage::answering([]).await;
    let endpoint: Url = stage.server.url.join("x").expect("a URL");
    let p256dh = format!("B{}", "A".repeat(86));
    let target =
        PushTarget::WebPush { endpoint: endpoint.into(), p256dh, auth: URL_SAFE_NO_PAD.encode(AUTH), vapid: None };
    assert_eq!(stage.services.push(&target, &notice(), NOW).await, Answer::Dead);
    assert!(stage.server.asked().is_empty());
}

#[tokio::test]
async fn a_notice_that_fits_in_no_header_is_refused() {
    let stage = Stage::answering([]).await;
    let target = PushTarget::WebPush {
        endpoint: stage.server.url.to_string(),
        p256dh: URL_SAFE_NO_PAD.encode(stage.browser.public_key().to_encoded_point(false)),
        auth: URL_SAFE_NO_PAD.encode(AUTH),
        vapid: None,
    };
    let notice = Notice { collapse: "line\nbreak".to_owned(), ..notice() };
    assert!(matches!(stage.services.push(&target, &notice, NOW).await, Answer::Refused(_)));
    assert!(stage.server.asked().is_empty());
}
