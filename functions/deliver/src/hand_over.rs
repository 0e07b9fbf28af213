//! Handing over: what a device could not be given goes to the offline topic. Who is absent or exhausted is decided by the jobs.

use delivery::{HandOver, Inbox, OfflineTopic, Reason, Row};
use futures::future::join_all;
use protocol::DeviceId;

use crate::Deliver;

/// An envelope that leaves the path of attempts.
#[derive(Debug)]
pub(crate) struct Undelivered {
    pub(crate) row: Row,
    /// The device that it could not be given to; none if nobody has claimed it.
    pub(crate) device: Option<DeviceId>,
    pub(crate) reason: Reason,
}

impl<I: Inbox, D: Sync, G: Sync, Q: Sync, C: Sync, O: OfflineTopic, A: Sync> Deliver<I, D, G, Q, C, O, A> {
    /// Publishes. Answers in order of `undelivered`.
    pub(crate) async fn publish(&self, undelivered: &[Undelivered]) -> Vec<Result<(), String>> {
        if undelivered.is_empty() {
            return Vec::new();
        }
        let hand_overs: Vec<HandOver> = undelivered
            .iter()
            .map(|one| HandOver {
                user: one.row.user.clone(),
                device: one.device.clone(),
                reference: one.row.key().reference(),
                reason: one.reason,
                urgency: one.row.envelope.loudness(),
                due: None,
            })
            .collect();
        let published = self.offline.publish(&hand_overs).await;
        published.into_iter().map(|outcome| outcome.map_err(|failure| failure.to_string())).collect()
    }

    /// Publishes, then marks, so that an Await does it once: a crash between the two costs a second publish, never a missing one.
    /// Answers in order of `undelivered` whether each was published and marked.
    pub(crate) async fn hand_over(&self, undelivered: &[Undelivered]) -> Vec<Result<(), String>> {
        let published = self.publish(undelivered).await;
        join_all(undelivered.iter().zip(published).map(|(one, published)| async move {
            published?;
            self.inbox.mark_undelivered(&one.row.key()).await.map_err(|failure| failure.to_string())
        }))
        .await
    }
}
