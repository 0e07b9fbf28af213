//! A push as such: its headers and its payload. Of `aps` it reads what decides whether the push is taken.

use axum::http::{HeaderMap, StatusCode};
use protocol::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{ID_HEADER, Refusal, bad, refused};

const PAYLOAD_BYTES: usize = 4_096;

const VOIP_PAYLOAD_BYTES: usize = 5_120;

const COLLAPSE_BYTES: usize = 64;

const PUSH_TYPES: &[&str] = &[
    "alert",
    "background",
    "complication",
    "controls",
    "fileprovider",
    "liveactivity",
    "location",
    "mdm",
    "pushtotalk",
    "voip",
    "widgets",
];

/// A push of the right shape.
pub(super) struct Notification {
    pub(super) topic: String,
    pub(super) push_type: String,
    pub(super) priority: String,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) collapse: Option<String>,
    pub(super) payload: Value,
}

impl Notification {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        if one(headers, ID_HEADER)?.is_some_and(|id| !is_id(id)) {
            return Err(bad("BadMessageId"));
        }
        let topic = one(headers, "apns-topic")?.ok_or(bad("MissingTopic"))?;
        let is_topic = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        if topic.is_empty() || !topic.bytes().all(is_topic) {
            return Err(bad("BadTopic"));
        }
        let push_type = one(headers, "apns-push-type")?.filter(|push_type| PUSH_TYPES.contains(push_type));
        let push_type = push_type.ok_or(bad("InvalidPushType"))?;
        let priority = one(headers, "apns-priority")?.unwrap_or("10");
        // Apple: priority 10 is an error for a background push.
        let priorities: &[&str] = if push_type == "background" { &["5"] } else { &["10", "5", "1"] };
        if !priorities.contains(&priority) {
            return Err(bad("BadPriority"));
        }
        let expires_at = one(headers, "apns-expiration")?.map(str::parse).transpose();
        let expires_at = expires_at.map_err(|_| bad("BadExpirationDate"))?.map(Timestamp::from_secs);
        let collapse = one(headers, "apns-collapse-id")?;
        if collapse.is_some_and(|collapse| collapse.len() > COLLAPSE_BYTES) {
            return Err(bad("BadCollapseId"));
        }
        let payload = read_payload(push_type, body)?;
        let (topic, push_type, priority) = (topic.to_owned(), push_type.to_owned(), priority.to_owned());
        Ok(Self { topic, push_type, priority, expires_at, collapse: collapse.map(str::to_owned), payload })
    }
}

fn read_payload(push_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    let most = if push_type == "voip" { VOIP_PAYLOAD_BYTES } else { PAYLOAD_BYTES };
    if body.len() > most {
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge"));
    }
    let payload: Value = serde_json::from_slice(body).map_err(|_| bad("PayloadEmpty"))?;
    let aps = payload.get("aps").and_then(Value::as_object).ok_or(bad("PayloadEmpty"))?;
    let is_silent = aps.get("content-available").is_some_and(|value| *value == 1)
        && !["alert", "sound"].iter().any(|name| aps.contains_key(*name));
    if push_type == "background" && !is_silent { Err(bad("InvalidPushType")) } else { Ok(payload) }
}

/// A UUID in its canonical form.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// The value of a header that may not be repeated. One that is no text is as good as empty.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        Err(bad("DuplicateHeaders"))
    } else {
        Ok(first.map(|value| value.to_str().unwrap_or_default()))
    }
}
