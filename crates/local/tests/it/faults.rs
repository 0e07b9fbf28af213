//! The switchboard, and what the system makes of each fault: an answer, a duplicate, a delay, and never a loss.

use std::time::Duration;

use local::{Limits, Options};

use crate::support::{Client, change_faults, filled, get, in_memory, message_id, options, send};

#[tokio::test]
async fn an_invocation_that_crashes_is_answered_as_api_gateway_would() {
    let (running, _folder) = in_memory().await;
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    assert_eq!(client.next_of("drained").await["type"], "drained");
    let answer = change_faults(&running, r#"{"crash":2}"#).await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.expect("a text").contains("0.0 to 1.0"));
    assert_eq!(change_faults(&running, r#"{"crash":1}"#).await.status(), 200);
    assert_eq!(get(&running, "/_local/faults").await["crash"], 1.0);
    // Some invocations end before they would crash.
    let answer = loop {
        client.send(r#"{"action":"sync"}"#).await;
        let answer = client.next().await;
        if answer.get("type").is_none() {
            break answer;
        }
    };
    assert_eq!(answer["message"], "Internal server error");
    assert!(answer["connectionId"].is_string() && answer["requestId"].is_string(), "{answer}");
}

#[tokio::test]
async fn an_invocation_that_takes_too_long_is_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { function_timeout: Duration::from_secs(2), ..Limits::default() };
    let running = local::start(Options { memory: true, limits, ..options(folder.path()) }).await.expect("a start");
    let mut client = Client::connect(&running.ready, "alice", "phone").await;
    client.next_of("drained").await;
    change_faults(&running, r#"{"delay_posts":{"rate":1,"ms":60000}}"#).await;
    // What is wrong with an ack is posted, and this post would take a minute.
    client.send(r#"{"action":"ack","refs":["no ref"]}"#).await;
    assert_eq!(client.next().await["message"], "Internal server error");
}

#[tokio::test]
async fn a_record_whose_invocation_crashed_comes_again_when_its_visibility_timeout_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { visibility: Duration::from_secs(1), ..Limits::default() };
    let running = local::start(Options { memory: true, limits, ..options(folder.path()) }).await.expect("a start");
    let mut bob = Client::connect(&running.ready, "bob", "phone").await;
    bob.next_of("drained").await;
    let mut alice = Client::connect(&running.ready, "alice", "phone").await;
    alice.next_of("drained").await;
    change_faults(&running, r#"{"crash":1}"#).await;
    let id = message_id(11);
    loop {
        alice.send(send(&id, "bob")).await;
        if alice.next().await["type"] == "accepted" {
            break;
        }
    }
    change_faults(&running, r#"{"crash":0}"#).await;
    assert_eq!(bob.next_of("messages").await["messages"][0]["id"], id);
}

#[tokio::test]
async fn a_duplicated_record_is_delivered_twice() {
    let (running, _folder) = in_memory().await;
    let mut bob = Client::connect(&running.ready, "bob", "phone").await;
    bob.next_of("drained").await;
    let mut alice = Client::connect(&running.ready, "alice", "phone").await;
    change_faults(&running, r#"{"duplicate_records":1}"#).await;
    let id = message_id(12);
    alice.send(send(&id, "bob")).await;
    for _ in 0..2 {
        let message = bob.next_of("messages").await["messages"][0].clone();
        assert_eq!((message["id"].as_str(), message["attempt"].as_u64()), (Some(id.as_str()), Some(1)));
    }
}

#[tokio::test]
async fn a_dropped_post_is_made_up_for_by_the_next_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Options { memory: true, waits: "1,1".parse().expect("waits"), ..options(folder.path()) };
    let running = local::start(told).await.expect("a start");
    let mut bob = Client::connect(&running.ready, "bob", "phone").await;
    bob.next_of("drained").await;
    let mut alice = Client::connect(&running.ready, "alice", "phone").await;
    change_faults(&running, r#"{"drop_posts":1}"#).await;
    alice.send(send(&message_id(13), "bob")).await;
    alice.next_of("accepted").await;
    filled(&running, "/_local/inbox/bob/phone").await;
    change_faults(&running, r#"{"drop_posts":0}"#).await;
    assert!(bob.next_of("messages").await["messages"][0]["attempt"].as_u64() >= Some(1));
}
