//! Attempts: what a recipient's devices are owed, and what follows from the outcome of a post. The calls themselves are
//! made by `deliver`.

use std::time::Duration;

use protocol::limits::EPHEMERAL_LIFETIME;
use protocol::{Kind, Timestamp};

use crate::envelope::{Connection, Device, Dialect, Holder, Row};
use crate::job::Deliver;
use crate::ports::PostOutcome;
use crate::schedule::Waits;

/// For this long after it was registered, a connection that is gone is taken for one that is not open yet: `$connect` is
/// answered before the socket is.
pub const OPENING: Duration = Duration::from_secs(10);

/// The rows that a Deliver owes: one for each device of the recipient, or an unclaimed one if there is none. A device that is excepted has
/// it, so that then there may be nothing to do.
///
/// None bears the mark, whoever is absent: another receive of the same record may put a row, fail, and find its record deleted by a
/// receive that is done. A mark that it left would keep the Await from handing over what was never published.
pub fn owed(job: &Deliver, devices: &[Device]) -> Vec<Row> {
    let shared = devices.len() > 1 && job.envelope.kind != Kind::Receipt;
    let row = |holder| Row {
        user: job.recipient.clone(),
        holder,
        envelope: job.envelope.clone(),
        undelivered: false,
        shared,
    };
    if devices.is_empty() && job.except.is_none() {
        return vec![row(Holder::Unclaimed)];
    }
    let owed = devices.iter().filter(|device| job.except.as_ref() != Some(&device.id));
    owed.map(|device| row(Holder::Device(device.id.clone()))).collect()
}

/// Whether a job has outlived its use: an envelope that expired, or an ephemeral one older than 30 s.
pub fn is_stale(job: &Deliver, now: Timestamp) -> bool {
    job.envelope.is_expired(now) || (job.ephemeral && now.since(job.envelope.at) > EPHEMERAL_LIFETIME)
}

/// What follows for an envelope from the outcome of its post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPost {
    /// It may have arrived: await its ack.
    Await,
    /// Nobody is there: forget the connection and look again.
    Gone,
    /// It can never be posted: leave it to expire.
    Never,
    /// The deployment is at fault: come again later.
    Retry,
}

/// What follows from posting to `connection`.
pub fn after_post(outcome: PostOutcome, connection: &Connection, now: Timestamp) -> AfterPost {
    match outcome {
        PostOutcome::Posted | PostOutcome::Unknown => AfterPost::Await,
        PostOutcome::Gone if is_opening(connection, now) => AfterPost::Await,
        PostOutcome::Gone => AfterPost::Gone,
        PostOutcome::TooLarge => AfterPost::Never,
        PostOutcome::Forbidden => AfterPost::Retry,
    }
}

/// Whether a connection was registered so recently that it may not be open yet.
pub fn is_opening(connection: &Connection, now: Timestamp) -> bool {
    now.since(connection.connected_at) < OPENING
}

/// What an Await does with what is still unacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Post it for the `attempt`th time.
    Attempt(u32),
    /// All attempts were made and their waits are over.
    Exhausted,
}

/// The step of an Await on its `receive_count`th receive (from 1). The first attempt was made by whoever sent it.
pub fn step(receive_count: u32, waits: &Waits) -> Step {
    let attempt = receive_count.saturating_add(1);
    if attempt > waits.attempts() { Step::Exhausted } else { Step::Attempt(attempt) }
}

/// How much later than planned an Await may come and its Drain may have posted, so that the age of a connection tells.
const LATE: Duration = Duration::from_secs(2);

/// Whether a connection had at least the last attempt, so that its silence means something. A newer one has a Drain, and an
/// Await of that Drain, of its own. One that is older than all waits together had every attempt.
///
/// The silence of an old client never means anything: there are some that ack nothing, and each of them would be closed, come back, be
/// drained and be closed again for as long as it has anything pending.
pub fn had_its_chance(connection: &Connection, waits: &Waits, now: Timestamp) -> bool {
    if connection.dialect != Dialect::Current {
        return false;
    }
    now.since(connection.connected_at) >= (waits.longest_last() + LATE).min(waits.total())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn connected_ago(ago: Duration) -> Connection {
        Connection { id: "c".into(), connected_at: NOW.minus(ago), dialect: Dialect::Current }
    }

    #[test]
    fn the_outcome_table() {
        let old = connected_ago(OPENING);
        for (outcome, expected) in [
            (PostOutcome::Posted, AfterPost::Await),
            (PostOutcome::Gone, AfterPost::Gone),
            (PostOutcome::Unknown, AfterPost::Await),
            (PostOutcome::TooLarge, AfterPost::Never),
            (PostOutcome::Forbidden, AfterPost::Retry),
        ] {
            assert_eq!(after_post(outcome, &old, NOW), expected, "{outcome:?}");
        }
        let opening = connected_ago(OPENING - Duration::from_millis(1));
        assert_eq!(after_post(PostOutcome::Gone, &opening, NOW), AfterPost::Await);
    }

    #[test]
    fn only_a_connection_that_had_the_last_attempt_had_its_chance() {
        // The last wait of 5 s may have been 6 s.
        for (waits, secs, had) in
            [("5,15,45,5", 7, false), ("5,15,45,5", 8, true), ("1,1", 1, false), ("1,1", 2, true), ("1", 1, true)]
        {
            let connection = connected_ago(Duration::from_secs(secs));
            assert_eq!(had_its_chance(&connection, &waits.parse().expect("waits"), NOW), had, "{waits} after {secs} s");
        }
    }

    #[test]
    fn the_silence_of_an_old_client_means_nothing() {
        for dialect in [Dialect::OldJson, Dialect::OldBase64] {
            let connection = Connection { dialect, ..connected_ago(Duration::from_secs(900)) };
            assert!(!had_its_chance(&connection, &Waits::default(), NOW), "{dialect:?}");
        }
    }

    #[test]
    fn four_attempts_then_exhausted() {
        let waits = Waits::default();
        let steps: Vec<Step> = (1..=5).map(|receive_count| step(receive_count, &waits)).collect();
        use Step::{Attempt, Exhausted};
        assert_eq!(steps, [Attempt(2), Attempt(3), Attempt(4), Exhausted, Exhausted]);
    }
}
