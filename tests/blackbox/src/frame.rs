//! What a deployment says, as docs/PROTOCOL.md has it. It is written from that page and not from `crates/protocol`, so that a change of
//! the wire shows.

use serde::Deserialize;
use serde_json::Value;

/// Largest frame that a deployment sends, in bytes.
pub(crate) const MAX_BYTES: usize = 30_000;

/// A frame.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Frame {
    Accepted(Accepted),
    Messages(Messages),
    Drained {
        reconnect_by: u64,
    },
    Error(Refused),
    Pong {},
    #[serde(skip_deserializing)]
    #[expect(dead_code, reason = "read by a person, where a test says what came instead")]
    Unknown(String),
}

/// The answer to a `send`.
#[derive(Debug, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) ids: Vec<String>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) at: u64,
    pub(crate) nonce: Option<String>,
}

/// A message of a `send` that was not accepted.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) index: usize,
    pub(crate) id: Option<String>,
    pub(crate) code: String,
    pub(crate) detail: String,
}

/// Envelopes, posted or as the answer to a `sync`.
#[derive(Debug, Deserialize)]
pub(crate) struct Messages {
    pub(crate) messages: Vec<Envelope>,
    pub(crate) more: Option<bool>,
    pub(crate) nonce: Option<String>,
}

/// A message for one recipient.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Envelope {
    #[serde(rename = "ref")]
    pub(crate) reference: String,
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: Value,
    pub(crate) kind: String,
    pub(crate) at: u64,
    pub(crate) attempt: usize,
    pub(crate) body: Value,
}

/// A frame that could not be taken as a whole, or the end of a displaced connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) nonce: Option<String>,
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

impl Messages {
    /// Whether it was posted, by an attempt or a drain, and not asked for.
    pub(crate) fn is_posted(&self) -> bool {
        self.more.is_none()
    }

    /// Whether its envelopes are in their order.
    pub(crate) fn is_oldest_first(&self) -> bool {
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
    fn what_clients_do_not_know_is_kept_and_what_they_cannot_read_is_not() {
        for text in [r#"{"message":"Internal server error"}"#, r#"{"type":"presence"}"#] {
            assert!(matches!(Frame::read(text), Ok(Frame::Unknown(_))), "{text}");
        }
        for text in ["", "[1]", r#"{"type":"drained"}"#, r#"{"type":"messages","messages":[{"ref":"r"}]}"#] {
            assert!(Frame::read(text).is_err(), "{text}");
        }
    }
}
