//! Wakes: one at once, then at most one in each interval, and none lost. The state is one value per inbox, replaced only
//! if nobody else replaced it meanwhile.
//!
//! A record that comes too early is postponed: a copy of it, the holder, is sent with a delay and a token, and the token is written as
//! the due wake. Records that come while a wake is due that is as loud end as covered; a louder one sends a holder of its own, which takes the
//! place of the one before.
//!
//! The argument that none is lost: a record ends as covered only while the holder is on its way. The holder gives the due wake up in
//! the same write that starts its push, and reads what is pending after that write; the covered record's envelope was put before, so
//! the reader sees it. The holder is a record of its own, with a token that is never used again, so a second receive of the same
//! record, which SQS may make at any time, can neither hold the due wake again nor end it: it finds another token and is taken for any
//! other record. A holder that dies is received again, and one that never comes back is overtaken after [`OVERDUE`]. A holder that comes
//! before it is named is a record like any other; if it ends, it leaves another state than the one that it was sent in, so that it is never
//! named afterwards. One whose place a louder one has taken is covered by that until it pushes, and after that costs one wake more: that the
//! other has begun does not say that it will come to its end.

use std::time::Duration;

use protocol::{Timestamp, Urgency};

/// How long after its time a due wake is taken over by the next record. Longer than the longest back-off of the holder.
pub const OVERDUE: Duration = Duration::from_secs(600);

/// Longest interval that can be kept. A holder is delayed by at most 15 minutes at a time.
pub const MAX_INTERVAL: Duration = Duration::from_secs(3_600);

/// Most pending ids that one wake names.
pub const MAX_IDS: usize = 256;

/// A wake that waits for the interval to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// Names the holder, the record that is on its way to push it, and says how loud it is.
    pub token: String,
}

/// Stands in the tokens of due wakes between their urgency and the name.
const SEPARATOR: char = ':';

impl Due {
    /// A due wake whose holder is named by `name`, which is never used again, and which is so loud.
    pub fn new(at: Timestamp, name: &str, urgency: Urgency) -> Self {
        let token =
            if urgency.is_default() { name.to_owned() } else { format!("{}{SEPARATOR}{name}", urgency.as_str()) };
        Self { at, token }
    }

    fn urgency(&self) -> Urgency {
        self.token.split_once(SEPARATOR).and_then(|(word, _)| Urgency::of(word)).unwrap_or_default()
    }
}

/// When an inbox's device was last woken, and whether a wake is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeState {
    /// When the last wake was started; undone if nobody was woken after all.
    pub last: Option<Timestamp>,
    /// The next one.
    pub due: Option<Due>,
}

/// What a record of the wake queue does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeStep {
    /// Write the state, read what is pending, push; write the state before again if that wakes nobody.
    Push(WakeState),
    /// Send a holder that comes then, write it as due, and end.
    Postpone(Timestamp),
    /// It is the holder, and early: wait until then.
    Wait(Timestamp),
    /// Another record will push for this one too.
    Covered,
}

/// How loud a record may be that finds this state: as it is by itself, or as the due wake that it overtakes.
pub fn loudness(state: &WakeState, urgency: Urgency, now: Timestamp) -> Urgency {
    let overtaken = state.due.as_ref().filter(|due| now >= due.at.plus(OVERDUE));
    overtaken.map_or(urgency, |due| due.urgency().max(urgency))
}

/// Decides at `now` for a record that holds the due wake `token`, if it holds one, and may be so loud.
pub fn step(state: &WakeState, token: Option<&str>, urgency: Urgency, interval: Duration, now: Timestamp) -> WakeStep {
    let holds = state.due.as_ref().is_some_and(|due| Some(due.token.as_str()) == token);
    // A wake is as loud as its holder at most, so it covers nobody who is louder.
    let covers = |due: &Due| now < due.at.plus(OVERDUE) && urgency <= due.urgency();
    if !holds && state.due.as_ref().is_some_and(covers) {
        return WakeStep::Covered;
    }
    match state.last.map(|last| last.plus(interval)).filter(|next| *next > now) {
        Some(next) if holds => WakeStep::Wait(next),
        Some(next) => WakeStep::Postpone(next),
        None => WakeStep::Push(WakeState { last: Some(now), due: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Urgency::{Quiet, Silent, Urgent as URGENT};

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000 + secs)
    }

    fn due(token: &str) -> WakeState {
        WakeState { last: Some(at(0)), due: Some(Due { at: at(30), token: token.to_owned() }) }
    }

    #[test]
    fn a_burst_is_one_wake_and_one_summary() {
        let WakeStep::Push(state) = step(&WakeState::default(), None, URGENT, INTERVAL, at(0)) else {
            panic!("the first pushes")
        };
        assert_eq!(step(&state, None, URGENT, INTERVAL, at(1)), WakeStep::Postpone(at(30)));
        assert_eq!(step(&due("holder"), None, URGENT, INTERVAL, at(2)), WakeStep::Covered);
        let pushed = WakeState { last: Some(at(30)), due: None };
        assert_eq!(step(&due("holder"), Some("holder"), URGENT, INTERVAL, at(30)), WakeStep::Push(pushed));
    }

    #[test]
    fn a_holder_that_comes_early_waits() {
        assert_eq!(step(&due("me"), Some("me"), URGENT, INTERVAL, at(29)), WakeStep::Wait(at(30)));
    }

    #[test]
    fn a_holder_that_holds_nothing_any_more_is_a_record_like_any_other() {
        assert_eq!(step(&due("another"), Some("me"), URGENT, INTERVAL, at(31)), WakeStep::Covered);
        let pushed = WakeState { last: Some(at(30)), due: None };
        assert_eq!(step(&pushed, Some("me"), URGENT, INTERVAL, at(31)), WakeStep::Postpone(at(60)));
    }

    #[test]
    fn a_holder_that_never_comes_is_overtaken() {
        assert_eq!(step(&due("lost"), None, URGENT, INTERVAL, at(629)), WakeStep::Covered);
        assert!(matches!(step(&due("lost"), None, URGENT, INTERVAL, at(630)), WakeStep::Push(_)));
        // Whom it covered is told as loudly as it would have.
        assert_eq!([629, 630].map(|now| loudness(&due("lost"), Silent, at(now))), [Silent, URGENT]);
    }

    #[test]
    fn a_holder_covers_who_is_no_louder() {
        for (urgency, covered) in
            [(Silent, [true, false, false]), (Quiet, [true, true, false]), (URGENT, [true, true, true])]
        {
            let due = Due::new(at(30), "queue-7/1f", urgency);
            let (state, token) = (WakeState { last: Some(at(0)), due: Some(due.clone()) }, Some(due.token.as_str()));
            let of = |other| step(&state, None, other, INTERVAL, at(2)) == WakeStep::Covered;
            assert_eq!([Silent, Quiet, URGENT].map(of), covered, "{urgency:?}");
            assert_eq!(step(&state, token, urgency, INTERVAL, at(2)), WakeStep::Wait(at(30)));
            assert!(matches!(step(&state, token, urgency, INTERVAL, at(30)), WakeStep::Push(_)));
        }
        // Whoever is louder sends a holder of its own, and the one before is covered when it comes.
        assert_eq!(step(&due("loud"), Some("silent:before"), Silent, INTERVAL, at(30)), WakeStep::Covered);
    }
}
