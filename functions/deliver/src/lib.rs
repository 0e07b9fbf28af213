//! `deliver`: consumes the delivery queue. It puts envelopes into inboxes, posts them, awaits their acks, drains backlogs, and
//! hands over what a device could not be given.
//!
//! One file a job: `deliver_job`, `fanout_job`, `announce_job`, `acked_job`, `await_job`, `drain_job`; `granting`, `posting`, `dialect` and
//! `hand_over` are what they share.
//! What follows from what is decided in `delivery`; here the calls are made, in the order that the invariants ask for.

mod acked_job;
mod announce_job;
mod await_job;
mod deliver_job;
mod dialect;
mod drain_job;
mod fanout_job;
mod granting;
mod hand_over;
mod posting;
mod settings;

use std::collections::HashMap;

use delivery::job::MAX_FANOUT;
use delivery::{
    Attachments, Connections, Device, Directory, Groups, Inbox, Invocation, Job, OfflineTopic, Queue, Waits,
};
use futures::future::{join, join_all};
use futures::{FutureExt, StreamExt, stream};
use lambda::batch::{records, settle};
use lambda::{HandlerError, Record, Verdict};
use protocol::{Timestamp, UserId};
use serde_json::Value;

use crate::deliver_job::Asked;

pub use settings::Settings;

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Deliver<I, D, G, Q, C, O, A> {
    /// Where envelopes lie until they are acked.
    pub inbox: I,
    /// Who is connected.
    pub directory: D,
    /// Who is in the groups that have news.
    pub groups: G,
    /// The delivery queue, which this function consumes and sends to.
    pub queue: Q,
    /// Where frames are posted.
    pub connections: C,
    /// Where hand-overs go.
    pub offline: O,
    /// Who may have the attachments that messages name.
    pub attachments: A,
    /// The waits between attempts.
    pub waits: Waits,
}

/// Most calls to one service at a time. Each has a connection to it that must be opened once, which takes a processor a millisecond or two; a
/// function has a third of one, and a batch of Fanouts has 250 recipients.
const AT_ONCE: usize = 32;

/// The devices of each user that a job is about, or why they could not be read.
type Looks = HashMap<UserId, Result<Vec<Device>, String>>;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// Handles one batch of the delivery queue and answers with the records that SQS is to keep.
    ///
    /// # Errors
    /// [`HandlerError::WrongShape`] when the event is no SQS batch. Nothing else fails a batch as a whole.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let (mut delivers, mut others, mut verdicts) = (vec![], vec![], vec![]);
        for record in records(event)? {
            let job = match Job::decode(&record.body) {
                Ok(job) => job,
                Err(unreadable) => {
                    verdicts.push((record, Verdict::Reject(unreadable.to_string())));
                    continue;
                }
            };
            let receives = record.receive_count;
            let alone = match job {
                Job::Deliver(job) => {
                    delivers.push((record, vec![job]));
                    continue;
                }
                Job::Fanout(job) if job.members.len() <= MAX_FANOUT => {
                    delivers.push((record, job.delivers().collect()));
                    continue;
                }
                Job::Fanout(job) => async move { self.fan_out(&job).await }.boxed(),
                Job::Announce(job) => async move { self.announce(&job, invocation).await }.boxed(),
                Job::Acked(job) => async move { self.tell(&job, invocation).await }.boxed(),
                Job::Await(job) => async move { self.await_acks(&job, receives, invocation).await }.boxed(),
                Job::Drain(job) => async move { self.drain(&job, invocation).await }.boxed(),
            };
            others.push(alone.map(|verdict| (record, verdict)));
        }
        let others = join_all(others);
        let (delivered, settled) = join(self.together(delivers, invocation), others).await;
        verdicts.extend(delivered.into_iter().chain(settled));
        let response = settle(&self.queue, verdicts, invocation).await;
        Ok(serde_json::to_value(response).expect("a list of ids is always JSON"))
    }

    /// Delivers for many records at once, which share queries, puts and frames. A record is as bad as the worst of what it asks for.
    async fn together(
        &self,
        records: Vec<(Record, Vec<delivery::Deliver>)>,
        invocation: Invocation,
    ) -> Vec<(Record, Verdict)> {
        let asked: Vec<&[delivery::Deliver]> = records.iter().map(|(_, asked)| asked.as_slice()).collect();
        let granted = self.grant(&asked, invocation.now).await;
        let (mut jobs, mut counts, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for ((record, asked), granted) in records.into_iter().zip(granted) {
            if let Err(reason) = granted {
                settled.push((record, Verdict::Retry(reason)));
                continue;
            }
            let again = record.receive_count > 1;
            counts.push((record, asked.len()));
            jobs.extend(asked.into_iter().map(|job| Asked { job, again }));
        }
        let mut verdicts = self.deliver(&jobs, invocation).await.into_iter();
        let mut verdict_of = |count| worst(verdicts.by_ref().take(count).collect());
        settled.extend(counts.into_iter().map(|(record, count)| (record, verdict_of(count))));
        settled
    }

    /// Reads the devices of each of `users` once, at the same time.
    async fn look(&self, users: impl IntoIterator<Item = &UserId>, now: Timestamp) -> Looks {
        let mut users: Vec<&UserId> = users.into_iter().collect();
        users.sort_unstable();
        users.dedup();
        let looks: Vec<_> = users
            .into_iter()
            .map(|user| async move {
                let devices = self.directory.devices(user, now).await.map_err(|failure| failure.to_string());
                (user.clone(), devices)
            })
            .collect();
        stream::iter(looks).buffer_unordered(AT_ONCE).collect().await
    }
}

/// The first that is not done, if there is one.
fn worst(verdicts: Vec<Verdict>) -> Verdict {
    verdicts.into_iter().find(|verdict| *verdict != Verdict::Done).unwrap_or(Verdict::Done)
}
