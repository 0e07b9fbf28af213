//! Events of API Gateway as functions receive them, in the shape of the fixtures of `aws_lambda_events`.

use delivery::{Address, Connection};
use protocol::UserId;
use serde_json::{Value, json};

/// An event of `route_key` on a connection.
pub fn websocket(route_key: &str, address: &Address, connection: &Connection, body: Option<&str>) -> Value {
    let event_type = match route_key {
        "$connect" => "CONNECT",
        "$disconnect" => "DISCONNECT",
        _ => "MESSAGE",
    };
    let mut event = json!({
        "requestContext": {
            "routeKey": route_key,
            "eventType": event_type,
            "extendedRequestId": "request=",
            "requestTime": "21/Nov/2026:19:54:20 +0000",
            "messageDirection": "IN",
            "stage": "local",
            "connectedAt": connection.connected_at.as_millis(),
            "requestTimeEpoch": connection.connected_at.as_millis(),
            "identity": {"sourceIp": "127.0.0.1"},
            "requestId": "request=",
            "domainName": "api.execute-api.local.amazonaws.com",
            "connectionId": connection.id.as_str(),
            "apiId": "api",
            "authorizer": {
                "principalId": address.user.as_str(),
                "user": address.user.as_str(),
                "device": address.device.as_str(),
                "integrationLatency": 3,
            },
        },
        "isBase64Encoded": false,
    });
    if let Some(word) = connection.dialect.word() {
        event["requestContext"]["authorizer"]["dialect"] = word.into();
    }
    if let Some(body) = body {
        event["body"] = body.into();
    }
    event
}

/// An event of the authorizer.
pub fn authorizer(authorization: Option<&str>, query: &[(&str, &str)]) -> Value {
    let mut headers = json!({"Host": "api.execute-api.local.amazonaws.com"});
    if let Some(authorization) = authorization {
        headers["Authorization"] = authorization.into();
    }
    let query: serde_json::Map<String, Value> =
        query.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    json!({
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:local:000000000000:api/local/$connect",
        "headers": headers,
        "queryStringParameters": query,
        "requestContext": {
            "routeKey": "$connect",
            "eventType": "CONNECT",
            "messageDirection": "IN",
            "stage": "local",
            "connectedAt": 1_800_000_000_000_u64,
            "connectionId": "connection=",
            "apiId": "api",
            "identity": {"sourceIp": "127.0.0.1"},
            "requestId": "request=",
        },
    })
}

/// An event of the HTTP API, by which `user` asks.
pub fn http(user: &UserId, method: &str, path: &str, query: &str, body: Option<&Value>) -> Value {
    let mut event = json!({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {"http": {"method": method, "path": path}, "authorizer": {"jwt": {"claims": {"sub": user}}}},
        "isBase64Encoded": false,
    });
    if let Some(body) = body {
        event["body"] = body.to_string().into();
    }
    event
}
