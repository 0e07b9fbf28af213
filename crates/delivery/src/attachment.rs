//! Attachments: what may be uploaded, who may have it, and what a record of the delivery queue lets its recipients have. Pure decisions; who
//! may have what is kept by the [`Attachments`] port, and the bytes travel between clients and the [`Files`] port's store, never through here.
//!
//! [`Attachments`]: crate::ports::Attachments
//! [`Files`]: crate::ports::Files

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use protocol::limits::MAX_ATTACHMENTS_PER_SEND;
use protocol::{AttachmentId, Code, MediaType, MessageId, Send, Sender, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::attempt::is_stale;
use crate::job::Deliver;

/// How long a signed upload is good for.
pub const UPLOAD_VALIDITY: Duration = Duration::from_secs(15 * 60);

/// How long a signed download is good for. Whoever has the URL has the file, so not longer than it takes to begin.
pub const DOWNLOAD_VALIDITY: Duration = Duration::from_secs(10 * 60);

/// A file that a user was let upload. Whether it was uploaded only its store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Who may upload it.
    pub uploader: UserId,
    /// Its type, as its uploader says.
    pub media_type: MediaType,
    /// Its size, exactly.
    pub bytes: u64,
    /// When it and everything about it is gone, in whole seconds.
    pub expires_at: Timestamp,
}

impl Attachment {
    /// Whether it is no longer kept. DynamoDB deletes an expired item late, so every reader asks.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

/// The headers that an upload must have, in order of their names. By the last, nothing is put where something is already: a file that
/// somebody has downloaded is the same for everybody after him.
pub fn upload_headers(media_type: &MediaType, bytes: u64) -> Vec<(&'static str, String)> {
    vec![
        ("content-length", bytes.to_string()),
        ("content-type", media_type.to_string()),
        ("if-none-match", "*".to_owned()),
    ]
}

/// An attachment that a message names, as the message's record carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attached {
    /// Which.
    pub id: AttachmentId,
    /// When it is gone, and who may have it does not matter any more.
    pub expires_at: Timestamp,
}

/// What the sender of a message finds under an attachment that the message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The sender may have it, and so pass it on.
    Open {
        /// When it is gone.
        expires_at: Timestamp,
    },
    /// There is no such attachment, or the sender may not have it.
    Closed,
    /// It could not be read now.
    Unknown,
}

impl Access {
    /// What it is to somebody for whom `found` was found.
    pub fn of(found: Option<&Attachment>) -> Self {
        found.map_or(Self::Closed, |attachment| Self::Open { expires_at: attachment.expires_at })
    }
}

/// The attachments that the messages of a `send` name, each once. Those of a message with which they would be more than
/// [`MAX_ATTACHMENTS_PER_SEND`] are left out.
pub fn named(send: &Send) -> Vec<AttachmentId> {
    let mut named = BTreeSet::new();
    for message in send.messages.iter().flatten() {
        let new: BTreeSet<AttachmentId> =
            message.attachments.iter().filter(|id| !named.contains(*id)).copied().collect();
        if named.len() + new.len() <= MAX_ATTACHMENTS_PER_SEND {
            named.extend(new);
        }
    }
    named.into_iter().collect()
}

/// Lets the recipients of a message have an attachment that it names. The same one twice is the same as once, and none takes away what
/// another has given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// What.
    pub attachment: Attached,
    /// By which message.
    pub message: MessageId,
    /// The message's sender: another sender's message of the same id is another one.
    pub sender: Sender,
    /// Whom: each once, in order. At least one, at most [`MAX_FANOUT`](crate::job::MAX_FANOUT).
    pub recipients: BTreeSet<UserId>,
}

/// What a record gives its recipients, which `delivers` are all of: one grant for each attachment, however many they are.
pub fn grants(delivers: &[Deliver], now: Timestamp) -> Vec<Grant> {
    let current: Vec<&Deliver> = delivers.iter().filter(|job| !is_stale(job, now)).collect();
    let Some(first) = current.first() else { return Vec::new() };
    let recipients: BTreeSet<UserId> = current.iter().map(|job| job.recipient.clone()).collect();
    let kept = first.attachments.iter().filter(|attached| attached.expires_at > now);
    let grant = |attached: &Attached| Grant {
        attachment: *attached,
        message: first.envelope.id,
        sender: first.envelope.from.clone(),
        recipients: recipients.clone(),
    };
    kept.map(grant).collect()
}

/// Which files a deployment takes, and how long it keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRules {
    /// The largest.
    pub max_bytes: MaxBytes,
    /// Their types.
    pub types: MediaTypes,
    /// How long they are kept.
    pub lifetime: Days,
}

impl Default for AttachmentRules {
    fn default() -> Self {
        Self { max_bytes: MaxBytes(100 * 1024 * 1024), types: MediaTypes::default(), lifetime: Days(60) }
    }
}

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// What is wrong.
    pub code: Code,
    /// What is wrong, for a person: what would be taken.
    pub detail: String,
}

impl AttachmentRules {
    /// The attachment `id` of `uploader`, made at `now`.
    ///
    /// # Errors
    /// When it is too large, or of a type that is not taken.
    pub fn admit(
        &self,
        id: AttachmentId,
        uploader: UserId,
        media_type: MediaType,
        bytes: u64,
        now: Timestamp,
    ) -> Result<Attachment, NotTaken> {
        if !self.types.take(&media_type) {
            let detail = format!("an attachment's type is one of {}", self.types);
            return Err(NotTaken { code: Code::InvalidRequest, detail });
        }
        if bytes > self.max_bytes.0 {
            let detail = format!("an attachment has at most {} bytes", self.max_bytes.0);
            return Err(NotTaken { code: Code::TooLarge, detail });
        }
        // Rounded down: the store keeps the bytes for as many days from their upload, which is later.
        let expires_at = Timestamp::from_secs(now.plus(self.lifetime.duration()).as_secs());
        Ok(Attachment { id, uploader, media_type, bytes, expires_at })
    }
}

/// A size that files may have at most, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxBytes(u64);

/// The largest file that S3 takes in one upload: 5 GiB. Source: S3, "Uploading objects".
const LARGEST_UPLOAD: u64 = 5 * 1024 * 1024 * 1024;

/// A size that no upload can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the largest attachment is a whole number of bytes from 1 to {LARGEST_UPLOAD}")]
pub struct InvalidMaxBytes;

impl FromStr for MaxBytes {
    type Err = InvalidMaxBytes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.parse().ok().filter(|bytes| (1..=LARGEST_UPLOAD).contains(bytes));
        bytes.map(Self).ok_or(InvalidMaxBytes)
    }
}

/// How many days files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(u32);

/// Ten years.
const MOST_DAYS: u32 = 3_650;

/// A time that is none or without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attachments are kept for a whole number of days from 1 to {MOST_DAYS}")]
pub struct InvalidDays;

impl Days {
    /// The same as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 24 * 60 * 60)
    }
}

impl FromStr for Days {
    type Err = InvalidDays;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days)).map(Self).ok_or(InvalidDays)
    }
}

/// A list of media types, such as `image/*,application/pdf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTypes(Vec<Taken>);

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Taken {
    /// All that begin alike: what stands before `/*`.
    Kind(String),
    /// One.
    Type(MediaType),
}

/// A text that is no list of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("types are at least one of `type/subtype` and `type/*`, separated by commas, such as image/*,application/pdf")]
pub struct InvalidMediaTypes;

/// What is shown, heard and read, and what is encrypted, which is a stream of octets to everybody else.
const DEFAULT_TYPES: &str = "image/*,video/*,audio/*,text/plain,application/pdf,application/octet-stream";

impl MediaTypes {
    /// Whether the list has this type.
    pub fn take(&self, media_type: &MediaType) -> bool {
        self.0.iter().any(|taken| match taken {
            Taken::Kind(kind) => kind == media_type.kind(),
            Taken::Type(one) => one == media_type,
        })
    }
}

impl Default for MediaTypes {
    fn default() -> Self {
        DEFAULT_TYPES.parse().expect("it is a list of types")
    }
}

impl FromStr for MediaTypes {
    type Err = InvalidMediaTypes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entry = |text: &str| {
            let text = text.trim();
            match text.strip_suffix("/*") {
                // Whatever may stand before a slash.
                Some(kind) => format!("{kind}/x").parse().map(|any: MediaType| Taken::Kind(any.kind().to_owned())),
                None => text.parse().map(Taken::Type),
            }
        };
        text.split(',').map(entry).collect::<Result<_, _>>().map(Self).map_err(|_| InvalidMediaTypes)
    }
}

impl fmt::Display for MediaTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, taken) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match taken {
                Taken::Kind(kind) => write!(f, "{comma}{kind}/*")?,
                Taken::Type(one) => write!(f, "{comma}{one}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "attachment_tests.rs"]
mod tests;
