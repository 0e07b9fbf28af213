//! What is wrong with a request over HTTP is told by a status and a code of docs/openapi.yaml, and changes nothing.

use blackbox::Deployment;
use serde_json::{Value, json};
use tokio::join;

/// Most users in one change of a group, and most members of one.
const MOST_IN_A_CHANGE: usize = 40;
const MOST_MEMBERS: usize = 1_024;

pub(crate) async fn a_request_without_a_good_token_is_refused(cloud: &Deployment) {
    let alice = cloud.user("alice").await;
    let short = &alice.token[..alice.token.len() - 8];
    for token in [None, Some("x.y.z"), Some(short)] {
        for path in ["/v1/groups", "/v1/nothing", &format!("/v1/groups?access_token={}", alice.token)] {
            let refused = cloud.ask(token, "GET", path, &Value::Null).await;
            assert_eq!(
                (refused.status, refused.body),
                (401, json!({"message": "Unauthorized"})),
                "{token:?} {path:.20}"
            );
        }
    }
}

pub(crate) async fn a_bad_request_is_answered_with_its_code(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let group = format!("/v1/groups/{}", cloud.name("team"));
    let before = alice.done("PUT", &group, &json!({"name": "Team"})).await;
    let members = format!("{group}/members");
    let (member, herself) = (format!("{members}/{}", bob.id), format!("{members}/{}", alice.id));
    let many: Vec<String> = (0..=MOST_IN_A_CHANGE).map(|n| cloud.name(&n.to_string())).collect();
    let message = bob.message(1);
    let too_large = json!({"name": "x", "padding": "p".repeat(256 * 1024)});
    let absent = format!("/v1/groups/{}", cloud.name("absent"));
    for (user, method, path, body, status, code) in [
        (&alice, "GET", "/v1/nothing", json!(null), 404, "not_found"),
        (&alice, "GET", "/v1", json!(null), 404, "not_found"),
        (&alice, "DELETE", &group, json!(null), 405, "method_not_allowed"),
        (&alice, "PUT", "/v1/messages", json!(null), 405, "method_not_allowed"),
        (&alice, "POST", "/v1/messages", json!("{"), 400, "invalid_frame"),
        (&alice, "POST", "/v1/messages", json!([]), 400, "invalid_frame"),
        (&alice, "POST", "/v1/messages", json!({"messages": vec![&message; 26]}), 400, "invalid_frame"),
        (&alice, "GET", "/v1/messages", json!(null), 400, "invalid_request"),
        (&alice, "GET", "/v1/messages?device=a.b", json!(null), 400, "invalid_request"),
        (&alice, "GET", "/v1/messages?device=phone&limit=101", json!(null), 400, "invalid_request"),
        (&alice, "GET", "/v1/messages?device=phone&after=garbage", json!(null), 400, "invalid_cursor"),
        (&alice, "POST", "/v1/acks", json!({"device": "phone", "refs": ["x"]}), 400, "invalid_ref"),
        (&alice, "POST", "/v1/acks", json!({"device": "phone", "refs": []}), 400, "invalid_frame"),
        (&alice, "GET", "/v1/me/export?after=garbage", json!(null), 400, "invalid_cursor"),
        (&alice, "GET", "/v1/users/a~b/presence", json!(null), 400, "invalid_request"),
        (&alice, "PUT", "/v1/devices/a.b", json!(null), 400, "invalid_request"),
        (&alice, "PUT", "/v1/devices/phone", json!({"presence": 1}), 400, "invalid_request"),
        (&alice, "GET", "/v1/groups?after=a~b", json!(null), 400, "invalid_cursor"),
        (&alice, "GET", "/v1/groups?limit=0", json!(null), 400, "invalid_request"),
        (&alice, "PUT", &absent, json!({"name": ""}), 400, "invalid_request"),
        (&alice, "PUT", &absent, too_large, 413, "too_large"),
        (&alice, "POST", &members, json!({"users": many}), 400, "invalid_request"),
        (&alice, "PUT", &member, json!({"role": "admin"}), 403, "not_a_member"),
        (&alice, "PUT", &herself, json!({"role": "member"}), 409, "last_admin"),
        (&bob, "PUT", &group, json!({"name": "Team"}), 409, "group_exists"),
        (&bob, "GET", &group, json!(null), 403, "not_a_member"),
        (&bob, "GET", &absent, json!(null), 403, "not_a_member"),
        (&bob, "PATCH", &group, json!({"name": "x"}), 403, "not_a_member"),
        (&bob, "DELETE", &herself, json!(null), 403, "not_a_member"),
    ] {
        let answer = user.ask(method, path, &body).await;
        assert_eq!((answer.status, answer.code()), (status, Some(code)), "{method} {path}: {answer:?}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{answer:?}");
        let allow = if path == "/v1/messages" { "GET, POST" } else { "GET, PUT, PATCH" };
        assert_eq!(answer.allow.as_deref(), (status == 405).then_some(allow), "{method} {path}");
    }
    assert_eq!(alice.done("GET", &group, &Value::Null).await, before);
    assert_eq!(alice.done("GET", "/v1/groups", &Value::Null).await["groups"].as_array().map(Vec::len), Some(1));
}

pub(crate) async fn a_group_has_at_most_1024_members(cloud: &Deployment) {
    let alice = cloud.user("alice").await;
    let group = format!("/v1/groups/{}", cloud.name("crowd"));
    let members = format!("{group}/members");
    let names =
        |range: std::ops::Range<usize>| -> Vec<String> { range.map(|n| cloud.name(&format!("m{n}"))).collect() };
    alice.done("PUT", &group, &json!({"name": "Crowd"})).await;
    for begin in (1..MOST_MEMBERS).step_by(MOST_IN_A_CHANGE) {
        let users = names(begin..MOST_MEMBERS.min(begin + MOST_IN_A_CHANGE));
        alice.done("POST", &members, &json!({"users": users})).await;
    }
    let full = alice.ask("POST", &members, &json!({"users": names(MOST_MEMBERS..MOST_MEMBERS + 1)})).await;
    assert_eq!((full.status, full.code()), (409, Some("too_many_members")));
    let group = alice.done("GET", &group, &Value::Null).await;
    assert_eq!(group["members"].as_array().map(Vec::len), Some(MOST_MEMBERS), "nobody was added");
}
