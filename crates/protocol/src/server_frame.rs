//! What the server says: `accepted`, `messages`, `drained`, `device`, `error` and `pong`, rendered by functions, parsed by clients.

use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::client_frame::Nonce;
use crate::code::Code;
use crate::ids::{MessageId, Recipient, Sender};
use crate::reference::Ref;
use crate::time::Timestamp;
use crate::urgency::Urgency;

/// One message of a `send` that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its place in `messages`, from 0.
    pub index: usize,
    /// Its id as the client wrote it, if that was a short string.
    pub id: Option<String>,
    /// Why.
    pub code: Code,
    /// Why, for a person.
    pub detail: String,
}

/// What an envelope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "&'static str")]
pub enum Kind {
    /// What a user wrote.
    #[default]
    Message,
    /// What became of a group, by Vartalap.
    System,
    /// What became of messages: see [`crate::Receipt`].
    Receipt,
    /// What a later version has a word for. It is acked like anything else.
    Unknown,
}

impl Kind {
    /// The kind that a word means.
    pub fn of(word: &str) -> Self {
        match word {
            "message" => Self::Message,
            "system" => Self::System,
            "receipt" => Self::Receipt,
            _ => Self::Unknown,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::System => "system",
            Self::Receipt => "receipt",
            Self::Unknown => "unknown",
        }
    }
}

impl From<String> for Kind {
    fn from(word: String) -> Self {
        Self::of(&word)
    }
}

impl From<Kind> for &'static str {
    fn from(kind: Kind) -> Self {
        kind.as_str()
    }
}

/// One envelope as a device receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What to ack it by.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// The sender's id for it. Clients dedupe on (`from`, `id`) and order by `id`.
    pub id: MessageId,
    /// Who sent it: a user by the authorizer's word, or Vartalap.
    pub from: Sender,
    /// Whom the sender wrote to.
    pub to: Recipient,
    /// What it carries.
    pub kind: Kind,
    /// When it was accepted.
    pub at: Timestamp,
    /// 1 to 4 when it was posted for its own sake, 0 from a drain or a sync.
    pub attempt: u32,
    /// How much the sender wants made of it.
    #[serde(default, skip_serializing_if = "Urgency::is_default")]
    pub urgency: Urgency,
    /// What it says.
    pub body: Body,
}

/// A frame from the server. Clients ignore a frame whose `type` they do not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ServerFrame {
    /// The answer to `send`: what is durable now, and what was refused.
    Accepted {
        /// Ids of the accepted messages.
        ids: Vec<MessageId>,
        /// The others.
        refused: Vec<Refusal>,
        /// Server time.
        at: Timestamp,
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<Nonce>,
    },
    /// Envelopes, oldest first.
    Messages {
        /// The envelopes.
        messages: Vec<Delivery>,
        /// On an answer to `sync`: whether there are more after these.
        #[serde(skip_serializing_if = "Option::is_none")]
        more: Option<bool>,
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<Nonce>,
    },
    /// The backlog was posted.
    Drained {
        /// When API Gateway will cut this connection.
        reconnect_by: Timestamp,
    },
    /// The answer to `device`: it is as was said.
    Device {
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<Nonce>,
    },
    /// A frame could not be taken as a whole, or the connection was displaced.
    Error {
        /// What is wrong.
        code: Code,
        /// What is wrong, for a person.
        detail: String,
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<Nonce>,
    },
    /// The answer to `ping`.
    Pong {
        /// The request's.
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<Nonce>,
    },
}

impl ServerFrame {
    /// The frame as text.
    pub fn render(&self) -> String {
        serde_json::to_string(self).expect("a frame of strings, numbers and JSON bodies is always JSON")
    }

    /// Reads a frame. `None` is one that this version does not know and a client ignores, API Gateway's own among them.
    ///
    /// Not derived: serde would choose the variant by buffering the frame, which raw bodies do not survive.
    pub fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Members {
            r#type: String,
            ids: Option<Vec<MessageId>>,
            refused: Option<Vec<Refusal>>,
            at: Option<Timestamp>,
            messages: Option<Vec<Delivery>>,
            more: Option<bool>,
            reconnect_by: Option<Timestamp>,
            code: Option<Code>,
            detail: Option<String>,
            nonce: Option<Nonce>,
        }
        let members: Members = serde_json::from_str(text).ok()?;
        let nonce = members.nonce;
        Some(match members.r#type.as_str() {
            "accepted" => Self::Accepted { ids: members.ids?, refused: members.refused?, at: members.at?, nonce },
            "messages" => Self::Messages { messages: members.messages?, more: members.more, nonce },
            "drained" => Self::Drained { reconnect_by: members.reconnect_by? },
            "device" => Self::Device { nonce },
            "error" => Self::Error { code: members.code?, detail: members.detail?, nonce },
            "pong" => Self::Pong { nonce },
            _ => return None,
        })
    }
}

#[cfg(test)]
#[path = "server_frame_tests.rs"]
pub(crate) mod tests;
