//! The token endpoint of Google's OAuth 2.0: an access token for an assertion that the service account signed. No other grant is given.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Access, CLIENT_EMAIL};
use crate::faults::{Fault, with_retry_after};
use crate::providers::{Shared, lock};
use crate::{jwt, tokens};

/// Where it is.
pub(super) const PATH: &str = "/token";

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What every scope of Google's begins with.
const SCOPES: &str = "https://www.googleapis.com/auth/";

/// Those with which FCM sends.
const SENDING: [&str; 2] = ["firebase.messaging", "cloud-platform"];

/// For how long an access token is good, in seconds.
const LIFETIME: Duration = Duration::from_secs(3_599);

/// For how long an assertion may be good, in seconds.
const ASSERTED: u64 = 3_600;

/// An error of RFC 6749, section 5.2.
struct Refusal {
    error: &'static str,
    description: &'static str,
}

pub(super) async fn grant(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let failed = |status: StatusCode, error: &str| (status, Json(json!({"error": error}))).into_response();
    let answer = match shared.faults.of_token_endpoint().await {
        Some(Fault::TooManyRequests { retry_after }) => {
            return with_retry_after(failed(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"), retry_after);
        }
        Some(Fault::Unavailable { retry_after }) => {
            return with_retry_after(failed(StatusCode::SERVICE_UNAVAILABLE, "internal_failure"), retry_after);
        }
        Some(Fault::InternalError) => return failed(StatusCode::INTERNAL_SERVER_ERROR, "internal_failure"),
        Some(Fault::ExpiredCredentials) => Err(invalid_grant(STALE)),
        Some(Fault::Unregistered | Fault::Slow(_) | Fault::NeverAnswers) | None => give(&shared, &body),
    };
    match answer {
        Ok(token) => {
            let body = json!({"access_token": token, "expires_in": LIFETIME.as_secs(), "token_type": "Bearer"});
            Json(body).into_response()
        }
        Err(Refusal { error, description }) => {
            let body = json!({"error": error, "error_description": description});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

const STALE: &str = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                     Check your iat and exp values in the JWT claim.";

fn give(shared: &Shared, form: &[u8]) -> Result<String, Refusal> {
    let field = |name: &str| form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value);
    if field("grant_type").as_deref() != Some(GRANT_TYPE) {
        return Err(Refusal { error: "unsupported_grant_type", description: "Invalid grant_type" });
    }
    let missing = Refusal { error: "invalid_request", description: "Missing parameter: assertion" };
    let claims = asserted(shared, &field("assertion").ok_or(missing)?)?;

    let now = (shared.clock)();
    let (Some(issued_at), Some(expires_at)) = (claims["iat"].as_u64(), claims["exp"].as_u64()) else {
        return Err(invalid_grant(STALE));
    };
    let is_fresh = issued_at <= now.as_secs() && now.as_secs() < expires_at && expires_at - issued_at <= ASSERTED;
    if !is_fresh {
        return Err(invalid_grant(STALE));
    }
    let scopes: Option<Vec<&str>> =
        claims["scope"].as_str().and_then(|scopes| scopes.split(' ').map(|scope| scope.strip_prefix(SCOPES)).collect());
    let no_scope = "Invalid OAuth scope or ID token audience provided.";
    let scopes = scopes.ok_or(Refusal { error: "invalid_scope", description: no_scope })?;
    let access =
        Access { expires_at: now.plus(LIFETIME), may_send: scopes.iter().any(|scope| SENDING.contains(scope)) };
    let token = format!("ya29.c.{}", tokens::base64url::<96>());
    lock(&shared.fcm.access).insert(token.clone(), access);
    Ok(token)
}

/// The claims of an assertion that the account signed for this endpoint.
fn asserted(shared: &Shared, assertion: &str) -> Result<Value, Refusal> {
    let unsigned = "Invalid JWT Signature.";
    let header = jwt::header(assertion).ok_or(invalid_grant("Invalid JWT: it is no compact JWS."))?;
    let account = lock(&shared.fcm.account);
    let account = account.as_ref().ok_or(invalid_grant("Invalid grant: account not found"))?;
    if header.kid.is_some_and(|kid| kid != account.key_id) {
        return Err(invalid_grant(unsigned));
    }
    let claims = jwt::claims(assertion, Algorithm::RS256, &account.public).map_err(|_| invalid_grant(unsigned))?;
    if claims["iss"] != CLIENT_EMAIL {
        return Err(invalid_grant("Invalid grant: account not found"));
    }
    if claims["aud"] != format!("{}{PATH}", shared.origin) {
        return Err(invalid_grant("Invalid JWT: Failed audience check."));
    }
    Ok(claims)
}

fn invalid_grant(description: &'static str) -> Refusal {
    Refusal { error: "invalid_grant", description }
}
