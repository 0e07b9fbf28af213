//! `deliver`: consumes the delivery queue. It puts envelopes into inboxes, posts them, awaits their acks, drains backlogs, and
//! hands over what a device could not be given.
//!
//! One file a job: `deliver_job`, `await_job`, `drain_job`; `posting` and `hand_over` are what they share.
//! What follows from what is decided in `delivery`; here the calls are made, in the order that the invariants ask for.

mod await_job;
mod deliver_job;
mod drain_job;
mod hand_over;
mod posting;
mod settings;

use std::collections::HashMap;

use delivery::{Connections, Device, Directory, Inbox, Invocation, Job, OfflineTopic, Queue, Waits};
use futures::future::{join_all, join3};
use lambda::batch::{records, settle};
use lambda::{HandlerError, Record, Verdict};
use protocol::{Timestamp, UserId};
use serde_json::Value;

pub use settings::Settings;

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Deliver<I, D, Q, C, O> {
    /// Where envelopes lie until they are acked.
    pub inbox: I,
    /// Who is connected.
    pub directory: D,
    /// The delivery queue, which this function consumes and sends to.
    pub queue: Q,
    /// Where frames are posted.
    pub connections: C,
    /// Where hand-overs go.
    pub offline: O,
    /// The waits between attempts.
    pub waits: Waits,
}

/// The devices of each user that a job is about, or why they could not be read.
type Looks = HashMap<UserId, Result<Vec<Device>, String>>;

impl<I: Inbox, D: Directory, Q: Queue, C: Connections, O: OfflineTopic> Deliver<I, D, Q, C, O> {
    /// Handles one batch of the delivery queue and answers with the records that SQS is to keep.
    ///
    /// # Errors
    /// [`HandlerError::WrongShape`] when the event is no SQS batch. Nothing else fails a batch as a whole.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let (mut delivers, mut awaits, mut drains, mut verdicts) = (vec![], vec![], vec![], vec![]);
        for record in records(event)? {
            match Job::decode(&record.body) {
                Ok(Job::Deliver(job)) => delivers.push((record, job)),
                Ok(Job::Await(job)) => awaits.push((record, job)),
                Ok(Job::Drain(job)) => drains.push((record, job)),
                Err(unreadable) => verdicts.push((record, Verdict::Reject(unreadable.to_string()))),
            }
        }
        // Delivers share queries, puts and frames; every other record stands alone.
        let (records, jobs): (Vec<Record>, Vec<_>) = delivers.into_iter().unzip();
        let awaits = awaits.into_iter().map(|(record, job)| async move {
            let verdict = self.await_acks(&job, record.receive_count, invocation).await;
            (record, verdict)
        });
        let drains = drains.into_iter().map(|(record, job)| async move {
            let verdict = self.drain(&job, invocation).await;
            (record, verdict)
        });
        let (delivered, awaited, drained) =
            join3(self.deliver(&jobs, invocation), join_all(awaits), join_all(drains)).await;
        verdicts.extend(records.into_iter().zip(delivered));
        verdicts.extend(awaited);
        verdicts.extend(drained);
        let response = settle(&self.queue, verdicts, invocation).await;
        Ok(serde_json::to_value(response).expect("a list of ids is always JSON"))
    }

    /// Reads the devices of each of `users` once, at the same time.
    async fn look(&self, users: impl IntoIterator<Item = &UserId>, now: Timestamp) -> Looks {
        let mut users: Vec<&UserId> = users.into_iter().collect();
        users.sort_unstable();
        users.dedup();
        join_all(users.into_iter().map(|user| async move {
            let devices = self.directory.devices(user, now).await.map_err(|failure| failure.to_string());
            (user.clone(), devices)
        }))
        .await
        .into_iter()
        .collect()
    }
}
