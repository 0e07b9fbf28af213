//! What the services have taken, as the app on the device would have it. It forgets the oldest beyond a bound.

use std::collections::VecDeque;

use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// How many pushes are kept. A local cloud may run for days.
const KEPT: usize = 10_000;

/// A push service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Firebase Cloud Messaging.
    Fcm,
    /// Apple's push service.
    Apns,
    /// Web Push.
    WebPush,
}

/// A push that a service took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Received {
    /// Which service.
    pub service: Service,
    /// To whom: a registration token, a device token, or the endpoint of a subscription.
    pub target: String,
    /// What the app is told: of FCM the JSON in `data.vartalap`, of APNs `vartalap`, of Web Push the decrypted body. Null if there is none.
    pub content: Value,
    /// All of it: FCM's `message`, APNs' payload, and of Web Push the decrypted body again.
    pub message: Value,
    /// What a later push of the same takes the place of: `android.collapse_key`, `apns-collapse-id`, `Topic`.
    pub collapse: Option<String>,
    /// How urgent, in the words of the service: `high` or `normal`; `10`, `5` or `1`; `high`, `normal`, `low` or `very-low`.
    pub priority: String,
    /// APNs' `apns-push-type`.
    pub push_type: Option<String>,
    /// For how long it is to be kept for the device, in seconds. APNs is told an end instead; this is from `at` until then.
    pub ttl: Option<u64>,
    /// When.
    pub at: Timestamp,
}

/// Everything received, oldest first.
#[derive(Debug)]
pub(crate) struct Log(watch::Sender<VecDeque<Received>>);

impl Log {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(VecDeque::new()))
    }

    pub(crate) fn add(&self, push: Received) {
        self.0.send_modify(|log| {
            if log.len() == KEPT {
                log.pop_front();
            }
            log.push_back(push);
        });
    }

    pub(crate) fn all(&self) -> Vec<Received> {
        self.0.borrow().iter().cloned().collect()
    }

    /// All of them, once there are `count`.
    pub(crate) async fn at_least(&self, count: usize) -> Vec<Received> {
        let mut log = self.0.subscribe();
        let all = log.wait_for(|log| log.len() >= count).await.expect("the log outlives its readers");
        all.iter().cloned().collect()
    }
}
