//! What a client says of its device: where it can be woken, and the rest. Who pushes there, and how, is not known here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::notices::Notices;

/// What is said of a device when it is made known; what is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enrolment {
    /// Whether it shows its presence from now on. A new device does not.
    pub presence: Option<bool>,
    /// Where it can be woken from now on. A new device has no such place.
    pub push: Option<Vec<PushTarget>>,
    /// How it wants to be notified from now on. A new device has the default.
    pub notices: Option<Notices>,
}

/// A way to wake a device. Its tokens are secrets between the device and who pushes: `Debug` shows the service alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "service", rename_all = "lowercase", try_from = "Unjudged")]
pub enum PushTarget {
    /// A platform endpoint of SNS, by its ARN.
    Sns {
        /// `arn:...:sns:...:endpoint/...`, at most 256 bytes.
        endpoint: String,
    },
    /// Firebase Cloud Messaging.
    Fcm {
        /// The registration token: 1-1,024 visible ASCII characters.
        token: String,
    },
    /// Apple's push service.
    Apns {
        /// The device token: an even number of hexadecimal digits, at most 200.
        token: String,
        /// The app's bundle id, 1-255 of `[A-Za-z0-9.-]`.
        topic: String,
    },
    /// A browser's subscription, RFC 8030 and 8291.
    WebPush {
        /// Where to post: an https URL of at most 1,024 bytes.
        endpoint: String,
        /// The browser's public key: 65 bytes in base64url.
        p256dh: String,
        /// The authentication secret: 16 bytes in base64url.
        auth: String,
    },
}

/// The same before it is judged.
#[derive(Deserialize)]
#[serde(tag = "service", rename_all = "lowercase")]
enum Unjudged {
    Sns { endpoint: String },
    Fcm { token: String },
    Apns { token: String, topic: String },
    WebPush { endpoint: String, p256dh: String, auth: String },
}

/// What is no push target. It quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no push target")]
pub struct InvalidPushTarget;

impl TryFrom<Unjudged> for PushTarget {
    type Error = InvalidPushTarget;

    fn try_from(unjudged: Unjudged) -> Result<Self, Self::Error> {
        let (good, target) = match unjudged {
            Unjudged::Sns { endpoint } => (is_endpoint_arn(&endpoint), Self::Sns { endpoint }),
            Unjudged::Fcm { token } => (is_visible(&token, 1_024), Self::Fcm { token }),
            Unjudged::Apns { token, topic } => (is_hex(&token) && is_topic(&topic), Self::Apns { token, topic }),
            Unjudged::WebPush { endpoint, p256dh, auth } => {
                let good = is_https(&endpoint) && is_base64url(&p256dh, 87) && is_base64url(&auth, 22);
                (good, Self::WebPush { endpoint, p256dh, auth })
            }
        };
        if good { Ok(target) } else { Err(InvalidPushTarget) }
    }
}

impl fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sns { .. } => "Sns",
            Self::Fcm { .. } => "Fcm",
            Self::Apns { .. } => "Apns",
            Self::WebPush { .. } => "WebPush",
        })
    }
}

fn is_visible(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_endpoint_arn(text: &str) -> bool {
    is_visible(text, 256) && text.starts_with("arn:") && text.contains(":sns:") && text.contains(":endpoint/")
}

fn is_hex(text: &str) -> bool {
    is_visible(text, 200) && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_topic(text: &str) -> bool {
    is_visible(text, 255) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

fn is_https(text: &str) -> bool {
    is_visible(text, 1_024) && text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
}

/// Without padding, as browsers write it, or with.
fn is_base64url(text: &str, chars: usize) -> bool {
    let text = text.trim_end_matches('=');
    text.len() == chars && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<PushTarget> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_target_is_read_as_it_was_written() {
        let (key, auth) = (format!("B{}", "x".repeat(86)), "a".repeat(22));
        for json in [
            r#"{"service":"sns","endpoint":"arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/app/5e3e9847"}"#.to_owned(),
            r#"{"service":"fcm","token":"dW9:APA91b-_"}"#.to_owned(),
            r#"{"service":"apns","token":"00fc13ad","topic":"com.example.chat"}"#.to_owned(),
            format!(r#"{{"service":"webpush","endpoint":"https://push.example/x","p256dh":"{key}","auth":"{auth}"}}"#),
        ] {
            let target = read(&json).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(serde_json::to_string(&target).expect("JSON"), json);
            assert!(format!("{target:?}").len() < 8, "{target:?}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for json in [
            "7",
            "{}",
            r#"{"service":"pigeon","token":"x"}"#,
            r#"{"service":"fcm"}"#,
            r#"{"service":"fcm","token":""}"#,
            r#"{"service":"fcm","token":"a b"}"#,
            r#"{"service":"apns","token":"00f","topic":"com.example"}"#,
            r#"{"service":"apns","token":"00fc","topic":"com/example"}"#,
            r#"{"service":"sns","endpoint":"arn:aws:sqs:eu-west-1:111122223333:queue"}"#,
            r#"{"service":"webpush","endpoint":"http://push.example","p256dh":"x","auth":"y"}"#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
        assert_eq!(read(&format!(r#"{{"service":"fcm","token":"{}"}}"#, "x".repeat(1_025))), None);
    }
}
