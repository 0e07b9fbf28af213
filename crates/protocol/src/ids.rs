//! Who and what: users, devices, groups, messages, attachments, recipients. Every value of these types is well formed; a string
//! from outside becomes one by parsing, or not at all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use crate::limits::{MAX_DEVICE_ID_BYTES, MAX_GROUP_NAME_CHARS, MAX_USER_ID_BYTES};
use crate::text::identifier;
use crate::time::Timestamp;

/// A string that is not the identifier it was read as; the text says what one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub(crate) &'static str);

identifier!(
    /// A user: the `sub` of a token, 1-128 of `[A-Za-z0-9._:@+=|-]`.
    UserId,
    MAX_USER_ID_BYTES,
    b"._:@+=|-",
    "a user id is 1-128 of [A-Za-z0-9._:@+=|-]"
);

identifier!(
    /// A device of a user: a random name that the client made and keeps, 1-64 of `[A-Za-z0-9_-]`.
    DeviceId,
    MAX_DEVICE_ID_BYTES,
    b"_-",
    "a device id is 1-64 of [A-Za-z0-9_-]"
);

identifier!(
    /// A group of users, 1-128 of the alphabet of users.
    GroupId,
    MAX_USER_ID_BYTES,
    b"._:@+=|-",
    "a group id is 1-128 of [A-Za-z0-9._:@+=|-]"
);

/// What the members call a group: 1 to 128 characters, not all of them blank, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

impl GroupName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for GroupName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = text.chars().count() <= MAX_GROUP_NAME_CHARS;
        if fits && !text.trim().is_empty() && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidId("a group's name is 1-128 characters, none of them a control character"))
        }
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0
    }
}

/// A message: the UUIDv7 that its sender's client made. It is the idempotency key and the order of messages.
///
/// Text is the hyphenated form. Upper case is read and lower case is written, so that the byte order of the text is the
/// order in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(Uuid);

/// Bytes of a message id as text.
pub(crate) const MESSAGE_ID_BYTES: usize = 36;

impl MessageId {
    /// Takes a UUID if it is of version 7.
    pub fn new(uuid: Uuid) -> Option<Self> {
        (uuid.get_version_num() == 7 && uuid.get_variant() == Variant::RFC4122).then_some(Self(uuid))
    }

    /// An id of a message that is made at `at`. It is unguessable if `random` is.
    pub fn made(at: Timestamp, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(at.as_millis(), random).into_uuid())
    }

    /// The time part of the id.
    pub fn timestamp(&self) -> Timestamp {
        let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
        Timestamp::from_millis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The length rules out the braced, URN and bare forms, which would give one message several spellings.
        let uuid = if text.len() == MESSAGE_ID_BYTES { Uuid::try_parse(text).ok() } else { None };
        uuid.and_then(Self::new).ok_or(InvalidId("a message id is a hyphenated UUID of version 7"))
    }
}

impl TryFrom<String> for MessageId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// An attachment: 128 random bits that the server drew, so that nobody can guess one.
///
/// Text is 32 hexadecimal digits in lower case, so that it may be the name of a file wherever it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttachmentId(u128);

/// Bytes of an attachment id as text.
const ATTACHMENT_ID_BYTES: usize = 32;

impl AttachmentId {
    /// The id of these bits.
    pub const fn new(random: u128) -> Self {
        Self(random)
    }
}

impl FromStr for AttachmentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_id = text.len() == ATTACHMENT_ID_BYTES && text.bytes().all(is_digit);
        let id = if is_id { u128::from_str_radix(text, 16).ok() } else { None };
        id.map(Self).ok_or(InvalidId("an attachment id is 32 hexadecimal digits in lower case"))
    }
}

impl TryFrom<String> for AttachmentId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AttachmentId> for String {
    fn from(id: AttachmentId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Who a message is from: a user, or Vartalap itself, whose name `~system` no user can have.
///
/// Users come before the system, as their texts do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Sender {
    /// A user, by the authorizer's word.
    User(UserId),
    /// Vartalap: news about a group.
    System,
}

/// The text of [`Sender::System`]; `~` is outside the alphabet of users.
const SYSTEM: &str = "~system";

impl Sender {
    /// The user, unless it is the system.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::System => None,
        }
    }

    /// The sender as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(user) => user.as_str(),
            Self::System => SYSTEM,
        }
    }
}

impl From<UserId> for Sender {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl FromStr for Sender {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == SYSTEM { Ok(Self::System) } else { text.parse().map(Self::User) }
    }
}

impl TryFrom<String> for Sender {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sender> for String {
    fn from(sender: Sender) -> Self {
        sender.as_str().to_owned()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom a message is for, as its sender wrote it: `{"user": U}` or `{"group": G}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipient {
    /// One user, on every device.
    User(UserId),
    /// Every member of a group but the sender.
    Group(GroupId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_keeps_to_its_alphabet() {
        for good in ["a", "alice", "auth0|5f7c", "a.b:c@d+e=f-g_", &"x".repeat(128)] {
            assert!(good.parse::<UserId>().is_ok(), "{good}");
        }
        for bad in ["", "a#b", "a~b", "a*", "a b", "a/b", "ä", &"x".repeat(129)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_vartalap_is_the_system() {
        let (alice, system): (Sender, Sender) =
            ("alice".parse().expect("a sender"), "~system".parse().expect("a sender"));
        assert_eq!((alice.user().map(UserId::as_str), system.user()), (Some("alice"), None));
        assert!(alice < system && alice.as_str() < system.as_str());
        assert!("~system".parse::<UserId>().is_err() && "~other".parse::<Sender>().is_err());
    }

    #[test]
    fn an_attachment_id_has_one_spelling() {
        for text in ["00000000000000000000000000000000", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"] {
            assert_eq!(text.parse::<AttachmentId>().expect("an id").to_string(), text);
        }
        let long = "0".repeat(33);
        for bad in ["", "0", "+f1e2d3c4b5a69788796a5b4c3d2e1f0", "0F1E2D3C4B5A69788796A5B4C3D2E1F0", &long] {
            assert!(bad.parse::<AttachmentId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_message_id_is_a_hyphenated_uuid_of_version_7() {
        let id: MessageId = "0198A5C0-7C00-7ABC-8DEF-0123456789AB".parse().expect("upper case is read");
        assert_eq!(id.to_string(), "0198a5c0-7c00-7abc-8def-0123456789ab");
        assert_eq!(id.timestamp(), Timestamp::from_millis(0x0198_a5c0_7c00));
        for bad in [
            "",
            "0198a5c0-7c00-4abc-8def-0123456789ab",
            "0198a5c0-7c00-7abc-0def-0123456789ab",
            "0198a5c07c007abc8def0123456789ab",
            "{0198a5c0-7c00-7abc-8def-0123456789ab}",
            "0198a5c0-7c00-7abc-8def-0123456789ag",
        ] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad}");
        }
    }
}
