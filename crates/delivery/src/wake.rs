//! Wakes: one at once, then at most one in each interval, and none lost. The state is one value per inbox, replaced only
//! if nobody else replaced it meanwhile.
//!
//! The argument that none is lost: a record ends as covered only while another record holds the due wake. Whoever holds it
//! gives it up in the same write that starts its push, and reads what is pending after that write; the covered record's
//! envelope was put before, so the reader sees it. A holder that dies is received again, and one that never comes
//! back is overtaken after [`OVERDUE`].

use std::time::Duration;

use protocol::Timestamp;

/// How long after its time a due wake is taken over by the next record. Longer than the longest back-off of the holder.
pub const OVERDUE: Duration = Duration::from_secs(600);

/// Longest interval that can be kept: a record waits by visibility, which SQS ends after 12 hours, and an hour leaves room for
/// back-off.
pub const MAX_INTERVAL: Duration = Duration::from_secs(3_600);

/// Most pending ids that one wake names.
pub const MAX_IDS: usize = 256;

/// A wake that waits for the interval to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// The id of the record that waits, by visibility, to push it.
    pub record: String,
}

/// When an inbox's device was last woken, and whether a wake is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeState {
    /// When the last wake was started; undone if nobody was woken after all.
    pub last: Option<Timestamp>,
    /// The next one.
    pub due: Option<Due>,
}

/// What a record of the wake queue does next. Both states are to be written before it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeStep {
    /// Write the state, read what is pending, push; write the state before again if that wakes nobody.
    Push(WakeState),
    /// Write the state and wait until then.
    Hold(WakeState, Timestamp),
    /// Another record will push for this one too.
    Covered,
}

/// Decides for the record `record` at `now`.
pub fn step(state: &WakeState, record: &str, interval: Duration, now: Timestamp) -> WakeStep {
    let held_by_another = state.due.as_ref().is_some_and(|due| due.record != record && now < due.at.plus(OVERDUE));
    if held_by_another {
        return WakeStep::Covered;
    }
    match state.last.map(|last| last.plus(interval)).filter(|next| *next > now) {
        Some(next) => {
            let due = Some(Due { at: next, record: record.to_owned() });
            WakeStep::Hold(WakeState { last: state.last, due }, next)
        }
        None => WakeStep::Push(WakeState { last: Some(now), due: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000 + secs)
    }

    #[test]
    fn a_burst_is_one_wake_and_one_summary() {
        let mut state = WakeState::default();
        let WakeStep::Push(next) = step(&state, "first", INTERVAL, at(0)) else { panic!("the first pushes") };
        state = next;
        let WakeStep::Hold(next, until) = step(&state, "second", INTERVAL, at(1)) else { panic!("the second holds") };
        assert_eq!(until, at(30));
        state = next;
        for other in ["third", "fourth"] {
            assert_eq!(step(&state, other, INTERVAL, at(2)), WakeStep::Covered);
        }
        let WakeStep::Push(next) = step(&state, "second", INTERVAL, at(30)) else { panic!("the holder pushes") };
        assert_eq!(next, WakeState { last: Some(at(30)), due: None });
    }

    #[test]
    fn a_holder_that_comes_early_keeps_its_wait() {
        let state = WakeState { last: Some(at(0)), due: Some(Due { at: at(30), record: "me".to_owned() }) };
        assert_eq!(step(&state, "me", INTERVAL, at(29)), WakeStep::Hold(state.clone(), at(30)));
    }

    #[test]
    fn a_holder_that_never_comes_is_overtaken() {
        let state = WakeState { last: Some(at(0)), due: Some(Due { at: at(30), record: "lost".to_owned() }) };
        assert_eq!(step(&state, "me", INTERVAL, at(629)), WakeStep::Covered);
        assert!(matches!(step(&state, "me", INTERVAL, at(630)), WakeStep::Push(_)));
    }
}
