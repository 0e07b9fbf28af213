//! The ids that old clients make, and the message ids that are made of them. It reads no clock: times are arguments.

use std::fmt;
use std::ops::RangeInclusive;

use protocol::{MessageId, Timestamp, UserId};
use sha2::{Digest, Sha256};
use uuid::Builder;

/// Longest id that a client may make, in bytes. The ids of known clients have up to 50; a UUID has 36.
pub const MAX_CLIENT_ID_BYTES: usize = 128;

/// A message's name in the words of an old client: any text of 1 to [`MAX_CLIENT_ID_BYTES`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// Takes a text of 1 to [`MAX_CLIENT_ID_BYTES`] bytes.
    pub fn new(text: String) -> Option<Self> {
        (1..=MAX_CLIENT_ID_BYTES).contains(&text.len()).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message of a client that makes message ids is known to old clients by that.
impl From<MessageId> for ClientId {
    fn from(id: MessageId) -> Self {
        Self(id.to_string())
    }
}

/// Latest time that fits into an id: its time part has 48 bits.
const MAX_MILLIS: u64 = (1 << 48) - 1;

/// What is hashed begins with this, so that no hash of anything else is ever one of these.
const DOMAIN: &[u8] = b"vartalap legacy message id\0";

/// The message id of what `sender`'s client calls `id`, with `at` as its time part.
///
/// The same arguments always give the same id, and the random part is a hash of sender and client id alone. So a message that is
/// sent again has its id again if the caller knows its time again: from [`time_in`] or
/// [`made_at`](crate::LegacyMessage::made_at), or from memory. A time later than what fits is taken as the latest that does.
pub fn message_id(sender: &UserId, id: &ClientId, at: Timestamp) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(sender.as_str());
    // No user id has this byte, so two different pairs are never one text.
    hash.update([0]);
    hash.update(id.as_str());
    let mut random = [0; 10];
    random.copy_from_slice(&hash.finalize()[..10]);
    let uuid = Builder::from_unix_timestamp_millis(at.as_millis().min(MAX_MILLIS), &random).into_uuid();
    MessageId::new(uuid).expect("the builder makes version 7")
}

/// Digits of a time in milliseconds, from 2001 to 2286.
const TIME_DIGITS: usize = 13;

/// How many digits may be a time and a counter after it. Clients count in a process's life: ten digits are plenty, and a
/// longer number is something else.
const DIGITS: RangeInclusive<usize> = TIME_DIGITS..=TIME_DIGITS + 10;

/// The time that `sender`'s client seems to have written into `id`: 13 digits that follow the sender's name or another text that
/// ends in no digit, and a counter of up to ten digits after them, as in `alice17000000000007`.
///
/// It is a guess. Whether it is a time at which a message may be made is for the caller to say.
pub fn time_in(id: &ClientId, sender: &UserId) -> Option<Timestamp> {
    // A name may end in digits or be nothing else: telephone numbers are.
    if let Some(rest) = id.as_str().strip_prefix(sender.as_str())
        && let Some(time) = time_at(rest)
    {
        return Some(time);
    }
    let text = id.as_str();
    let starts = text.char_indices().filter(|(_, c)| !c.is_ascii_digit()).map(|(at, c)| at + c.len_utf8());
    starts.filter_map(|start| time_at(&text[start..])).next()
}

/// The time in the digits that `text` begins with.
fn time_at(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !DIGITS.contains(&digits) || text.starts_with('0') {
        return None;
    }
    text[..TIME_DIGITS].parse().ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().expect("a user")
    }

    fn id(text: &str) -> ClientId {
        ClientId::new(text.to_owned()).expect("an id")
    }

    #[test]
    fn an_id_has_1_to_128_bytes() {
        assert!(ClientId::new("x".repeat(128)).is_some() && ClientId::new("é~ \n".to_owned()).is_some());
        assert!(ClientId::new(String::new()).is_none());
        assert!(ClientId::new("x".repeat(129)).is_none() && ClientId::new("é".repeat(65)).is_none());
    }

    #[test]
    fn a_message_id_is_a_function_of_its_arguments() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let one = message_id(&user("alice"), &id("alice17000000000001"), at);
        // Pinned: ids that were given out must be found again by later versions.
        assert_eq!(one.to_string(), "018bcfe5-6800-72db-a94b-a501195cbd61");
        assert_eq!(one, message_id(&user("alice"), &id("alice17000000000001"), at));
        assert_eq!(one.timestamp(), at);
        assert_ne!(one, message_id(&user("alic"), &id("ealice17000000000001"), at));
        assert_ne!(one, message_id(&user("bob"), &id("alice17000000000001"), at));
        assert_ne!(one, message_id(&user("alice"), &id("alice17000000000002"), at));
        let later =
            message_id(&user("alice"), &id("alice17000000000001"), at.plus(std::time::Duration::from_millis(1)));
        assert_eq!(one.to_string()[14..], later.to_string()[14..], "only the time differs");
        assert!(one < later);
    }

    #[test]
    fn any_time_makes_a_uuid_of_version_7() {
        for at in [0, 1, MAX_MILLIS, MAX_MILLIS + 1, u64::MAX] {
            let made = message_id(&user("alice"), &id("x"), Timestamp::from_millis(at));
            assert_eq!(made.to_string().parse::<MessageId>(), Ok(made));
            assert_eq!(made.timestamp().as_millis(), at.min(MAX_MILLIS));
        }
    }

    #[test]
    fn a_time_is_found_where_a_client_writes_one() {
        let some = Some(Timestamp::from_millis(1_700_000_000_000));
        for (text, sender, expected) in [
            ("alice1700000000000", "alice", some),
            ("alice17000000000007", "alice", some),
            ("alice17000000000001234567890", "alice", some),
            ("alice21700000000000", "alice2", some),
            ("91987654321017000000000001", "919876543210", some),
            ("1700000000000", "bob", None),
            ("msg-1700000000000-3", "bob", some),
            ("1-1700000000000", "bob", some),
            ("é1700000000000", "bob", some),
            ("alice170000000000012345678901", "bob", None),
            ("alice0700000000000", "alice", None),
            ("alice170000000000", "alice", None),
            ("alice", "alice", None),
            ("0198a5c0-7c00-7abc-8def-0123456789ab", "alice", None),
            ("-5f3a7c1e2b4d6980", "alice", None),
        ] {
            assert_eq!(time_in(&id(text), &user(sender)), expected, "{text}");
        }
    }
}
