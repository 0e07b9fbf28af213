//! The authorizer's judgement: which user a token speaks for. Signatures are the crate `jsonwebtoken`'s business; the claims
//! are judged here, since the time is an argument and Cognito's access tokens name their audience differently.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use lambda::HandlerError;
use protocol::{Timestamp, UserId};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::jwks::Jwks;

/// Clock skew that is forgiven, in seconds.
const LEEWAY_SECS: f64 = 60.0;

/// The only algorithms that are believed. `none` and HMAC are not among them: a public key is no secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// What a token must say.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// Where the issuer publishes its keys.
    pub jwks_url: String,
    /// `iss`.
    pub issuer: String,
    /// `aud`, or `client_id` of a Cognito access token.
    pub audience: String,
}

/// An authorizer event, as far as it matters.
#[derive(Debug)]
pub struct Request {
    /// The token that was offered, from the header or, where headers cannot be set, from the query.
    token: Option<String>,
    /// What the query says of the client.
    pub client: Client,
    /// `arn:..:API/STAGE/*`: a policy for `$connect` alone would be in force on the later routes too, and deny them.
    pub stage_resource: String,
}

/// What matters of a REQUEST event. Values are read one by one: a client chooses its headers and parameters, and none but the
/// token may decide over it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    method_arn: String,
    headers: Option<Map<String, Value>>,
    query_string_parameters: Option<Map<String, Value>>,
}

/// Reads a REQUEST authorizer event.
///
/// # Errors
/// [`HandlerError::WrongShape`] when it is none.
pub fn request(event: Value) -> Result<Request, HandlerError> {
    // serde's own words would quote the event, and a token with it.
    let wrong_shape = || HandlerError::WrongShape("an authorizer event without methodArn".to_owned());
    let event: Event = serde_json::from_value(event).map_err(|_| wrong_shape())?;
    let mut parts = event.method_arn.splitn(3, '/');
    let (Some(api), Some(stage)) = (parts.next(), parts.next()) else { return Err(wrong_shape()) };
    let query = |name: &str| event.query_string_parameters.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let mut headers = event.headers.iter().flatten();
    let token = match headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        Some((_, header)) => header.as_str().and_then(bearer).map(str::to_owned),
        None => query("access_token"),
    };
    let client =
        Client { device: query("device"), client: query("client"), ack: query("ack"), format: query("format") };
    Ok(Request { token, client, stage_resource: format!("{api}/{stage}/*") })
}

/// The token of an `Authorization: Bearer TOKEN`.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Judges tokens by one issuer's keys.
#[derive(Debug)]
pub struct Authorizer {
    rules: TokenRules,
    jwks: Jwks,
}

/// `aud` is one string or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    aud: Option<Audience>,
    client_id: Option<String>,
    token_use: Option<String>,
}

impl Authorizer {
    /// An authorizer by these rules. Keys are fetched when the first token comes.
    ///
    /// # Errors
    /// When the TLS back end cannot be set up.
    pub fn new(rules: TokenRules) -> Result<Self, reqwest::Error> {
        Ok(Self { jwks: Jwks::new(rules.jwks_url.clone())?, rules })
    }

    /// The user that the request's token speaks for.
    ///
    /// # Errors
    /// [`HandlerError::Unauthorized`] for a missing or bad token, [`HandlerError::Unavailable`] when the keys are out of reach.
    pub async fn user(&self, request: &Request, now: Timestamp) -> Result<UserId, HandlerError> {
        self.user_of(request.token.as_deref().ok_or(HandlerError::Unauthorized)?, now).await
    }

    /// The user that a token speaks for, whatever brought it.
    ///
    /// # Errors
    /// As [`Self::user`].
    pub async fn user_of(&self, token: &str, now: Timestamp) -> Result<UserId, HandlerError> {
        // Never the library's own words: they quote the token.
        let unauthorized = |reason: &'static str| {
            tracing::info!(reason, "a token was refused");
            HandlerError::Unauthorized
        };
        let header = decode_header(token).map_err(|_| unauthorized("its header cannot be read"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(unauthorized("its algorithm is not accepted"));
        }
        let key = self.jwks.key(header.kid.as_deref(), now).await?.ok_or_else(|| unauthorized("its key is unknown"))?;
        let key = DecodingKey::from_jwk(&key).map_err(|_| unauthorized("its key cannot be used"))?;
        let claims = decode::<Claims>(token, &key, &signature_only(header.alg))
            .map_err(|_| unauthorized("its signature does not fit or its claims cannot be read"))?
            .claims;
        judge(&claims, &self.rules, now).map_err(unauthorized)
    }
}

/// Leaves the claims to [`judge`].
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn judge(claims: &Claims, rules: &TokenRules, now: Timestamp) -> Result<UserId, &'static str> {
    #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^52")]
    let now = now.as_secs() as f64;
    let is_future = |moment: Option<f64>| moment.is_some_and(|moment| moment > now + LEEWAY_SECS);
    if claims.iss != rules.issuer {
        return Err("it is from another issuer");
    }
    if claims.exp <= now - LEEWAY_SECS {
        return Err("it has expired");
    }
    if is_future(claims.nbf) || is_future(claims.iat) {
        return Err("it is not valid yet");
    }
    let by_audience = match &claims.aud {
        Some(Audience::One(audience)) => *audience == rules.audience,
        Some(Audience::Many(audiences)) => audiences.contains(&rules.audience),
        None => false,
    };
    let is_access_token = claims.token_use.as_deref() == Some("access");
    let by_client = is_access_token && claims.client_id.as_deref() == Some(rules.audience.as_str());
    if !by_audience && !by_client {
        return Err("it is for another audience");
    }
    claims.sub.parse().map_err(|_| "its subject is not a user id")
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
