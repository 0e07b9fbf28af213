//! Tokens for the chat page, for whichever user it names: the local cloud asks nobody who he is. How a token is signed is in `signing`, and
//! that no other page gets one is for `guard` to see to.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use protocol::UserId;
use serde::Deserialize;
use serde_json::json;

use crate::http::Http;

/// How long a token is good for: as long as those that the commands make for themselves. A page gets another one in time.
const TTL: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: UserId,
}

/// A token, and when it expires (ms).
pub(crate) async fn mint(State(http): State<Http>, body: Bytes) -> Response {
    let user = match serde_json::from_slice(&body) {
        Ok(Wanted { user }) => user,
        Err(error) => {
            let text = format!("say whose: {{\"user\":\"alice\"}} ({error})\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let now = http.gateway.clock.now();
    match http.key.token(&user, TTL, now) {
        Ok(token) => {
            // `exp` is in whole seconds.
            let expires_at = now.plus(TTL).as_secs() * 1_000;
            ([(CACHE_CONTROL, "no-store")], Json(json!({"token": token, "expires_at": expires_at}))).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the local cloud cannot sign a token");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}
