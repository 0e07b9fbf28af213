//! The lines that a chat has sent, by their ids, until nothing more is to be told of them. It prints nothing.

use std::collections::{BTreeMap, HashMap};

use protocol::MessageId;

/// As many accepted lines, the latest, are remembered until they are shown.
const UNSHOWN_CAPACITY: usize = 1_000;

/// A line as it is repeated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// Whether the other side has it.
    pub(crate) shown: bool,
}

/// Lines whose answer, or whose showing, is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    unanswered: HashMap<MessageId, Line>,
    unshown: BTreeMap<MessageId, String>,
}

impl Sent {
    /// Remembers a line that was sent.
    pub(crate) fn add(&mut self, id: MessageId, text: String) {
        self.unanswered.insert(id, Line { text, shown: false });
    }

    /// How many lines await their answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// The line that was accepted. If it has been shown as well, that is to be told now.
    pub(crate) fn accepted(&mut self, id: MessageId) -> Option<Line> {
        let line = self.unanswered.remove(&id)?;
        if !line.shown {
            self.unshown.insert(id, line.text.clone());
            if self.unshown.len() > UNSHOWN_CAPACITY {
                self.unshown.pop_first();
            }
        }
        Some(line)
    }

    /// The line that was refused.
    pub(crate) fn refused(&mut self, id: MessageId) -> Option<Line> {
        self.unanswered.remove(&id)
    }

    /// The line that was shown, when that is to be told now: once, and not before it was accepted.
    pub(crate) fn shown(&mut self, id: MessageId) -> Option<String> {
        if let Some(line) = self.unanswered.get_mut(&id) {
            line.shown = true;
        }
        self.unshown.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> MessageId {
        format!("0198a5c0-7c00-7abc-8def-{n:012x}").parse().expect("an id")
    }

    fn line(shown: bool) -> Option<Line> {
        Some(Line { text: "hi".to_owned(), shown })
    }

    #[test]
    fn a_line_is_shown_once_and_after_it_was_accepted() {
        let mut sent = Sent::default();
        sent.add(id(1), "hi".to_owned());
        assert_eq!((sent.accepted(id(1)), sent.unanswered()), (line(false), 0));
        assert_eq!(sent.shown(id(1)).as_deref(), Some("hi"));
        assert_eq!((sent.shown(id(1)), sent.shown(id(2))), (None, None));

        sent.add(id(3), "hi".to_owned());
        assert_eq!(sent.shown(id(3)), None);
        assert_eq!(sent.accepted(id(3)), line(true));
        assert_eq!((sent.accepted(id(3)), sent.shown(id(3))), (None, None));
    }

    #[test]
    fn the_oldest_line_is_forgotten() {
        let mut sent = Sent::default();
        for n in 0..=UNSHOWN_CAPACITY {
            sent.add(id(n), n.to_string());
            sent.accepted(id(n));
        }
        assert_eq!((sent.shown(id(0)), sent.shown(id(1)).as_deref()), (None, Some("1")));
    }

    #[test]
    fn a_refused_line_is_not_shown() {
        let mut sent = Sent::default();
        sent.add(id(1), "hi".to_owned());
        assert_eq!((sent.refused(id(1)), sent.shown(id(1))), (line(false), None));
    }
}
