//! Virtual time: it moves only when a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use delivery::Invocation;
use protocol::{MessageId, Timestamp};

/// A clock that its clones share.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicU64>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000_000)))
    }
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    /// Moves the time.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).expect("tests move time by less than ages");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// An invocation now.
    pub fn invocation(&self) -> Invocation {
        Invocation { now: self.now(), seed: 7 }
    }

    /// The id of the `n`th message made at this moment.
    pub fn message_id(&self, n: u64) -> MessageId {
        message_id(self.now(), n)
    }
}

/// The id of the `n`th message made at `at`.
pub fn message_id(at: Timestamp, n: u64) -> MessageId {
    let hex = format!("{:012x}", at.as_millis());
    let (high, low) = hex.split_at(8);
    format!("{high}-{low}-7{:03x}-8000-{:012x}", (n >> 48) & 0xfff, n & 0xffff_ffff_ffff).parse().expect("a message id")
}
