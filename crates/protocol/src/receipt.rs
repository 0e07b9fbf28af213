//! What became of messages, as those are told who wait for it: the body of a message of kind `receipt`. Who is told is not known here.

use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::ids::{MessageId, Sender, UserId};

/// Something that a user has done with messages. Told to their sender, it is a receipt to him; told to the user's own other devices, it
/// says that they need not show them any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What.
    pub event: ReceiptEvent,
    /// Who did it: a recipient of the messages.
    pub by: UserId,
    /// To which messages; 1 to 100.
    pub messages: Vec<MessageName>,
}

/// See [`Receipt::event`]. The later implies the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptEvent {
    /// A device of the user has acked them.
    Delivered,
    /// The user has seen them, by the word of a device.
    Read,
}

impl ReceiptEvent {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }

    /// The event that a word means.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Delivered, Self::Read].into_iter().find(|event| event.as_str() == word)
    }
}

/// A message, as its recipients know it: a sender chooses the id, so only both together name one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageName {
    /// The message.
    pub id: MessageId,
    /// Who sent it.
    pub from: Sender,
}

impl Receipt {
    /// The receipt as a body.
    pub fn body(&self) -> Body {
        Body::new(serde_json::value::to_raw_value(self).expect("words, names and ids are always JSON"))
    }

    /// Reads the body of a message of kind `receipt`. `None` if this version does not know what it says.
    pub fn of(body: &Body) -> Option<Self> {
        // An array could be read as one as well.
        body.as_json().starts_with('{').then(|| serde_json::from_str(body.as_json()).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        let receipt = Receipt {
            event: ReceiptEvent::Read,
            by: "bob".parse().expect("a user"),
            messages: vec![MessageName {
                id: "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id"),
                from: "alice".parse().expect("a sender"),
            }],
        };
        expect![[
            r#"{"event":"read","by":"bob","messages":[{"id":"0198a5c0-7c00-7abc-8def-0123456789ab","from":"alice"}]}"#
        ]]
        .assert_eq(receipt.body().as_json());
        assert_eq!(Receipt::of(&receipt.body()), Some(receipt));
    }

    #[test]
    fn what_is_no_receipt_says_nothing() {
        for json in ["1", "{}", r#"{"event":"eaten","by":"bob","messages":[]}"#, r#"["read","bob",[]]"#] {
            assert_eq!(Receipt::of(&Body::from_json(json.to_owned()).expect("JSON")), None, "{json}");
        }
    }
}
