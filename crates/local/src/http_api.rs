//! The HTTP API, as API Gateway is one in front of a function: the JWT authorizer, the event of payload format 2.0, and the function's answer
//! as a response. What there is under `/v1` and `/v1.0` only the function knows.

use std::net::IpAddr;

use aws::meter::{Unit, steps};
use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect::token::bearer;
use lambda::HandlerError;
use protocol::{Timestamp, UserId};
use serde_json::{Map, Value, json};

use crate::functions::Function;
use crate::gateway::Gateway;
use crate::http::{Http, Peer};

/// Largest body that API Gateway takes, in bytes.
const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// What API Gateway charges a request of an HTTP API by, in bytes.
const METERED_BYTES: usize = 512 * 1024;

/// Answers a request.
pub(crate) async fn answer(
    State(http): State<Http>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let gateway = &http.gateway;
    if !gateway.functions.lifecycle.is_serving() {
        return message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    }
    let (parts, body) = request.into_parts();
    let now = gateway.clock.now();
    let user = match authorize(gateway, &parts.headers, now).await {
        Ok(user) => user,
        Err(refused) => return refused,
    };
    let Ok(body) = to_bytes(body, MAX_REQUEST_BYTES).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    gateway.meter.count("apigateway", "HttpRequest", Unit::HttpRequest, steps(body.len(), METERED_BYTES));
    let event = event(&parts, &body, &user, peer.ip(), now);
    let answer = gateway.functions.invoke(Function::Http, event).await;
    let Some((response, body)) = answer.as_ref().ok().and_then(response) else {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    gateway.count_accepted(body);
    response
}

/// The user that the token speaks for, which here is in the header alone.
async fn authorize(gateway: &Gateway, headers: &HeaderMap, now: Timestamp) -> Result<UserId, Response> {
    let token = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(bearer);
    let judged = match token {
        Some(token) => gateway.functions.connect.authorizer.user_of(token, now).await,
        None => Err(HandlerError::Unauthorized),
    };
    judged.map_err(|error| match error {
        HandlerError::Unauthorized => {
            ([(WWW_AUTHENTICATE, "Bearer")], message(StatusCode::UNAUTHORIZED, "Unauthorized")).into_response()
        }
        _ => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    })
}

/// What the function is told, as far as it reads it.
fn event(parts: &Parts, body: &Bytes, user: &UserId, source_ip: IpAddr, now: Timestamp) -> Value {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let request_id = format!("{:032x}", fastrand::u128(..));
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers(&parts.headers),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "authorizer": {"jwt": {"claims": {"sub": user.as_str()}, "scopes": null}},
            "domainName": "localhost",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": source_ip.to_string()},
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": now.as_millis(),
        },
        "isBase64Encoded": false,
    });
    if body.is_empty() {
        return event;
    }
    match std::str::from_utf8(body) {
        Ok(text) if is_text(&parts.headers) => event["body"] = text.into(),
        _ => {
            event["body"] = STANDARD.encode(body).into();
            event["isBase64Encoded"] = true.into();
        }
    }
    event
}

/// Several of one name are joined by commas; their names are in lower case.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let joined = |name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(",")
    };
    headers.keys().map(|name| (name.as_str().to_owned(), joined(name).into())).collect()
}

/// Whether API Gateway hands a body of this type on as it is; what it does not know as text comes in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "" | "application/json" | "application/javascript" | "application/xml")
}

/// The response that a function's answer is, and its body; `None` if it is no such answer.
fn response(answer: &Value) -> Option<(Response, &str)> {
    let status = u16::try_from(answer.get("statusCode")?.as_u64()?).ok()?;
    let body = answer.get("body").and_then(Value::as_str).unwrap_or_default();
    let mut response = Response::builder().status(status);
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        response = response.header(name, value.as_str()?);
    }
    Some((response.body(Body::from(body.to_owned())).ok()?, body))
}

/// What API Gateway itself answers.
fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"message": message}))).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn parts(kind: &str) -> Parts {
        let request = Request::builder().method("POST").uri("/v1/groups/a%7Cb?x=%20").header("content-type", kind);
        request.header("x", "1").header("x", "2").body(()).expect("a request").into_parts().0
    }

    fn event_of(kind: &str, body: &'static [u8]) -> Value {
        let user: UserId = "alice".parse().expect("a user");
        event(&parts(kind), &Bytes::from_static(body), &user, Ipv4Addr::LOCALHOST.into(), Timestamp::from_millis(5))
    }

    #[test]
    fn a_request_is_read_by_the_function() {
        for (kind, is_encoded) in [
            ("application/json", false),
            ("application/JSON; charset=utf-8", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", true),
        ] {
            let event = event_of(kind, b"{}");
            assert_eq!(event["isBase64Encoded"], is_encoded, "{kind}");
            let request = lambda::http::request(event).expect("a request");
            assert_eq!(request.user.as_ref().map(UserId::as_str), Some("alice"));
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/groups/a%7Cb"));
            assert_eq!((request.query.as_str(), request.body.as_slice()), ("x=%20", &b"{}"[..]));
        }
        let odd = lambda::http::request(event_of("application/json", b"\xff")).expect("a request");
        assert_eq!(odd.body, b"\xff");
        assert_eq!(event_of("", b"")["headers"]["x"], "1,2");
    }

    #[test]
    fn an_answer_becomes_a_response() {
        let answer = json!({"statusCode": 405, "headers": {"allow": "GET"}, "body": "{}", "isBase64Encoded": false});
        let (response, body) = response(&answer).expect("a response");
        assert_eq!((response.status().as_u16(), body), (405, "{}"));
        assert_eq!(response.headers()["allow"], "GET");
        for odd in [json!({}), json!({"statusCode": 7}), json!({"statusCode": 200, "headers": {"a b": "c"}})] {
            assert!(super::response(&odd).is_none(), "{odd}");
        }
    }
}
