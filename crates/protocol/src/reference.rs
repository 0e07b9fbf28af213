//! The `ref` of an envelope: opaque to clients, `ID~SENDER` to the server, with `~!` added if somebody waits for its ack, and
//! `~*` while nobody has claimed it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{InvalidId, MESSAGE_ID_BYTES, MessageId, Sender};

/// Which of a device's two inboxes holds an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shelf {
    /// The device's own inbox.
    Own,
    /// The user's unclaimed envelopes, which any device of the user may ack.
    Unclaimed,
}

/// The name of an envelope within a device's inbox. Stable for the life of the envelope.
///
/// Refs order by message id, then sender, then shelf: the order in which a device reads its inbox. Whether one is watched comes last, since it
/// moves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ref {
    /// The message.
    pub id: MessageId,
    /// Who sent it. A sender chooses the id, so only both together name a message.
    pub sender: Sender,
    /// Where the envelope lies.
    pub shelf: Shelf,
    /// Whether somebody is to be told of its ack: the sender, or the user's other devices. It says where to look, so that the acks of all
    /// others cost no read; what is told, and whether anything is, the envelope itself decides. Of what nobody has claimed any device may
    /// have shown it, so [`Ref::is_watched`] says yes to that as well.
    pub watched: bool,
}

// Neither `*` nor `!` is a user's: a letter here could be the sender.
const UNCLAIMED_SUFFIX: &str = "~*";
const WATCHED_SUFFIX: &str = "~!";

impl Ref {
    /// The part that orders envelopes within one shelf: `ID~SENDER`.
    pub fn position(&self) -> String {
        format!("{}~{}", self.id, self.sender)
    }

    /// Whether its ack may be news to somebody.
    pub fn is_watched(&self) -> bool {
        self.watched || self.shelf == Shelf::Unclaimed
    }

    /// Reads a [`Ref::position`] found on `shelf`.
    ///
    /// # Errors
    /// When the text is not `ID~SENDER`.
    pub fn at(position: &str, shelf: Shelf) -> Result<Self, InvalidId> {
        let invalid = InvalidId("a ref is opaque: send it back as it was received");
        let (id, rest) = position.split_at_checked(MESSAGE_ID_BYTES).ok_or(invalid)?;
        let sender = rest.strip_prefix('~').ok_or(invalid)?;
        Ok(Self {
            id: id.parse().map_err(|_| invalid)?,
            sender: sender.parse().map_err(|_| invalid)?,
            shelf,
            watched: false,
        })
    }
}

impl FromStr for Ref {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, shelf) = match text.strip_suffix(UNCLAIMED_SUFFIX) {
            Some(rest) => (rest, Shelf::Unclaimed),
            None => (text, Shelf::Own),
        };
        let (position, watched) = text.strip_suffix(WATCHED_SUFFIX).map_or((text, false), |rest| (rest, true));
        Ok(Self { watched, ..Self::at(position, shelf)? })
    }
}

impl TryFrom<String> for Ref {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Ref> for String {
    fn from(reference: Ref) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shelf = match self.shelf {
            Shelf::Own => "",
            Shelf::Unclaimed => UNCLAIMED_SUFFIX,
        };
        let watched = if self.watched { WATCHED_SUFFIX } else { "" };
        write!(f, "{}~{}{watched}{shelf}", self.id, self.sender)
    }
}

impl Ord for Ref {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.id, &self.sender, self.shelf, self.watched).cmp(&(other.id, &other.sender, other.shelf, other.watched))
    }
}

impl PartialOrd for Ref {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198a5c0-7c00-7abc-8def-0123456789ab";

    #[test]
    fn a_ref_is_read_as_it_was_written() {
        for text in [
            format!("{ID}~alice"),
            format!("{ID}~alice~*"),
            format!("{ID}~auth0|a-b"),
            format!("{ID}~~system"),
            format!("{ID}~~system~*"),
            format!("{ID}~alice~!"),
            format!("{ID}~~system~!~*"),
        ] {
            assert_eq!(text.parse::<Ref>().expect("a ref").to_string(), text);
        }
    }

    #[test]
    fn garbage_is_no_ref() {
        for bad in [
            "",
            "x",
            ID,
            &format!("{ID}~"),
            &format!("{ID}~a#b"),
            &format!("{ID}~a~b"),
            &format!("{ID}~~b"),
            &format!("{ID}~~!"),
            &format!("{ID}~a~*~!"),
            &format!("{ID}~a~!~!"),
            &format!("{ID}é~a"),
        ] {
            assert!(bad.parse::<Ref>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_own_envelope_comes_before_its_unclaimed_twin() {
        let own: Ref = format!("{ID}~alice").parse().expect("a ref");
        let unclaimed: Ref = format!("{ID}~alice~*").parse().expect("a ref");
        let later: Ref = format!("{ID}~alice.b").parse().expect("a ref");
        assert!(own < unclaimed && unclaimed < later);
    }
}
