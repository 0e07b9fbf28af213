//! Fanout: a message to many, cut into records that each deliver to a few. Those few are delivered to as in `deliver_job`.

use delivery::{Attachments, Connections, Directory, Fanout, Groups, Inbox, Job, OfflineTopic, Queue, Scheduled};
use lambda::Verdict;

use crate::Deliver;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// Queues the steps, ten to a call. If one of them is not taken, all are queued again: a duplicate, never a loss.
    pub(crate) async fn fan_out(&self, job: &Fanout) -> Verdict {
        let steps: Vec<Scheduled> = job.steps().map(|step| Scheduled::now(Job::Fanout(step))).collect();
        match self.queue.send(&steps).await.into_iter().find_map(Result::err) {
            None => Verdict::Done,
            Some(failure) => Verdict::Retry(failure.to_string()),
        }
    }
}
