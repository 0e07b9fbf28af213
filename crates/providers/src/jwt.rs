//! Signed tokens as the services judge them: who signed, and what is claimed. Times are judged by the caller, who has the clock.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::Value;

/// It is no token, or not one by that key.
#[derive(Debug)]
pub(crate) struct NotSigned;

/// The header of a token that is not verified yet.
pub(crate) fn header(token: &str) -> Option<Header> {
    decode_header(token).ok()
}

/// The claims of a token that `key` signed by `algorithm`.
pub(crate) fn claims(token: &str, algorithm: Algorithm, key: &DecodingKey) -> Result<Value, NotSigned> {
    let mut rules = Validation::new(algorithm);
    // They are judged by the clock of the stand-in, not by the system's.
    (rules.validate_exp, rules.validate_nbf, rules.validate_aud) = (false, false, false);
    rules.required_spec_claims.clear();
    decode(token, key, &rules).map(|token| token.claims).map_err(|_| NotSigned)
}

/// The P-256 key of an uncompressed point.
pub(crate) fn p256_key(point: &[u8]) -> Option<DecodingKey> {
    let coordinates = point.strip_prefix(&[4]).filter(|rest| rest.len() == 64)?;
    let (x, y) = coordinates.split_at(32);
    DecodingKey::from_ec_components(&URL_SAFE_NO_PAD.encode(x), &URL_SAFE_NO_PAD.encode(y)).ok()
}
