//! Web Push: the push service that a browser chose, and the browser behind it, which decrypts. It keeps nothing for a browser that is away:
//! every browser here is always there.

mod vapid;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_ENCODING, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};
use web_push_native::p256::SecretKey;
use web_push_native::p256::elliptic_curve::rand_core::OsRng;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;

use crate::faults::{Fault, with_retry_after};
use crate::journal::{Entry, Journal};
use crate::providers::{Shared, lock};
use crate::received::{Received, Service};
use crate::tokens;

/// RFC 8291, section 4: what every push service takes, and no more.
const BODY_BYTES: usize = 4_096;

/// RFC 8188, section 2.1: the salt, the record size, and the length of the key, before the key itself.
const FIXED_HEADER_BYTES: usize = 21;

/// An uncompressed point of P-256.
const POINT_BYTES: u8 = 65;

/// What a browser tells its application of a subscription, in base64url without padding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// Where to post.
    pub endpoint: String,
    /// The browser's public key: 65 bytes.
    pub p256dh: String,
    /// The authentication secret: 16 bytes.
    pub auth: String,
}

/// The push service.
pub(crate) struct WebPush {
    /// The key that is in use by the application server.
    vapid: Mutex<SecretKey>,
    subscriptions: Mutex<HashMap<String, Held>>,
    journal: Arc<Journal>,
}

/// A subscription as the browser has it.
#[derive(Clone)]
struct Held {
    secret: SecretKey,
    auth: [u8; 16],
    /// The one key that it takes pushes from.
    application: Option<Vec<u8>>,
    gone: bool,
}

/// Why a push is not taken.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    errno: u16,
    message: &'static str,
}

/// The headers of RFC 8030.
struct Wishes {
    ttl: u64,
    urgency: String,
    topic: Option<String>,
}

impl WebPush {
    /// The service as it was left. `None` if what was kept are no keys.
    pub(crate) fn new(journal: &Arc<Journal>, kept: &[Entry]) -> Option<Self> {
        let (mut vapid, mut subscriptions) = (None, HashMap::new());
        for entry in kept {
            match entry {
                Entry::Vapid { key } => vapid = Some(read_secret(key)?),
                Entry::WebPush { id, secret, auth, application, gone } => {
                    let application = match application {
                        Some(application) => Some(URL_SAFE_NO_PAD.decode(application).ok()?),
                        None => None,
                    };
                    let auth = URL_SAFE_NO_PAD.decode(auth).ok()?.try_into().ok()?;
                    let held = Held { secret: read_secret(secret)?, auth, application, gone: *gone };
                    subscriptions.insert(id.clone(), held);
                }
                Entry::Port { .. } | Entry::Fcm { .. } | Entry::Apns { .. } => {}
            }
        }
        let vapid = vapid.unwrap_or_else(|| new_vapid(journal));
        let journal = Arc::clone(journal);
        Some(Self { vapid: Mutex::new(vapid), subscriptions: Mutex::new(subscriptions), journal })
    }

    /// The secret of the application server.
    pub(crate) fn credentials(&self) -> String {
        let key = write_secret(&lock(&self.vapid));
        json!({"private_key": key, "subject": "mailto:ops@vartalap.example"}).to_string()
    }

    /// Its public key: what a page gives to the browser as `applicationServerKey`.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        point(&lock(&self.vapid))
    }

    /// Subscriptions that were made for the old key go on to take that one alone.
    pub(crate) fn rotate(&self) {
        *lock(&self.vapid) = new_vapid(&self.journal);
    }

    /// Subscribes a browser at `origin`, for the application server alone or for anybody.
    pub(crate) fn subscribe(&self, origin: &str, application: Option<Vec<u8>>) -> Subscription {
        let (id, secret, auth) = (tokens::base64url::<24>(), SecretKey::random(&mut OsRng), tokens::bytes());
        let subscription = Subscription {
            endpoint: endpoint(origin, &id),
            p256dh: URL_SAFE_NO_PAD.encode(point(&secret)),
            auth: URL_SAFE_NO_PAD.encode(auth),
        };
        let held = Held { secret, auth, application, gone: false };
        self.journal.keep(&held.entry(&id));
        lock(&self.subscriptions).insert(id, held);
        subscription
    }

    /// Ends the subscription of `endpoint`, if there is one.
    pub(crate) fn unsubscribe(&self, origin: &str, endpoint: &str) {
        let id = endpoint.strip_prefix(&self::endpoint(origin, "")).unwrap_or_default();
        if let Some(held) = lock(&self.subscriptions).get_mut(id)
            && !held.gone
        {
            held.gone = true;
            self.journal.keep(&held.entry(id));
        }
    }
}

impl std::fmt::Debug for WebPush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebPush")
    }
}

/// The routes of the service.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/wpush/v2/{id}", post(push))
}

fn endpoint(origin: &str, id: &str) -> String {
    format!("{origin}/wpush/v2/{id}")
}

async fn push(State(shared): State<Arc<Shared>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let endpoint = endpoint(&shared.origin, &id);
    let answer = match shared.faults.of_push(Service::WebPush, Some(&endpoint)).await {
        Some(Fault::Unregistered) => {
            shared.web_push.unsubscribe(&shared.origin, &endpoint);
            take(&shared, &id, &headers, &body)
        }
        Some(Fault::TooManyRequests { retry_after }) => {
            return limited(StatusCode::TOO_MANY_REQUESTS, retry_after);
        }
        Some(Fault::Unavailable { retry_after }) => return limited(StatusCode::SERVICE_UNAVAILABLE, retry_after),
        Some(Fault::InternalError) => {
            Err(Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, errno: 999, message: "unknown error" })
        }
        Some(Fault::ExpiredCredentials) => Err(vapid::EXPIRED),
        Some(Fault::Slow(_) | Fault::NeverAnswers) | None => take(&shared, &id, &headers, &body),
    };
    match answer {
        Ok(ttl) => {
            let message = format!("{}/m/{}", shared.origin, tokens::base64url::<24>());
            (StatusCode::CREATED, [(LOCATION.as_str(), message), ("ttl", ttl.to_string())]).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Judges a push and keeps it. The TTL is answered.
fn take(shared: &Shared, id: &str, headers: &HeaderMap, body: &[u8]) -> Result<u64, Refusal> {
    let unknown = Refusal { status: StatusCode::NOT_FOUND, errno: 102, message: "there is no such endpoint" };
    let held = lock(&shared.web_push.subscriptions).get(id).cloned().ok_or(unknown)?;
    let now = (shared.clock)();
    vapid::judge(headers, &shared.origin, held.application.as_deref(), now)?;
    let wishes = Wishes::read(headers)?;
    if body.len() > BODY_BYTES {
        let message = "the body is longer than 4,096 bytes";
        return Err(Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, errno: 104, message });
    }
    if held.gone {
        return Err(Refusal { status: StatusCode::GONE, errno: 106, message: "the subscription has ended" });
    }
    let content = held.read(headers, body)?;
    shared.received.add(Received {
        service: Service::WebPush,
        target: endpoint(&shared.origin, id),
        message: content.clone(),
        content,
        collapse: wishes.topic,
        priority: wishes.urgency,
        push_type: None,
        ttl: Some(wishes.ttl),
        at: now,
    });
    Ok(wishes.ttl)
}

impl Held {
    fn entry(&self, id: &str) -> Entry {
        Entry::WebPush {
            id: id.to_owned(),
            secret: write_secret(&self.secret),
            auth: URL_SAFE_NO_PAD.encode(self.auth),
            application: self.application.as_ref().map(|application| URL_SAFE_NO_PAD.encode(application)),
            gone: self.gone,
        }
    }

    /// What the service worker is told. A push without a body has no data.
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        if body.is_empty() {
            return Ok(Value::Null);
        }
        if one(headers, CONTENT_ENCODING.as_str())? != Some("aes128gcm") {
            return Err(bad(110, "Content-Encoding is not aes128gcm"));
        }
        if !is_one_record(body) {
            return Err(bad(110, "the body is not one record of aes128gcm with a P-256 key"));
        }
        let clear = web_push_native::decrypt(body.to_vec(), &self.secret, &self.auth.into())
            .map_err(|_| bad(110, "the body is not encrypted for this subscription"))?;
        serde_json::from_slice(&clear).map_err(|_| bad(110, "the decrypted body is not JSON"))
    }
}

/// RFC 8291, section 4: an application server encrypts in one record, and names its key in full.
fn is_one_record(body: &[u8]) -> bool {
    let Some((header, rest)) = body.split_at_checked(FIXED_HEADER_BYTES) else { return false };
    let [.., a, b, c, d, key_bytes] = *header else { return false };
    let Some(record) = rest.get(usize::from(key_bytes)..) else { return false };
    let record_size = u64::from(u32::from_be_bytes([a, b, c, d]));
    key_bytes == POINT_BYTES && u64::try_from(record.len()).is_ok_and(|bytes| bytes <= record_size)
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let ttl = one(headers, "ttl")?.ok_or(bad(111, "there is no TTL"))?;
        let ttl =
            Some(ttl).filter(|ttl| ttl.bytes().all(|byte| byte.is_ascii_digit())).and_then(|ttl| ttl.parse().ok());
        let ttl = ttl.ok_or(bad(112, "TTL is no number of seconds"))?;
        let urgency = one(headers, "urgency")?.unwrap_or("normal");
        if !["very-low", "low", "normal", "high"].contains(&urgency) {
            return Err(bad(111, "Urgency is none of very-low, low, normal, high"));
        }
        let topic = one(headers, "topic")?;
        let is_topic = |topic: &str| {
            let base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (1..=32).contains(&topic.len()) && topic.bytes().all(base64url)
        };
        if topic.is_some_and(|topic| !is_topic(topic)) {
            return Err(bad(113, "Topic is not 1 to 32 characters of base64url"));
        }
        Ok(Self { ttl, urgency: urgency.to_owned(), topic: topic.map(str::to_owned) })
    }
}

/// The value of a header that may not be repeated.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let text = first.map(|value| value.to_str()).transpose();
    if second.is_some() {
        Err(bad(111, "a header is repeated"))
    } else {
        text.map_err(|_| bad(111, "a header is no text"))
    }
}

fn bad(errno: u16, message: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, errno, message }
}

fn limited(status: StatusCode, retry_after: Option<Duration>) -> Response {
    with_retry_after(Refusal { status, errno: 201, message: "try again later" }.into_response(), retry_after)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = self.status.canonical_reason();
        let body = json!({"code": self.status.as_u16(), "errno": self.errno, "error": error, "message": self.message});
        (self.status, Json(body)).into_response()
    }
}

fn point(secret: &SecretKey) -> Vec<u8> {
    secret.public_key().to_encoded_point(false).as_bytes().to_vec()
}

fn new_vapid(journal: &Journal) -> SecretKey {
    let secret = SecretKey::random(&mut OsRng);
    journal.keep(&Entry::Vapid { key: write_secret(&secret) });
    secret
}

fn write_secret(secret: &SecretKey) -> String {
    URL_SAFE_NO_PAD.encode(secret.to_bytes())
}

fn read_secret(text: &str) -> Option<SecretKey> {
    SecretKey::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
