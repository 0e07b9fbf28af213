//! A run from start to end: what keeps it from starting, what a shutdown finishes, and what the next start finds.

use local::{LocalError, Options, SigningKey};
use serde_json::json;

use crate::support::{Client, filled, get, in_memory, message_id, options, send, within};

#[tokio::test]
async fn the_json_line_has_exactly_the_documented_keys() {
    let (running, folder) = in_memory().await;
    let line = serde_json::to_value(&running.ready).expect("JSON");
    let mut keys: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["audience", "data", "http", "issuer", "jwks", "ws"]);
    assert_eq!(line["data"], folder.path().to_str().expect("a path"));
    let (ws, http) = (line["ws"].as_str().expect("a text"), line["http"].as_str().expect("a text"));
    assert!(ws.starts_with("ws://127.0.0.1:") && ws.ends_with("/local"), "{ws}");
    assert_eq!(line["jwks"], format!("{http}/.well-known/jwks.json"));
}

#[tokio::test]
async fn a_taken_folder_and_a_taken_port_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = local::start(options(folder.path())).await.expect("a start");
    let error = local::start(options(folder.path())).await.expect_err("the folder is taken");
    assert!(matches!(error, LocalError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    let error = SigningKey::of_issuer(folder.path(), "https://issuer.example").expect_err("the folder is taken");
    assert!(matches!(error, LocalError::Locked { .. }), "{error}");

    let port: u16 = running.ready.http.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let other = tempfile::tempdir().expect("a folder");
    let error = local::start(Options { port, ..options(other.path()) }).await.expect_err("the port is taken");
    assert!(matches!(error, LocalError::AddressTaken { .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_folder_that_was_told_an_issuer_is_served_with_the_tokens_of_that_one() {
    let folder = tempfile::tempdir().expect("a folder");
    SigningKey::of_issuer(folder.path(), "https://issuer.example").expect("a key");
    let running = local::start(options(folder.path())).await.expect("a start");
    assert_eq!(running.ready.issuer, "https://issuer.example");
    Client::connect(&running.ready, "alice", "phone").await;
}

#[tokio::test]
async fn a_shutdown_closes_with_1001_and_tells_what_the_run_did() {
    let (running, _folder) = in_memory().await;
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    let ready = running.ready.clone();
    client.send(send(&message_id(1), "bob")).await;
    client.next_of("accepted").await;
    let shutdown = tokio::spawn(running.shutdown());
    assert_eq!(client.close_code().await, 1001);
    let summary = within("the shutdown", shutdown).await.expect("no panic");
    assert_eq!((summary.accepted, summary.unfinished), (1, 0));
    assert!(summary.dollars_per_million().is_some_and(|dollars| dollars > 0.0));
    // The authorizer and `$connect` at its start, `$disconnect` at its end.
    assert_eq!(summary.report.requests("connect"), 3);
    assert!(within("a refusal", reqwest::get(ready.http)).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart_and_reaches_its_device() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = local::start(options(folder.path())).await.expect("a start");
    let mut alice = Client::connect(&running.ready, "alice", "phone").await;
    let id = message_id(2);
    alice.send(send(&id, "bob")).await;
    assert_eq!(alice.next_of("accepted").await["ids"], json!([id]));
    let pending = filled(&running, "/_local/inbox/bob/*").await;
    assert_eq!(pending, json!([format!("{id}~alice~*")]));
    let pushes = filled(&running, "/_local/pushes").await;
    within("the shutdown", running.shutdown()).await;

    let running = local::start(options(folder.path())).await.expect("another start");
    assert_eq!(get(&running, "/_local/inbox/bob/*").await, pending);
    assert_eq!(get(&running, "/_local/pushes").await, pushes);
    let mut bob = Client::connect(&running.ready, "bob", "phone").await;
    let reference = bob.next_of("messages").await["messages"][0]["ref"].clone();
    assert_eq!(json!([reference]), pending);
    bob.send(json!({"action": "ack", "refs": [reference]}).to_string()).await;
    bob.send(r#"{"action":"sync"}"#).await;
    assert_eq!(bob.next_of("messages").await["messages"], json!([]));
}

#[tokio::test]
async fn a_message_reaches_a_connected_device_and_goes_with_its_ack() {
    let (running, _folder) = in_memory().await;
    let mut bob = Client::connect(&running.ready, "bob", "phone").await;
    bob.next_of("drained").await;
    let mut alice = Client::connect(&running.ready, "alice", "phone").await;
    let id = message_id(3);
    alice.send(send(&id, "bob")).await;
    let message = bob.next_of("messages").await["messages"][0].clone();
    assert_eq!((&message["id"], &message["from"], &message["body"]), (&json!(id), &json!("alice"), &json!("hi")));
    assert_eq!(get(&running, "/_local/inbox/bob/phone").await, json!([message["ref"]]));
    assert_eq!(get(&running, "/_local/inbox/bob/*").await, json!([]));
    bob.send(json!({"action": "ack", "refs": [message["ref"]]}).to_string()).await;
    bob.send(r#"{"action":"ping"}"#).await;
    bob.next_of("pong").await;
    assert_eq!(get(&running, "/_local/inbox/bob/phone").await, json!([]));
}
