//! What the domain needs of the world, in its own words. Each port has an in-memory implementation in `testkit` and a real
//! one in `aws` or `local`; inbox, directory, groups, queue, attachments and files have one contract suite each for both.
//!
//! Expected events (gone, missing, lost a race) are outcomes; a [`Failure`] is the infrastructure's, ends no record, and
//! is retried by whoever holds the record. All methods may be called again with the same arguments.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use protocol::{
    AttachmentId, DeviceId, Enrolment, GroupId, GroupName, MessageId, MessageName, Notices, PushTarget, Ref, Timestamp,
    UserId,
};
use serde::{Serialize, Serializer};

use crate::attachment::{Attachment, Grant};
use crate::envelope::{Address, Connection, ConnectionId, Device, Holder, Key, Row};
use crate::group::{Group, Membership, News, Transition};
use crate::job::{HandOver, Job, Reason};
use crate::notice::Notice;
use crate::receipt::Told;
use crate::wake::WakeState;

/// The infrastructure did not do what was asked: throttled, timed out, refused, or partly unprocessed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to {operation}: {cause}")]
pub struct Failure {
    /// What was tried, as words after "failed to".
    pub operation: &'static str,
    /// Why not, with the causes behind it. Never holds a body.
    pub cause: String,
}

impl Failure {
    /// A failure of `operation` with the text of `error` and of every error behind it, which many errors leave out of their
    /// own.
    pub fn new(operation: &'static str, error: &dyn std::error::Error) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Wrappers often repeat what they wrap.
            if !cause.ends_with(&text) {
                cause = format!("{cause}: {text}");
            }
            source = error.source();
        }
        Self { operation, cause }
    }
}

/// What an inbox read found under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The envelope. Expired ones are reported as missing.
    Found(Row),
    /// Nothing: acked, expired, or never put.
    Missing,
    /// Something that is not an envelope of this version. It stays; it blocks nobody.
    Unreadable,
    /// The store answered the call but not for this key.
    Unprocessed,
}

/// A part of what a device has pending, in order of its refs or, read from the end, against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The envelopes. Empty only if nothing readable is left.
    pub rows: Vec<Row>,
    /// Whether there are more beyond these.
    pub more: bool,
}

/// Inboxes: the unacked envelopes of each device, and of each user without one; and of what was acked, what its senders were told.
pub trait Inbox: Send + Sync {
    /// Puts rows under their keys, replacing what is there. Keys must be distinct. Answers in order of `rows`.
    fn put(&self, rows: &[Row]) -> impl Future<Output = Vec<Result<(), Failure>>> + Send;

    /// Deletes what lies under these distinct keys, if anything does. Answers in order of `keys`.
    fn delete(&self, keys: &[Key]) -> impl Future<Output = Vec<Result<(), Failure>>> + Send;

    /// Reads the newest state of up to 100 distinct keys. Answers in order of `keys`.
    fn get(&self, keys: &[Key], now: Timestamp) -> impl Future<Output = Result<Vec<Lookup>, Failure>> + Send;

    /// Reads the newest state of up to `limit` envelopes (or about 1 MB) after `after`, oldest first: the device's own merged with the
    /// user's unclaimed ones, or only the latter if no device is named. Unreadable rows are skipped and logged.
    fn page(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        after: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> impl Future<Output = Result<Page, Failure>> + Send;

    /// The same from the other end: up to `limit` envelopes before `before`, newest first.
    fn page_back(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        before: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> impl Future<Output = Result<Page, Failure>> + Send;

    /// Reads the newest of what senders were told of `user` and these distinct messages. Leaves out what nobody was told of, or what has
    /// expired. At most 100 messages.
    fn told(
        &self,
        user: &UserId,
        messages: &[MessageName],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Told>, Failure>> + Send;

    /// Keeps what senders were told, each of another message, in place of what was kept of it before.
    fn keep_told(&self, told: &[Told]) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Forgets all that senders were told of a user.
    fn forget_told(&self, user: &UserId) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Marks a row as undelivered. A row that is gone stays gone.
    fn mark_undelivered(&self, key: &Key) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// How a registration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The connection is the device's now. The one that it displaced, if any, is to be told and closed.
    Registered {
        /// What was registered before.
        displaced: Option<Connection>,
    },
    /// A newer connection of the device is registered already.
    Superseded,
}

/// Which devices a user has, on which connections, and when they were woken.
pub trait Directory: Send + Sync {
    /// Registers a connection as its device's, creating the device if need be, unless a newer one is registered.
    fn register(
        &self,
        address: &Address,
        connection: &Connection,
        now: Timestamp,
    ) -> impl Future<Output = Result<Registration, Failure>> + Send;

    /// Forgets a connection if it is still the registered one; otherwise nothing happens.
    fn unregister(
        &self,
        address: &Address,
        connection: &ConnectionId,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Forgets a connection that its device has just left, and notes that the device was seen, if it is still the registered one;
    /// otherwise nothing happens.
    fn left(
        &self,
        address: &Address,
        connection: &ConnectionId,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Makes a device known that has no connection, or notes that it was seen, and takes what is said of it. A push target belongs to one
    /// device: whichever had one of those that are said loses it.
    fn enrol(
        &self,
        address: &Address,
        said: &Enrolment,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Notes that a device was seen. One that is not known stays unknown.
    fn seen(&self, address: &Address, now: Timestamp) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Forgets a device with all that is known of it. What lies in its inbox stays there, and push targets that have moved to another
    /// device are that one's.
    fn forget(&self, address: &Address) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the newest state of a user's devices. Connections past their end are left out.
    fn devices(&self, user: &UserId, now: Timestamp) -> impl Future<Output = Result<Vec<Device>, Failure>> + Send;

    /// Reads what is newest of a device's wakes, or of a user's unclaimed inbox. `None` if the device is not known.
    fn wakeable(
        &self,
        user: &UserId,
        holder: &Holder,
    ) -> impl Future<Output = Result<Option<Wakeable>, Failure>> + Send;

    /// Replaces a wake state if it is still `before`; answers whether it was.
    fn replace_wake_state(
        &self,
        user: &UserId,
        holder: &Holder,
        before: &WakeState,
        after: &WakeState,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Forgets the push targets of a device that are dead, if it still has exactly those of `before`; answers whether it had. Otherwise one of
    /// them may have been renewed, and nothing happens.
    fn drop_push(
        &self,
        address: &Address,
        before: &[PushTarget],
        dead: &[PushTarget],
    ) -> impl Future<Output = Result<bool, Failure>> + Send;
}

/// What is known of the wakes of a device, or of a user's unclaimed inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wakeable {
    /// When it was woken, and who is to wake it next.
    pub state: WakeState,
    /// Where it has said that it can be woken; nowhere if it is no device.
    pub push: Vec<PushTarget>,
    /// How it wants to be notified.
    pub notices: Notices,
}

/// A part of the groups of a user, in order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPage {
    /// Their ids and names.
    pub groups: Vec<(GroupId, GroupName)>,
    /// Whether there are more after these.
    pub more: bool,
}

/// A part of the memberships of a user, in order of their groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembershipPage {
    /// The memberships; fewer than were read when some end at this moment.
    pub memberships: Vec<Membership>,
    /// The group after which there are more.
    pub next: Option<GroupId>,
}

/// Groups and who is in them.
pub trait Groups: Send + Sync {
    /// Reads the newest state of a group. It may be older than a change that is made at the same time, never a mixture that
    /// [`Groups::change`] would take for current.
    fn group(&self, id: &GroupId) -> impl Future<Output = Result<Option<Group>, Failure>> + Send;

    /// Makes a change as a whole, and keeps its news under `id`, if the group is still as it was decided on; answers whether it was.
    fn change(&self, transition: &Transition, id: MessageId) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Reads the newest state of the news of a change; `None` if it was not made.
    fn news(&self, group: &GroupId, id: MessageId) -> impl Future<Output = Result<Option<News>, Failure>> + Send;

    /// Reads up to `limit` of the groups that a user is in, after `after`.
    fn groups_of(
        &self,
        user: &UserId,
        after: Option<&GroupId>,
        limit: usize,
    ) -> impl Future<Output = Result<GroupPage, Failure>> + Send;

    /// Reads up to `limit` (at most 50) of the memberships of a user, after the group `after`.
    fn memberships(
        &self,
        user: &UserId,
        after: Option<&GroupId>,
        limit: usize,
    ) -> impl Future<Output = Result<MembershipPage, Failure>> + Send;
}

/// What attachments there are, and who may have them.
pub trait Attachments: Send + Sync {
    /// Keeps what an attachment is, and who may upload it. Nobody but the uploader may have it then.
    fn keep(&self, attachment: &Attachment) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the newest state of up to 100 distinct attachments, as far as `user` may have them: as the uploader, or by a grant. There is no
    /// difference between one that `user` may not have, one that has expired, and none. Answers in order of `ids`.
    fn open_to(
        &self,
        user: &UserId,
        ids: &[AttachmentId],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Option<Attachment>>, Failure>> + Send;

    /// Lets users have attachments, until they expire. Grants must be distinct. Answers in order of `grants`.
    fn grant(&self, grants: &[Grant]) -> impl Future<Output = Vec<Result<(), Failure>>> + Send;
}

/// A URL that lets whoever has it do one thing for a while. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedUrl(until {})", self.expires_at.as_millis())
    }
}

/// How a file is uploaded: by a PUT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where.
    pub target: SignedUrl,
    /// The headers that the PUT must have, exactly, with their names in lower case: the signature is over them as well.
    pub headers: Vec<(&'static str, String)>,
}

/// Where the bytes of attachments are, which clients put and get there themselves. A file is uploaded once, as its attachment says it is, and
/// cannot be changed. Signing reaches nobody but perhaps whoever gives out credentials.
pub trait Files: Send + Sync {
    /// Signs an upload of exactly this type and size, for [`UPLOAD_VALIDITY`](crate::attachment::UPLOAD_VALIDITY).
    fn upload(&self, attachment: &Attachment, now: Timestamp) -> impl Future<Output = Result<Upload, Failure>> + Send;

    /// Signs a download that no browser shows as a page, for [`DOWNLOAD_VALIDITY`](crate::attachment::DOWNLOAD_VALIDITY). The file may not
    /// be there yet.
    fn download(
        &self,
        attachment: &Attachment,
        now: Timestamp,
    ) -> impl Future<Output = Result<SignedUrl, Failure>> + Send;
}

/// Longest delay of a record. Source: SQS quotas.
pub const MAX_DELAY: Duration = Duration::from_secs(15 * 60);

/// A job and how long nobody shall see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The job.
    pub job: Job,
    /// Whole seconds, at most [`MAX_DELAY`].
    pub delay: Duration,
}

impl Scheduled {
    /// A job to be done at once.
    pub fn now(job: Job) -> Self {
        Self { job, delay: Duration::ZERO }
    }
}

/// What one receive of a record is settled by. Not a receipt to a sender.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

/// A queue whose records are seen again until they are done.
pub trait Queue: Send + Sync {
    /// Sends jobs; each that is answered `Ok` is durable. Answers in order of `jobs`.
    fn send(&self, jobs: &[Scheduled]) -> impl Future<Output = Vec<Result<(), Failure>>> + Send;

    /// Hides records of which a receipt is held for a while (whole seconds, from now). Answers in order of `records`.
    fn set_visibility(&self, records: &[(Receipt, Duration)]) -> impl Future<Output = Vec<Result<(), Failure>>> + Send;

    /// Sends one record with this body, to be seen after `delay` (whole seconds, at most [`MAX_DELAY`]). `Ok` means durable.
    fn send_later(&self, body: &str, delay: Duration) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Copies a record's body to the dead-letter queue, with the reason.
    fn dead_letter(&self, body: &str, reason: &str) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What became of a frame that was posted to a connection. Nothing here means that the device has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostOutcome {
    /// The gateway took it (200).
    Posted,
    /// There is no such connection, or it is not open yet (410).
    Gone,
    /// Throttled, failed or timed out (429, 5xx): the connection is alive or nobody knows.
    Unknown,
    /// The frame is larger than the gateway carries (413).
    TooLarge,
    /// This function may not post there (403): a misconfiguration.
    Forbidden,
}

/// Live connections.
pub trait Connections: Send + Sync {
    /// Posts one text frame.
    fn post(&self, connection: &ConnectionId, frame: &str) -> impl Future<Output = PostOutcome> + Send;

    /// Closes a connection. One that is gone already is closed.
    fn disconnect(&self, connection: &ConnectionId) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The topic of envelopes that could not be given to their device.
pub trait OfflineTopic: Send + Sync {
    /// Publishes hand-overs. Answers in order of `hand_overs`.
    fn publish(&self, hand_overs: &[HandOver]) -> impl Future<Output = Vec<Result<(), Failure>>> + Send;
}

/// A nudge to a device that has something pending. It carries no body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wake {
    /// The user.
    pub user: UserId,
    /// The device; none while the user has none.
    pub device: Option<DeviceId>,
    /// What is pending, oldest first.
    pub ids: Vec<MessageId>,
    /// Why the envelope that led to this wake was handed over.
    pub reason: Reason,
    /// When the wake was decided.
    pub at: Timestamp,
    /// Where the device has said that it can be woken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub push: Vec<PushTarget>,
    /// What its push targets are told. Of the wake as text only its urgency is a part, and that only if it is not urgent: whoever has the ids
    /// asks for the messages.
    #[serde(rename = "urgency", serialize_with = "urgency_alone", skip_serializing_if = "is_urgent")]
    pub notice: Notice,
}

fn urgency_alone<S: Serializer>(notice: &Notice, serializer: S) -> Result<S::Ok, S::Error> {
    notice.urgency.serialize(serializer)
}

fn is_urgent(notice: &Notice) -> bool {
    notice.urgency.is_default()
}

/// What became of a wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Whether somebody was told.
    pub outcome: PushOutcome,
    /// The push targets that are dead.
    pub dead: Vec<PushTarget>,
}

/// See [`Pushed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// Somebody took it: one of the device's targets, or whoever is told of all wakes.
    Taken,
    /// There is nobody to tell.
    Nowhere,
    /// Not now. It is to be tried again, not before this time has passed if one was asked for.
    Later(Option<Duration>),
}

impl From<PushOutcome> for Pushed {
    fn from(outcome: PushOutcome) -> Self {
        Self { outcome, dead: Vec::new() }
    }
}

/// What carries wakes to devices.
pub trait PushGateway: Send + Sync {
    /// Pushes a wake to all the targets of its device, or wherever else wakes go.
    ///
    /// # Errors
    /// When it was refused for what it is, or by mistake of the operator; it is tried again all the same.
    fn push(&self, wake: &Wake) -> impl Future<Output = Result<Pushed, Failure>> + Send;
}
