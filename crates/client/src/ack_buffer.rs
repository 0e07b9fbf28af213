//! Refs that wait to be acked, so that one `ack` frame carries many. It writes nothing itself.

use std::time::Duration;

use protocol::Ref;
use tokio::time::Instant;

/// Longest that a ref waits for others while connected.
pub const ACK_DELAY: Duration = Duration::from_millis(250);

/// As many refs as this do not wait, and no frame has more.
pub const ACK_REFS: usize = 50;

/// Refs to ack, oldest first, each once.
#[derive(Debug, Default)]
pub(crate) struct AckBuffer {
    waiting: Vec<Ref>,
    /// When the ref that waits longest must go.
    due: Option<Instant>,
    /// Handed out and not yet known to be on the wire.
    leaving: Vec<Ref>,
}

impl AckBuffer {
    /// Adds a ref, if it does not wait already.
    pub(crate) fn add(&mut self, reference: Ref, now: Instant) {
        if !self.waiting.contains(&reference) {
            self.waiting.push(reference);
            self.due.get_or_insert(now + ACK_DELAY);
        }
    }

    /// What waits now goes at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if !self.waiting.is_empty() {
            self.due = Some(now);
        }
    }

    /// When [`AckBuffer::take`] will have something.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The refs of the next frame, when it is time for one. They are out of the buffer when [`AckBuffer::written`] says so.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Vec<Ref>> {
        let due = self.due?;
        if due > now && self.waiting.len() < ACK_REFS {
            return None;
        }
        let refs: Vec<Ref> = self.waiting.drain(..self.waiting.len().min(ACK_REFS)).collect();
        // What is left has waited as long, or comes from the same burst.
        self.due = if self.waiting.is_empty() { None } else { Some(due) };
        self.leaving.extend_from_slice(&refs);
        Some(refs)
    }

    /// The frames handed out are on the wire.
    pub(crate) fn written(&mut self) {
        self.leaving.clear();
    }

    /// The connection is lost: what was handed out and not written waits again, at the front.
    pub(crate) fn lost(&mut self, now: Instant) {
        if !self.leaving.is_empty() {
            let later = std::mem::take(&mut self.waiting);
            self.waiting = std::mem::take(&mut self.leaving);
            self.due.get_or_insert(now);
            for reference in later {
                self.add(reference, now);
            }
        }
    }

    /// Whether the envelope that this names is named by a ref that is not on the wire. Two refs of it can differ in whether it is watched.
    pub(crate) fn holds(&self, reference: &Ref) -> bool {
        let named = (reference.id, &reference.sender, reference.shelf);
        self.waiting.iter().chain(&self.leaving).any(|one| (one.id, &one.sender, one.shelf) == named)
    }

    /// How many refs are not on the wire.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.leaving.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::delivery;

    fn reference(n: u64) -> Ref {
        delivery("alice", n).reference
    }

    #[test]
    fn refs_wait_for_others_and_go_together() {
        let (mut acks, start) = (AckBuffer::default(), Instant::now());
        assert_eq!(acks.due(), None);
        acks.add(reference(1), start);
        acks.add(reference(2), start + ACK_DELAY / 2);
        acks.add(reference(1), start + ACK_DELAY / 2);
        assert_eq!(acks.take(start + ACK_DELAY / 2), None);
        assert_eq!(acks.due(), Some(start + ACK_DELAY), "the first one's wait counts");
        assert_eq!(acks.take(start + ACK_DELAY), Some(vec![reference(1), reference(2)]));
        assert_eq!(acks.due(), None);
        assert_eq!(acks.len(), 2, "not on the wire yet");
        acks.written();
        assert_eq!(acks.len(), 0);
    }

    #[test]
    fn a_full_frame_does_not_wait() {
        let (mut acks, start) = (AckBuffer::default(), Instant::now());
        for n in 0..120 {
            acks.add(reference(n), start);
        }
        let frames: Vec<usize> = std::iter::from_fn(|| acks.take(start)).map(|refs| refs.len()).collect();
        assert_eq!(frames, [50, 50]);
        assert_eq!(acks.take(start + ACK_DELAY).map(|refs| refs.len()), Some(20));
    }

    #[test]
    fn what_was_not_written_goes_again() {
        let (mut acks, start) = (AckBuffer::default(), Instant::now());
        acks.add(reference(1), start);
        acks.hurry(start);
        assert_eq!(acks.take(start), Some(vec![reference(1)]));
        acks.add(reference(2), start);
        acks.lost(start);
        acks.hurry(start);
        assert_eq!(acks.take(start), Some(vec![reference(1), reference(2)]));
        acks.written();
        acks.lost(start);
        assert_eq!(acks.take(start + ACK_DELAY), None);
    }
}
