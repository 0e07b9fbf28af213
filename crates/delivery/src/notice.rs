//! What a device is told by a push, and how urgently: of what is pending for it, and what its other devices have acked. Whether it is pushed
//! to at all is decided in [`wake`](crate::wake); what a notice becomes in each push service is in the crate `push`.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{Body, Kind, MessageId, Notices, Quiet, Recipient, Ref, Sender, Timestamp, Urgency, UserId};
use sha2::{Digest, Sha256};

use crate::envelope::{Device, Envelope, Row};

/// How long a push service keeps a notice that nothing is pending any more.
const NOTHING_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How many bytes of a hash name a conversation to a push service, which takes names of at most 32 characters.
const COLLAPSE_BYTES: usize = 16;

/// A notice of several conversations replaces the one before.
const SUMMARY: &str = "summary";

/// One push: that messages wait for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose device it is for.
    pub user: UserId,
    /// The newest message.
    pub id: MessageId,
    /// Where the messages are, the other user or the group. None if they are of several conversations.
    pub conversation: Option<Recipient>,
    /// How many messages are pending for the device.
    pub badge: u32,
    /// The newest message itself, where the deployment and the device both want it shown.
    pub preview: Option<Preview>,
    /// How much the device is to make of it.
    pub urgency: Urgency,
    /// 1-32 of `[A-Za-z0-9_-]`: a later push replaces an earlier one of the same.
    pub collapse: String,
    /// Not to be shown after that.
    pub expires_at: Timestamp,
}

/// Why there is a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// An envelope was handed over, and nobody was told of it yet.
    New,
    /// Some were, while the device had just been woken.
    Summary,
    /// Another device of the user has acked something.
    AckedElsewhere,
}

/// What a notice is made of.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Whose device it is.
    pub user: &'a UserId,
    /// How it wants to be notified.
    pub notices: Notices,
    /// Whether the deployment allows previews.
    pub previews: bool,
    /// What led to it.
    pub occasion: Occasion,
    /// The envelope that did.
    pub reference: &'a Ref,
    /// What is pending for the device and wakes it, oldest first.
    pub pending: &'a [Row],
    /// Those of them that another device has acked.
    pub acked_elsewhere: &'a [Ref],
    /// Now.
    pub now: Timestamp,
}

/// What the device is told.
///
/// A new envelope is told of, whatever other devices have acked by now; a summary only if it has something to say, and otherwise it takes back
/// in silence what was told before, as does an ack elsewhere. It is as loud as the loudest of what it is about; news of a group make no sound.
/// What is to be silent is fetched with the rest and not counted.
pub fn notice(of: &Situation<'_>) -> Notice {
    let is_left = |row: &&Row| !of.acked_elsewhere.contains(&row.reference());
    let mut told: Vec<&Envelope> = of.pending.iter().filter(is_left).map(|row| &row.envelope).collect();
    let is_seen = |envelope: &&Envelope| envelope.urgency != Urgency::Silent;
    let badge = u32::try_from(told.iter().copied().filter(|one| is_seen(one)).count()).unwrap_or(u32::MAX);
    if told.is_empty() && of.occasion == Occasion::New {
        told.extend(of.pending.iter().map(|row| &row.envelope).rev().take(1));
    }
    if told.iter().any(is_seen) {
        told.retain(is_seen);
    }
    let newest = told.last().copied();
    let urgency = match of.occasion {
        Occasion::AckedElsewhere => Urgency::Silent,
        Occasion::New | Occasion::Summary => loudest(&told, is_quiet(of.notices.quiet, of.now)),
    };
    let is_shown = urgency != Urgency::Silent;
    let conversation = newest.map(|newest| conversation(newest, of.user));
    let conversation = conversation.filter(|one| told.iter().all(|other| self::conversation(other, of.user) == *one));
    let wants_preview = is_shown && of.previews && of.notices.preview;
    Notice {
        user: of.user.clone(),
        id: newest.map_or(of.reference.id, |newest| newest.id),
        badge: if is_shown { badge.max(1) } else { badge },
        preview: newest
            .filter(|_| wants_preview)
            .map(|newest| Preview { from: newest.from.clone(), body: newest.body.clone() }),
        urgency,
        collapse: conversation.as_ref().map_or_else(|| SUMMARY.to_owned(), collapse),
        expires_at: told.iter().map(|one| one.expires_at).max().unwrap_or(of.now.plus(NOTHING_LIFETIME)),
        conversation,
    }
}

/// How loud a notice of these is, to a device that wants it quiet now or does not. Of nothing it is silent.
fn loudest(told: &[&Envelope], is_quiet: bool) -> Urgency {
    let most =
        |envelope: &Envelope| if is_quiet || envelope.kind == Kind::System { Urgency::Quiet } else { Urgency::Urgent };
    told.iter().map(|envelope| envelope.urgency.min(most(envelope))).max().unwrap_or(Urgency::Silent)
}

/// Where the user sees a message: with whom he has it, or the group.
fn conversation(envelope: &Envelope, user: &UserId) -> Recipient {
    match (&envelope.to, &envelope.from) {
        (Recipient::User(_), Sender::User(sender)) if sender != user => Recipient::User(sender.clone()),
        (to, _) => to.clone(),
    }
}

/// The same conversation has the same name at each push, and nobody can tell from it whose it is.
fn collapse(conversation: &Recipient) -> String {
    let (kind, name) = match conversation {
        Recipient::User(user) => ("user", user.as_str()),
        Recipient::Group(group) => ("group", group.as_str()),
    };
    URL_SAFE_NO_PAD.encode(&Sha256::digest(format!("{kind} {name}"))[..COLLAPSE_BYTES])
}

fn is_quiet(quiet: Quiet, now: Timestamp) -> bool {
    match quiet {
        Quiet::Never => false,
        Quiet::Always => true,
        Quiet::Hours(hours) => hours.contain(now.as_secs()),
    }
}

/// Whether another device of the same user had `envelope` in its inbox once, so that it has acked what is not there any more. One whose put failed
/// and is tried again passes for one that has, until it is put.
pub fn was_given(other: &Device, envelope: &Envelope) -> bool {
    other.known_since.is_some_and(|since| since < envelope.at)
}

/// A message as a notification may show it. `Debug` shows neither part.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// Who wrote it.
    pub from: Sender,
    /// What was written.
    pub body: Body,
}

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preview")
    }
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
