//! What a port was asked, call by call, and which of the next calls shall fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use delivery::Failure;

use crate::lock;

/// Counts calls by name and fails those that a test planned to fail. Clones share one ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    calls: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    failures: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Ledger {
    /// How often `call` was made.
    pub fn calls(&self, call: &str) -> u64 {
        lock(&self.calls).get(call).copied().unwrap_or(0)
    }

    /// All calls by name, and none of them from before the last time this was asked.
    pub fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *lock(&self.calls))
    }

    /// The next `times` calls named `call` fail.
    pub fn fail_next(&self, call: &'static str, times: u64) {
        *lock(&self.failures).entry(call).or_default() += times;
    }

    /// Counts a call; fails if that was planned.
    pub(crate) fn enter(&self, call: &'static str) -> Result<(), Failure> {
        *lock(&self.calls).entry(call).or_default() += 1;
        match lock(&self.failures).get_mut(call) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err(planned())
            }
            _ => Ok(()),
        }
    }
}

/// A failure that a test planned.
pub(crate) fn planned() -> Failure {
    Failure { operation: "pass a test's switchboard", cause: "planned".to_owned() }
}
