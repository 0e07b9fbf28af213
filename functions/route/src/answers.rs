//! What a client's `send`, `ack` and `sync` do, and what they are answered. It knows neither frames as text nor how the answer travels.

use std::collections::BTreeMap;

use delivery::accept::{Audience, addressed};
use delivery::{Address, Groups, Inbox, Key, Queue, accept};
use futures::future::join_all;
use protocol::packing::pack_page;
use protocol::{Ack, Code, Delivery, GroupId, Send, ServerFrame, Sync, Timestamp, UserId};

/// What answers, on the ports that it uses.
#[derive(Clone, Debug)]
pub struct Answers<I, G, Q> {
    /// Where acks delete and syncs read.
    pub inbox: I,
    /// Who is in the groups that are written to.
    pub groups: G,
    /// The delivery queue.
    pub queue: Q,
}

impl<I: Inbox, G: Groups, Q: Queue> Answers<I, G, Q> {
    /// One call for up to ten messages: accepted is what the queue has taken.
    pub async fn send(&self, sender: &UserId, send: Send, now: Timestamp) -> ServerFrame {
        let audiences = self.audiences(&send, sender).await;
        let acceptance = accept(send, sender, &audiences, now);
        let outcomes = if acceptance.jobs.is_empty() { Vec::new() } else { self.queue.send(&acceptance.jobs).await };
        for failure in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            tracing::error!(%failure, "a message could not be accepted");
        }
        acceptance.answer(outcomes.iter().map(Result::is_ok))
    }

    /// Reads the groups that are written to, each once, at the same time.
    async fn audiences(&self, send: &Send, sender: &UserId) -> BTreeMap<GroupId, Audience> {
        let reads = addressed(send).into_iter().map(|id| async move {
            let audience = match self.groups.group(&id).await {
                Ok(group) => Audience::of(group.as_ref(), sender),
                Err(failure) => {
                    tracing::error!(%failure, "a group could not be read");
                    Audience::Unknown
                }
            };
            (id, audience)
        });
        join_all(reads).await.into_iter().collect()
    }

    /// Deletes what the refs name in this device's own inboxes; nothing else can be named. `None` when all is well.
    pub async fn ack(&self, address: &Address, ack: Ack) -> Option<ServerFrame> {
        let keys: Vec<Key> =
            ack.refs.iter().map(|reference| Key::of(&address.user, &address.device, reference)).collect();
        let outcomes = if keys.is_empty() { Vec::new() } else { self.inbox.delete(&keys).await };
        let failed = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).inspect(|failure| {
            tracing::error!(%failure, "an ack could not be taken");
        });
        let error = |code, detail: String| Some(ServerFrame::Error { code, detail, nonce: ack.nonce.clone() });
        match (failed.count(), ack.malformed) {
            (0, 0) => None,
            (0, malformed) => error(
                Code::InvalidRef,
                format!(
                    "{malformed} of the refs cannot be read and were ignored; send refs back as they were received"
                ),
            ),
            (failed, _) => error(
                Code::Unavailable,
                format!("{failed} of the refs could not be acked; ack them again when their messages come again"),
            ),
        }
    }

    /// One page of the inbox, as the text of a `messages` frame.
    ///
    /// # Errors
    /// An `error` frame when the inbox cannot be read.
    pub async fn sync(&self, address: &Address, sync: Sync, now: Timestamp) -> Result<String, ServerFrame> {
        let Sync { nonce, after, limit } = sync;
        match self.inbox.page(&address.user, Some(&address.device), after.as_ref(), limit, now).await {
            Ok(page) => {
                let deliveries: Vec<Delivery> =
                    page.rows.iter().map(|row| row.envelope.delivery(row.holder.shelf(), 0)).collect();
                Ok(pack_page(&deliveries, page.more, nonce.as_ref()))
            }
            Err(failure) => {
                tracing::error!(%failure, "a sync could not be answered");
                let detail = "the inbox could not be read; sync again".to_owned();
                Err(ServerFrame::Error { code: Code::Unavailable, detail, nonce })
            }
        }
    }
}
