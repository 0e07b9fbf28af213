//! What a client's `send`, `ack`, `read` and `sync` do, and what they are answered. It knows neither frames as text nor how the answer travels.

use std::collections::{BTreeMap, BTreeSet};

use delivery::accept::{Audience, addressed};
use delivery::attachment::{Access, named};
use delivery::{
    Acked, Address, Attachments, Failure, Groups, Inbox, Invocation, Job, Key, Lookup, Queue, Scheduled, accept,
    new_message_id, receipt,
};
use futures::future::{join, join_all};
use protocol::packing::pack_page;
use protocol::{
    Ack, AttachmentId, Code, Delivery, GroupId, ReceiptEvent, Ref, Send, ServerFrame, Sync, Timestamp, UserId,
};

/// What answers, on the ports that it uses.
#[derive(Clone, Debug)]
pub struct Answers<I, G, Q, A> {
    /// Where acks delete and syncs read.
    pub inbox: I,
    /// Who is in the groups that are written to.
    pub groups: G,
    /// The delivery queue.
    pub queue: Q,
    /// Who may have the attachments that messages name.
    pub attachments: A,
}

impl<I: Inbox, G: Groups, Q: Queue, A: Attachments> Answers<I, G, Q, A> {
    /// One call for up to ten messages: accepted is what the queue has taken.
    pub async fn send(&self, sender: &UserId, send: Send, now: Timestamp) -> ServerFrame {
        let (audiences, attachments) = join(self.audiences(&send, sender), self.access(&send, sender, now)).await;
        let acceptance = accept(send, sender, &audiences, &attachments, now);
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

    /// Reads who may have the attachments that are named, all at once; nothing if none is.
    async fn access(&self, send: &Send, sender: &UserId, now: Timestamp) -> BTreeMap<AttachmentId, Access> {
        let ids = named(send);
        if ids.is_empty() {
            return BTreeMap::new();
        }
        // Boxed: on the SDK's clients this is nested too deeply for the compiler to lay out in its caller.
        match Box::pin(self.attachments.open_to(sender, &ids, now)).await {
            Ok(found) => ids.into_iter().zip(found.iter().map(|one| Access::of(one.as_ref()))).collect(),
            Err(failure) => {
                tracing::error!(%failure, "attachments could not be read");
                ids.into_iter().map(|id| (id, Access::Unknown)).collect()
            }
        }
    }

    /// Deletes what the refs name in this device's own inboxes; nothing else can be named. Of those that are watched it queues first that
    /// they were acked or read. `None` when all is well.
    pub async fn ack(
        &self,
        address: &Address,
        event: ReceiptEvent,
        ack: Ack,
        invocation: Invocation,
    ) -> Option<ServerFrame> {
        let failed = self.take_acks(address, event, &ack.refs, invocation).await;
        let error = |code, detail: String| Some(ServerFrame::Error { code, detail, nonce: ack.nonce.clone() });
        match (failed.len(), ack.malformed) {
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

    /// The same for up to 100 refs, each once. Answers, and logs, why some of them could not be acked.
    pub(crate) async fn take_acks(
        &self,
        address: &Address,
        event: ReceiptEvent,
        refs: &[Ref],
        invocation: Invocation,
    ) -> Vec<Failure> {
        let (watched, others): (Vec<&Ref>, Vec<&Ref>) = refs.iter().partition(|reference| reference.is_watched());
        let (told, mut failures) = self.tell(address, event, &watched, invocation).await;
        // One position may be named twice, once as watched.
        let keys: BTreeSet<Key> =
            told.into_iter().chain(others).map(|one| Key::of(&address.user, &address.device, one)).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        if !keys.is_empty() {
            failures.extend(self.inbox.delete(&keys).await.into_iter().filter_map(Result::err));
        }
        for failure in &failures {
            tracing::error!(%failure, "an ack could not be taken");
        }
        failures
    }

    /// Queues that these were acked or read, for those who wait for it: one read and at most one send. Answers which of them may be
    /// deleted now, and why each of the others may not.
    async fn tell<'a>(
        &self,
        address: &Address,
        event: ReceiptEvent,
        watched: &[&'a Ref],
        invocation: Invocation,
    ) -> (Vec<&'a Ref>, Vec<Failure>) {
        if watched.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let keys: Vec<Key> = watched.iter().map(|one| Key::of(&address.user, &address.device, one)).collect();
        let found = match self.inbox.get(&keys, invocation.now).await {
            Ok(found) => found,
            Err(failure) => return (Vec::new(), every(watched, &failure)),
        };
        let (read, unread): (Vec<_>, Vec<_>) =
            watched.iter().copied().zip(&found).partition(|(_, lookup)| **lookup != Lookup::Unprocessed);
        let mut untold: Vec<Failure> = unread.iter().map(|_| unprocessed()).collect();
        let messages = receipt::acked(event, read.iter().copied());
        let read: Vec<&Ref> = read.into_iter().map(|(reference, _)| reference).collect();
        if messages.is_empty() {
            return (read, untold);
        }
        let Address { user, device } = address.clone();
        let id = new_message_id(invocation.now, &mut invocation.rng());
        let job = Job::Acked(Acked { id, user, device, event, messages, round: 0 });
        let sent: Result<(), Failure> = self.queue.send(&[Scheduled::now(job)]).await.into_iter().collect();
        if let Err(failure) = sent {
            untold.extend(every(&read, &failure));
            return (Vec::new(), untold);
        }
        (read, untold)
    }

    /// One page of the inbox, as the text of a `messages` frame.
    ///
    /// # Errors
    /// An `error` frame when the inbox cannot be read.
    pub async fn sync(&self, address: &Address, sync: Sync, now: Timestamp) -> Result<String, ServerFrame> {
        let Sync { nonce, after, limit } = sync;
        match self.inbox.page(&address.user, Some(&address.device), after.as_ref(), limit, now).await {
            Ok(page) => {
                let deliveries: Vec<Delivery> = page.rows.iter().map(|row| row.delivery(0)).collect();
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

fn every(refs: &[&Ref], failure: &Failure) -> Vec<Failure> {
    refs.iter().map(|_| failure.clone()).collect()
}

fn unprocessed() -> Failure {
    Failure { operation: "read an envelope that is acked", cause: "unprocessed".to_owned() }
}
