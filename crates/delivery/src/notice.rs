//! What a device is told by a push, and how urgently: of what is pending for it, and what its other devices have acked. Whether it is pushed
//! to at all is decided in [`wake`](crate::wake); what a notice becomes in each push service is in the crate `push`.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{Body, MessageId, Notices, Quiet, Recipient, Ref, Sender, Timestamp, Urgency, UserId};
use sha2::{Digest, Sha256};

use crate::envelope::{Device, Envelope, Row};

/// How long a push service keeps a notice that nothing is pending any more.
const NOTHING_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How many bytes of a hash name a conversation to a push service, which takes names of at most 32 characters.
const COLLAPSE_BYTES: usize = 16;

/// A notice of several conversations replaces the one before.
const SUMMARY: &str = "summary";

/// So does a silent one, but those that are shown.
const SILENT: &str = "silent";

/// One push: that messages wait for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose device it is for.
    pub user: UserId,
    /// The newest message.
    pub id: MessageId,
    /// Where the messages are, the other user or the group. None if they are of several conversations. Of a silent one, where nothing is left.
    pub conversation: Option<Recipient>,
    /// How many messages are pending for the device.
    pub badge: u32,
    /// The newest message itself, where the deployment and the device both want it shown.
    pub preview: Option<Preview>,
    /// How much the device is to make of it.
    pub urgency: Urgency,
    /// Whether it takes something back that may have been shown. A silent one that does not is for apps that fetch in the background.
    pub takes_back: bool,
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
    /// How loud its hand-over may be.
    pub urgency: Urgency,
    /// What is pending for the device and wakes it, oldest first: the newest of it.
    pub pending: &'a [Row],
    /// Whether there is more of it, or may be, that was not read.
    pub is_cut: bool,
    /// Those of them that another device has acked.
    pub acked_elsewhere: &'a [Ref],
    /// Now.
    pub now: Timestamp,
}

/// What the device is told.
///
/// A new envelope is told of, whatever other devices have acked by now; a summary only if it has something to say, and otherwise it takes back
/// in silence what was told before, as does an ack elsewhere. What is to be silent is fetched with the rest, and neither counted nor shown.
pub fn notice(of: &Situation<'_>) -> Notice {
    let (badge, told) = told(of);
    let newest = told.last().copied();
    let urgency = urgency(of, &told);
    let is_shown = urgency != Urgency::Silent;
    let conversation = if is_shown { common(&told, of.user) } else { taken_back(of) };
    let wants_preview = is_shown && of.previews && of.notices.preview;
    Notice {
        user: of.user.clone(),
        id: newest.map_or(of.reference.id, |newest| newest.id),
        badge: if is_shown || of.is_cut { badge.max(1) } else { badge },
        preview: newest
            .filter(|_| wants_preview)
            .map(|newest| Preview { from: newest.from.clone(), body: newest.body.clone() }),
        urgency,
        takes_back: of.occasion == Occasion::AckedElsewhere || !of.acked_elsewhere.is_empty(),
        collapse: match &conversation {
            Some(conversation) => collapse(conversation),
            // It must not take the place of a notice that is still owed.
            None if !is_shown && badge > 0 => SILENT.to_owned(),
            None => SUMMARY.to_owned(),
        },
        expires_at: told.iter().map(|one| one.expires_at).max().unwrap_or(of.now.plus(NOTHING_LIFETIME)),
        conversation,
    }
}

/// How many are to be shown, and those that the notice is about, oldest first: these, or what is silent if there is nothing else.
fn told<'a>(of: &Situation<'a>) -> (u32, Vec<&'a Envelope>) {
    let is_seen = |row: &&Row| row.envelope.is_seen();
    let is_left = |row: &&Row| !of.acked_elsewhere.contains(&row.reference());
    let left: Vec<&Row> = of.pending.iter().filter(is_left).collect();
    let seen: Vec<&Row> = left.iter().copied().filter(is_seen).collect();
    let badge = u32::try_from(seen.len()).unwrap_or(u32::MAX);
    let newest = of.pending.iter().rfind(is_seen).filter(|_| of.occasion == Occasion::New);
    let is_beyond = of.is_cut && of.occasion != Occasion::AckedElsewhere && of.urgency != Urgency::Silent;
    let told = match newest {
        _ if !seen.is_empty() => seen,
        Some(newest) => vec![newest],
        // It is about what was not read.
        None if is_beyond => Vec::new(),
        None => left,
    };
    (badge, told.into_iter().map(|row| &row.envelope).collect())
}

/// As loud as the record that led to it, which is new, and no louder than what is left of what it is about: what was told before makes no sound
/// again.
fn urgency(of: &Situation<'_>, told: &[&Envelope]) -> Urgency {
    let loudest = told.iter().map(|envelope| envelope.loudness()).max().unwrap_or(Urgency::Silent);
    let loudest = if of.is_cut { of.urgency } else { loudest };
    match of.occasion {
        Occasion::AckedElsewhere => Urgency::Silent,
        Occasion::New | Occasion::Summary if is_quiet(of.notices.quiet, of.now) => {
            of.urgency.min(loudest).min(Urgency::Quiet)
        }
        Occasion::New | Occasion::Summary => of.urgency.min(loudest),
    }
}

/// The conversation of which nothing is left, if there is one, that of the ack before others: what is shown of it is to be taken away.
fn taken_back(of: &Situation<'_>) -> Option<Recipient> {
    let is_seen = |row: &&Row| row.envelope.is_seen();
    let is_acked = |row: &&Row| of.acked_elsewhere.contains(&row.reference());
    let place = |row: &&Row| conversation(&row.envelope, of.user);
    let (acked, left): (Vec<&Row>, Vec<&Row>) = of.pending.iter().filter(is_seen).partition(is_acked);
    let left: Vec<Recipient> = left.iter().map(place).collect();
    let gone = acked.iter().map(|row| (row.envelope.id == of.reference.id, place(row)));
    // Of what was not read something may be left.
    let gone: Vec<_> = gone.filter(|(_, place)| !of.is_cut && !left.contains(place)).collect();
    let (is_named, first) = gone.iter().find(|(is_named, _)| *is_named).or(gone.first())?;
    let is_it = *is_named || gone.iter().all(|(_, other)| other == first);
    is_it.then(|| first.clone())
}

/// The conversation that all of these are of, if they are of one.
fn common(told: &[&Envelope], user: &UserId) -> Option<Recipient> {
    let newest = conversation(told.last()?, user);
    told.iter().all(|other| conversation(other, user) == newest).then_some(newest)
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
