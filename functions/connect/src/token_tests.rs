//! What a token's claims must be, under a clock of our own. Whole tokens and signatures are tested in `tests/authorizer.rs`.

use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn rules() -> TokenRules {
    TokenRules { jwks_url: String::new(), issuer: "https://issuer".to_owned(), audience: "chat".to_owned() }
}

fn user_of(changes: &Value) -> Result<String, &'static str> {
    let mut claims = json!({"sub": "alice", "iss": "https://issuer", "aud": "chat", "exp": NOW.as_secs() + 1});
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    let claims: Claims = serde_json::from_value(claims).expect("claims");
    judge(&claims, &rules(), NOW).map(|user| user.to_string())
}

#[test]
fn good_claims_name_the_user() {
    assert_eq!(user_of(&json!({})), Ok("alice".to_owned()));
    assert_eq!(user_of(&json!({"aud": ["other", "chat"]})), Ok("alice".to_owned()));
    assert_eq!(user_of(&json!({"aud": null, "client_id": "chat", "token_use": "access"})), Ok("alice".to_owned()));
    assert_eq!(user_of(&json!({"exp": NOW.as_secs() - 59, "nbf": NOW.as_secs() + 60})), Ok("alice".to_owned()));
}

#[test]
fn bad_claims_are_refused() {
    for changes in [
        json!({"iss": "https://other"}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"aud": null, "client_id": "chat"}),
        json!({"aud": null, "client_id": "chat", "token_use": "id"}),
        json!({"exp": NOW.as_secs() - 60}),
        json!({"nbf": NOW.as_secs() + 61}),
        json!({"iat": NOW.as_secs() + 61}),
        json!({"sub": "a#b"}),
        json!({"sub": ""}),
    ] {
        assert!(user_of(&changes).is_err(), "{changes}");
    }
}

#[test]
fn the_token_comes_from_the_header_before_the_query() {
    let event = |headers: Value| {
        json!({
            "type": "REQUEST",
            "methodArn": "arn:aws:execute-api:eu-west-1:1:api/prod/$connect",
            "headers": headers,
            "queryStringParameters": {"access_token": "query", "device": "phone"},
            "requestContext": {},
        })
    };
    let token = |headers| request(event(headers)).expect("a request").token;
    assert_eq!(token(json!({"Authorization": "Bearer header"})).as_deref(), Some("header"));
    assert_eq!(token(json!({"authorization": "bearer header"})).as_deref(), Some("header"));
    assert_eq!(token(json!({})).as_deref(), Some("query"));
    assert_eq!(token(json!({"Authorization": "Basic eA=="})), None, "a bad header is not overlooked");
    let request = request(event(json!({}))).expect("a request");
    assert_eq!(request.client.device.as_deref(), Some("phone"));
    assert_eq!(request.stage_resource, "arn:aws:execute-api:eu-west-1:1:api/prod/*");
}

#[test]
fn no_header_but_the_token_decides_over_it() {
    let event = |headers: Value| json!({"methodArn": "arn:a:api/prod/$connect", "headers": headers});
    let odd = json!({"user-agent": "M\u{fc}nchen", "a b": "", "n": 7, "Authorization": "Bearer t"});
    assert_eq!(request(event(odd)).expect("a request").token.as_deref(), Some("t"));
    let unprintable = json!({"Authorization": "Bearer sesame\u{7f}"});
    assert!(request(event(unprintable)).is_ok(), "a bad token is Unauthorized, not another kind of event");
    let error = request(json!({"methodArn": {"sesame": 1}})).expect_err("no event").to_string();
    assert!(!error.contains("sesame"), "{error}");
}
