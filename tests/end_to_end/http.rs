//! The HTTP API: groups whose changes reach everybody on the sockets, messages and acks without a socket, and what is wrong with bad requests.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};
use crate::socket::Socket;

/// A user who asks over HTTP.
pub(crate) struct Api<'a> {
    cloud: &'a Deployment,
    user: &'static str,
}

impl Api<'_> {
    async fn send(&self, method: Method, path: &str, body: Option<String>) -> Response {
        let request = reqwest::Client::new().request(method, self.cloud.url(path));
        let mut request = request.bearer_auth(self.cloud.token(self.user)).header("content-type", "application/json");
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().await.expect("an answer")
    }

    /// Status and body of the answer; null if it has none.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        let response = self.send(method, path, body).await;
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") })
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, &Value::Null).await
    }

    /// A change that must be made. Answers the group as it is then.
    pub(crate) async fn change(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, group) = self.ask(method, path, body).await;
        assert!((200..=204).contains(&status), "{path}: {status} {group}");
        group
    }
}

pub(crate) fn api<'a>(cloud: &'a Deployment, user: &'static str) -> Api<'a> {
    Api { cloud, user }
}

/// The next news of a group, acked. Nothing else may come before it.
async fn news(socket: &mut Socket, event: &str) -> Value {
    loop {
        let messages = socket.messages().await;
        socket.ack(&messages).await;
        // Of several attempts at one message the first counts.
        let fresh: Vec<&Value> = messages.iter().filter(|one| one["attempt"].as_u64() <= Some(1)).collect();
        let Some(message) = fresh.first() else { continue };
        assert_eq!((&message["kind"], &message["from"]), (&json!("system"), &json!("~system")), "{message}");
        assert_eq!(message["to"], json!({"group": "team"}));
        assert_eq!(message["body"]["event"], event, "{message}");
        assert_eq!(fresh.len(), 1, "{fresh:?}");
        return message["body"].clone();
    }
}

fn members(group: &Value) -> Vec<(&str, &str)> {
    let members = group["members"].as_array().expect("a list").iter();
    members.map(|one| (one["user"].as_str().expect("a user"), one["role"].as_str().expect("a role"))).collect()
}

#[tokio::test]
async fn a_message_to_a_group_reaches_its_members_and_nobody_else() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let mut mallory = cloud.connect("mallory", "phone").await.drained().await;
    let create = json!({"name": "Team", "users": ["bob", "carol"]});
    let (status, group) = api(&cloud, "alice").ask(Method::PUT, "/v1/groups/team", &create).await;
    assert_eq!((status, &group["group"], &group["name"]), (201, &json!("team"), &json!("Team")));
    assert_eq!(members(&group), [("alice", "admin"), ("bob", "member"), ("carol", "member")]);
    for socket in [&mut alice, &mut bob] {
        let created = news(socket, "created").await;
        assert_eq!(created, json!({"event": "created", "by": "alice", "name": "Team", "users": ["bob", "carol"]}));
    }

    let id = new_id().to_string();
    alice.send_message(json!({"id": id, "to": {"group": "team"}, "body": "hi"})).await;
    let messages = bob.messages().await;
    assert_eq!((&messages[0]["id"], &messages[0]["from"]), (&json!(id), &json!("alice")));
    assert_eq!((&messages[0]["to"], &messages[0]["kind"]), (&json!({"group": "team"}), &json!("message")));
    bob.ack(&messages).await;
    // Carol has no device yet: what is for her is unclaimed.
    let pending = cloud.until_pending("carol", "*", 2).await;
    assert!(pending.iter().any(|reference| reference.starts_with(&id)), "{pending:?}");

    let send =
        json!({"action": "send", "messages": [{"id": new_id().to_string(), "to": {"group": "team"}, "body": 1}]});
    assert_eq!(mallory.ask(&send).await["refused"][0]["code"], "not_a_member");
    assert_eq!(api(&cloud, "mallory").get("/v1/groups/team").await.1["code"], "not_a_member");
    for (user, device) in [("mallory", "phone"), ("mallory", "*"), ("alice", "phone")] {
        cloud.until_pending(user, device, 0).await;
    }
}

#[tokio::test]
async fn every_change_of_a_group_reaches_its_members_and_who_was_removed() {
    let cloud = Deployment::start().await;
    let (alice, bob, carol) = (api(&cloud, "alice"), api(&cloud, "bob"), api(&cloud, "carol"));
    let mut bobs = cloud.connect("bob", "phone").await.drained().await;
    let mut carols = cloud.connect("carol", "phone").await.drained().await;
    alice.change(Method::PUT, "/v1/groups/team", &json!({"name": "Team", "users": ["bob"]})).await;
    news(&mut bobs, "created").await;

    let group = alice.change(Method::POST, "/v1/groups/team/members", &json!({"users": ["carol"]})).await;
    assert_eq!(members(&group), [("alice", "admin"), ("bob", "member"), ("carol", "member")]);
    assert_eq!(
        carol.get("/v1/groups").await,
        (200, json!({"groups": [{"group": "team", "name": "Team"}], "more": false}))
    );
    for socket in [&mut bobs, &mut carols] {
        assert_eq!(news(socket, "added").await["users"], json!(["carol"]));
    }

    assert_eq!(bob.ask(Method::PATCH, "/v1/groups/team", &json!({"name": "x"})).await.1["code"], "not_an_admin");
    assert_eq!(alice.change(Method::PATCH, "/v1/groups/team", &json!({"name": "Crew"})).await["name"], "Crew");
    for socket in [&mut bobs, &mut carols] {
        assert_eq!(news(socket, "renamed").await["name"], "Crew");
    }

    alice.change(Method::DELETE, "/v1/groups/team/members/carol", &Value::Null).await;
    for socket in [&mut bobs, &mut carols] {
        assert_eq!(news(socket, "removed").await["users"], json!(["carol"]));
    }
    assert_eq!(carol.get("/v1/groups").await.1["groups"], json!([]));

    // The last admin leaves, and the longest-standing member follows.
    alice.change(Method::DELETE, "/v1/groups/team/members/alice", &Value::Null).await;
    let left = news(&mut bobs, "left").await;
    assert_eq!((&left["by"], &left["promoted"]), (&json!("alice"), &json!("bob")));
    let (_, group) = bob.get("/v1/groups/team").await;
    assert_eq!(members(&group), [("bob", "admin")]);
    assert_eq!(
        bob.ask(Method::PUT, "/v1/groups/team/members/bob", &json!({"role": "member"})).await.1["code"],
        "last_admin"
    );
}

#[tokio::test]
async fn a_phone_that_was_woken_drains_and_acks_with_two_requests_and_no_socket() {
    let cloud = Deployment::start().await;
    let (alice, bob) = (api(&cloud, "alice"), api(&cloud, "bob"));
    let ids: Vec<String> = (0..3).map(|_| new_id().to_string()).collect();
    let messages: Vec<Value> = ids.iter().map(|id| json!({"id": id, "to": {"user": "bob"}, "body": "hi"})).collect();
    let (status, accepted) =
        alice.ask(Method::POST, "/v1/messages", &json!({"messages": messages, "nonce": "n"})).await;
    assert_eq!((status, &accepted["type"], &accepted["nonce"]), (200, &json!("accepted"), &json!("n")));
    assert_eq!((&accepted["ids"], &accepted["refused"]), (&json!(ids), &json!([])));
    cloud.until_pending("bob", "*", 3).await;
    cloud.until("a wake", async || cloud.pushes("bob").await, |pushes| !pushes.is_empty()).await;

    let (status, page) = bob.get("/v1/messages?device=phone&limit=2").await;
    assert_eq!((status, &page["type"], &page["more"]), (200, &json!("messages"), &json!(true)));
    let refs: Vec<Value> = page["messages"].as_array().expect("a list").iter().map(|one| one["ref"].clone()).collect();
    let after = refs[1].as_str().expect("a ref");
    let (_, rest) = bob.get(&format!("/v1/messages?device=phone&after={after}")).await;
    assert_eq!((&rest["messages"][0]["id"], &rest["more"]), (&json!(ids[2]), &json!(false)));

    let (status, page) = bob.get("/v1/messages?device=phone").await;
    assert_eq!((status, page["messages"].as_array().map(Vec::len)), (200, Some(3)));
    let refs: Vec<&Value> = page["messages"].as_array().expect("a list").iter().map(|one| &one["ref"]).collect();
    let ack = json!({"device": "phone", "refs": refs});
    // Another user's ack of the same refs deletes nothing.
    assert_eq!(alice.ask(Method::POST, "/v1/acks", &ack).await, (204, Value::Null));
    assert_eq!(cloud.inbox("bob", "*").await.len(), 3);
    assert_eq!(bob.ask(Method::POST, "/v1/acks", &ack).await, (204, Value::Null));
    cloud.until_pending("bob", "*", 0).await;
    assert_eq!(bob.ask(Method::POST, "/v1/acks", &ack).await, (204, Value::Null), "once more is the same");
    assert_eq!(bob.get("/v1/messages?device=phone").await.1["messages"], json!([]));
}

#[tokio::test]
async fn a_device_is_known_without_a_socket_and_forgotten_with_what_it_has() {
    let cloud = Deployment::start().await;
    let bob = api(&cloud, "bob");
    bob.change(Method::PUT, "/v1/devices/tablet", &Value::Null).await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut phone = cloud.connect("bob", "phone").await.drained().await;
    alice.send_to("bob", "hi").await;
    cloud.until_pending("bob", "tablet", 1).await;
    assert_eq!(bob.get("/v1/messages?device=tablet").await.1["messages"].as_array().map(Vec::len), Some(1));
    phone.messages().await;

    for device in ["tablet", "phone", "phone"] {
        let path = format!("/v1/devices/{device}");
        assert_eq!(bob.ask(Method::DELETE, &path, &Value::Null).await, (204, Value::Null));
        assert_eq!(cloud.inbox("bob", device).await.len(), 0, "{device}");
    }
    phone.close_code().await;
    alice.send_to("bob", "hello?").await;
    cloud.until_pending("bob", "*", 1).await;
    assert_eq!(bob.ask(Method::DELETE, "/v1/me", &Value::Null).await, (204, Value::Null));
    assert_eq!(cloud.inbox("bob", "*").await.len(), 0);
}

#[tokio::test]
async fn a_request_without_a_good_token_is_not_answered() {
    let cloud = Deployment::start().await;
    let client = reqwest::Client::new();
    let good = cloud.token("alice");
    for (token, query) in [
        (None, String::new()),
        (None, format!("?access_token={good}")),
        (Some("Bearer x.y.z".to_owned()), String::new()),
        (Some(good.clone()), String::new()),
        (Some(format!("Bearer {}x", &good[..good.len() - 8])), String::new()),
    ] {
        for path in ["/v1/groups", "/v1/nothing", "/v1"] {
            let mut request = client.get(cloud.url(&format!("{path}{query}")));
            if let Some(token) = &token {
                request = request.header("authorization", token);
            }
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), 401, "{path} {token:?}");
            assert_eq!(response.json::<Value>().await.expect("JSON"), json!({"message": "Unauthorized"}));
        }
    }
}

#[tokio::test]
async fn a_bad_request_is_answered_with_its_code_and_changes_nothing() {
    let cloud = Deployment::start().await;
    let (alice, bob) = (api(&cloud, "alice"), api(&cloud, "bob"));
    alice.change(Method::PUT, "/v1/groups/team", &json!({"name": "Team"})).await;
    let before = alice.get("/v1/groups/team").await;
    let (message, refs) =
        (json!({"id": "x", "to": {"user": "bob"}, "body": 1}), json!({"device": "phone", "refs": ["x"]}));
    let many: Vec<String> = (0..41).map(|n| format!("user-{n}")).collect();
    for (user, method, path, body, status, code) in [
        (&alice, "GET", "/v1/nothing", json!(null), 404, "not_found"),
        (&alice, "DELETE", "/v1/groups/team", json!(null), 405, "method_not_allowed"),
        (&alice, "GET", "/v1/messages", json!(null), 400, "invalid_request"),
        (&alice, "GET", "/v1/messages?device=phone&after=garbage", json!(null), 400, "invalid_cursor"),
        (&alice, "GET", "/v1/messages?device=phone&limit=101", json!(null), 400, "invalid_request"),
        (&alice, "GET", "/v1/groups?after=a%20b", json!(null), 400, "invalid_cursor"),
        (&alice, "POST", "/v1/messages", json!([]), 400, "invalid_frame"),
        (&alice, "POST", "/v1/messages", json!({"messages": vec![&message; 26]}), 400, "invalid_frame"),
        (&alice, "POST", "/v1/acks", refs, 400, "invalid_ref"),
        (&alice, "PUT", "/v1/groups/a%2Fb", json!({"name": "x"}), 400, "invalid_request"),
        (&alice, "PUT", "/v1/groups/other", json!({"name": ""}), 400, "invalid_request"),
        (&alice, "POST", "/v1/groups/team/members", json!({"users": many}), 400, "invalid_request"),
        (&alice, "PUT", "/v1/groups/team/members/bob", json!({"role": "admin"}), 403, "not_a_member"),
        (&bob, "PUT", "/v1/groups/team", json!({"name": "Team"}), 409, "group_exists"),
        (&bob, "GET", "/v1/groups/team", json!(null), 403, "not_a_member"),
        (&bob, "GET", "/v1/groups/nowhere", json!(null), 403, "not_a_member"),
        (&bob, "PATCH", "/v1/groups/team", json!({"name": "x"}), 403, "not_a_member"),
        (&bob, "POST", "/v1/groups/team/members", json!({"users": ["bob"]}), 403, "not_a_member"),
        (&bob, "DELETE", "/v1/groups/team/members/alice", json!(null), 403, "not_a_member"),
    ] {
        let method = method.parse().expect("a method");
        let (answered, error) = user.ask(method, path, &body).await;
        assert_eq!((answered, &error["code"]), (status, &json!(code)), "{path} {body}");
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
    }
    let refused = alice.send(Method::DELETE, "/v1/groups", None).await;
    assert_eq!(refused.headers()["allow"], "GET");
    for (bytes, expected) in [(256 * 1024 + 1, json!("too_large")), (11 * 1024 * 1024, Value::Null)] {
        let body = json!({"name": "x", "padding": "p".repeat(bytes)}).to_string();
        let refused = alice.send(Method::PUT, "/v1/groups/other", Some(body)).await;
        assert_eq!(refused.status(), 413, "{bytes}");
        assert_eq!(refused.json::<Value>().await.expect("JSON")["code"], expected);
    }
    assert_eq!(alice.get("/v1/groups/team").await, before);
    assert_eq!(alice.get("/v1/groups").await.1["groups"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn requests_are_metered() {
    let cloud = Deployment::start().await;
    let alice = api(&cloud, "alice");
    for _ in 0..3 {
        assert_eq!(alice.get("/v1/groups").await.0, 200);
    }
    let message = json!({"id": new_id().to_string(), "to": {"user": "bob"}, "body": 1});
    alice.ask(Method::POST, "/v1/messages", &json!({"messages": [message]})).await;
    let summary = cloud.shutdown().await;
    assert_eq!((summary.report.requests("HttpRequest"), summary.report.requests("http")), (4, 4));
    assert_eq!(summary.accepted, 1);
}
