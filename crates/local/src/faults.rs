//! The switchboard of faults: how often the local cloud misbehaves as AWS may. It only draws lots; whoever misbehaves asks it.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An invocation that is to crash is dropped after at most this many polls, which is about as many as one makes.
const MAX_POLLS_BEFORE_CRASH: u32 = 12;

/// Longest delay of a post, in milliseconds.
const MAX_DELAY_MS: u64 = 60_000;

/// How often each fault happens, as rates from 0.0 (never) to 1.0 (always).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// A post answers that it was posted, and nothing is sent.
    pub drop_posts: f64,
    /// A post takes longer.
    pub delay_posts: Delay,
    /// A record is received twice, perhaps at the same moment.
    pub duplicate_records: f64,
    /// A post is sent, and answers that the connection is gone.
    pub false_gone: f64,
    /// An invocation is dropped at some await point.
    pub crash: f64,
}

/// How often posts are delayed, and by how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Delay {
    /// From 0.0 to 1.0.
    pub rate: f64,
    /// Milliseconds, at most 60,000.
    pub ms: u64,
}

/// A change to the rates: what is left out stays.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    drop_posts: Option<f64>,
    delay_posts: Option<DelayChange>,
    duplicate_records: Option<f64>,
    false_gone: Option<f64>,
    crash: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DelayChange {
    rate: Option<f64>,
    ms: Option<u64>,
}

/// A change that cannot be made. The text says what to send instead.
#[derive(Debug, thiserror::Error)]
pub enum InvalidChange {
    /// It is not a JSON object of the known members.
    #[error(
        "send a JSON object with any of drop_posts, duplicate_records, false_gone, crash (rates from 0.0 to 1.0) and \
         delay_posts ({{\"rate\": 0.0 to 1.0, \"ms\": 0 to 60000}}): {0}"
    )]
    Shape(#[from] serde_json::Error),
    /// A rate is no probability.
    #[error("{0} is a rate: send a number from 0.0 to 1.0")]
    Rate(&'static str),
    /// A delay is too long.
    #[error("delay_posts.ms is in milliseconds: send a whole number from 0 to 60000")]
    Delay,
}

/// The switchboard. Everything is off at first.
#[derive(Debug, Default)]
pub struct Faults {
    rates: Mutex<Rates>,
}

/// An invocation was dropped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crashed;

impl Faults {
    /// What is set now.
    pub fn rates(&self) -> Rates {
        *self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Merges a change given as JSON and answers what is set then.
    ///
    /// # Errors
    /// When it is not valid; then nothing has changed.
    pub fn change(&self, json: &[u8]) -> Result<Rates, InvalidChange> {
        let change: Change = serde_json::from_slice(json)?;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = rates.merged(change);
        changed.validate()?;
        *rates = changed;
        Ok(changed)
    }

    /// Whether this post is to vanish.
    pub(crate) fn drops_post(&self) -> bool {
        happens(self.rates().drop_posts)
    }

    /// How long this post is to take.
    pub(crate) fn delays_post(&self) -> Option<Duration> {
        let Delay { rate, ms } = self.rates().delay_posts;
        happens(rate).then(|| Duration::from_millis(ms))
    }

    /// Whether this post is to be answered as gone.
    pub(crate) fn denies_post(&self) -> bool {
        happens(self.rates().false_gone)
    }

    /// Whether a record received for the `receive_count`th time is to be received once more at once. Only odd receives are, so
    /// that a record comes to an end even when every one is to be duplicated.
    pub(crate) fn duplicates(&self, receive_count: u32) -> bool {
        receive_count % 2 == 1 && happens(self.rates().duplicate_records)
    }

    /// Runs an invocation, or a part of it.
    pub(crate) async fn crashing<F: Future>(&self, invocation: F) -> Result<F::Output, Crashed> {
        let mut polls_left = happens(self.rates().crash).then(|| fastrand::u32(0..MAX_POLLS_BEFORE_CRASH));
        let mut invocation = pin!(invocation);
        std::future::poll_fn(|context| {
            match &mut polls_left {
                Some(0) => return Poll::Ready(Err(Crashed)),
                Some(left) => *left -= 1,
                None => {}
            }
            invocation.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

impl Rates {
    fn merged(self, change: Change) -> Self {
        let delay = change.delay_posts.unwrap_or_default();
        Self {
            drop_posts: change.drop_posts.unwrap_or(self.drop_posts),
            delay_posts: Delay {
                rate: delay.rate.unwrap_or(self.delay_posts.rate),
                ms: delay.ms.unwrap_or(self.delay_posts.ms),
            },
            duplicate_records: change.duplicate_records.unwrap_or(self.duplicate_records),
            false_gone: change.false_gone.unwrap_or(self.false_gone),
            crash: change.crash.unwrap_or(self.crash),
        }
    }

    fn validate(&self) -> Result<(), InvalidChange> {
        let rates = [
            ("drop_posts", self.drop_posts),
            ("delay_posts.rate", self.delay_posts.rate),
            ("duplicate_records", self.duplicate_records),
            ("false_gone", self.false_gone),
            ("crash", self.crash),
        ];
        match rates.into_iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
            Some((name, _)) => Err(InvalidChange::Rate(name)),
            None if self.delay_posts.ms > MAX_DELAY_MS => Err(InvalidChange::Delay),
            None => Ok(()),
        }
    }
}

fn happens(rate: f64) -> bool {
    rate > 0.0 && fastrand::f64() < rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_merged() {
        let faults = Faults::default();
        faults.change(br#"{"crash":0.5,"delay_posts":{"ms":20}}"#).expect("a change");
        let rates = faults.change(br#"{"delay_posts":{"rate":1}}"#).expect("a change");
        assert_eq!(rates, Rates { crash: 0.5, delay_posts: Delay { rate: 1.0, ms: 20 }, ..Rates::default() });
        assert_eq!(faults.delays_post(), Some(Duration::from_millis(20)));
    }

    #[test]
    fn a_bad_change_says_what_to_send_and_changes_nothing() {
        let faults = Faults::default();
        for (json, part) in [
            ("[]", "send a JSON object"),
            (r#"{"drop":1}"#, "drop_posts"),
            (r#"{"crash":1.5}"#, "crash is a rate"),
            (r#"{"false_gone":-0.1}"#, "0.0 to 1.0"),
            (r#"{"crash":1,"delay_posts":{"ms":60001}}"#, "0 to 60000"),
        ] {
            let error = faults.change(json.as_bytes()).expect_err(json).to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
        assert_eq!(faults.rates(), Rates::default());
    }

    #[test]
    fn only_every_other_receive_is_duplicated() {
        let faults = Faults::default();
        assert!(!faults.duplicates(1));
        faults.change(br#"{"duplicate_records":1}"#).expect("a change");
        assert!(faults.duplicates(1) && !faults.duplicates(2) && faults.duplicates(3));
    }

    #[tokio::test]
    async fn a_crash_drops_an_invocation_before_its_end() {
        let faults = Faults::default();
        let endless = || async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(faults.crashing(async { 7 }).await, Ok(7));
        faults.change(br#"{"crash":1}"#).expect("a change");
        assert_eq!(faults.crashing::<_>(endless()).await.map(|(): ()| ()), Err(Crashed));
    }
}
