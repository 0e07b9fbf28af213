//! Web Push: what a browser's push service is sent (RFC 8030, 8291, 8292), and what its answer means. Which hosts are
//! posted to is in `hosts`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::PublicKey;
use protocol::{Timestamp, Urgency, VapidPublicKey};
use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use web_push_native::Auth;

use crate::answer::{Answer, is_later, later};
use crate::content::{content, ttl};
use crate::credentials::{Credentials, InvalidCredentials};
use crate::es256::Es256;
use crate::hosts::HostPattern;
use crate::http::{secret_header, unanswered};
use crate::secret::Secret;
use delivery::Notice;

/// How long a token of VAPID is good, in seconds. Services take none for more than 24 hours.
const TOKEN_SECS: u64 = 12 * 3_600;

/// How long before its end a token is no longer used, in seconds.
const MARGIN_SECS: u64 = 3_600;

/// Most origins that tokens are kept for. A browser's service has a few dozen, and a client can name any below it.
const MAX_ORIGINS: usize = 64;

/// A push service's subscription of a browser, as the browser gives it.
#[derive(Clone, Copy)]
pub(crate) struct Subscription<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) p256dh: &'a str,
    pub(crate) auth: &'a str,
    /// The key that it was made with, if that is known.
    pub(crate) vapid: Option<&'a VapidPublicKey>,
}

/// Web Push with one VAPID key.
#[derive(Debug)]
pub(crate) struct WebPush {
    http: Client,
    hosts: Vec<HostPattern>,
    /// What pages subscribe with now.
    published: Option<VapidPublicKey>,
    credentials: Credentials<Vapid>,
}

/// The key by which services know the deployment, and what they are told of it.
#[derive(Debug)]
struct Vapid {
    key: Es256,
    subject: String,
    tokens: Mutex<HashMap<String, Token>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: u64,
}

/// What one request came to.
enum Outcome {
    Answer(Answer),
    /// The key is rejected; what to say if there is no other.
    Rejected(String),
}

impl WebPush {
    pub(crate) fn new(
        http: Client,
        hosts: Vec<HostPattern>,
        published: Option<VapidPublicKey>,
        secret: Secret,
    ) -> Self {
        Self { http, hosts, published, credentials: Credentials::new(secret, vapid) }
    }

    pub(crate) async fn push(&self, subscription: Subscription<'_>, notice: &Notice, now: Timestamp) -> Answer {
        let Some((endpoint, body)) = self.sealed(subscription, notice) else { return Answer::Dead };
        if subscription.vapid.is_some_and(|key| self.published.as_ref().is_some_and(|published| key != published)) {
            // Nobody has the key that it was made with any more.
            return Answer::Dead;
        }
        if notice.urgency == Urgency::Silent && !notice.takes_back {
            // Browsers end subscriptions whose pushes show nothing, and a page fetches when it is opened.
            return Answer::Needless;
        }
        let vapid = match self.credentials.get(now).await {
            Ok(vapid) => vapid,
            Err(answer) => return answer,
        };
        let advice = match self.post(&vapid, &endpoint, &body, notice, now).await {
            Outcome::Answer(answer) => return answer,
            Outcome::Rejected(advice) => advice,
        };
        let Some(vapid) = self.credentials.instead_of(&vapid, now).await else { return Answer::Refused(advice) };
        match self.post(&vapid, &endpoint, &body, notice, now).await {
            Outcome::Answer(answer) => answer,
            Outcome::Rejected(advice) => Answer::Refused(advice),
        }
    }

    /// Where to post and what, if the subscription is one.
    fn sealed(&self, subscription: Subscription<'_>, notice: &Notice) -> Option<(Url, Vec<u8>)> {
        let endpoint = Url::parse(subscription.endpoint).ok()?;
        if !self.hosts.iter().any(|host| host.matches(&endpoint)) {
            return None;
        }
        Some((endpoint, seal(content(notice).get(), subscription)?))
    }

    async fn post(&self, vapid: &Arc<Vapid>, endpoint: &Url, body: &[u8], notice: &Notice, now: Timestamp) -> Outcome {
        let request = self
            .http
            .post(endpoint.clone())
            .header("authorization", vapid.authorization(endpoint, now))
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .header("ttl", ttl(notice, now))
            .header("urgency", urgency(notice.urgency))
            .header("topic", &notice.collapse)
            .body(body.to_vec());
        match request.send().await {
            Ok(response) => outcome(response.status(), || later(response.headers(), now)),
            Err(error) => Outcome::Answer(unanswered("a browser's push service", error)),
        }
    }
}

/// A text that only the browser can read, if its keys are keys.
fn seal(text: &str, subscription: Subscription<'_>) -> Option<Vec<u8>> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let key = PublicKey::from_sec1_bytes(&decode(subscription.p256dh)?).ok()?;
    let auth: [u8; 16] = decode(subscription.auth)?.try_into().ok()?;
    let sealed = web_push_native::encrypt(text.as_bytes().to_vec(), &key, &Auth::from(auth));
    Some(sealed.expect("a content is far shorter than a record may be"))
}

fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Urgent => "high",
        Urgency::Quiet => "low",
        Urgency::Silent => "very-low",
    }
}

fn outcome(status: StatusCode, later: impl FnOnce() -> Answer) -> Outcome {
    let refused = |advice: &str| format!("a browser's push service refused a push ({}): {advice}", status.as_u16());
    Outcome::Answer(match status.as_u16() {
        _ if status.is_success() => Answer::Taken,
        404 | 410 => Answer::Dead,
        // Windows says 406 where others say 429.
        406 => later(),
        _ if is_later(status) => later(),
        401 | 403 => {
            return Outcome::Rejected(refused(
                "see that the page subscribes with the public key of the VAPID secret, that the subject is a mailto: or https: URL, and that \
                 the clock is right",
            ));
        }
        _ => Answer::Refused(refused("this is a fault of Vartalap's")),
    })
}

impl Vapid {
    /// The header for the origin of `endpoint`.
    fn authorization(&self, endpoint: &Url, now: Timestamp) -> HeaderValue {
        let (origin, now) = (endpoint.origin().ascii_serialization(), now.as_secs());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get(&origin).filter(|token| now + MARGIN_SECS < token.until) {
            return token.header.clone();
        }
        if tokens.len() >= MAX_ORIGINS {
            tokens.clear();
        }
        let token = self.make(&origin, now + TOKEN_SECS);
        let header = token.header.clone();
        tokens.insert(origin, token);
        header
    }

    fn make(&self, origin: &str, until: u64) -> Token {
        #[derive(Serialize)]
        struct Header {
            typ: &'static str,
            alg: &'static str,
        }
        #[derive(Serialize)]
        struct Claims<'a> {
            aud: &'a str,
            exp: u64,
            sub: &'a str,
        }
        let header = Header { typ: "JWT", alg: "ES256" };
        let token = self.key.token(&header, &Claims { aud: origin, exp: until, sub: &self.subject });
        Token { header: secret_header(&format!("vapid t={token}, k={}", self.key.public())), until }
    }
}

/// Reads `{"private_key", "subject"}`.
fn vapid(text: &str) -> Result<Vapid, InvalidCredentials> {
    const INVALID: InvalidCredentials = InvalidCredentials(
        "VAPID credentials are JSON with private_key (32 bytes in base64url) and subject (mailto:... or https://... of who runs this)",
    );
    #[derive(Deserialize)]
    struct File {
        private_key: String,
        subject: String,
    }
    let File { private_key, subject } = serde_json::from_str(text).map_err(|_| INVALID)?;
    if !subject.starts_with("mailto:") && !subject.starts_with("https://") {
        return Err(INVALID);
    }
    let key = Es256::from_base64(&private_key).ok_or(INVALID)?;
    Ok(Vapid { key, subject, tokens: Mutex::default() })
}

/// The public key of a VAPID secret, given as its text: what a page subscribes with, as `applicationServerKey`.
///
/// # Errors
/// When the text is no VAPID secret.
pub fn vapid_public_key(secret: &str) -> Result<String, InvalidCredentials> {
    vapid(secret).map(|vapid| vapid.key.public())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(until {})", self.until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use p256::SecretKey;
    use p256::elliptic_curve::sec1::ToEncodedPoint;

    use super::*;
    use crate::content::tests::{NOW, longest};

    /// RFC 8291, appendix A: the browser's keys, and a message to it.
    const PRIVATE: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
    const PUBLIC: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const SEALED: &str = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT\
                          pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

    fn open(sealed: Vec<u8>) -> Vec<u8> {
        let private = SecretKey::from_slice(&URL_SAFE_NO_PAD.decode(PRIVATE).expect("base64url")).expect("a key");
        assert_eq!(URL_SAFE_NO_PAD.encode(private.public_key().to_encoded_point(false)), PUBLIC);
        let auth: [u8; 16] = URL_SAFE_NO_PAD.decode(AUTH).expect("base64url").try_into().expect("16 bytes");
        web_push_native::decrypt(sealed, &private, &Auth::from(auth)).expect("it is for this browser")
    }

    fn browser(p256dh: &str) -> Subscription<'_> {
        Subscription { endpoint: "https://push.example/x", p256dh, auth: AUTH, vapid: None }
    }

    fn a_vapid() -> Vapid {
        vapid(&format!(r#"{{"private_key":"{PRIVATE}","subject":"mailto:ops@example.com"}}"#)).expect("a key")
    }

    /// What opens what is sealed here also opens the RFC's own example, so that the two agree.
    #[test]
    fn what_is_sealed_is_read_by_the_browser() {
        let rfc = URL_SAFE_NO_PAD.decode(SEALED).expect("base64url");
        assert_eq!(open(rfc), b"When I grow up, I want to be a watermelon");
        let padded = format!("{PUBLIC}=");
        for key in [PUBLIC, &padded] {
            assert_eq!(open(seal("hello", browser(key)).expect("sealed")), b"hello");
        }
    }

    #[test]
    fn the_longest_content_fits() {
        assert!(seal(content(&longest()).get(), browser(PUBLIC)).expect("sealed").len() <= 4_096);
    }

    #[test]
    fn a_key_that_is_no_point_is_none() {
        let off_the_curve = format!("B{}", "A".repeat(86));
        for bad in [off_the_curve.as_str(), "", "?", &PUBLIC[..44]] {
            assert!(seal("hello", browser(bad)).is_none(), "{bad}");
        }
        assert!(seal("hello", Subscription { auth: "AAAA", ..browser(PUBLIC) }).is_none());
    }

    #[test]
    fn a_token_is_of_one_origin_and_kept_while_it_lasts() {
        let (vapid, hour) = (a_vapid(), Duration::from_secs(3_600));
        let url = |text: &str| Url::parse(text).expect("a URL");
        let (one, other) = (url("https://web.push.apple.com/a"), url("https://fcm.googleapis.com/b"));
        let header = vapid.authorization(&one, NOW);
        assert!(header.is_sensitive());
        assert_ne!(header, vapid.authorization(&other, NOW));
        assert_eq!(header, vapid.authorization(&url("https://web.push.apple.com/c"), NOW.plus(hour * 10)));
        assert_ne!(header, vapid.authorization(&one, NOW.plus(hour * 11)));
        for n in 0..200 {
            vapid.authorization(&url(&format!("https://{n}.notify.windows.com")), NOW);
        }
        assert!(vapid.tokens.lock().expect("not poisoned").len() <= MAX_ORIGINS);
    }

    #[test]
    fn a_service_says_what_became_of_a_push() {
        let of = |status| match outcome(StatusCode::from_u16(status).expect("a status"), || Answer::Later(None)) {
            Outcome::Answer(answer) => answer,
            Outcome::Rejected(advice) => Answer::Refused(format!("rejected: {advice}")),
        };
        let is_refused = |status, with: &str| matches!(of(status), Answer::Refused(advice) if advice.contains(with));
        assert_eq!([200, 201, 202].map(of), [Answer::Taken, Answer::Taken, Answer::Taken]);
        assert_eq!([404, 410].map(of), [Answer::Dead, Answer::Dead]);
        assert_eq!([406, 429, 500, 503].map(of), [const { Answer::Later(None) }; 4]);
        assert!(is_refused(401, "rejected: ") && is_refused(403, "rejected: "));
        assert!(is_refused(307, "(307)") && is_refused(400, "(400)") && is_refused(413, "(413)"));
    }

    #[test]
    fn what_are_no_credentials_is_refused_without_quoting_it() {
        for bad in ["", "{}", r#"{"private_key":"secret","subject":"mailto:a@b"}"#] {
            assert!(!vapid(bad).expect_err(bad).to_string().contains("secret"));
        }
        let no_subject = format!(r#"{{"private_key":"{PRIVATE}","subject":"ops"}}"#);
        assert!(vapid(&no_subject).is_err());
        assert_eq!(vapid_public_key(&no_subject.replace("ops", "https://example.com")), Ok(PUBLIC.to_owned()));
    }

    #[test]
    fn debug_shows_no_key_and_no_token() {
        let vapid = a_vapid();
        vapid.authorization(&Url::parse("https://a.notify.windows.com/x").expect("a URL"), NOW);
        let shown = format!("{vapid:?}");
        assert!(
            shown.contains("Token(until 1800043200)") && !shown.contains("eyJ") && !shown.contains(PRIVATE),
            "{shown}"
        );
    }
}
