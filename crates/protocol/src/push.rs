//! What a client says of its device: where it can be woken, and the rest. Who pushes there, and how, is not known here.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client_frame::{Fields, each_once};
use crate::limits::{MAX_PUSH_BYTES, MAX_PUSH_TARGETS};
use crate::notices::Notices;

/// What is said of a device when it is made known; what is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Enrolment {
    /// Whether it shows its presence from now on. A new device does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<bool>,
    /// Where it can be woken from now on. A new device has no such place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<Vec<PushTarget>>,
    /// How it wants to be notified from now on. A new device has the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
}

impl Enrolment {
    /// Reads the members of a frame or of the body of a request. Nothing has to be said, and what else there is to say is up to newer
    /// clients.
    ///
    /// # Errors
    /// What the first member that is not as it should be has to be.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, &'static str> {
        let presence =
            fields.typed("presence").map_err(|_| "`presence` is true or false; leave it out to change nothing")?;
        let push = targets(fields)
            .ok_or("`push` is a list of at most 4 push targets, 3 KB together; leave it out to change nothing")?;
        let notices = notices(fields).ok_or(NOTICES_SAYS)?;
        Ok(Self { presence, push, notices })
    }
}

/// An object, each member once. A struct may be read from a list as well, which says nothing to whoever reads it.
fn is_object(raw: &RawValue) -> bool {
    Fields::read(raw.get()).is_ok()
}

/// How the device wants to be notified, if it is said; `None` where what is said is no such thing.
fn notices(fields: &Fields<'_>) -> Option<Option<Notices>> {
    let Some(raw) = fields.typed::<&RawValue>("notices").ok()? else { return Some(None) };
    let members = Fields::read(raw.get()).ok()?;
    let quiet = members.typed::<&RawValue>("quiet").ok()?;
    let is_good = quiet.is_none_or(|quiet| quiet.get().starts_with('"') || is_object(quiet));
    is_good.then(|| serde_json::from_str(raw.get()).ok()).flatten().map(Some)
}

/// What `notices` must be.
const NOTICES_SAYS: &str = "`notices` is {\"preview\": true or false, \"quiet\": \"never\", \"always\" or \
    {\"from\", \"to\": minutes of the day, \"utc_offset\": minutes}}; leave it out to change nothing";

/// The push targets that are named, each once: none where none are, `None` where what is named is no such list.
fn targets(fields: &Fields<'_>) -> Option<Option<Vec<PushTarget>>> {
    let Some(listed) = fields.typed::<Vec<&RawValue>>("push").ok()? else { return Some(None) };
    if listed.len() > MAX_PUSH_TARGETS || !listed.iter().all(|raw| is_object(raw)) {
        return None;
    }
    let read = listed.iter().map(|raw| serde_json::from_str(raw.get()).ok());
    let targets = each_once(read.collect::<Option<Vec<PushTarget>>>()?);
    let bytes = serde_json::to_string(&targets).map_or(usize::MAX, |json| json.len());
    (bytes <= MAX_PUSH_BYTES).then_some(Some(targets))
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
        /// The public key that the browser subscribed with, if it is said. Nobody with another can push to it.
        #[serde(skip_serializing_if = "Option::is_none")]
        vapid: Option<VapidPublicKey>,
    },
}

impl PushTarget {
    /// Where it leads: the service, and what that knows the app or the browser by. Two targets of the same place are the same for whoever
    /// is woken there, whatever else they say. As secret as the target.
    pub fn place(&self) -> (&'static str, Cow<'_, str>) {
        match self {
            Self::Sns { endpoint } => ("sns", endpoint.into()),
            Self::Fcm { token } => ("fcm", token.into()),
            // Hexadecimal digits are read in either case. The token is of one app already, whatever the topic.
            Self::Apns { token, .. } => ("apns", token.to_ascii_lowercase().into()),
            Self::WebPush { endpoint, .. } => ("webpush", endpoint.into()),
        }
    }
}

/// The same before it is judged.
#[derive(Deserialize)]
#[serde(tag = "service", rename_all = "lowercase")]
enum Unjudged {
    Sns { endpoint: String },
    Fcm { token: String },
    Apns { token: String, topic: String },
    WebPush { endpoint: String, p256dh: String, auth: String, vapid: Option<String> },
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
            Unjudged::WebPush { endpoint, p256dh, auth, vapid } => {
                let vapid =
                    vapid.map(|key| key.parse()).transpose().map_err(|InvalidVapidPublicKey| InvalidPushTarget)?;
                let good = is_https(&endpoint) && is_base64url(&p256dh, 87) && is_base64url(&auth, 22);
                (good, Self::WebPush { endpoint, p256dh, auth, vapid })
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

/// What a browser subscribes with (RFC 8292): the public key of a deployment, an uncompressed point of P-256 in base64url without padding.
/// Whether the point lies on the curve is for browsers to find out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct VapidPublicKey(String);

/// What is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no uncompressed point of P-256 in base64url: 87 characters, without padding, that begin with B")]
pub struct InvalidVapidPublicKey;

impl VapidPublicKey {
    /// The key in base64url.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VapidPublicKey {
    type Err = InvalidVapidPublicKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // 65 bytes, the first of them 4; of the last character two bits are left over.
        let good = text.len() == 87
            && is_base64url(text, 87)
            && text.starts_with('B')
            && text[1..].starts_with(|second: char| second.is_ascii_uppercase() && second <= 'P')
            && text.ends_with(|last| "AEIMQUYcgkosw048".contains(last));
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidVapidPublicKey) }
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

/// Without padding, as browsers write it, or with as much as belongs there at most.
fn is_base64url(padded: &str, chars: usize) -> bool {
    let text = padded.trim_end_matches('=');
    let padding = padded.len() - text.len();
    text.len() == chars
        && padding <= (4 - chars % 4) % 4
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8292.
    const KEY: &str = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";

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
            format!(
                r#"{{"service":"webpush","endpoint":"https://push.example/x","p256dh":"{key}","auth":"{auth}","vapid":"{KEY}"}}"#
            ),
        ] {
            let target = read(&json).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(serde_json::to_string(&target).expect("JSON"), json);
            assert!(format!("{target:?}").len() < 8, "{target:?}");
        }
    }

    #[test]
    fn a_vapid_public_key_is_an_uncompressed_point() {
        let key = KEY;
        assert_eq!(key.parse().map(|VapidPublicKey(text)| text).as_deref(), Ok(key));
        let (padded, short, standard) = (format!("{key}="), &key[..86], key.replace('_', "/").replace('-', "+"));
        let (compressed, odd) = (format!("Ag{}", &key[2..]), format!("{short}t"));
        for bad in ["", &padded, short, &standard, &compressed, &odd, &format!("BQ{}", &key[2..]), &"é".repeat(43)] {
            assert_eq!(bad.parse::<VapidPublicKey>(), Err(InvalidVapidPublicKey), "{bad}");
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
        let (p256dh, auth) = (format!("B{}", "x".repeat(86)), "a".repeat(22));
        let under = |vapid: &str| {
            read(&format!(
                r#"{{"service":"webpush","endpoint":"https://a.b/c","p256dh":"{p256dh}","auth":"{auth}","vapid":{vapid}}}"#
            ))
        };
        for (p256dh, auth, good) in [
            (format!("{p256dh}="), format!("{auth}=="), true),
            (format!("{p256dh}=="), auth.clone(), false),
            (p256dh.clone(), format!("{auth}==="), false),
        ] {
            let json =
                format!(r#"{{"service":"webpush","endpoint":"https://a.b/c","p256dh":"{p256dh}","auth":"{auth}"}}"#);
            assert_eq!(read(&json).is_some(), good, "{json}");
        }
        assert!(under(&format!("\"{KEY}\"")).is_some() && under("null").is_some());
        assert!(under("7").is_none() && under("\"\"").is_none() && under(&format!("\"{}\"", &KEY[..86])).is_none());
    }
}
