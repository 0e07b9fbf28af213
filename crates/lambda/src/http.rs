//! An event of the HTTP API (payload format 2.0), as the input that a function works on. Who it is comes from the token that API Gateway
//! has verified, never from the request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::{HttpRequest, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::HandlerError;

/// The claim that names the user.
const SUBJECT: &str = "sub";

/// A request on an authorized route.
#[derive(Debug)]
pub struct Request {
    /// Who asks; `None` if the `sub` of his token is not a user id, or there is none.
    pub user: Option<UserId>,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, as it was sent.
    pub query: String,
    /// Its body; empty if there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// The part that does not depend on who asks.
    pub fn request(&self) -> HttpRequest<'_> {
        HttpRequest { method: &self.method, path: &self.path, query: &self.query, body: &self.body }
    }
}

/// What matters of an event. Headers are not read at all: a client chooses them, and none may make an event unreadable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    request_context: Context,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// See [`Event`].
#[derive(Deserialize)]
struct Context {
    http: Line,
    authorizer: Option<Authorizer>,
}

/// See [`Event`].
#[derive(Deserialize)]
struct Line {
    method: String,
}

/// See [`Event`].
#[derive(Deserialize)]
struct Authorizer {
    jwt: Jwt,
}

/// See [`Event`].
#[derive(Deserialize)]
struct Jwt {
    claims: Map<String, Value>,
}

/// Reads an event of a route with a JWT authorizer.
///
/// # Errors
/// [`HandlerError::WrongShape`] when it is none. A route without the authorizer is wired wrongly: nobody may be taken at his word.
pub fn request(event: Value) -> Result<Request, HandlerError> {
    let missing = |what: &str| HandlerError::WrongShape(format!("an HTTP event without {what}"));
    // serde's own words would quote the event, and a body with it.
    let event: Event =
        serde_json::from_value(event).map_err(|_| missing("a readable requestContext, rawPath and body"))?;
    let claims = event.request_context.authorizer.ok_or_else(|| missing("the claims of a token"))?.jwt.claims;
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded {
        STANDARD.decode(body).map_err(|_| missing("a body in base64, as it says"))?
    } else {
        body.into_bytes()
    };
    Ok(Request {
        user: claims.get(SUBJECT).and_then(Value::as_str).and_then(|subject| subject.parse().ok()),
        method: event.request_context.http.method,
        path: event.raw_path,
        query: event.raw_query_string,
        body,
    })
}

/// An answer of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// The methods that are allowed, where the status is about them.
    pub allow: Option<String>,
    /// One JSON value, if it has a body.
    pub body: Option<String>,
}

impl Response {
    /// The answer as API Gateway takes it.
    pub fn into_event(self) -> Value {
        let mut headers = Map::new();
        headers.extend(self.allow.map(|methods| ("allow".to_owned(), methods.into())));
        match self.body {
            Some(body) => {
                headers.insert("content-type".to_owned(), "application/json".into());
                json!({"statusCode": self.status, "headers": headers, "body": body, "isBase64Encoded": false})
            }
            None => json!({"statusCode": self.status, "headers": headers}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/v1/messages",
            "rawQueryString": "device=phone",
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "authorizer": {"jwt": {"claims": {"sub": "bob", "exp": "1800000000"}, "scopes": null}},
                "http": {"method": "GET", "path": "/v1/messages", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            },
            "body": "sesame",
            "isBase64Encoded": false,
        })
    }

    #[test]
    fn an_event_is_read() {
        let read = request(event()).expect("a request");
        assert_eq!(read.user.as_ref().map(UserId::as_str), Some("bob"));
        assert_eq!(
            (read.method.as_str(), read.path.as_str(), read.query.as_str()),
            ("GET", "/v1/messages", "device=phone")
        );
        assert_eq!(read.body, b"sesame");
        let mut encoded = event();
        encoded["body"] = "c2VzYW1l".into();
        encoded["isBase64Encoded"] = true.into();
        assert_eq!(request(encoded).expect("a request").body, b"sesame");
    }

    #[test]
    fn no_header_and_no_other_claim_makes_an_event_unreadable() {
        let mut odd = event();
        odd["headers"] = json!({"user-agent": "M\u{fc}nchen", "a b": "", "n": 7});
        odd["requestContext"]["authorizer"]["jwt"]["claims"]["aud"] = json!(["a", 7]);
        assert!(request(odd).is_ok());
    }

    #[test]
    fn nobody_is_taken_at_his_word() {
        for (subject, is_user) in
            [(json!("bob"), true), (json!("b b"), false), (json!("~system"), false), (json!(7), false)]
        {
            let mut odd = event();
            odd["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = subject;
            assert_eq!(request(odd).expect("a request").user.is_some(), is_user);
        }
        let mut unauthorized = event();
        unauthorized["requestContext"]["authorizer"] = Value::Null;
        let mut by_lambda = event();
        by_lambda["requestContext"]["authorizer"] = json!({"lambda": {"sub": "bob"}});
        for event in [unauthorized, by_lambda, json!({}), json!([])] {
            assert!(matches!(request(event), Err(HandlerError::WrongShape(_))));
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_is_not_quoted() {
        let (mut odd, mut encoded) = (event(), event());
        odd["requestContext"]["http"] = "sesame".into();
        encoded["isBase64Encoded"] = true.into();
        encoded["body"] = "sesame!".into();
        for event in [odd, encoded] {
            let error = request(event).expect_err("no event").to_string();
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn an_answer_says_what_it_is() {
        let answer = Response { status: 405, allow: Some("GET, PUT".to_owned()), body: Some("{}".to_owned()) };
        let headers = json!({"allow": "GET, PUT", "content-type": "application/json"});
        let expected = json!({"statusCode": 405, "headers": headers, "body": "{}", "isBase64Encoded": false});
        assert_eq!(answer.into_event(), expected);
        let empty = Response { status: 204, allow: None, body: None };
        assert_eq!(empty.into_event(), json!({"statusCode": 204, "headers": {}}));
    }
}
