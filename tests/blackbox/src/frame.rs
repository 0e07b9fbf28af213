//! What a deployment says, as docs/PROTOCOL.md has it. It is written from that page and not from `crates/protocol`, so that a change of
//! the wire shows.

use serde::Deserialize;
use serde_json::{Value, json};

/// Largest frame that a deployment sends, in bytes.
pub(crate) const MAX_BYTES: usize = 30_000;

/// A frame.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Frame {
    /// The answer to a `send`.
    Accepted(Accepted),
    /// Envelopes.
    Messages(Messages),
    /// The backlog was posted.
    Drained {
        /// When the connection will be cut, in milliseconds.
        reconnect_by: u64,
    },
    /// A frame could not be taken, or another connection took over.
    Error(Refused),
    /// The answer to a `ping`.
    Pong {},
    /// What clients ignore.
    #[serde(skip_deserializing)]
    Unknown(String),
}

/// The answer to a `send`.
#[derive(Debug, Deserialize)]
pub struct Accepted {
    /// What is durable now.
    pub ids: Vec<String>,
    /// What is not, and why.
    pub refused: Vec<Refusal>,
    /// The server's time, in milliseconds.
    pub at: u64,
    /// The nonce of the `send`.
    pub nonce: Option<String>,
}

/// A message of a `send` that was not accepted.
#[derive(Debug, Deserialize)]
pub struct Refusal {
    /// Its place in the `send`.
    pub index: usize,
    /// Its id, if it had one.
    pub id: Option<String>,
    /// What is wrong.
    pub code: String,
    /// What is wrong, for a person.
    pub detail: String,
}

/// Envelopes, posted or as the answer to a `sync`.
#[derive(Debug, Deserialize)]
pub struct Messages {
    /// The envelopes.
    pub messages: Vec<Envelope>,
    /// Whether more are pending; only in the answer to a `sync`.
    pub more: Option<bool>,
    /// The nonce of the `sync`.
    pub nonce: Option<String>,
}

/// A message for one recipient.
#[derive(Clone, Debug, Deserialize)]
pub struct Envelope {
    /// What it is acked by.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The message's id, as its sender made it.
    pub id: String,
    /// The sender.
    pub from: String,
    /// The recipient, as the sender wrote it.
    pub to: Value,
    /// `message`, `system` or `receipt`.
    pub kind: String,
    /// When it was accepted, in milliseconds.
    pub at: u64,
    /// 1 and up for a post of its own, 0 from a drain or a sync.
    pub attempt: usize,
    /// What was written.
    pub body: Value,
}

/// A frame that could not be taken as a whole, or the end of a displaced connection.
#[derive(Debug, Deserialize)]
pub struct Refused {
    /// What is wrong.
    pub code: String,
    /// What is wrong, for a person.
    pub detail: String,
    /// The nonce of the frame, if it could be read.
    pub nonce: Option<String>,
}

impl Frame {
    /// Reads a frame. One without a `type` that is known is ignored by clients, and API Gateway sends some.
    ///
    /// # Errors
    /// What is wrong with a frame whose `type` is known, or with a text that is no JSON object.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("a frame is not JSON: {error}: {text}"))?;
        if !value.is_object() {
            return Err(format!("a frame is not an object: {text}"));
        }
        match value["type"].as_str() {
            Some("accepted" | "messages" | "drained" | "error" | "pong") => {
                serde_json::from_value(value).map_err(|error| format!("a frame is not as documented: {error}: {text}"))
            }
            _ => Ok(Self::Unknown(text.to_owned())),
        }
    }
}

impl Envelope {
    /// Whether it says what became of others.
    pub fn is_receipt(&self) -> bool {
        self.kind == "receipt"
    }

    /// Whether it tells a user of what another device of their own did. It comes unasked, and so is nothing that a test can wait for.
    pub(crate) fn is_own_notice(&self) -> bool {
        self.is_receipt() && self.to == json!({"user": self.body["by"]})
    }
}

impl Messages {
    /// Whether it was posted, by an attempt or a drain, and not asked for.
    pub fn is_posted(&self) -> bool {
        self.more.is_none()
    }

    /// Whether its envelopes are in their order.
    pub fn is_oldest_first(&self) -> bool {
        self.messages.is_sorted_by_key(|envelope| &envelope.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_is_documented() {
        let envelope =
            r#"{"ref":"r","id":"i","from":"a","to":{"user":"b"},"kind":"message","at":5,"attempt":1,"body":null}"#;
        let read = Frame::read(&format!(r#"{{"type":"messages","messages":[{envelope}]}}"#)).expect("a frame");
        let Frame::Messages(messages) = read else { panic!("{read:?}") };
        assert!(messages.is_posted() && messages.messages[0].body.is_null());
        assert!(matches!(Frame::read(r#"{"type":"pong","nonce":"n"}"#), Ok(Frame::Pong {})));
    }

    #[test]
    fn a_notice_of_ones_own_is_by_whom_it_is_to() {
        let envelope = |kind: &str, to: &str, by: &str| Envelope {
            reference: "r".to_owned(),
            id: "i".to_owned(),
            from: "~system".to_owned(),
            to: json!({"user": to}),
            kind: kind.to_owned(),
            at: 5,
            attempt: 1,
            body: json!({"event": "read", "by": by, "messages": []}),
        };
        assert!(envelope("receipt", "bob", "bob").is_own_notice());
        assert!(!envelope("receipt", "alice", "bob").is_own_notice(), "a receipt of a sender's");
        assert!(!envelope("message", "bob", "bob").is_own_notice());
    }

    #[test]
    fn what_clients_do_not_know_is_kept_and_what_they_cannot_read_is_not() {
        for text in [r#"{"message":"Internal server error"}"#, r#"{"type":"presence"}"#] {
            assert!(matches!(Frame::read(text), Ok(Frame::Unknown(_))), "{text}");
        }
        for text in ["", "[1]", r#"{"type":"drained"}"#, r#"{"type":"messages","messages":[{"ref":"r"}]}"#] {
            assert!(Frame::read(text).is_err(), "{text}");
        }
    }
}
