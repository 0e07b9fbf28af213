//! When things happen again: the waits between attempts, the back-off after failures, and the jitter of both. It reads no
//! clock and draws from a generator that the caller seeds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;
use protocol::Timestamp;

/// What an invocation knows of the world outside its event.
#[derive(Clone, Copy, Debug)]
pub struct Invocation {
    /// The time at its start.
    pub now: Timestamp,
    /// Seed of its randomness.
    pub seed: u64,
}

impl Invocation {
    /// A generator for this invocation's jitter.
    pub fn rng(&self) -> Rng {
        Rng::with_seed(self.seed)
    }
}

/// The waits after each attempt, in whole seconds. As many attempts are made as there are waits; when the last wait is
/// over without an ack, they are exhausted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits(Vec<Duration>);

/// A list of waits that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waits are 1 to 10 whole numbers of seconds from 1 to 750, separated by commas, such as 5,15,45,5")]
pub struct InvalidWaits;

/// Longest wait, in seconds: lengthened by a fifth, it is the longest delay that SQS accepts (15 minutes).
const MAX_WAIT_SECS: u64 = 750;

impl Waits {
    /// How many attempts are made: the first by Deliver, the others by Await.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The wait after the `attempt`th attempt (from 1), with jitter. `None` after more attempts than are made.
    pub fn after(&self, attempt: u32, rng: &mut Rng) -> Option<Duration> {
        let wait = self.0.get(usize::try_from(attempt).ok()?.checked_sub(1)?)?;
        Some(lengthened(*wait, rng))
    }

    /// The wait after the first attempt, with jitter.
    pub fn first(&self, rng: &mut Rng) -> Duration {
        self.after(1, rng).expect("there is at least one wait")
    }

    /// The longest that the last wait may be made by jitter.
    pub fn longest_last(&self) -> Duration {
        self.0.last().expect("there is at least one wait").mul_f64(1.0 + JITTER)
    }

    /// All waits together, without jitter.
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }
}

impl Default for Waits {
    fn default() -> Self {
        Self([5, 15, 45, 5].map(Duration::from_secs).to_vec())
    }
}

impl FromStr for Waits {
    type Err = InvalidWaits;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let waits: Vec<Duration> = text
            .split(',')
            .map(|part| part.trim().parse().ok().filter(|secs| (1..=MAX_WAIT_SECS).contains(secs)))
            .map(|secs| secs.map(Duration::from_secs).ok_or(InvalidWaits))
            .collect::<Result<_, _>>()?;
        if (1..=10).contains(&waits.len()) { Ok(Self(waits)) } else { Err(InvalidWaits) }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, wait) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "," }, wait.as_secs())?;
        }
        Ok(())
    }
}

/// Longest back-off after a failure, before jitter, in seconds.
const MAX_BACKOFF_SECS: u64 = 300;

/// How long a record waits after an infrastructure failure on its `receive_count`th receive: min(2^n, 300) s, with jitter.
/// With a `maxReceiveCount` of 200 that outlasts an outage of many hours.
pub fn backoff(receive_count: u32, rng: &mut Rng) -> Duration {
    let secs = 2u64.checked_pow(receive_count).unwrap_or(MAX_BACKOFF_SECS).min(MAX_BACKOFF_SECS);
    lengthened(Duration::from_secs(secs), rng)
}

/// By how much a wait is lengthened at most.
const JITTER: f64 = 0.2;

/// `wait` lengthened by up to a fifth, so that what failed together does not come back together; whole seconds, at least 1.
fn lengthened(wait: Duration, rng: &mut Rng) -> Duration {
    let secs = wait.as_secs_f64() * (1.0 + JITTER * rng.f64());
    Duration::from_secs_f64(secs.round().max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_lengthened_by_at_most_a_fifth_to_whole_seconds() {
        let waits = Waits::default();
        let mut rng = Rng::with_seed(7);
        for _ in 0..1_000 {
            for (attempt, secs) in [(1, 5), (2, 15), (3, 45), (4, 5)] {
                let wait = waits.after(attempt, &mut rng).expect("a wait");
                assert!((secs..=secs + secs / 5).contains(&wait.as_secs()), "{wait:?} after attempt {attempt}");
                assert_eq!(wait.subsec_nanos(), 0);
            }
        }
        assert_eq!(waits.attempts(), 4);
        assert_eq!(waits.after(0, &mut rng), None);
        assert_eq!(waits.after(5, &mut rng), None);
    }

    #[test]
    fn backoff_doubles_up_to_five_minutes() {
        let mut rng = Rng::with_seed(7);
        for (receive_count, secs) in [(1, 2), (2, 4), (8, 256), (9, 300), (64, 300), (u32::MAX, 300)] {
            let wait = backoff(receive_count, &mut rng).as_secs();
            assert!((secs..=secs + secs / 5).contains(&wait), "{wait} s after receive {receive_count}");
        }
    }

    #[test]
    fn waits_are_read_and_written() {
        assert_eq!("5,15,45,5".parse(), Ok(Waits::default()));
        assert_eq!(Waits::default().to_string(), "5,15,45,5");
        assert_eq!("1".parse::<Waits>().map(|waits| waits.attempts()), Ok(1));
        for bad in ["", "0", "5,", "a", "-1", "1.5", "751", "1,1,1,1,1,1,1,1,1,1,1"] {
            assert_eq!(bad.parse::<Waits>(), Err(InvalidWaits), "{bad}");
        }
    }
}
