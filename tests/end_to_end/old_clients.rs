//! Clients of the server that this one replaces, under the URLs that they know, among themselves and with current ones.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::deployment::{Deployment, new_id};
use crate::socket::Socket;

/// Where an old client's messages lie.
const DEVICE: &str = "legacy";

/// A local cloud that posts nothing twice while a test lasts.
async fn patient() -> Deployment {
    Deployment::with(|options| options.waits = "60".parse().expect("waits")).await
}

impl Deployment {
    async fn connect_old(&self, user: &str, query: &str) -> Socket {
        let url = self.ws().replace("/local", "/v1.0/wss/");
        Socket::open(&url, query, Some(&self.token(user))).await.expect("a connection")
    }

    /// Status and body of the answer to what an old client posts.
    async fn post_old(&self, user: &str, query: &str, body: &Value) -> (u16, Value) {
        let request = reqwest::Client::new().post(self.url(&format!("/v1.0/messages{query}")));
        let request = request.bearer_auth(self.token(user)).header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }
}

impl Socket {
    /// Says something and answers the server ack of it.
    async fn acked(&mut self, frame: impl ToString, id: &str) {
        self.text(frame.to_string()).await;
        let ack = self.frame().await;
        assert_eq!((&ack["id"], &ack["head"]["contentType"]), (&json!(id), &json!("SERVER_ACK")), "{ack}");
        assert_eq!(ack["head"]["from"], "server");
    }

    /// The next frame; who it is from, and what it says.
    async fn told(&mut self) -> (String, String, String) {
        let frame = self.frame().await;
        let word = |word: &Value| word.as_str().unwrap_or_else(|| panic!("{frame}")).to_owned();
        (word(&frame["id"]), word(&frame["head"]["from"]), word(&frame["body"]["text"]))
    }
}

/// A message as the original's app sends it, but for its sender, who is somebody else.
fn v2(id: &str, kind: &str, to: &str, text: &str) -> Value {
    let head = json!({"type": kind, "to": to, "from": "mallory", "contentType": "text", "action": "message"});
    json!({"_v": 2.1, "id": id, "head": head, "meta": {"createdAt": now()}, "body": {"text": text}})
}

fn now() -> u64 {
    lambda::start::invocation().now.as_millis()
}

fn client_ack(id: &str, to: &str) -> Value {
    json!({"_v": 2.1, "id": id, "head": {"type": "individual", "contentType": "CLIENT_ACK", "to": to, "from": "bob"}})
}

fn owned(told: [&str; 3]) -> (String, String, String) {
    let [id, from, text] = told.map(str::to_owned);
    (id, from, text)
}

#[tokio::test]
async fn an_old_client_and_a_current_one_talk_to_each_other() {
    let cloud = patient().await;
    let mut alice = cloud.connect_old("alice", "ack=true").await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    alice.acked(v2("a1", "individual", "bob", "hi"), "a1").await;
    let messages = bob.messages().await;
    assert_eq!((&messages[0]["from"], &messages[0]["body"]["body"]["text"]), (&json!("alice"), &json!("hi")));
    bob.ack(&messages).await;
    cloud.until_pending("bob", "phone", 0).await;
    let id = bob.send_to("alice", "hi yourself").await;
    assert_eq!(alice.told().await, owned([&id, "bob", "hi yourself"]));
    assert_eq!(cloud.inbox("alice", DEVICE).await.len(), 1);
    alice.text(client_ack(&id, "bob").to_string()).await;
    cloud.until_pending("alice", DEVICE, 0).await;
    assert!(cloud.pushes("alice").await.is_empty() && cloud.pushes("bob").await.is_empty());
}

#[tokio::test]
async fn whoever_was_away_is_told_when_back() {
    let cloud = patient().await;
    drop(cloud.connect_old("alice", "").await);
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let first = bob.send_to("alice", "one").await;
    bob.send_to("alice", "two").await;
    cloud.until_pending("alice", DEVICE, 2).await;
    let mut alice = cloud.connect_old("alice", "").await;
    assert_eq!([alice.told().await.2, alice.told().await.2], ["one", "two"], "oldest first");
    drop(bob);
    // Not asked for acks, so the next thing that it hears is the answer to its ping: there is no `drained` either.
    alice.text(v2("a1", "chat", "bob", "hi").to_string()).await;
    alice.text("ping").await;
    assert_eq!(alice.raw().await, "pong");
    alice.text(client_ack(&first, "bob").to_string()).await;
    cloud.until_pending("alice", DEVICE, 1).await;
    cloud.until_pending("bob", "phone", 1).await;
    let mut bob = cloud.connect("bob", "phone").await;
    assert_eq!(bob.messages().await[0]["body"]["id"], "a1");
}

#[tokio::test]
async fn old_clients_of_every_version_talk_to_each_other() {
    let cloud = patient().await;
    let mut alice = cloud.connect_old("alice", "ack=true").await;
    let mut bob = cloud.connect_old("bob", "ack=true&format=binary").await;
    let v1 =
        json!({"msgId": "a1", "from": "mallory", "to": "bob", "type": "text", "chatType": "individual", "text": "one"});
    alice.acked(v1, "a1").await;
    alice.acked(v2("a2", "individual", "bob", "two"), "a2").await;
    // Two records may be received at the same moment.
    let mut ids = Vec::new();
    for _ in 0..2 {
        let frame = bob.raw().await;
        let Ok(legacy::Incoming::Message(message)) = legacy::incoming(&frame) else { panic!("{frame}") };
        assert_eq!(message.format, legacy::Format::Base64);
        ids.push(message.id.to_string());
    }
    ids.sort();
    assert_eq!(ids, ["a1", "a2"]);
    // `Message{version: 3, id: "b1", type: MESSAGE, channel: INDIVIDUAL, source: "eve", destination: "alice", content: {"text":"three"}}`
    let v3 = "DQAAQEASAmIxGAIgATIDZXZlOgVhbGljZUIQeyJ0ZXh0IjoidGhyZWUifQ==";
    bob.text(v3).await;
    assert!(!bob.raw().await.starts_with('{'), "a server ack in its own words");
    assert_eq!(alice.told().await, owned(["b1", "bob", "three"]));
    alice.text(client_ack("b1", "bob").to_string()).await;
    cloud.until_pending("alice", DEVICE, 0).await;
}

#[tokio::test]
async fn a_group_is_one_for_old_and_current_clients() {
    let cloud = patient().await;
    let mut alice = cloud.connect_old("alice", "ack=true").await;
    let mut bob = cloud.connect_old("bob", "").await;
    let mut carol = cloud.connect("carol", "phone").await.drained().await;
    let create = reqwest::Client::new().put(cloud.url("/v1/groups/team")).bearer_auth(cloud.token("carol"));
    let body = json!({"name": "Team", "users": ["alice", "bob"]}).to_string();
    let created = create.header("content-type", "application/json").body(body).send().await.expect("an answer");
    assert_eq!(created.status(), StatusCode::CREATED);
    for old in [&mut alice, &mut bob] {
        let news = old.frame().await;
        assert_eq!((&news["head"]["contentType"], &news["head"]["from"]), (&json!("NOTIFICATION"), &json!("server")));
        assert_eq!(news["head"]["to"], "team");
    }
    let messages = carol.messages().await;
    carol.ack(&messages).await;
    for user in ["alice", "bob"] {
        cloud.until_pending(user, DEVICE, 0).await;
    }
    alice.acked(v2("a1", "group", "team", "hi all"), "a1").await;
    assert_eq!(bob.told().await, owned(["a1", "alice", "hi all"]));
    assert_eq!(carol.messages().await[0]["to"], json!({"group": "team"}));
    carol.send_message(json!({"id": new_id().to_string(), "to": {"group": "team"}, "body": "hi"})).await;
    assert_eq!([alice.told().await.2, bob.told().await.2], ["hi", "hi"]);
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_the_same() {
    let cloud = patient().await;
    let mut alice = cloud.connect_old("alice", "ack=true").await;
    let frame = v2("a1", "individual", "bob", "hi");
    for _ in 0..3 {
        alice.acked(&frame, "a1").await;
    }
    assert_eq!(cloud.post_old("alice", "", &json!([frame])).await, (201, json!({})));
    alice.acked(v2("a2", "individual", "bob", "last"), "a2").await;
    cloud.until_pending("bob", "*", 2).await;
    let mut bob = cloud.connect_old("bob", "").await;
    assert_eq!([bob.told().await.0, bob.told().await.0], ["a1", "a2"]);
}

#[tokio::test]
async fn an_ack_is_for_one_sender_s_message_in_one_s_own_inbox() {
    let cloud = patient().await;
    let mut bob = cloud.connect_old("bob", "").await;
    let mut other = cloud.connect_old("mallory", "").await;
    for sender in ["alice", "carol"] {
        let mut socket = cloud.connect_old(sender, "ack=true").await;
        socket.acked(v2("m1", "individual", "bob", sender), "m1").await;
        assert_eq!(bob.told().await, owned(["m1", sender, sender]));
    }
    // Whatever it says of who it is from, an ack is of whoever says it.
    other.text(client_ack("m1", "alice").to_string()).await;
    other.text("ping").await;
    assert_eq!(other.raw().await, "pong");
    assert_eq!(cloud.inbox("bob", DEVICE).await.len(), 2);
    bob.text(client_ack("m1", "alice").to_string()).await;
    let left = cloud.until_pending("bob", DEVICE, 1).await;
    assert!(left[0].ends_with("~carol"), "{left:?}");
    let head = json!({"type": "individual", "to": "carol", "contentType": "notification", "action": "state"});
    let receipt = json!({"_v": 2.1, "id": "b1", "head": head, "body": {"ids": ["m1"], "state": "delivered"}});
    bob.text(receipt.to_string()).await;
    cloud.until_pending("bob", DEVICE, 0).await;
    let mut carol = cloud.connect_old("carol", "").await;
    assert_eq!(carol.frame().await["body"]["state"], "delivered", "the receipt is carol's as well");
    cloud.until_pending("carol", DEVICE, 0).await;
}

#[tokio::test]
async fn an_old_client_that_acks_nothing_is_woken_once_and_left_open() {
    let cloud = Deployment::start().await;
    let mut bob = cloud.connect_old("bob", "").await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    let pushes = cloud.until("a wake", async || cloud.pushes("bob").await, |pushes| !pushes.is_empty()).await;
    assert_eq!((&pushes[0]["reason"], &pushes[0]["device"]), (&json!("exhausted"), &json!(DEVICE)));
    for _ in 0..4 {
        assert_eq!(bob.told().await.0, id);
    }
    bob.text("ping").await;
    assert_eq!(bob.raw().await, "pong", "still open");
    assert_eq!(cloud.inbox("bob", DEVICE).await.len(), 1);
    let next = alice.send_to("bob", "next").await;
    assert_eq!(bob.told().await.0, next, "and still told");
    let mut back = cloud.connect_old("bob", "").await;
    // An Await of the other message may be quicker than the drain.
    while back.told().await.0 != id {}
    // The one before it is left alone, or the two would displace each other for ever.
    bob.text("ping").await;
    while bob.raw().await != "pong" {}
}

#[tokio::test]
async fn only_who_is_an_old_client_is_taken_for_one() {
    let cloud = patient().await;
    let token = cloud.token("bob");
    for query in ["", "client=other", "device=", "device=a.b&ack=true", "client=legacy&device=a.b"] {
        assert_eq!(cloud.refusal(query, Some(&token)).await, StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(cloud.refusal("ack=true", None).await, StatusCode::UNAUTHORIZED);
    for query in ["ack=true", "format=binary", "client=legacy", "client=legacy&device=tablet"] {
        let mut bob = Socket::open(cloud.ws(), query, Some(&token)).await.expect("a connection");
        bob.text("ping").await;
        assert_eq!(bob.raw().await, "pong", "{query}");
        for hostile in ["{", "[]", "{}", r#"{"action":"sync"}"#, r#"{"_v":2,"id":"1","head":{"to":"bob","to":"eve"}}"#]
        {
            bob.text(hostile).await;
        }
        bob.text("ping").await;
        assert_eq!(bob.raw().await, "pong", "what cannot be taken is not answered: {query}");
    }
    let mut current = cloud.connect("bob", "phone").await.drained().await;
    current.text("ping").await;
    assert_eq!(current.frame().await["code"], "invalid_frame");
    current.text(v2("b1", "individual", "alice", "hi").to_string()).await;
    assert_eq!(current.frame().await["code"], "unknown_action");
    let mut binary = cloud.connect_old("bob", "format=binary").await;
    binary.binary(vec![0]).await;
    assert_eq!(binary.close_code().await, 1003, "as on AWS");
}

#[tokio::test]
async fn old_messages_are_taken_over_http() {
    let cloud = patient().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let body = json!([v2("a1", "individual", "bob", "one"), 7, v2("a2", "individual", "bob", "two").to_string()]);
    let (status, answer) = cloud.post_old("alice", "?ack=true", &body).await;
    assert_eq!((status, &answer["acks"][0]["id"], &answer["refused"][0]["index"]), (201, &json!("a1"), &json!(1)));
    let second: Value = serde_json::from_str(answer["acks"][1].as_str().expect("a text")).expect("JSON");
    assert_eq!((&second["id"], &second["head"]["contentType"]), (&json!("a2"), &json!("SERVER_ACK")));
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let messages = bob.messages().await;
        bob.ack(&messages).await;
        assert!(messages.iter().all(|message| message["from"] == "alice"));
        texts.extend(messages.iter().map(|message| message["body"]["body"]["text"].clone()));
    }
    texts.sort_by_key(Value::to_string);
    assert_eq!(texts, ["one", "two"]);
    let unauthorized = reqwest::Client::new().post(cloud.url("/v1.0/messages")).body("[]").send().await;
    assert_eq!(unauthorized.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    let (status, error) = cloud.post_old("alice", "", &json!({})).await;
    assert_eq!((status, &error["code"]), (400, &json!("invalid_frame")));
}
