//! Makes message ids. It reads no clock.

use std::sync::{Mutex, PoisonError};

use protocol::{MessageId, Timestamp};
use uuid::{ContextV7, Uuid};

/// One for the process, so that ids increase whichever client makes them.
static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new id whose time part is `now`.
///
/// Every id is greater than all that this process made before. Within one millisecond a counter sees to that; when the
/// clock goes back, the time part stays where it was.
pub fn new_message_id(now: Timestamp) -> MessageId {
    let context = CONTEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let nanos = u32::try_from(now.as_millis() % 1_000 * 1_000_000).expect("less than a second in nanoseconds");
    let timestamp = uuid::Timestamp::from_unix(&*context, now.as_secs(), nanos);
    MessageId::new(Uuid::new_v7(timestamp)).expect("it was made as version 7")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_within_a_millisecond_and_when_the_clock_goes_back() {
        let at = Timestamp::from_millis(4_000_000_000_000);
        let mut last = new_message_id(at);
        assert_eq!(last.timestamp(), at);
        for millis in [0, 0, 0, 1, 1, 0].into_iter().cycle().take(10_000) {
            let id = new_message_id(Timestamp::from_millis(3_999_999_999_999 + millis));
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }
}
