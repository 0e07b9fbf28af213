//! How long messages took from `accepted`, as their sender saw it, to `messages`, as their recipient did. It only collects and tells; no
//! test depends on it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What was measured in this run, in milliseconds. A message that came before its `accepted` took less than nothing.
#[derive(Debug, Default)]
pub struct Latency(Mutex<Vec<f64>>);

impl Latency {
    /// One message.
    pub fn add(&self, accepted: Instant, received: Instant) {
        let millis = match received.checked_duration_since(accepted) {
            Some(later) => later.as_secs_f64() * 1_000.0,
            None => accepted.duration_since(received).as_secs_f64() * -1_000.0,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(millis);
    }

    /// The median and the longest, for a person; nothing if nothing was measured. `alone` says that no other test ran meanwhile.
    pub(crate) fn in_words(&self, alone: bool) -> Option<String> {
        let mut millis = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        millis.sort_by(f64::total_cmp);
        let longest = *millis.last()?;
        let median = f64::midpoint(millis[(millis.len() - 1) / 2], millis[millis.len() / 2]);
        let below_zero = if millis[0] < 0.0 { " Below zero is before the sender was told." } else { "" };
        let meanwhile =
            if alone { "" } else { "\nOther tests ran meanwhile; the filter `how_long` measures without them." };
        Some(format!(
            "From `accepted` at the sender to the message at the recipient, over {} messages: median {median:.1} ms, longest \
             {longest:.1} ms.{below_zero}{meanwhile}",
            millis.len()
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_median_and_the_longest_are_told() {
        let latency = Latency::default();
        assert_eq!(latency.in_words(true), None);
        let accepted = Instant::now() + Duration::from_secs(1);
        for millis in [10, 30, 20] {
            latency.add(accepted, accepted + Duration::from_millis(millis));
        }
        let words = latency.in_words(false).expect("words");
        assert!(words.contains("over 3 messages: median 20.0 ms, longest 30.0 ms.\n"), "{words}");
        latency.add(accepted, accepted - Duration::from_millis(5));
        let words = latency.in_words(false).expect("words");
        assert!(words.contains("median 15.0 ms") && words.contains("Below zero"), "{words}");
    }
}
