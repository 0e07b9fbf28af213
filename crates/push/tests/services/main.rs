//! Pushes over real connections to servers that stand in for the services, and what their answers come to. They know
//! just enough to be sent to; what a service would check of a request is checked by the tests.

mod apns;
mod credentials;
mod fcm;
mod sns;
mod stand_in;
mod web_push;

use std::time::Duration;

use delivery::{Notice, Preview};
use protocol::{Body, Recipient, Timestamp, Urgency};

/// A whole half hour, which tokens of APNs are made of.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn notice() -> Notice {
    Notice {
        user: "bob".parse().expect("a user"),
        id: "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id"),
        conversation: Some(Recipient::User("alice".parse().expect("a user"))),
        badge: 2,
        preview: Some(Preview { from: "alice".parse().expect("a sender"), body: Body::text("hi") }),
        urgency: Urgency::Urgent,
        takes_back: false,
        collapse: "c-alice".to_owned(),
        expires_at: after(600),
    }
}

const CONTENT: &str = r#"{"user":"bob","id":"0198a5c0-7c00-7abc-8def-0123456789ab","conversation":{"user":"alice"},"badge":2,"kind":"message","preview":{"from":"alice","body":"hi"}}"#;
