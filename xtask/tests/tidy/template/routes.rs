//! How the APIs ask who a client is, and which routes of the WebSocket API answer. What an answer says is in `docs/PROTOCOL.md`.

use serde_json::{Value, json};

use super::{Resource, Template, assert_found_out, assert_named, referred};
use crate::assert_none;

/// The routes whose answer goes back on the socket.
const ANSWERED: [&str; 5] = ["send", "sync", "device", "ping", "$default"];

/// The others. An answer to a good ack would be a frame that is paid for and says nothing.
const SILENT: [&str; 4] = ["ack", "read", "$connect", "$disconnect"];

/// What API Gateway calls APIs with sockets, and the others.
const WEBSOCKET: &str = "WEBSOCKET";
const HTTP: &str = "HTTP";

#[test]
fn nothing_is_reached_over_http_without_a_token() {
    assert_none(unguarded(&Template::read()));
}

#[test]
fn the_token_may_be_in_the_header_or_the_query() {
    assert_none(demanding(&Template::read()));
}

#[test]
fn the_routes_that_answer_are_those_of_the_protocol() {
    assert_none(misrouted(&Template::read()));
}

/// The resources of a type that belong to the APIs of a kind.
fn of_api<'a>(template: &'a Template, name: &str, kind: &str) -> Vec<Resource<'a>> {
    let api = |one: &Resource<'_>| referred(one.property("ApiId")).and_then(|api| template.resource(api));
    let found = template.of_type(name).into_iter();
    found.filter(|one| api(one).is_some_and(|api| api.property("ProtocolType") == kind)).collect()
}

fn unguarded(template: &Template) -> Vec<String> {
    let authorizers = of_api(template, "AWS::ApiGatewayV2::Authorizer", HTTP);
    let routes = of_api(template, "AWS::ApiGatewayV2::Route", HTTP);
    let integrations = of_api(template, "AWS::ApiGatewayV2::Integration", HTTP);
    let mut broken = Vec::new();
    for authorizer in &authorizers {
        let source = json!(["$request.header.Authorization"]);
        broken.extend(authorizer.demand("Properties/AuthorizerType", &json!("JWT")));
        broken.extend(authorizer.demand("Properties/IdentitySource", &source));
        broken.extend(authorizer.demand("Properties/JwtConfiguration/Issuer", &json!({"Ref": "Issuer"})));
        broken.extend(authorizer.demand("Properties/JwtConfiguration/Audience", &json!([{"Ref": "Audience"}])));
    }
    for route in &routes {
        broken.extend(route.demand("Properties/AuthorizationType", &json!("JWT")));
        let id = referred(route.property("AuthorizerId"));
        if !authorizers.iter().any(|authorizer| id == Some(authorizer.id)) {
            broken.push(format!("{}: refer AuthorizerId to the authorizer of its API", route.id));
        }
    }
    broken.extend(integrations.iter().filter_map(|one| one.demand("Properties/PayloadFormatVersion", &json!("2.0"))));
    if !routes.iter().any(|route| route.property("RouteKey") == "$default") {
        broken.push("HttpRoute: set its RouteKey to $default: what there is stands in the function alone".to_owned());
    }
    broken
}

fn demanding(template: &Template) -> Vec<String> {
    let authorizers = of_api(template, "AWS::ApiGatewayV2::Authorizer", WEBSOCKET);
    authorizers
        .into_iter()
        .filter_map(|authorizer| authorizer.demand("Properties/IdentitySource", &json!([])))
        .collect()
}

fn misrouted(template: &Template) -> Vec<String> {
    let routes = of_api(template, "AWS::ApiGatewayV2::Route", WEBSOCKET);
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
fn a_way_around_the_token_is_found_out() {
    assert_found_out(
        unguarded,
        &[
            ("Resources/HttpAuthorizer/Properties/AuthorizerType", json!("REQUEST")),
            ("Resources/HttpAuthorizer/Properties/IdentitySource", json!(["$request.querystring.token"])),
            ("Resources/HttpAuthorizer/Properties/JwtConfiguration/Issuer", json!("https://elsewhere.example")),
            ("Resources/HttpAuthorizer/Properties/JwtConfiguration/Audience", Value::Null),
            ("Resources/HttpRoute/Properties/AuthorizationType", json!("NONE")),
            ("Resources/HttpRoute/Properties/AuthorizationType", Value::Null),
            ("Resources/HttpRoute/Properties/AuthorizerId", json!({"Ref": "Authorizer"})),
            ("Resources/HttpRoute/Properties/RouteKey", json!("GET /v1/groups")),
            ("Resources/HttpIntegration/Properties/PayloadFormatVersion", json!("1.0")),
        ],
    );
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
