//! How long to wait before trying again: exponential, with full jitter. It keeps no time and draws from the generator
//! that it is given.

use std::time::Duration;

use fastrand::Rng;

/// The longest wait after a first failure. It doubles with each further one.
pub const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// The longest wait after any number of failures.
pub const BACKOFF_CAP: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One more failure: the wait before the next try, anything from nothing to the ceiling, so that clients that failed
    /// together do not come back together.
    pub(crate) fn failed(&mut self, rng: &mut Rng) -> Duration {
        let ceiling = BACKOFF_BASE.saturating_mul(2_u32.saturating_pow(self.failures)).min(BACKOFF_CAP);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(rng.f64())
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_spread_over_a_ceiling_that_doubles_up_to_the_cap() {
        let mut rng = Rng::with_seed(7);
        for (failures, ceiling) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (u32::MAX - 1, 30)] {
            let waits: Vec<Duration> = (0..1_000).map(|_| Backoff { failures }.failed(&mut rng)).collect();
            let ceiling = Duration::from_secs(ceiling);
            assert!(waits.iter().all(|wait| *wait <= ceiling), "after {failures}");
            assert!(waits.iter().any(|wait| *wait < ceiling / 10), "after {failures}");
            assert!(waits.iter().any(|wait| *wait > ceiling * 9 / 10), "after {failures}");
        }
    }

    #[test]
    fn a_success_starts_it_again() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed(&mut Rng::with_seed(1));
        }
        backoff.reset();
        assert!(backoff.failed(&mut Rng::with_seed(1)) <= BACKOFF_BASE);
    }
}
