//! The words of the old frames, and what they mean. It reads no frame.

use serde::{Serialize, Serializer};

/// What an old client calls the server.
pub(crate) const SERVER: &str = "server";

/// How a frame is written. What answers a frame is written as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON, version 1 or 2.
    Json,
    /// Protobuf, version 3, in base64: API Gateway closes a socket that sends binary frames.
    Base64,
}

/// What a frame is for. The text is the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// The server took a message.
    ServerAck,
    /// A client has a message.
    ClientAck,
    /// For a person.
    Message,
    /// For the recipient's client: a receipt, typing, what became of a group.
    Notification,
    /// For the recipient's client, as the two agreed.
    Custom,
}

impl Type {
    /// The type that a `contentType` says, written in any case. Whatever is no type is what a [`Type::Message`] contains.
    pub fn of(content_type: &str) -> Self {
        [Self::ServerAck, Self::ClientAck, Self::Notification, Self::Custom]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(content_type))
            .unwrap_or(Self::Message)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServerAck => "SERVER_ACK",
            Self::ClientAck => "CLIENT_ACK",
            Self::Message => "MESSAGE",
            Self::Notification => "NOTIFICATION",
            Self::Custom => "CUSTOM",
        }
    }

    /// Whether it says something to a user; the others only speak of such messages.
    pub(crate) fn is_carried(self) -> bool {
        match self {
            Self::Message | Self::Notification | Self::Custom => true,
            Self::ServerAck | Self::ClientAck => false,
        }
    }
}

impl Serialize for Type {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What kind of recipient `to` names. The original sends whatever is no group to a user of that name; a channel or a bot would
/// get lost there, so here it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// A user.
    Individual,
    /// A user, in the words of the first clients.
    Chat,
    /// A group.
    Group,
}

impl Channel {
    /// The channel that a `type` of version 2 or a `chatType` of version 1 says, in any case.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Individual, Self::Chat, Self::Group].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word))
    }

    /// The word, in the case in which the original sends it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Individual => "INDIVIDUAL",
            Self::Chat => "CHAT",
            Self::Group => "GROUP",
        }
    }
}
