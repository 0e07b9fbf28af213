//! How the API asks who a client is, and which of its routes answer. What an answer says is in `docs/PROTOCOL.md`.

use serde_json::{Value, json};

use super::{Template, assert_found_out, assert_named, referred};
use crate::assert_none;

/// The routes whose answer goes back on the socket.
const ANSWERED: [&str; 4] = ["send", "sync", "ping", "$default"];

/// The others. An answer to a good ack would be a frame that is paid for and says nothing.
const SILENT: [&str; 3] = ["ack", "$connect", "$disconnect"];

#[test]
fn the_token_may_be_in_the_header_or_the_query() {
    assert_none(demanding(&Template::read()));
}

#[test]
fn the_routes_that_answer_are_those_of_the_protocol() {
    assert_none(misrouted(&Template::read()));
}

fn demanding(template: &Template) -> Vec<String> {
    let authorizers = template.of_type("AWS::ApiGatewayV2::Authorizer");
    authorizers
        .into_iter()
        .filter_map(|authorizer| authorizer.demand("Properties/IdentitySource", &json!([])))
        .collect()
}

fn misrouted(template: &Template) -> Vec<String> {
    let routes = template.of_type("AWS::ApiGatewayV2::Route");
    let responses = template.of_type("AWS::ApiGatewayV2::RouteResponse");
    let mut broken = Vec::new();
    for route in &routes {
        let (id, key) = (route.id, route.property("RouteKey").as_str().unwrap_or(""));
        let selects = route.property("RouteResponseSelectionExpression");
        let responds = responses.iter().any(|response| {
            referred(response.property("RouteId")) == Some(id) && response.property("RouteResponseKey") == "$default"
        });
        if ANSWERED.contains(&key) {
            broken.extend(route.demand("Properties/RouteResponseSelectionExpression", &json!("$default")));
            if !responds {
                broken.push(format!(
                    "{id}: add a RouteResponse with RouteResponseKey $default, or `{key}` is not answered"
                ));
            }
        } else if !SILENT.contains(&key) {
            broken.push(format!("{id}: say in {} whether `{key}` is answered", file!()));
        } else if responds || !selects.is_null() {
            broken.push(format!("{id}: take away its RouteResponse and selection expression: `{key}` is not answered"));
        }
    }
    let missing =
        ANSWERED.iter().chain(&SILENT).filter(|key| !routes.iter().any(|route| route.property("RouteKey") == **key));
    broken.extend(missing.map(|key| format!("{key}: add a route with this RouteKey")));
    broken
}

#[test]
fn an_authorizer_that_wants_the_header_is_found_out() {
    assert_found_out(
        demanding,
        &[
            ("Resources/Authorizer/Properties/IdentitySource", Value::Null),
            ("Resources/Authorizer/Properties/IdentitySource", json!(["route.request.header.Authorization"])),
        ],
    );
}

#[test]
fn a_route_that_answers_wrongly_is_found_out() {
    assert_found_out(
        misrouted,
        &[
            ("Resources/AckRoute/Properties/RouteResponseSelectionExpression", json!("$default")),
            ("Resources/SyncRoute/Properties/RouteResponseSelectionExpression", Value::Null),
            ("Resources/SyncRoute/Properties/RouteKey", json!("fetch")),
        ],
    );
    for (path, value, name) in [
        ("Resources/PingRouteResponse", Value::Null, "PingRoute"),
        ("Resources/SendRouteResponse/Properties/RouteId", json!({"Ref": "AckRoute"}), "AckRoute"),
        ("Resources/DefaultRouteResponse/Properties/RouteResponseKey", json!("other"), "DefaultRoute"),
        ("Resources/AckRoute", Value::Null, "ack"),
    ] {
        assert_named(misrouted, path, &value, name);
    }
}
