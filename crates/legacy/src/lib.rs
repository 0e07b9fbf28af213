//! The frames of the original Vartalap server, read into the types of [`protocol`] and rendered from them, so that its clients
//! can talk to this server unchanged. A pure codec: it opens no socket, reads no clock, keeps no state. Only the edge knows of it:
//! `route` and `deliver`.
//!
//! Who sends is never read from a frame: `head.from`, `from` and `source` are skipped, and whoever renders says who it was.
//!
//! | module | owns |
//! |---|---|
//! | [`client_id`] | the ids that old clients make, and the message ids that are made of them |
//! | [`mod@incoming`] | what an old client says |
//! | [`outgoing`] | what an old client is told |
//! | [`ack`] | which delivery an old client's ack is for |
//! | `stored` | an old message as the body of an ordinary one, and back |
//! | `object` | the members of a JSON object, unread |
//! | `proto` | the protobuf message, in base64 |
//! | `words` | the words of the old frames |
//!
//! # An old message as a body
//!
//! What an old message says travels as the body of an ordinary message, in the shape that its sender gave it:
//!
//! ```json
//! {"vartalap":"legacy","id":"alice1700000000000","head":{"contentType":"text","action":"message"},"body":{"text":"hi"}}
//! ```
//!
//! - `vartalap` is always `"legacy"` and always stands first.
//! - `id` is the id that the client made, 1 to 128 bytes. Old clients know the message by it.
//! - `type` is the message's type, `MESSAGE`, `NOTIFICATION` or `CUSTOM`, there only when `head.contentType` does not say it.
//! - `timestamp` is the client's time in a protobuf message, there unless it is 0.
//! - `head` is the old head as it was written, without `to` and `from`, which only the envelope says; `type` is there only
//!   when it is `CHAT`, and `ephemeral` only when it is true.
//! - `meta` is the old `meta` as it was written, there unless it was empty.
//! - `body` is the old body as it was written, byte for byte, there unless there was none. Clients show `body.text`.
//! - `content` is base64 of the content of a protobuf message when that was no JSON; `body` is not there then.
//!
//! Anybody can send such a body, since bodies are not read on the way. One that is not of this form is rendered as any other
//! body, and one that is gives its sender nothing that an old client does not have.

pub mod ack;
pub mod client_id;
pub mod incoming;
mod object;
pub mod outgoing;
mod proto;
mod stored;
mod words;

pub use ack::{Ack, is_acked, names, visible_id};
pub use client_id::{ClientId, message_id, time_in};
pub use incoming::{Ignored, Incoming, LegacyMessage, Refused, incoming};
pub use outgoing::{PONG, delivery, server_ack};
pub use words::{Format, Type};
