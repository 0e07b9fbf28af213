//! The front door, as API Gateway is one: the handshake with its authorizer and `$connect`, routes and route responses, and
//! `$disconnect`. Frames as such are in `socket`. It reads of a frame only the `action` that selects the route.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws::connections::METERED_BYTES;
use aws::meter::{Meter, Unit, steps};
use aws_lc_rs::rand;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use delivery::ConnectionId;
use lambda::HandlerError;
use protocol::{ClientFrame, ServerFrame};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::connections::LocalConnections;
use crate::events::{self, Caller, Handshake};
use crate::functions::{Function, Functions, InvocationError};
use crate::lifecycle::InHand;
use crate::options::Limits;
use crate::sqs::Clock;

/// Bytes of randomness in a connection id; API Gateway's look the same.
const CONNECTION_ID_BYTES: usize = 11;

/// What every connection shares.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) functions: Arc<Functions>,
    pub(crate) connections: LocalConnections,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) meter: Arc<Meter>,
    accepted: AtomicU64,
}

/// A handshake that is answered with a status instead of a socket.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    body: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, self.body).into_response()
    }
}

/// A connection that `$connect` has registered. When it is dropped, for whatever reason, `$disconnect` is invoked.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) caller: Caller,
    /// The code and reason of its end; what they are before there is one is what a client that vanishes leaves.
    pub(crate) ended: (u16, &'static str),
    open: Option<InHand>,
}

impl Gateway {
    /// A front door to `functions`, whose sockets are `connections`.
    pub(crate) fn new(functions: Arc<Functions>, connections: LocalConnections, limits: Limits, clock: Clock) -> Self {
        let meter = Arc::clone(&functions.meter);
        Self { functions, connections, limits, clock, meter, accepted: AtomicU64::new(0) }
    }

    /// How many messages were answered as accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// A name for a new connection that nobody can guess.
    pub(crate) fn connection_id() -> Result<ConnectionId, Refused> {
        let mut bytes = [0; CONNECTION_ID_BYTES];
        rand::fill(&mut bytes).map_err(|_| internal("the system has no randomness"))?;
        Ok(ConnectionId::from(URL_SAFE.encode(bytes).as_str()))
    }

    /// Runs the handshake of a connection: the authorizer, then `$connect`.
    ///
    /// # Errors
    /// What the client is answered instead of a socket.
    pub(crate) async fn admit(self: Arc<Self>, handshake: Handshake) -> Result<Admitted, Refused> {
        if !self.functions.lifecycle.is_serving() {
            return Err(refused(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"));
        }
        let open = self.functions.lifecycle.sockets.enter();
        let caller = Caller {
            authorizer: self.authorize(&handshake).await?,
            connection: handshake.connection.clone(),
            connected_at: handshake.connected_at,
            source_ip: handshake.source_ip,
        };
        let event = events::connect(&handshake, &caller, self.clock.now());
        let answer = self.functions.invoke(Function::Connect, event).await;
        match answer.as_ref().ok().and_then(proxy_response) {
            Some((StatusCode::OK, _)) => {
                Ok(Admitted { gateway: self, caller, ended: (1006, "the connection was lost"), open: Some(open) })
            }
            Some((status, body)) => Err(Refused { status, body: body.unwrap_or_default().to_owned() }),
            None => Err(internal("Internal server error")),
        }
    }

    /// The authorizer's context, as later events carry it.
    async fn authorize(self: &Arc<Self>, handshake: &Handshake) -> Result<Value, Refused> {
        let event = events::authorizer(handshake, self.clock.now());
        match self.functions.invoke(Function::Connect, event).await {
            Ok(policy) if allows(&policy) => {
                let mut context = policy.get("context").cloned().unwrap_or_else(|| json!({}));
                context["principalId"] = policy["principalId"].clone();
                Ok(context)
            }
            Ok(_) => Err(refused(StatusCode::FORBIDDEN, "Forbidden")),
            Err(InvocationError::Failed(HandlerError::Unauthorized)) => {
                Err(refused(StatusCode::UNAUTHORIZED, "Unauthorized"))
            }
            Err(_) => Err(internal("Internal server error")),
        }
    }

    /// Handles one frame and answers what goes back on the socket, if anything.
    pub(crate) async fn message(&self, caller: &Caller, frame: &str) -> Option<String> {
        self.meter.count("apigateway", "FrameReceived", Unit::WebSocketMessage, steps(frame.len(), METERED_BYTES));
        let answer = match route(frame) {
            "ping" => Some(pong(frame)),
            route => self.invoke_route(caller, route, frame).await,
        };
        if let Some(answer) = &answer {
            let quantity = steps(answer.len(), METERED_BYTES);
            self.meter.count("apigateway", "RouteResponse", Unit::WebSocketMessage, quantity);
        }
        answer
    }

    async fn invoke_route(&self, caller: &Caller, route: &str, frame: &str) -> Option<String> {
        let event = events::message(caller, route, frame, self.clock.now());
        let answer = self.functions.invoke(Function::Route, event).await;
        let Some((_, body)) = answer.as_ref().ok().and_then(proxy_response) else {
            return Some(events::internal_server_error(&caller.connection));
        };
        // These routes have no route response.
        let body = body.filter(|_| !["ack", "read"].contains(&route))?;
        self.count_accepted(body);
        Some(body.to_owned())
    }

    /// Counts what an answer accepts, if it is an answer to a `send`.
    pub(crate) fn count_accepted(&self, answer: &str) {
        if let Some(ServerFrame::Accepted { ids, .. }) = ServerFrame::parse(answer) {
            self.accepted.fetch_add(u64::try_from(ids.len()).unwrap_or_default(), Ordering::Relaxed);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        // Without a runtime the process is about to end, and the connection will be found gone.
        let Ok(runtime) = Handle::try_current() else { return };
        let (code, reason) = self.ended;
        let event = events::disconnect(&self.caller, code, reason, self.gateway.clock.now());
        let (functions, open) = (Arc::clone(&self.gateway.functions), self.open.take());
        runtime.spawn(async move {
            // A connection that stays registered is found gone by the next post.
            let _ = functions.invoke(Function::Connect, event).await;
            drop(open);
        });
    }
}

/// Which route takes a frame, by `$request.body.action`.
fn route(frame: &str) -> &'static str {
    let body: Value = serde_json::from_str(frame).unwrap_or_default();
    match body.get("action").and_then(Value::as_str) {
        Some("send") => "send",
        Some("ack") => "ack",
        Some("read") => "read",
        Some("sync") => "sync",
        Some("device") => "device",
        Some("ping") => "ping",
        _ => "$default",
    }
}

/// The answer of a mock integration. The template's cannot judge a nonce, so whatever has the action gets its answer.
fn pong(frame: &str) -> String {
    let nonce = match ClientFrame::parse(frame) {
        Ok(ClientFrame::Ping { nonce }) => nonce,
        _ => None,
    };
    ServerFrame::Pong { nonce }.render()
}

/// Whether a policy allows what was asked: some statement does, and none denies.
fn allows(policy: &Value) -> bool {
    let statements = policy["policyDocument"]["Statement"].as_array().map_or(&[][..], Vec::as_slice);
    let effects = || statements.iter().map(|statement| statement["Effect"].as_str());
    effects().any(|effect| effect == Some("Allow")) && effects().all(|effect| effect == Some("Allow"))
}

/// Status and body of a proxy integration's answer; `None` if it is no such answer.
fn proxy_response(answer: &Value) -> Option<(StatusCode, Option<&str>)> {
    let status = u16::try_from(answer.get("statusCode")?.as_u64()?).ok()?;
    Some((StatusCode::from_u16(status).ok()?, answer.get("body").and_then(Value::as_str)))
}

fn refused(status: StatusCode, message: &str) -> Refused {
    Refused { status, body: json!({"message": message}).to_string() }
}

fn internal(message: &str) -> Refused {
    refused(StatusCode::INTERNAL_SERVER_ERROR, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_routed_by_its_action() {
        for (frame, expected) in [
            (r#"{"action":"send"}"#, "send"),
            (r#"{"x":1,"action":"ack"}"#, "ack"),
            (r#"{"action":"read"}"#, "read"),
            (r#"{"action":"sync"}"#, "sync"),
            (r#"{"action":"device"}"#, "device"),
            (r#"{"action":"ping"}"#, "ping"),
            (r#"{"action":"Send"}"#, "$default"),
            (r#"{"action":["send"]}"#, "$default"),
            (r#"["send"]"#, "$default"),
            (r#""send""#, "$default"),
            (r#"{"action":"#, "$default"),
            ("", "$default"),
        ] {
            assert_eq!(route(frame), expected, "{frame}");
        }
    }

    #[test]
    fn a_ping_is_answered_with_its_nonce_if_that_is_one() {
        assert_eq!(pong(r#"{"action":"ping","nonce":"n"}"#), r#"{"type":"pong","nonce":"n"}"#);
        assert_eq!(pong(r#"{"action":"ping","nonce":7}"#), r#"{"type":"pong"}"#);
    }

    #[test]
    fn a_policy_allows_only_if_nothing_denies() {
        let policy = |effects: &[&str]| {
            let statements: Vec<Value> = effects.iter().map(|effect| json!({"Effect": effect})).collect();
            json!({"policyDocument": {"Statement": statements}})
        };
        assert!(allows(&policy(&["Allow"])));
        for denied in [policy(&[]), policy(&["Deny"]), policy(&["Allow", "Deny"]), json!({}), json!(null)] {
            assert!(!allows(&denied), "{denied}");
        }
    }

    #[test]
    fn connection_ids_are_distinct_and_look_like_api_gateways() {
        let ids: Vec<ConnectionId> = (0..100).map(|_| Gateway::connection_id().expect("an id")).collect();
        assert!(ids.iter().all(|id| id.as_str().len() == 16 && id.as_str().ends_with('=')));
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 100);
    }
}
