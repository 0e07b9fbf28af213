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
    /// A message's `attachments` are no list of 1 to 10 ids, or its sender may not have one of them.
    InvalidAttachment,
    /// The message would not fit into one server frame (send an attachment), or a body or an attachment is larger than it may be.
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
    /// Only an admin of the group may do this.
    NotAnAdmin,
    /// There is a group of this id, and it is not as asked for. Choose another id.
    GroupExists,
    /// The group would have more than 1,024 members. Nothing was changed.
    TooManyMembers,
    /// The group would be without an admin. Appoint another one first.
    LastAdmin,
    /// A request over HTTP is not of the documented shape; `detail` says what is.
    InvalidRequest,
    /// There is nothing under this path, or nothing that the caller may have.
    NotFound,
    /// The path is right and the method is not; the header `allow` has those that are.
    MethodNotAllowed,
    /// Another connection of the same device took over. Do not reconnect.
    Displaced,
    /// What a later version has a word for. The server never says it.
    #[serde(other)]
    Unknown,
}
