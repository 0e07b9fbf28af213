//! Events as Lambda hands them to a function: API Gateway's and SQS's. Handlers and their ports are not here.

use connect::token;
use delivery::{Address, Connection, Dialect};
use lambda::HandlerError;
use lambda::batch::records;
use lambda::http::request;
use lambda::websocket::{CONTEXT_USER, inbound};
use protocol::http::{ENDPOINTS, MAX_BODY_BYTES};
use protocol::limits::{MAX_GROUPS_PER_PAGE, MAX_OLD_FRAMES, MAX_REFS_PER_ACK, MAX_SYNC_LIMIT, MAX_USERS_PER_CHANGE};
use protocol::{BadRequest, Call, Code, HttpRequest, UserId};
use serde_json::{Value, json};
use testkit::events;

use crate::frames::{check_old_frame, old_frame_seeds};
use crate::{ID, MARK, NOW, assert_discreet, known};

/// Any event is somebody's, as the authorizer said and with the body that it has, or is refused without quoting it.
pub fn websocket_event(data: &[u8]) {
    // As the runtime reads it.
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    match inbound(event.clone()) {
        Ok(inbound) => {
            let context = &event["requestContext"];
            let user = context["authorizer"][CONTEXT_USER].as_str();
            assert!(user.is_some(), "nobody is let in without the authorizer's word");
            assert!(inbound.address.is_none_or(|address| Some(address.user.as_str()) == user));
            assert_eq!(Some(inbound.connection.id.as_str()), context["connectionId"].as_str());
            assert_eq!(inbound.body, event["body"].as_str().unwrap_or_default());
        }
        Err(error) => assert_wrong_shape(&error),
    }
}

/// Valid events of a WebSocket.
pub fn websocket_event_seeds() -> Vec<String> {
    let address = Address { user: known("bob"), device: known("phone") };
    let connection = Connection { id: "c1=".into(), connected_at: NOW, dialect: Dialect::Current };
    let frame = format!(r#"{{"action":"ack","refs":["{ID}~{MARK}"]}}"#);
    let mut connect = events::websocket("$connect", &address, &connection, None);
    connect["headers"] = json!({"Host": "localhost", "Authorization": format!("Bearer {MARK}")});
    connect["multiValueHeaders"] = json!({"Host": ["localhost"], "Authorization": [format!("Bearer {MARK}")]});
    connect["queryStringParameters"] = json!({"device": "phone"});
    connect["multiValueQueryStringParameters"] = json!({"device": ["phone"]});
    let message = events::websocket("ack", &address, &connection, Some(&frame));
    vec![connect.to_string(), message.to_string()]
}

/// Any event of the HTTP API is somebody's, as the token said, and asks for something in order, or is refused without quoting it.
pub fn http_event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    match request(event.clone()) {
        Ok(request) => {
            let claims = &event["requestContext"]["authorizer"]["jwt"]["claims"];
            assert!(claims.is_object(), "nobody is let in without the authorizer's word");
            assert!(request.user.as_ref().is_none_or(|user| Some(user.as_str()) == claims["sub"].as_str()));
            check_request(&request.request());
        }
        Err(error) => assert_wrong_shape(&error),
    }
}

fn check_request(request: &HttpRequest<'_>) {
    let distinct = |users: &[UserId]| users.iter().enumerate().all(|(n, user)| !users[..n].contains(user));
    match request.parse() {
        Ok(Call::Send(_)) => assert!(request.body.len() <= MAX_BODY_BYTES),
        Ok(Call::SendOld { frames, .. }) => {
            assert!((1..=MAX_OLD_FRAMES).contains(&frames.len()) && request.body.len() <= MAX_BODY_BYTES);
            for frame in &frames {
                check_old_frame(&frame.text);
            }
        }
        Ok(Call::Sync { sync, .. }) => assert!((1..=MAX_SYNC_LIMIT).contains(&sync.limit)),
        Ok(Call::Ack { ack, .. }) => assert!((1..=MAX_REFS_PER_ACK).contains(&(ack.refs.len() + ack.malformed))),
        Ok(Call::ListGroups { limit, .. }) => assert!((1..=MAX_GROUPS_PER_PAGE).contains(&limit)),
        Ok(Call::CreateGroup { users, .. } | Call::AddMembers { users, .. }) => {
            assert!(users.len() <= MAX_USERS_PER_CHANGE && distinct(&users), "one transaction, each item once");
        }
        Ok(_) => {}
        Err(BadRequest { code, detail, allow }) => {
            assert_discreet(&detail);
            assert_eq!(code == Code::MethodNotAllowed, !allow.is_empty());
            assert!(!allow.contains(&request.method));
            assert!(code != Code::NotFound || !ENDPOINTS.iter().any(|endpoint| endpoint.path == request.path));
        }
    }
}

/// Valid events of the HTTP API.
pub fn http_event_seeds() -> Vec<String> {
    let event = |method: &str, path: &str, query: &str, body: &str| {
        let context = json!({
            "authorizer": {"jwt": {"claims": {"sub": "bob", "iss": MARK, "exp": "1800000000"}, "scopes": null}},
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
        });
        let mut event = json!({"version": "2.0", "rawPath": path, "rawQueryString": query, "requestContext": context});
        event["headers"] = json!({"authorization": format!("Bearer {MARK}")});
        event["body"] = body.into();
        event.to_string()
    };
    let message = format!(r#"{{"messages":[{{"id":"{ID}","to":{{"group":"team"}},"body":"{MARK}"}}]}}"#);
    vec![
        event("POST", "/v1/messages", "", &message),
        event("POST", "/v1.0/messages", "ack=true", &serde_json::to_string(&old_frame_seeds()).expect("texts")),
        event("GET", "/v1/messages", &format!("device=phone&after={ID}~{MARK}&limit=7"), ""),
        event("POST", "/v1/acks", "", &format!(r#"{{"device":"phone","refs":["{ID}~{MARK}"]}}"#)),
        event("GET", "/v1/groups", &format!("after={MARK}&limit=7"), ""),
        event("PUT", "/v1/groups/team", "", &format!(r#"{{"name":"{MARK}","users":["{MARK}","carol"]}}"#)),
        event("PATCH", &format!("/v1/groups/{MARK}"), "", &format!(r#"{{"name":"{MARK}"}}"#)),
        event("POST", "/v1/groups/team/members", "", &format!(r#"{{"users":["{MARK}"]}}"#)),
        event("PUT", &format!("/v1/groups/a%7Cb/members/{MARK}"), "", r#"{"role":"admin"}"#),
        event("DELETE", "/v1/groups/team/members/bob", "", ""),
    ]
}

/// Any authorizer event is read, or refused without quoting it. A policy never reaches beyond the stage that was asked for.
pub fn authorizer_event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    match token::request(event.clone()) {
        Ok(request) => {
            let arn = event["methodArn"].as_str().expect("an event without it is refused");
            let stage = request.stage_resource.strip_suffix("/*").expect("all of one stage");
            assert!(arn.strip_prefix(stage).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{stage}");
            assert_eq!(stage.matches('/').count(), 1);
        }
        Err(error) => assert_wrong_shape(&error),
    }
}

/// Valid events of the authorizer.
pub fn authorizer_event_seeds() -> Vec<String> {
    let bearer = format!("Bearer {MARK}");
    let mut full = events::authorizer(Some(&bearer), &[("device", "phone"), ("access_token", MARK)]);
    full["multiValueHeaders"] = json!({"Authorization": [bearer], "Accept": ["a", "b"]});
    full["multiValueQueryStringParameters"] = json!({"device": ["phone"]});
    full["stageVariables"] = json!({});
    vec![full.to_string(), events::authorizer(None, &[("access_token", MARK)]).to_string()]
}

/// Any batch is read whole, each record with what it is settled by, or refused without quoting it.
pub fn sqs_event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    match records(event.clone()) {
        Ok(records) => {
            let expected = event["Records"].as_array().map_or(0, Vec::len);
            assert_eq!(records.len(), expected, "no record is overlooked");
            for (record, original) in records.iter().zip(event["Records"].as_array().into_iter().flatten()) {
                assert!(!record.id.is_empty(), "it could not be reported as failed");
                assert_eq!(record.body, original["body"].as_str().unwrap_or_default());
            }
        }
        Err(error) => assert_wrong_shape(&error),
    }
}

/// Valid batches.
pub fn sqs_event_seeds() -> Vec<String> {
    let record = |id: &str| {
        json!({
            "messageId": id,
            "receiptHandle": "r==",
            "body": format!(r#"{{"deliver":{{"body":"{MARK}"}}}}"#),
            "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1755500000000", "SenderId": "A"},
            "messageAttributes": {"reason": {"stringValue": MARK, "dataType": "String"}},
            "md5OfBody": "0",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:1:delivery",
            "awsRegion": "eu-west-1",
        })
    };
    vec![json!({"Records": [record("a"), record("b")]}).to_string(), json!({"Records": [record("c")]}).to_string()]
}

fn assert_wrong_shape(error: &HandlerError) {
    assert!(matches!(error, HandlerError::WrongShape(_)), "{error}");
    assert_discreet(&error.to_string());
}
