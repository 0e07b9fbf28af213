//! The events that API Gateway makes of what happens on a WebSocket, as far as functions read them. Header names come in lower case,
//! and there is no `requestTime`, since nobody reads that text.

use std::net::IpAddr;

use axum::http::HeaderMap;
use delivery::ConnectionId;
use protocol::Timestamp;
use serde_json::{Map, Value, json};

/// The stage, and so the path of the socket.
pub(crate) const STAGE: &str = "local";

/// A request to open a connection.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    /// The name that the connection will have.
    pub(crate) connection: ConnectionId,
    /// When it came.
    pub(crate) connected_at: Timestamp,
    /// Where from.
    pub(crate) source_ip: IpAddr,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its query, decoded.
    pub(crate) query: Vec<(String, String)>,
}

/// Who is behind a connection that was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// When the handshake came.
    pub(crate) connected_at: Timestamp,
    /// Where from.
    pub(crate) source_ip: IpAddr,
    /// What the authorizer said, which every event repeats.
    pub(crate) authorizer: Value,
}

/// What the authorizer is asked.
pub(crate) fn authorizer(handshake: &Handshake, now: Timestamp) -> Value {
    let mut event = request(handshake);
    event["requestContext"] = context(handshake.into(), "$connect", "CONNECT", now);
    event["type"] = "REQUEST".into();
    event["methodArn"] = format!("arn:aws:execute-api:local:000000000000:local/{STAGE}/$connect").into();
    event
}

/// `$connect`.
pub(crate) fn connect(handshake: &Handshake, caller: &Caller, now: Timestamp) -> Value {
    let mut event = request(handshake);
    event["requestContext"] = context(caller.into(), "$connect", "CONNECT", now);
    event["isBase64Encoded"] = false.into();
    event
}

/// A frame on `route`.
pub(crate) fn message(caller: &Caller, route: &str, body: &str, now: Timestamp) -> Value {
    let mut context = context(caller.into(), route, "MESSAGE", now);
    context["messageId"] = request_id().into();
    json!({"requestContext": context, "body": body, "isBase64Encoded": false})
}

/// `$disconnect`, with the code and reason of the close.
pub(crate) fn disconnect(caller: &Caller, code: u16, reason: &str, now: Timestamp) -> Value {
    let mut context = context(caller.into(), "$disconnect", "DISCONNECT", now);
    context["disconnectStatusCode"] = code.into();
    context["disconnectReason"] = reason.into();
    json!({"requestContext": context, "isBase64Encoded": false})
}

/// What API Gateway says on the socket when the function behind a route fails.
pub(crate) fn internal_server_error(connection: &ConnectionId) -> String {
    json!({"message": "Internal server error", "connectionId": connection.as_str(), "requestId": request_id()})
        .to_string()
}

#[derive(Clone, Copy)]
struct Subject<'a> {
    connection: &'a ConnectionId,
    connected_at: Timestamp,
    source_ip: IpAddr,
    authorizer: Option<&'a Value>,
}

impl<'a> From<&'a Handshake> for Subject<'a> {
    fn from(handshake: &'a Handshake) -> Self {
        Self {
            connection: &handshake.connection,
            connected_at: handshake.connected_at,
            source_ip: handshake.source_ip,
            authorizer: None,
        }
    }
}

impl<'a> From<&'a Caller> for Subject<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self {
            connection: &caller.connection,
            connected_at: caller.connected_at,
            source_ip: caller.source_ip,
            authorizer: Some(&caller.authorizer),
        }
    }
}

fn context(subject: Subject<'_>, route: &str, kind: &str, now: Timestamp) -> Value {
    let request = request_id();
    let mut context = json!({
        "routeKey": route,
        "eventType": kind,
        "messageDirection": "IN",
        "stage": STAGE,
        "apiId": "local",
        "domainName": "localhost",
        "connectionId": subject.connection.as_str(),
        "connectedAt": subject.connected_at.as_millis(),
        "requestTimeEpoch": now.as_millis(),
        "requestId": request,
        "extendedRequestId": request,
        "identity": {"sourceIp": subject.source_ip.to_string()},
    });
    if let Some(authorizer) = subject.authorizer {
        context["authorizer"] = authorizer.clone();
    }
    context
}

/// Headers and query: of several values the single form has the last, the multi-value form all. Without a query both are absent.
fn request(handshake: &Handshake) -> Value {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = handshake.headers.iter().map(|(name, value)| (name.as_str(), text(value)));
    let (single, multi) = both_forms(headers);
    let mut event = json!({"headers": single, "multiValueHeaders": multi});
    if !handshake.query.is_empty() {
        let query = handshake.query.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let (single, multi) = both_forms(query);
        event["queryStringParameters"] = single;
        event["multiValueQueryStringParameters"] = multi;
    }
    event
}

fn both_forms<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> (Value, Value) {
    let (mut single, mut multi) = (Map::new(), Map::<String, Value>::new());
    for (name, value) in pairs {
        match multi.get_mut(name).and_then(Value::as_array_mut) {
            Some(values) => values.push(value.clone().into()),
            None => drop(multi.insert(name.to_owned(), json!([value]))),
        }
        single.insert(name.to_owned(), value.into());
    }
    (single.into(), multi.into())
}

fn request_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn handshake() -> Handshake {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer x".parse().expect("a header"));
        Handshake {
            connection: "c1=".into(),
            connected_at: Timestamp::from_millis(5),
            source_ip: Ipv4Addr::LOCALHOST.into(),
            headers,
            query: [("device", "a"), ("device", "b")].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        }
    }

    #[test]
    fn a_message_is_read_by_functions() {
        let handshake = handshake();
        let caller = Caller {
            connection: handshake.connection.clone(),
            connected_at: handshake.connected_at,
            source_ip: handshake.source_ip,
            authorizer: json!({"principalId": "alice", "user": "alice", "device": "phone"}),
        };
        let inbound = lambda::websocket::inbound(message(&caller, "send", "{}", Timestamp::from_millis(6)));
        let inbound = inbound.expect("an event");
        assert_eq!((inbound.route_key.as_str(), inbound.body.as_str()), ("send", "{}"));
        assert_eq!(inbound.connection.id, handshake.connection);
        assert_eq!(inbound.address.expect("an address").device.as_str(), "phone");
        for event in
            [connect(&handshake, &caller, Timestamp::default()), disconnect(&caller, 1000, "", Timestamp::default())]
        {
            assert!(lambda::websocket::inbound(event).is_ok());
        }
    }

    #[test]
    fn repeated_parameters_come_in_both_forms() {
        let event = authorizer(&handshake(), Timestamp::default());
        assert_eq!(event["queryStringParameters"], json!({"device": "b"}));
        assert_eq!(event["multiValueQueryStringParameters"], json!({"device": ["a", "b"]}));
        assert_eq!(event["headers"], json!({"authorization": "Bearer x"}));
        assert_eq!(event["requestContext"].get("authorizer"), None);
    }
}
