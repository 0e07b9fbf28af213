//! Waits for what nobody is told of, so that it can only be asked for, again and again. What is asked is a test's business.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::socket::DEADLINE;

/// How often something is asked for that can only be asked for.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The first answer that is wanted. When none comes in time, the last one shows how far it was.
pub async fn eventually<T: Debug>(what: &str, ask: impl AsyncFn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let by = Instant::now() + DEADLINE;
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < by, "waited {DEADLINE:?} in vain for {what}: {answer:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
