//! The server's clock, which this machine need not share. It is asked by what the server accepts, and never set.

use std::time::Duration;

use serde_json::json;

use crate::deployment::User;
use crate::device::Device;
use crate::poll::POLL_INTERVAL;

/// What time it is, in milliseconds. The question is to nobody: `user`, who asks, lends it the beginning of a name.
pub async fn now(device: &mut Device, user: &User) -> u64 {
    let mut question = user.message("what time is it?");
    question["to"] = json!({"user": format!("{}-nobody", user.id)});
    question["ephemeral"] = true.into();
    device.send(&[question]).await.at
}

/// Waits until it is later than `time`, in milliseconds.
pub async fn until(device: &mut Device, user: &User, time: u64) {
    loop {
        let now = now(device, user).await;
        if now > time {
            return;
        }
        tokio::time::sleep(Duration::from_millis(time - now) + POLL_INTERVAL).await;
    }
}
