//! Apple's push service: which devices there are, and what a push to one comes to. Who may push is in `provider_token`, what a push may look
//! like in `notification`.

mod notification;
mod provider_token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use protocol::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use self::notification::Notification;
use self::provider_token::Key;
use crate::faults::{Fault, with_retry_after};
use crate::journal::{Entry, Journal};
use crate::providers::{Shared, lock};
use crate::received::{Received, Service};
use crate::tokens;

const TEAM_ID: &str = "VARTALAP01";

const ID_HEADER: &str = "apns-id";

/// The service, and the one key of a team that it knows.
pub(crate) struct Apns {
    key: Mutex<Key>,
    devices: Mutex<HashMap<String, Device>>,
    journal: Arc<Journal>,
}

/// An app on a device.
#[derive(Clone)]
struct Device {
    topic: String,
    gone_since: Option<Timestamp>,
}

/// Why a push is not taken.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: &'static str,
    /// Since when the device is gone.
    timestamp: Option<Timestamp>,
}

impl Apns {
    /// The service as it was left, but for its key.
    pub(crate) fn new(journal: &Arc<Journal>, kept: &[Entry]) -> Self {
        let devices = kept.iter().filter_map(|entry| match entry {
            Entry::Apns { token, topic, gone_since } => {
                Some((token.clone(), Device { topic: topic.clone(), gone_since: *gone_since }))
            }
            _ => None,
        });
        Self { key: Mutex::new(Key::new()), devices: Mutex::new(devices.collect()), journal: Arc::clone(journal) }
    }

    /// The secret of the team.
    pub(crate) fn credentials(&self) -> String {
        let key = lock(&self.key);
        json!({"key_id": key.id, "team_id": TEAM_ID, "key": key.private, "sandbox": false}).to_string()
    }

    /// The key is revoked, and there is another one.
    pub(crate) fn rotate(&self) {
        *lock(&self.key) = Key::new();
    }

    /// An app that registers.
    pub(crate) fn register(&self, topic: &str) -> String {
        let token = tokens::hex::<32>();
        let device = Device { topic: topic.to_owned(), gone_since: None };
        self.journal.keep(&device.entry(&token));
        lock(&self.devices).insert(token.clone(), device);
        token
    }

    /// The app of `token` is removed, if there is one and it was not before.
    pub(crate) fn unregister(&self, token: &str, now: Timestamp) {
        if let Some(device) = lock(&self.devices).get_mut(token)
            && device.gone_since.is_none()
        {
            device.gone_since = Some(now);
            self.journal.keep(&device.entry(token));
        }
    }

    fn find(&self, token: &str, topic: &str) -> Result<(), Refusal> {
        // Whether it was never a token or is one of another environment, Apple says the same.
        let device = lock(&self.devices).get(token).cloned().ok_or(bad("BadDeviceToken"))?;
        if device.topic != topic {
            return Err(bad("DeviceTokenNotForTopic"));
        }
        let gone = |since| Refusal { status: StatusCode::GONE, reason: "Unregistered", timestamp: Some(since) };
        device.gone_since.map_or(Ok(()), |since| Err(gone(since)))
    }
}

impl Device {
    fn entry(&self, token: &str) -> Entry {
        Entry::Apns { token: token.to_owned(), topic: self.topic.clone(), gone_since: self.gone_since }
    }
}

impl std::fmt::Debug for Apns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Apns")
    }
}

/// The routes of the service. Whatever else is under `/3` is a bad path of it.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/3/device/{token}", any(push)).route("/3/{*path}", any(elsewhere))
}

async fn elsewhere(version: Version, Path(path): Path<String>) -> Response {
    if version != Version::HTTP_2 {
        return StatusCode::HTTP_VERSION_NOT_SUPPORTED.into_response();
    }
    match path.as_str() {
        "device" | "device/" => bad("MissingDeviceToken").into_response(),
        _ => refused(StatusCode::NOT_FOUND, "BadPath").into_response(),
    }
}

async fn push(
    State(shared): State<Arc<Shared>>,
    version: Version,
    method: Method,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if version != Version::HTTP_2 {
        return StatusCode::HTTP_VERSION_NOT_SUPPORTED.into_response();
    }
    if method != Method::POST {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed").into_response();
    }
    let token = token.to_ascii_lowercase();
    let (answer, retry_after) = match shared.faults.of_push(Service::Apns, Some(&token)).await {
        Some(Fault::Unregistered) => {
            shared.apns.unregister(&token, (shared.clock)());
            (take(&shared, &token, &headers, &body), None)
        }
        Some(Fault::TooManyRequests { retry_after }) => {
            (Err(refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")), retry_after)
        }
        Some(Fault::Unavailable { retry_after }) => {
            (Err(refused(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")), retry_after)
        }
        Some(Fault::InternalError) => (Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")), None),
        Some(Fault::ExpiredCredentials) => {
            lock(&shared.apns.key).forget();
            (Err(refused(StatusCode::FORBIDDEN, "ExpiredProviderToken")), None)
        }
        Some(Fault::Slow(_) | Fault::NeverAnswers) | None => (take(&shared, &token, &headers, &body), None),
    };
    let answer = answer.map_or_else(IntoResponse::into_response, |()| StatusCode::OK.into_response());
    // Every answer names the push: as its sender did, or anew.
    let given = headers.get(ID_HEADER).and_then(|id| id.to_str().ok()).filter(|id| notification::is_id(id));
    let id = given.map_or_else(|| new_id().to_string().to_uppercase(), str::to_owned);
    with_retry_after(([(ID_HEADER, id)], answer).into_response(), retry_after)
}

/// Judges a push and keeps it.
fn take(shared: &Shared, token: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let now = (shared.clock)();
    lock(&shared.apns.key).judge(headers, now)?;
    let notification = Notification::read(headers, body)?;
    shared.apns.find(token, &notification.topic)?;
    let Notification { push_type, priority, expires_at, collapse, payload, .. } = notification;
    shared.received.add(Received {
        service: Service::Apns,
        target: token.to_owned(),
        content: payload.get("vartalap").cloned().unwrap_or(Value::Null),
        message: payload,
        collapse,
        priority,
        push_type: Some(push_type),
        ttl: expires_at.map(|expires_at| expires_at.since(now).as_secs()),
        at: now,
    });
    Ok(())
}

fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(tokens::bytes()).into_uuid()
}

const fn refused(status: StatusCode, reason: &'static str) -> Refusal {
    Refusal { status, reason, timestamp: None }
}

const fn bad(reason: &'static str) -> Refusal {
    refused(StatusCode::BAD_REQUEST, reason)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"reason": self.reason});
        if let Some(timestamp) = self.timestamp {
            body["timestamp"] = json!(timestamp);
        }
        (self.status, Json(body)).into_response()
    }
}
