//! The codes of error frames and refusals, each with what the client should do about it.

use serde::{Deserialize, Serialize};

/// Why a frame, or one message of it, was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The frame is not a JSON object of the documented shape. Mend the client; sending it again will not help.
    InvalidFrame,
    /// `action` is missing or not one of the documented ones.
    UnknownAction,
    /// A message's `id` is not a UUIDv7.
    InvalidId,
    /// The time part of a message's `id` is more than 7 days before or 5 minutes after server time. Make a new id.
    IdOutsideWindow,
    /// A message's `to` is neither `{"user": U}` nor `{"group": G}` with a well-formed id.
    InvalidRecipient,
    /// A message has no `body`, or `expires_in` or `ephemeral` is out of range.
    InvalidMessage,
    /// The message would not fit into one server frame. Send an attachment.
    TooLarge,
    /// The sender is not a member of the group, or there is no such group.
    NotAMember,
    /// The message has more recipients than one message may have.
    TooManyRecipients,
    /// The server could not take it now. Send it again with the same id.
    Unavailable,
    /// `after` of a sync is not a ref.
    InvalidCursor,
    /// An element of `refs` is not a ref; the well-formed ones were acked.
    InvalidRef,
    /// Another connection of the same device took over. Do not reconnect.
    Displaced,
    /// What a later version has a word for. The server never says it.
    #[serde(other)]
    Unknown,
}
