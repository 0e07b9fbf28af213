//! The wall clock: the one place that reads it. Everything else is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::Timestamp;

/// The time by this machine's clock, in whole milliseconds; the epoch itself if the clock stands before it.
#[expect(clippy::disallowed_methods, reason = "the edge: everything else takes the time as an argument")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(0).plus(since_epoch)
}
