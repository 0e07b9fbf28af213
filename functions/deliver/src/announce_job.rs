//! Announce: tells a group what became of it. The record was queued before the change was made, so that no change goes untold; it waits
//! for the change, and ends when there will be none.

use std::time::Duration;

use delivery::group::is_settled;
use delivery::{
    Announce, Attachments, Connections, Directory, Failure, Groups, Inbox, Invocation, Job, OfflineTopic, Queue,
    Scheduled,
};
use lambda::Verdict;
use protocol::UserId;

use crate::Deliver;

/// How long an Announce waits for a change that is not there yet.
const AGAIN: Duration = Duration::from_secs(2);

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// Queues the message about the change, to everybody who is in the group now and whoever the change removed.
    pub(crate) async fn announce(&self, job: &Announce, invocation: Invocation) -> Verdict {
        match self.announce_change(job, invocation).await {
            Ok(verdict) => verdict,
            Err(failure) => Verdict::Retry(failure.to_string()),
        }
    }

    async fn announce_change(&self, job: &Announce, invocation: Invocation) -> Result<Verdict, Failure> {
        let Some(news) = self.groups.news(&job.group, job.id).await? else {
            let verdict = if is_settled(job.id, invocation.now) { Verdict::Done } else { Verdict::Wait(AGAIN) };
            return Ok(verdict);
        };
        let members = self.groups.group(&job.group).await?.map(|group| group.members).unwrap_or_default();
        let members: Vec<UserId> = members.into_iter().map(|member| member.user).collect();
        let fanout = news.fanout(job.id, &job.group, members);
        self.queue.send(&[Scheduled::now(Job::Fanout(fanout))]).await.into_iter().collect::<Result<(), Failure>>()?;
        Ok(Verdict::Done)
    }
}
