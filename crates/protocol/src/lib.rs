//! The wire between a client and Vartalap: frames, identifiers, codes and limits, version 1.
//!
//! Clients and functions depend on this crate alone to understand each other. It parses what arrives into types and
//! renders types into text; it opens no socket, reads no clock, and knows nothing of AWS or of storage.
//!
//! | module | owns |
//! |---|---|
//! | [`limits`] | every number of the protocol, with its unit and source |
//! | [`ids`] | users, devices, groups, messages, attachments |
//! | [`mod@reference`] | the `ref` under which a device acks an envelope |
//! | [`media_type`] | the type of an attachment |
//! | [`body`] | a message body: JSON that is carried and never read |
//! | [`client_frame`] | what a client says, parsed and rendered |
//! | [`http`] | what is asked over HTTP, parsed |
//! | [`export`] | where an export goes on |
//! | [`server_frame`] | what the server says, rendered and parsed |
//! | [`push`], [`notices`] | where a device can be woken, and how it wants to be notified |
//! | [`urgency`] | how much a message makes of itself there |
//! | [`receipt`] | what became of a message, as its sender is told |
//! | [`packing`] | several envelopes in as few frames as the size limit allows |
//! | [`code`] | the codes of errors and refusals |

pub mod body;
pub mod client_frame;
pub mod code;
pub mod export;
pub mod http;
pub mod ids;
pub mod limits;
pub mod media_type;
pub mod notices;
pub mod packing;
pub mod push;
pub mod receipt;
pub mod reference;
pub mod server_frame;
mod text;
pub mod time;
pub mod urgency;

pub use body::Body;
pub use client_frame::{Ack, ClientFrame, Nonce, Outgoing, Rejected, Send, Sync};
pub use code::Code;
pub use export::ExportCursor;
pub use http::{BadRequest, Call, HttpRequest};
pub use ids::{AttachmentId, DeviceId, GroupId, GroupName, MessageId, Recipient, Sender, UserId};
pub use media_type::MediaType;
pub use notices::{Notices, Quiet, QuietHours};
pub use packing::pack;
pub use push::{Enrolment, PushTarget, VapidPublicKey};
pub use receipt::{MessageName, Receipt, ReceiptEvent};
pub use reference::{Ref, Shelf};
pub use server_frame::{Delivery, Kind, Refusal, ServerFrame};
pub use time::Timestamp;
pub use urgency::Urgency;
