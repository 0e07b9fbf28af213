//! What is still pending for a device, waited for. An ack has no answer, so that it counted is seen when a `sync` no longer names it.

use std::collections::BTreeSet;
use std::time::Instant;

use blackbox::{DEADLINE, Device, POLL_INTERVAL};
use serde_json::json;

/// Waits until these ids, and no others, are pending. They fit into a page.
pub(crate) async fn only(device: &mut Device, ids: &[&str]) {
    let ids = BTreeSet::from_iter(ids.iter().copied());
    let by = Instant::now() + DEADLINE;
    loop {
        let page = device.sync(&json!({})).await;
        if page.messages.iter().map(|envelope| envelope.id.as_str()).collect::<BTreeSet<_>>() == ids {
            assert_eq!(page.more, Some(false), "nothing else is pending");
            return;
        }
        assert!(Instant::now() < by, "waited {DEADLINE:?} in vain for {ids:?} to be all that is pending: {page:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
