//! Drains: how a backlog is posted to a device that came online, a page at a time, without waiting for acks.

use std::time::Duration;

use crate::envelope::Row;
use crate::job::{Await, Drain, Job, MAX_PENDING, Pending};
use crate::ports::{Page, Scheduled};

/// Most envelopes in one page. With a page of at most 1 MB and frames of 30,000 bytes that is at most 256 posts.
pub const PAGE: usize = 256;

/// How long a new connection's Drain waits: what is posted while `$connect` runs is answered 410.
pub const DELAY: Duration = Duration::from_secs(1);

/// The Await jobs for what was posted: at most [`MAX_PENDING`] in each.
pub fn awaits(pending: &[Pending], delay: Duration) -> Vec<Scheduled> {
    pending
        .chunks(MAX_PENDING)
        .map(|chunk| Scheduled { job: Job::Await(Await { pending: chunk.to_vec() }), delay })
        .collect()
}

/// The Drain that goes on after `page`, which is not empty; none if it is. After the last page it finds nothing but the end.
pub fn next(drain: &Drain, page: &Page) -> Option<Drain> {
    let after = Some(page.rows.last()?.key().reference());
    Some(Drain { after, ..drain.clone() })
}

/// What a row is to the device that it was posted to.
pub fn pending(drain: &Drain, row: &Row) -> Pending {
    Pending { user: drain.user.clone(), device: drain.device.clone(), reference: row.reference() }
}
