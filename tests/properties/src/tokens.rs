//! Tokens: any text that is offered as one, and any claims under a good signature. Keys other than the issuer's one are not here.

use std::collections::HashMap;

use lambda::HandlerError;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use testkit::events;

use crate::issuer::{AUDIENCE, ISSUER, KEY_ID, THE_ISSUER};
use crate::{MARK, NOW, assert_discreet};

/// Any text that is offered as a token, in the header or in the query, is refused unless it is one that the issuer signed.
pub fn token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let header = format!("Bearer {text}");
    for event in [events::authorizer(Some(&header), &[]), events::authorizer(None, &[("access_token", &text)])] {
        match THE_ISSUER.ask(event) {
            Ok(user) => {
                assert_eq!(text.trim(), good_token(), "it was not signed");
                assert_eq!(user.as_str(), "alice");
            }
            Err(error) => assert_refused(&error),
        }
    }
}

/// A good token, and those that somebody might try instead.
pub fn token_seeds() -> Vec<String> {
    let sign = |header: Value| THE_ISSUER.sign(&header, claims_of("alice").to_string().as_bytes());
    let good = good_token();
    let (signed, _) = good.rsplit_once('.').expect("a token has three parts");
    vec![
        format!("{signed}."),
        sign(json!({"alg": "none", "kid": KEY_ID})),
        sign(json!({"alg": "HS256", "kid": KEY_ID})),
        sign(json!({"alg": "ES256", "kid": KEY_ID})),
        sign(json!({"alg": "RS256", "kid": MARK})),
        sign(json!({"alg": "EdDSA", "kid": "another", "jku": "http://127.0.0.1:1/", "crit": ["b64"], "b64": false})),
        sign(json!({"alg": "EdDSA", "jwk": {"kty": "oct", "k": ""}, "kid": null})).replacen('.', "..", 1),
        good,
    ]
}

fn good_token() -> String {
    THE_ISSUER.sign(&json!({"alg": "EdDSA", "kid": KEY_ID}), claims_of("alice").to_string().as_bytes())
}

/// Whatever the issuer signed is refused, unless it names a user, this issuer, this audience and a time to come.
pub fn claims(data: &[u8]) {
    let token = THE_ISSUER.sign(&json!({"alg": "EdDSA", "kid": KEY_ID}), data);
    let user = match THE_ISSUER.ask(events::authorizer(None, &[("access_token", &token)])) {
        Ok(user) => user,
        Err(error) => return assert_refused(&error),
    };
    // Claims that nobody asks for are skipped unread, and may be what no reader takes, such as half a surrogate pair.
    let members: HashMap<String, &RawValue> = serde_json::from_slice(data).expect("what cannot be read is refused");
    let read = |(name, raw): (String, &RawValue)| Some((name, serde_json::from_str::<Value>(raw.get()).ok()?));
    let claims: Value = members.into_iter().filter_map(read).collect::<Map<_, _>>().into();
    assert_eq!((claims["sub"].as_str(), claims["iss"].as_str()), (Some(user.as_str()), Some(ISSUER)));
    assert!(claims["exp"].as_f64().is_some_and(|exp| exp.is_finite() && exp >= earliest_exp()), "{claims}");
    let is_ours =
        |claim: &Value| claim == AUDIENCE || claim.as_array().is_some_and(|all| all.contains(&AUDIENCE.into()));
    let is_access_token = claims["token_use"] == "access" && claims["client_id"] == AUDIENCE;
    assert!(is_ours(&claims["aud"]) || is_access_token, "{claims}");
}

#[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^52")]
fn earliest_exp() -> f64 {
    NOW.as_secs() as f64 - 60.0
}

/// Claims that are believed.
pub fn claims_seeds() -> Vec<String> {
    let mut by_client = claims_of("bob");
    by_client["aud"] = Value::Null;
    by_client["client_id"] = AUDIENCE.into();
    by_client["token_use"] = "access".into();
    let mut with_many = claims_of(MARK);
    with_many["aud"] = json!(["other", AUDIENCE]);
    [claims_of("alice"), by_client, with_many].iter().map(Value::to_string).collect()
}

fn claims_of(user: &str) -> Value {
    let now = NOW.as_secs();
    json!({"sub": user, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 3_600})
}

/// It is the token's fault and never the issuer's, which is there all the time.
fn assert_refused(error: &HandlerError) {
    assert!(matches!(error, HandlerError::Unauthorized), "{error}");
    assert_discreet(&error.to_string());
}
