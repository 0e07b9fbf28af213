//! An event of the WebSocket API, as the input that a function works on. Who it is comes from the authorizer's context, never
//! from the frame.

use delivery::{Address, Connection, Dialect};
use protocol::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::HandlerError;

/// Keys of the authorizer's context, which API Gateway repeats in every later event of the connection.
pub const CONTEXT_USER: &str = "user";
/// See [`CONTEXT_USER`]. Absent when the client named no valid device.
pub const CONTEXT_DEVICE: &str = "device";

/// See [`CONTEXT_USER`]. The word of a dialect; absent when the client speaks the current one.
pub const CONTEXT_DIALECT: &str = "dialect";
/// See [`CONTEXT_USER`]. There, and whatever it is, when an old client asked to be told what was accepted.
pub const CONTEXT_ACKS: &str = "acks";

/// What happened on a connection.
#[derive(Debug)]
pub struct Inbound {
    /// The route that API Gateway selected.
    pub route_key: String,
    /// Whose connection it is; `None` if the client named no valid device, which `$connect` refuses.
    pub address: Option<Address>,
    /// The connection.
    pub connection: Connection,
    /// Whether an old client asked to be told what was accepted.
    pub wants_acks: bool,
    /// The frame, on a message.
    pub body: String,
}

/// What matters of an event. Headers are not read at all: a client chooses them, and none may make an event unreadable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_context: Context,
    body: Option<String>,
}

/// See [`Event`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    route_key: Option<String>,
    connection_id: Option<String>,
    #[serde(default)]
    connected_at: i64,
    authorizer: Option<Map<String, Value>>,
}

/// Reads an event of a WebSocket route.
///
/// # Errors
/// [`HandlerError::WrongShape`] when it is none, or when the authorizer's context is missing from it.
pub fn inbound(event: Value) -> Result<Inbound, HandlerError> {
    let missing = |what: &str| HandlerError::WrongShape(format!("a WebSocket event without {what}"));
    // serde's own words would quote the event, and a body with it.
    let event: Event = serde_json::from_value(event).map_err(|_| missing("a readable requestContext and body"))?;
    let context = event.request_context;
    let text = |key: &str| context.authorizer.as_ref()?.get(key)?.as_str();
    let user = text(CONTEXT_USER).and_then(|user| user.parse().ok()).ok_or_else(|| missing("an authorized user"))?;
    let device = text(CONTEXT_DEVICE).and_then(|device| device.parse().ok());
    let connected_at = u64::try_from(context.connected_at).map_err(|_| missing("connectedAt"))?;
    Ok(Inbound {
        route_key: context.route_key.ok_or_else(|| missing("routeKey"))?,
        address: device.map(|device| Address { user, device }),
        connection: Connection {
            id: context.connection_id.as_deref().ok_or_else(|| missing("connectionId"))?.into(),
            connected_at: Timestamp::from_millis(connected_at),
            dialect: Dialect::of(text(CONTEXT_DIALECT)),
        },
        wants_acks: text(CONTEXT_ACKS).is_some(),
        body: event.body.unwrap_or_default(),
    })
}

/// A proxy integration's response. The body is the route response where the route has one.
pub fn response(status: u16, body: Option<String>) -> Value {
    match body {
        Some(body) => json!({"statusCode": status, "body": body}),
        None => json!({"statusCode": status}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({
            "requestContext": {
                "routeKey": "send",
                "connectionId": "c1=",
                "connectedAt": 5,
                "authorizer": {"user": "bob", "device": "phone", "integrationLatency": 3},
            },
            "body": "sesame",
        })
    }

    #[test]
    fn no_header_makes_an_event_unreadable() {
        let mut odd = event();
        odd["headers"] = json!({"user-agent": "M\u{fc}nchen", "a b": "", "n": 7});
        let inbound = inbound(odd).expect("an event");
        assert_eq!(inbound.address.map(|address| address.user.to_string()).as_deref(), Some("bob"));
        assert_eq!(inbound.body, "sesame");
    }

    #[test]
    fn an_event_that_cannot_be_read_is_not_quoted() {
        let mut odd = event();
        odd["requestContext"]["connectedAt"] = "sesame".into();
        let error = inbound(odd).expect_err("no event").to_string();
        assert!(!error.contains("sesame"), "{error}");
    }
}
