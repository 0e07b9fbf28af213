//! What a gateway closes a connection for, and what it just carries. localstack/README.md: "No limit of sizes" and "A binary frame is taken
//! as text", so none of these runs against MiniStack.

use blackbox::{DEADLINE, Deployment, Device, Ended, Frame};
use serde_json::json;

const KB: usize = 1_024;

/// A `ping` of so many bytes.
fn ping_of(bytes: usize) -> String {
    let ping = |padding: &str| json!({"action": "ping", "padding": padding}).to_string();
    ping(&"x".repeat(bytes - ping("").len()))
}

async fn pong(device: &mut Device) {
    device.frame("a pong", |frame| matches!(frame, Frame::Pong {})).await;
}

async fn code(device: &mut Device) -> Ended {
    device.end("the connection to be closed", DEADLINE).await.0
}

pub(crate) async fn a_frame_over_32_kb_is_closed_with_1009(cloud: &Deployment) {
    let mut phone = cloud.user("alice").await.online("phone").await;
    phone.socket().text(ping_of(32 * KB)).await;
    pong(&mut phone).await;
    phone.socket().text(ping_of(33 * KB)).await;
    assert_eq!(code(&mut phone).await, Ended::Closed(Some(1009)));
}

pub(crate) async fn a_message_over_128_kb_is_closed_with_1009(cloud: &Deployment) {
    let mut phone = cloud.user("alice").await.online("phone").await;
    phone.socket().fragments(&ping_of(128 * KB), 16 * KB).await;
    pong(&mut phone).await;
    phone.socket().fragments(&ping_of(129 * KB), 16 * KB).await;
    assert_eq!(code(&mut phone).await, Ended::Closed(Some(1009)));
}

pub(crate) async fn a_binary_message_is_closed_with_1003(cloud: &Deployment) {
    let mut phone = cloud.user("alice").await.online("phone").await;
    phone.socket().binary(br#"{"action":"ping"}"#.to_vec()).await;
    assert_eq!(code(&mut phone).await, Ended::Closed(Some(1003)));
}
