//! Who pushes, by RFC 8292. It judges what a push service can: it does not know whose key it is, save where a subscription names one.

use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use protocol::Timestamp;

use super::{Refusal, one};
use crate::jwt;

/// RFC 8292, section 2: a token may be good for no longer than this.
const LONGEST: Duration = Duration::from_secs(86_400);

/// A token that has expired.
pub(super) const EXPIRED: Refusal = forbidden("exp of the VAPID token is past");

/// Judges the `Authorization` of a push to a subscription at `origin` that was made for the key `application`, or for anybody.
pub(super) fn judge(
    headers: &HeaderMap,
    origin: &str,
    application: Option<&[u8]>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let unauthorized = |message| Refusal { status: StatusCode::UNAUTHORIZED, errno: 109, message };
    let Some(authorization) = one(headers, AUTHORIZATION.as_str())? else {
        // Who subscribed for anybody takes a push from whoever knows the endpoint.
        return if application.is_none() { Ok(()) } else { Err(unauthorized("there is no Authorization")) };
    };
    let (token, key) = read(authorization).ok_or(unauthorized("Authorization is not: vapid t=TOKEN, k=KEY"))?;
    let point = URL_SAFE_NO_PAD.decode(key).map_err(|_| forbidden("k is no base64url"))?;
    let key = jwt::p256_key(&point).ok_or(forbidden("k is no P-256 key"))?;
    let claims = jwt::claims(token, Algorithm::ES256, &key).map_err(|_| forbidden("the token is not signed by k"))?;
    if claims["aud"] != origin {
        return Err(forbidden("aud of the VAPID token is not the origin of the endpoint"));
    }
    let expires_at = claims["exp"].as_u64().ok_or(forbidden("the VAPID token has no exp"))?;
    if expires_at <= now.as_secs() {
        return Err(EXPIRED);
    }
    if expires_at > now.plus(LONGEST).as_secs() {
        return Err(forbidden("exp of the VAPID token is more than 24 h away"));
    }
    let is_contact = |sub: &str| sub.starts_with("mailto:") || sub.starts_with("https:");
    if !claims["sub"].as_str().is_some_and(is_contact) {
        return Err(forbidden("sub of the VAPID token is neither mailto: nor https:"));
    }
    if application.is_some_and(|application| application != point) {
        return Err(forbidden("the subscription was made for another key"));
    }
    Ok(())
}

const fn forbidden(message: &'static str) -> Refusal {
    Refusal { status: StatusCode::FORBIDDEN, errno: 109, message }
}

/// Token and key of `vapid t=..., k=...`.
fn read(authorization: &str) -> Option<(&str, &str)> {
    let (scheme, parameters) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("vapid") {
        return None;
    }
    let (mut token, mut key) = (None, None);
    for parameter in parameters.split(',') {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim() {
            "t" => token = Some(value),
            "k" => key = Some(value),
            _ => {}
        }
    }
    Some((token?, key?))
}
