//! Posting envelopes: packed into as few frames as each connection allows, oldest first. What an outcome means is
//! decided in `delivery::attempt`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use delivery::{
    Address, Connection, ConnectionId, Connections, Dialect, Directory, Inbox, Key, Pending, PostOutcome, Row,
};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use protocol::limits::MAX_CLIENT_FRAME_BYTES;
use protocol::{Delivery, DeviceId};
use tokio::time::{Instant, timeout_at};

use crate::dialect::{frames, is_acked};
use crate::{AT_ONCE, Deliver};

/// Longest time for all frames; what is not posted by then is left to the Await. The function has 10 s for a whole batch.
const BUDGET: Duration = Duration::from_secs(4);

/// One envelope on its way to one connection.
#[derive(Debug)]
pub(crate) struct Posting {
    /// What the device acks it by.
    pub(crate) pending: Pending,
    /// Where it is posted.
    pub(crate) connection: Connection,
    /// Whether it lies in an inbox until it is acked; an ephemeral one does not.
    pub(crate) is_stored: bool,
    /// What is posted.
    pub(crate) delivery: Delivery,
}

impl Posting {
    pub(crate) fn new(row: &Row, device: &DeviceId, connection: &Connection, attempt: u32) -> Self {
        let delivery = row.delivery(attempt);
        Self {
            pending: Pending { user: row.user.clone(), device: device.clone(), reference: delivery.reference.clone() },
            connection: connection.clone(),
            is_stored: true,
            delivery,
        }
    }
}

impl<I: Inbox, D: Directory, G: Sync, Q: Sync, C: Connections, O: Sync, A: Sync> Deliver<I, D, G, Q, C, O, A> {
    /// Posts to many connections at the same time, to each one frame after the other. Answers in order of `postings`.
    pub(crate) async fn post(&self, postings: &[Posting]) -> Vec<PostOutcome> {
        let mut by_connection: BTreeMap<&ConnectionId, (&Connection, Vec<usize>)> = BTreeMap::new();
        for (index, posting) in postings.iter().enumerate() {
            let to = &posting.connection;
            by_connection.entry(&to.id).or_insert_with(|| (to, Vec::new())).1.push(index);
        }
        let deadline = Instant::now() + BUDGET;
        let posted: Vec<_> = by_connection
            .into_values()
            .map(|(connection, mut indexes)| async move {
                indexes.sort_by(|a, b| postings[*a].delivery.reference.cmp(&postings[*b].delivery.reference));
                let deliveries: Vec<Delivery> = indexes.iter().map(|index| postings[*index].delivery.clone()).collect();
                let outcomes = self.post_to(connection, &deliveries, deadline).await;
                indexes.into_iter().zip(outcomes).collect::<Vec<_>>()
            })
            .collect();
        let posted: Vec<Vec<(usize, PostOutcome)>> = stream::iter(posted).buffer_unordered(AT_ONCE).collect().await;
        let mut outcomes = vec![PostOutcome::Unknown; postings.len()];
        for (index, outcome) in posted.into_iter().flatten() {
            outcomes[index] = outcome;
        }
        self.ack_for_old_clients(postings, &outcomes).await;
        outcomes
    }

    /// Deletes what was posted to old clients and is never acked by one, or it would be posted at each connect until it expires. What cannot
    /// be deleted is posted once more by its Await; what was, its Await takes for acked.
    async fn ack_for_old_clients(&self, postings: &[Posting], outcomes: &[PostOutcome]) {
        let posted = postings.iter().zip(outcomes).filter(|(_, outcome)| **outcome == PostOutcome::Posted);
        let unacked = posted
            .map(|(posting, _)| posting)
            .filter(|posting| posting.is_stored && !is_acked(&posting.delivery, posting.connection.dialect));
        // Two devices may have been posted one unclaimed envelope.
        let keys: BTreeSet<Key> = unacked.map(|posting| posting.pending.key()).collect();
        if keys.is_empty() {
            return;
        }
        for failure in self.inbox.delete(&Vec::from_iter(keys)).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%failure, "what an old client was posted could not be deleted");
        }
    }

    async fn post_to(&self, connection: &Connection, deliveries: &[Delivery], deadline: Instant) -> Vec<PostOutcome> {
        let mut outcomes = Vec::with_capacity(deliveries.len());
        for (frame, count) in frames(deliveries, connection.dialect) {
            let outcome = match outcomes.last() {
                // Where one frame failed, the frames after it are not worth their calls, and would overtake it.
                Some(failed @ (PostOutcome::Gone | PostOutcome::Unknown)) => *failed,
                // The gateway may close the connection over it. Only a frame of an old client can be so long.
                _ if frame.len() > MAX_CLIENT_FRAME_BYTES => PostOutcome::TooLarge,
                _ => timeout_at(deadline, self.connections.post(&connection.id, &frame))
                    .await
                    .unwrap_or(PostOutcome::Unknown),
            };
            match outcome {
                PostOutcome::TooLarge if connection.dialect != Dialect::Current => {
                    // What another writes in up to 30 KB can be longer in the words of an old client.
                    tracing::warn!(metric = "post.too_large_for_old", count, "a frame was too large for an old client");
                }
                PostOutcome::TooLarge => {
                    tracing::error!(metric = "post.too_large", count, "a frame was too large to post");
                }
                PostOutcome::Forbidden => {
                    tracing::error!(metric = "post.forbidden", count, "this function may not post to connections");
                }
                PostOutcome::Posted | PostOutcome::Gone | PostOutcome::Unknown => {}
            }
            outcomes.extend(std::iter::repeat_n(outcome, count));
        }
        outcomes
    }

    /// Closes connections that are gone or silent, so that whoever is still behind one reconnects, and then forgets them, each only if
    /// it is still the registered one. Answers which could not be closed: those stay registered, and somebody may be there, who
    /// would get nothing any more.
    pub(crate) async fn forget(&self, gone: impl IntoIterator<Item = (Address, ConnectionId)>) -> Vec<ConnectionId> {
        let mut gone: Vec<(Address, ConnectionId)> = gone.into_iter().collect();
        gone.sort_unstable();
        gone.dedup();
        let unclosed = join_all(gone.iter().map(|(address, connection)| async move {
            if let Err(failure) = self.connections.disconnect(connection).await {
                tracing::warn!(%failure, "a connection could not be closed");
                return Some(connection.clone());
            }
            if let Err(failure) = self.directory.unregister(address, connection).await {
                // The next post to it finds it gone.
                tracing::warn!(%failure, "a connection could not be forgotten");
            }
            None
        }));
        unclosed.await.into_iter().flatten().collect()
    }
}
