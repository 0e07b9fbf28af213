//! The front door as a client meets it: who is let in, which frames are taken, where they go, and when a socket is closed.

use std::time::Duration;

use local::{Limits, Options, SigningKey};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::{Client, get, in_memory, options, refusal, token, within};

const KIB: usize = 1024;

#[tokio::test]
async fn who_has_no_good_token_is_answered_401() {
    let (running, _folder) = in_memory().await;
    let url = format!("{}?device=phone", running.ready.ws);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let other_key = SigningKey::load_or_create(elsewhere.path()).expect("a key");
    let (alice, now) = ("alice".parse().expect("a user"), lambda::start::invocation().now);
    let hour = Duration::from_secs(3600);
    let forged = other_key.token(&alice, hour, now).expect("a token");
    let key = SigningKey::load_or_create(&running.ready.data).expect("a key");
    let expired = key.token(&alice, hour, now.minus(2 * hour)).expect("a token");
    for bad in [None, Some("nonsense"), Some(forged.as_str()), Some(expired.as_str())] {
        let (status, body) = refusal(&url, bad).await;
        assert_eq!((status, body.as_str()), (401, r#"{"message":"Unauthorized"}"#));
    }
}

#[tokio::test]
async fn who_names_no_device_is_answered_400_by_the_function() {
    let (running, _folder) = in_memory().await;
    let token = token(&running.ready, "alice");
    for url in [running.ready.ws.clone(), format!("{}?device=no%20good", running.ready.ws)] {
        let (status, body) = refusal(&url, Some(&token)).await;
        assert_eq!(status, 400);
        assert!(body.contains("device"), "{body}");
    }
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_refused() {
    let (running, _folder) = in_memory().await;
    let url = format!("{}/local?device=phone", running.ready.http);
    let response = within("an answer", reqwest::get(url)).await.expect("an answer");
    assert!(response.status().is_client_error(), "{}", response.status());
}

#[tokio::test]
async fn a_binary_frame_closes_with_1003() {
    let (running, _folder) = in_memory().await;
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    client.send(Message::Binary(vec![1].into())).await;
    assert_eq!(client.close_code().await, 1003);
}

#[tokio::test]
async fn a_text_that_is_not_utf8_closes_with_1007() {
    let (running, _folder) = in_memory().await;
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    client.send(Message::Frame(Frame::message(vec![0xff], OpCode::Data(Data::Text), true))).await;
    assert_eq!(client.close_code().await, 1007);
}

#[tokio::test]
async fn a_frame_over_32_kib_closes_with_1009() {
    let (running, _folder) = in_memory().await;
    // The largest is far beyond every buffer on the way, so most of it is unread when the close is sent. It is taken all the same:
    // a reset would fail this send, and in other clients hide the close.
    for bytes in [32 * KIB + 1, 33 * KIB, 4 * 1024 * KIB] {
        let mut client = Client::connect(&running.ready, "alice", "phone").await;
        client.send("x".repeat(bytes)).await;
        assert_eq!(client.close_code().await, 1009, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_message_over_128_kib_closes_with_1009_however_small_its_frames() {
    let (running, _folder) = in_memory().await;
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    client.send_in_frames(&"x".repeat(129 * KIB), KIB).await;
    assert_eq!(client.close_code().await, 1009);
}

#[tokio::test]
async fn a_message_of_several_frames_may_be_longer_than_one_frame() {
    let (running, _folder) = in_memory().await;
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    let text = json!({"action": "ping", "nonce": "n", "padding": "x".repeat(120 * KIB)}).to_string();
    client.send_in_frames(&text, 32 * KIB).await;
    assert_eq!(client.next_of("pong").await, json!({"type": "pong", "nonce": "n"}));
}

#[tokio::test]
async fn frames_are_routed_by_their_action() {
    let (running, _folder) = in_memory().await;
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    assert_eq!(client.next_of("drained").await["type"], "drained");
    for (frame, answer, value) in [
        (r#"{"action":"ping","nonce":"a"}"#, "nonce", json!("a")),
        (r#"{"action":"sync","nonce":"b"}"#, "more", json!(false)),
        (r#"{"action":"send","nonce":"c"}"#, "code", json!("invalid_frame")),
        (r#"{"action":"fly","nonce":"d"}"#, "code", json!("unknown_action")),
        ("not JSON", "code", json!("invalid_frame")),
        (r#"["send"]"#, "code", json!("invalid_frame")),
    ] {
        client.send(frame).await;
        assert_eq!(client.next().await[answer], value, "{frame}");
    }
    // A good ack is not answered: the next frame is the answer to what came after it.
    client.send(r#"{"action":"ack","refs":["0198a5c0-7c00-7abc-8def-0123456789ab~bob"]}"#).await;
    client.send(r#"{"action":"ping","nonce":"e"}"#).await;
    assert_eq!(client.next().await, json!({"type": "pong", "nonce": "e"}));
    let meter = get(&running, "/_local/meter").await;
    let requests = |operation: &str| {
        let lines = meter["lines"].as_array().expect("lines").iter();
        lines.filter(|line| line["operation"] == operation).filter_map(|line| line["requests"].as_u64()).sum::<u64>()
    };
    assert_eq!((requests("FrameReceived"), requests("route")), (8, 6), "a ping invokes no function");
}

#[tokio::test]
async fn a_newer_connection_of_a_device_displaces_the_older() {
    let (running, _folder) = in_memory().await;
    let mut older = Client::connect(&running.ready, "alice", "phone").await;
    older.next_of("drained").await;
    let mut newer = Client::connect(&running.ready, "alice", "phone").await;
    assert_eq!(older.next_of("error").await["code"], "displaced");
    assert_eq!(older.close_code().await, 1000);
    newer.next_of("drained").await;
}

#[tokio::test]
async fn an_idle_connection_and_an_old_one_are_closed_with_1001() {
    let folder = tempfile::tempdir().expect("a folder");
    let short = Duration::from_millis(300);
    for limits in
        [Limits { idle: short, ..Limits::default() }, Limits { connection_lifetime: short, ..Limits::default() }]
    {
        let told = Options { memory: true, limits, ..options(folder.path()) };
        let running = local::start(told).await.expect("a start");
        let mut client = Client::connect(&running.ready, "alice", "phone").await;
        assert_eq!(client.close_code().await, 1001);
    }
}

#[tokio::test]
async fn what_is_inside_is_shown() {
    let (running, _folder) = in_memory().await;
    assert_eq!(get(&running, "/healthz").await, json!({"ok": true}));
    assert_eq!(get(&running, "/_local/pushes").await, json!([]));
    assert_eq!(get(&running, "/_local/inbox/bob/phone").await, json!([]));
    assert_eq!(get(&running, "/_local/dead-letters").await, json!([]));
    assert_eq!(get(&running, "/_local/inbox/auth0%7Cbob/*").await, json!([]));
    assert_eq!(get(&running, "/.well-known/jwks.json").await["keys"][0]["alg"], "ES256");
    for bad in ["b%20b/phone", "bob/p.hone"] {
        let url = format!("{}/_local/inbox/{bad}", running.ready.http);
        assert_eq!(within("an answer", reqwest::get(url)).await.expect("an answer").status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn what_is_inside_is_closed_to_web_pages() {
    let (running, _folder) = in_memory().await;
    let base = running.ready.http.as_str();
    let address = base.trim_start_matches("http://");
    let port = address.rsplit(':').next().expect("a port");
    let (by_name, rebound) = (format!("localhost:{port}"), format!("evil.example:{port}"));
    let (own, named) = (format!("http://{address}"), format!("http://{by_name}"));
    for (host, origin, status) in [
        (address, None, 200),
        (address, Some(own.as_str()), 200),
        (&by_name, Some(&named), 200),
        ("localhost:1", None, 200),
        ("[::1]:1", None, 200),
        (address, Some("http://evil.example"), 403),
        (address, Some("http://localhost:3000"), 403),
        (address, Some("null"), 403),
        (&rebound, None, 403),
        (&rebound, Some(&format!("http://{rebound}")), 403),
    ] {
        let answers = inside(base, host, origin).await;
        assert!(answers.iter().all(|(answered, _)| *answered == status), "{host} {origin:?}: {answers:?}");
        assert!(status != 403 || answers.iter().all(|(_, text)| text.starts_with("/_local")), "{answers:?}");
    }
    // What is for everybody stays so.
    let client = reqwest::Client::new();
    let health = client.get(format!("{base}/healthz")).header("host", rebound).header("origin", "http://evil.example");
    assert_eq!(within("an answer", health.send()).await.expect("an answer").status(), 200);
}

/// What everything under `/_local` answers to a request with this host and origin, with the content type that a page may send
/// without asking.
async fn inside(base: &str, host: &str, origin: Option<&str>) -> Vec<(u16, String)> {
    let client = reqwest::Client::new();
    let reads = ["pushes", "push", "push/received", "inbox/bob/phone", "dead-letters", "meter", "faults"]
        .map(|path| client.get(format!("{base}/_local/{path}")));
    let writes = [
        ("faults", "{}"),
        ("dead-letters/redrive", r#"{"ids":[]}"#),
        ("push/targets", r#"{"service":"webpush"}"#),
        ("push/faults", r#"{"service":"fcm","fault":"none"}"#),
    ];
    let writes = writes.map(|(path, body)| {
        client.post(format!("{base}/_local/{path}")).header("content-type", "text/plain").body(body)
    });
    let mut answers = Vec::new();
    for mut request in reads.into_iter().chain(writes) {
        request = request.header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = within("an answer", request.send()).await.expect("an answer");
        // Nothing to say is said by 204.
        let status = if response.status().is_success() { 200 } else { response.status().as_u16() };
        answers.push((status, within("a text", response.text()).await.expect("a text")));
    }
    answers
}
