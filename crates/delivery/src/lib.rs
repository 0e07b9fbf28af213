//! The domain of Vartalap: what is accepted, attempted, acknowledged, drained and woken, and when.
//!
//! Decisions here are pure functions over values: time, ids and randomness are arguments, and nothing is sent, stored or
//! read. What must be done to the world is said through the traits of [`ports`], which functions call and `aws`, `local`
//! and `testkit` implement. The crate names no AWS type.
//!
//! | module | decides |
//! |---|---|
//! | [`accept`](mod@accept) | which messages of a `send` are taken, and as which jobs |
//! | [`attachment`] | which files are taken, and who may have one |
//! | [`attempt`] | what a recipient's devices are owed, and what follows from the outcome of a post |
//! | [`drain`] | how a backlog is cut into pages |
//! | [`export`] | in which order everything that is kept of a user is shown |
//! | [`group`] | who may change a group, and what a change comes to |
//! | [`notice`](mod@notice) | what an absent device is told by a push, and how urgently |
//! | [`presence`](mod@presence) | what others are told of whether a user is there |
//! | [`receipt`] | who is told that something was acked or read |
//! | [`wake`] | whether an absent device is woken now, later, or by another record |
//! | [`schedule`] | the waits between attempts and after failures |
//! | [`dead_letter`] | what an operator is shown of a record that could not be processed |
//! | [`envelope`], [`job`], [`ports`] | the nouns: what is stored, what is queued, what the world can do |

pub mod accept;
pub mod attachment;
pub mod attempt;
pub mod dead_letter;
pub mod drain;
pub mod envelope;
pub mod export;
pub mod group;
pub mod job;
pub mod notice;
pub mod ports;
pub mod presence;
pub mod receipt;
pub mod schedule;
pub mod wake;

pub use accept::{Acceptance, accept};
pub use attachment::{Attached, Attachment, AttachmentRules, Grant};
pub use dead_letter::{DeadLetter, Filter, Origin, RecordKind, Stamp};
pub use envelope::{
    Address, Connection, ConnectionId, Device, Dialect, Envelope, Holder, Key, Row, new_message_id, old_device,
};
pub use group::{Group, Member, Membership, News, Transition};
pub use job::{Acked, AckedMessage, AckedRow, Announce, Await, Deliver, Drain, Fanout, HandOver, Job, Pending, Reason};
pub use notice::{Notice, Preview};
pub use ports::{
    Attachments, Connections, Directory, Failure, Files, GroupPage, Groups, Inbox, Lookup, MembershipPage,
    OfflineTopic, Page, PostOutcome, PushGateway, PushOutcome, Pushed, Queue, Receipt, Registration, Scheduled,
    SignedUrl, Upload, Wake, Wakeable,
};
pub use presence::{Presence, presence};
pub use protocol::Enrolment;
pub use receipt::Told;
pub use schedule::{Invocation, Waits};
pub use wake::{Due, WakeState, WakeStep};
