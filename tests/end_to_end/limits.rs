//! What API Gateway closes a socket for, and what it does not.

use serde_json::json;

use crate::deployment::{Deployment, new_id};

fn frame_of(bytes: usize) -> String {
    let frame = json!({"action": "ping", "padding": ""}).to_string();
    let padding = "x".repeat(bytes - frame.len());
    json!({"action": "ping", "padding": padding}).to_string()
}

#[tokio::test]
async fn a_frame_over_32_kb_is_closed_with_1009() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    alice.text(frame_of(32 * 1024)).await;
    assert_eq!(alice.frame().await["type"], "pong");
    alice.text(frame_of(33 * 1024)).await;
    assert_eq!(alice.close_code().await, 1009);
}

#[tokio::test]
async fn a_message_over_128_kb_is_closed_with_1009() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    alice.fragments(&frame_of(128 * 1024), 16 * 1024).await;
    assert_eq!(alice.frame().await["type"], "pong");
    alice.fragments(&frame_of(129 * 1024), 16 * 1024).await;
    assert_eq!(alice.close_code().await, 1009);
}

#[tokio::test]
async fn a_binary_message_is_closed_with_1003() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    alice.binary(b"{}".to_vec()).await;
    assert_eq!(alice.close_code().await, 1003);
}

#[tokio::test]
async fn a_closed_socket_leaves_its_device_reachable_again() {
    let cloud = Deployment::start().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    bob.binary(b"{}".to_vec()).await;
    bob.close_code().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "hi").await;
    let mut bob = cloud.connect("bob", "phone").await;
    assert_eq!(bob.messages().await[0]["id"], json!(id));
    assert_ne!(id, new_id().to_string());
}
