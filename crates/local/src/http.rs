//! What the local cloud answers over HTTP: the socket's handshake, the JWKS, whether it is well, and what is inside it, for tests and
//! the curious. What is under `/v1` and `/v1.0` is in `http_api`, the chat page in `page`. Under `/_local` pages of others are refused,
//! by `guard`; nobody else is asked who he is, and so it listens on loopback unless told otherwise.

use std::net::SocketAddr;
use std::sync::Arc;

use aws::DynamoInbox;
use aws::meter::Unit;
use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use delivery::{Failure, Holder, Inbox, Row};
use protocol::limits::{MAX_CLIENT_FRAME_BYTES, MAX_CLIENT_MESSAGE_BYTES};
use protocol::{DeviceId, UserId};
use serde_json::{Value, json};

use crate::dead_letters::{self, DeadLetters};
use crate::events::{Handshake, STAGE};
use crate::faults::Faults;
use crate::files::{self, LocalFiles};
use crate::gateway::Gateway;
use crate::guard::{Reach, refuse_pages};
use crate::http_api;
use crate::linger::LingeringListener;
use crate::page;
use crate::push_routes;
use crate::push_services::PushServices;
use crate::pushes::Pushes;
use crate::signing::SigningKey;
use crate::socket;
use crate::tokens;

/// How many envelopes are read at a time when an inbox is shown.
const PAGE: usize = 256;

/// How a user's unclaimed inbox is named in a path.
const UNCLAIMED: &str = "*";

/// What the answers are made of.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) inbox: DynamoInbox,
    pub(crate) pushes: Pushes,
    pub(crate) push_services: PushServices,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) faults: Arc<Faults>,
    pub(crate) files: LocalFiles,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) reach: Reach,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl axum::extract::connect_info::Connected<IncomingStream<'_, LingeringListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LingeringListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The routes.
pub(crate) fn router(http: Http) -> Router {
    let inside = Router::new()
        .route("/_local/pushes", get(pushes))
        .route("/_local/push", get(push_routes::about))
        .route("/_local/push/targets", post(push_routes::register))
        .route("/_local/push/received", get(push_routes::received))
        .route("/_local/push/faults", post(push_routes::change_faults))
        .route("/_local/inbox/{user}/{device}", get(inbox))
        .route("/_local/dead-letters", get(dead_letters::list))
        .route("/_local/dead-letters/redrive", post(dead_letters::redrive))
        .route("/_local/dead-letters/{id}/raw", get(dead_letters::raw))
        .route("/_local/faults", get(faults).post(change_faults))
        .route("/_local/meter", get(meter))
        .route("/_local/tokens", post(tokens::mint))
        .route_layer(from_fn_with_state(http.reach, refuse_pages));
    Router::new()
        .route(&format!("/{STAGE}"), get(upgrade))
        .route("/v1.0/wss", get(upgrade_old))
        .route("/v1.0/wss/", get(upgrade_old))
        .route("/v1", any(http_api::answer))
        .route("/v1/", any(http_api::answer))
        .route("/v1/{*rest}", any(http_api::answer))
        .route("/v1.0/{*rest}", any(http_api::answer))
        // Not guarded as what is inside: who comes here brings a signature, as to S3.
        .route(&format!("{}/{{id}}", files::PATH), get(files::download).put(files::upload).options(files::preflight))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/healthz", get(async || Json(json!({"ok": true}))))
        .merge(inside)
        .merge(page::router())
        .with_state(http)
}

/// The socket under the path that old clients know. On AWS a proxy in front of the API rewrites it so.
async fn upgrade_old(
    http: State<Http>,
    peer: ConnectInfo<Peer>,
    Query(mut query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    ws: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    query.push(("client".to_owned(), "legacy".to_owned()));
    upgrade(http, peer, Query(query), headers, ws).await
}

async fn upgrade(
    State(http): State<Http>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let (upgrade, connection) = match (upgrade, Gateway::connection_id()) {
        (Ok(upgrade), Ok(connection)) => (upgrade, connection),
        (Err(rejection), _) => return rejection.into_response(),
        (_, Err(refused)) => return refused.into_response(),
    };
    let connected_at = http.gateway.clock.now();
    let handshake = Handshake { connection, connected_at, source_ip: peer.ip(), headers, query };
    // In a task of its own: if the client gives up meanwhile, what was registered is dropped by the task, and so disconnected.
    match tokio::spawn(http.gateway.admit(handshake)).await {
        Ok(Ok(admitted)) => upgrade
            .max_frame_size(MAX_CLIENT_FRAME_BYTES)
            .max_message_size(MAX_CLIENT_MESSAGE_BYTES)
            // A failed upgrade drops the closure, and so disconnects as well.
            .on_upgrade(move |socket| socket::serve(socket, admitted)),
        Ok(Err(refused)) => refused.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn jwks(State(http): State<Http>) -> Json<Value> {
    Json(http.key.jwks())
}

async fn pushes(State(http): State<Http>) -> Response {
    http.pushes.pushes().await.map_or_else(|failure| unavailable(&failure), |pushes| Json(pushes).into_response())
}

/// The refs that are pending in one inbox, oldest first: a device's own, or with `*` for the device, the user's unclaimed ones.
async fn inbox(State(http): State<Http>, Path((user, device)): Path<(String, String)>) -> Response {
    let device = match device.as_str() {
        UNCLAIMED => Ok(None),
        device => device.parse::<DeviceId>().map(Some),
    };
    let (user, device) = match (user.parse::<UserId>(), device) {
        (Ok(user), Ok(device)) => (user, device),
        (Err(invalid), _) | (_, Err(invalid)) => {
            return (StatusCode::BAD_REQUEST, format!("{invalid} (or {UNCLAIMED} for the device)")).into_response();
        }
    };
    match pending(&http, &user, device).await {
        Ok(refs) => Json(refs).into_response(),
        Err(failure) => unavailable(&failure),
    }
}

async fn pending(http: &Http, user: &UserId, device: Option<DeviceId>) -> Result<Vec<String>, Failure> {
    let now = http.gateway.clock.now();
    let holder = device.clone().map_or(Holder::Unclaimed, Holder::Device);
    let (mut refs, mut after) = (Vec::new(), None);
    loop {
        let page = http.inbox.page(user, device.as_ref(), after.as_ref(), PAGE, now).await?;
        // A page of a device also has what the user has unclaimed.
        let own = page.rows.iter().filter(|row| row.holder == holder);
        refs.extend(own.map(|row| row.reference().to_string()));
        after = page.rows.last().map(Row::key).map(|key| key.reference());
        if !page.more || after.is_none() {
            return Ok(refs);
        }
    }
}

async fn faults(State(http): State<Http>) -> Response {
    Json(http.faults.rates()).into_response()
}

async fn change_faults(State(http): State<Http>, body: Bytes) -> Response {
    match http.faults.change(&body) {
        Ok(rates) => Json(rates).into_response(),
        Err(invalid) => (StatusCode::BAD_REQUEST, invalid.to_string()).into_response(),
    }
}

/// What was counted so far. Connection minutes are counted when a connection ends.
async fn meter(State(http): State<Http>) -> Json<Value> {
    let report = http.gateway.meter.report();
    let line = |(service, operation, unit, tally): (_, _, Unit, aws::meter::Tally)| {
        json!({
            "service": service,
            "operation": operation,
            "unit": format!("{unit:?}"),
            "requests": tally.requests,
            "quantity": tally.quantity,
            "dollars": tally.quantity * unit.dollars_per_million() / 1_000_000.0,
        })
    };
    Json(json!({
        "accepted": http.gateway.accepted(),
        "dollars": report.dollars(),
        "lines": report.lines().map(line).collect::<Vec<_>>(),
    }))
}

/// The answer when the storage fails.
pub(crate) fn unavailable(failure: &Failure) -> Response {
    tracing::error!(%failure, "the local cloud cannot read its own storage");
    (StatusCode::INTERNAL_SERVER_ERROR, failure.to_string()).into_response()
}
