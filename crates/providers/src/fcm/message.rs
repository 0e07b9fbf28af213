//! The message of `messages:send`: which fields there are, and what may be in those that a data message for Android has. Others are taken
//! unread.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::{Refusal, fcm, violation};

/// Keys and values of `data` together.
const DATA_BYTES: usize = 4_096;

/// Four weeks, in seconds.
const LONGEST_TTL: u64 = 2_419_200;

const REQUEST_FIELDS: &[(&str, &str)] = &[("message", "message"), ("validate_only", "validateOnly")];

/// Each as in the protocol buffer and as in its JSON; both are taken.
const MESSAGE_FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("data", "data"),
    ("notification", "notification"),
    ("android", "android"),
    ("webpush", "webpush"),
    ("apns", "apns"),
    ("fcm_options", "fcmOptions"),
    ("token", "token"),
    ("topic", "topic"),
    ("condition", "condition"),
];

const ANDROID_FIELDS: &[(&str, &str)] = &[
    ("collapse_key", "collapseKey"),
    ("priority", "priority"),
    ("ttl", "ttl"),
    ("restricted_package_name", "restrictedPackageName"),
    ("data", "data"),
    ("notification", "notification"),
    ("fcm_options", "fcmOptions"),
    ("direct_boot_ok", "directBootOk"),
    ("bandwidth_constrained_ok", "bandwidthConstrainedOk"),
    ("restricted_satellite_ok", "restrictedSatelliteOk"),
];

/// A message of the right shape.
pub(super) struct Message {
    pub(super) token: String,
    pub(super) content: Value,
    pub(super) whole: Value,
    pub(super) collapse: Option<String>,
    pub(super) priority: &'static str,
    /// Whole seconds.
    pub(super) ttl: Option<u64>,
    pub(super) validate_only: bool,
}

/// An object whose fields are all known ones, and where it is in the request.
struct Fields<'a> {
    at: &'a str,
    object: &'a Map<String, Value>,
    known: &'static [(&'static str, &'static str)],
}

impl Message {
    pub(super) fn read(body: Option<Value>) -> Result<Self, Refusal> {
        let unread = || malformed("", "Invalid JSON payload received. Unexpected token.".to_owned());
        let mut body = body.filter(Value::is_object).ok_or_else(unread)?;
        let request = Fields::of("", Some(&body), REQUEST_FIELDS)?.ok_or_else(unread)?;
        let validate_only = request.get("validate_only").is_some_and(|value| *value == true);
        let no_recipient = || invalid("message", "Recipient of the message is not set.");
        let message = Fields::of("message", request.get("message"), MESSAGE_FIELDS)?.ok_or_else(no_recipient)?;
        for other in ["topic", "condition"] {
            if message.get(other).is_some() {
                return Err(invalid("message", "This stand-in sends to registration tokens alone."));
            }
        }
        let token = message.text("token")?.ok_or_else(no_recipient)?;
        let data = data(message.get("data"))?;
        let android = Fields::of("message.android", message.get("android"), ANDROID_FIELDS)?;
        let android = android.as_ref();
        let collapse = android.map(|android| android.text("collapse_key")).transpose()?.flatten();
        let priority = android.map(|android| android.text("priority")).transpose()?.flatten();
        let ttl = android.map(|android| android.text("ttl")).transpose()?.flatten();
        let (priority, ttl) = (read_priority(priority)?, ttl.map(read_ttl).transpose()?);
        if !is_registration_token(token) {
            let message = "The registration token is not a valid FCM registration token";
            return Err(Refusal { details: vec![fcm("INVALID_ARGUMENT")], ..invalid("message.token", message) });
        }
        let (token, collapse) = (token.to_owned(), collapse.map(str::to_owned));
        let content = data.map_or(Value::Null, content);
        let whole = body.get_mut("message").map(Value::take).unwrap_or_default();
        Ok(Self { token, content, whole, collapse, priority, ttl, validate_only })
    }
}

impl<'a> Fields<'a> {
    /// None if there is no such object.
    fn of(
        at: &'a str,
        value: Option<&'a Value>,
        known: &'static [(&'static str, &'static str)],
    ) -> Result<Option<Self>, Refusal> {
        let Some(value) = value else { return Ok(None) };
        let Some(object) = value.as_object() else { return Err(not_of_type(at, "an object", value)) };
        if let Some(name) = object.keys().find(|name| !known.iter().any(|(proto, json)| name == proto || name == json))
        {
            let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
            let text = format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
            return Err(malformed(at, text));
        }
        Ok(Some(Self { at, object, known }))
    }

    /// The field of that name in the protocol buffer. Null is as if it were not there.
    fn get(&self, name: &str) -> Option<&'a Value> {
        let json = self.known.iter().find(|(proto, _)| *proto == name).map_or(name, |(_, json)| json);
        self.object.get(name).or_else(|| self.object.get(json)).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || not_of_type(&format!("{}.{name}", self.at), "TYPE_STRING", value);
        value.as_str().map(Some).ok_or_else(wrong)
    }
}

/// `data` if all of it may be sent.
fn data(value: Option<&Value>) -> Result<Option<&Map<String, Value>>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    let object = value.as_object().ok_or_else(|| not_of_type("message.data", "a map of strings", value))?;
    let mut bytes = 0;
    for (index, (key, value)) in object.iter().enumerate() {
        let wrong = || not_of_type(&format!("message.data[{index}].value"), "TYPE_STRING", value);
        bytes += key.len() + value.as_str().ok_or_else(wrong)?.len();
        let reserved = ["from", "message_type"].contains(&key.as_str());
        if reserved || key.starts_with("google.") || key.starts_with("gcm.notification.") {
            return Err(invalid("message.data", &format!("Invalid data payload key: {key}")));
        }
    }
    if bytes > DATA_BYTES {
        return Err(invalid("message.data", "Android message is too big"));
    }
    Ok(Some(object))
}

/// What the app is told in `vartalap`: JSON as text.
fn content(data: &Map<String, Value>) -> Value {
    let Some(text) = data.get("vartalap").and_then(Value::as_str) else { return Value::Null };
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn read_priority(text: Option<&str>) -> Result<&'static str, Refusal> {
    match text {
        None | Some("normal" | "NORMAL") => Ok("normal"),
        Some("high" | "HIGH") => Ok("high"),
        Some(other) => {
            let kind = "type.googleapis.com/google.firebase.fcm.v1.AndroidMessagePriority";
            Err(not_of_type("message.android.priority", kind, &Value::from(other)))
        }
    }
}

/// Seconds with at most nine decimals and a final `s`.
fn read_ttl(text: &str) -> Result<u64, Refusal> {
    let field = "message.android.ttl";
    let wrong = || not_of_type(field, "type.googleapis.com/google.protobuf.Duration", &Value::from(text));
    let number = text.strip_suffix('s').ok_or_else(wrong)?;
    let (seconds, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(decimals) || decimals.len() > 9 {
        return Err(wrong());
    }
    let seconds = seconds.parse().map_err(|_| wrong())?;
    if seconds > LONGEST_TTL { Err(invalid(field, "Invalid TTL: it is longer than four weeks")) } else { Ok(seconds) }
}

/// As apps get them: an instance, a colon, and a long name. FCM says nothing of it, but tells such a token from others.
fn is_registration_token(token: &str) -> bool {
    let is_part = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let parts = token.split_once(':');
    parts
        .is_some_and(|(instance, name)| !instance.is_empty() && name.len() >= 100 && is_part(instance) && is_part(name))
}

/// What FCM refuses.
fn invalid(field: &str, message: &str) -> Refusal {
    let details = vec![violation(field, message), fcm("INVALID_ARGUMENT")];
    Refusal { details, ..malformed(field, message.to_owned()) }
}

/// What does not become a request at all: only the JSON gateway has seen it.
fn malformed(field: &str, message: String) -> Refusal {
    let details = vec![violation(field, &message)];
    Refusal { status: StatusCode::BAD_REQUEST, code: "INVALID_ARGUMENT", message, details }
}

fn not_of_type(field: &str, kind: &str, value: &Value) -> Refusal {
    malformed(field, format!("Invalid value at '{field}' ({kind}), {value}"))
}
