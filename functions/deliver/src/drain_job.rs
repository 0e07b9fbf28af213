//! Drain: posts a page of what is pending to a device that came online, and queues the next. It never waits for acks.

use delivery::attempt::is_opening;
use delivery::drain::{DELAY, PAGE, awaits, next, pending};
use delivery::{
    Attachments, Connection, Connections, Dialect, Directory, Drain, Groups, Inbox, Invocation, Job, OfflineTopic,
    Pending, PostOutcome, Queue, Scheduled,
};
use lambda::Verdict;
use protocol::ServerFrame;

use crate::Deliver;
use crate::posting::Posting;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// One page. `drained` is posted only after everything before it.
    pub(crate) async fn drain(&self, job: &Drain, invocation: Invocation) -> Verdict {
        match self.drain_page(job, invocation).await {
            Ok(verdict) => verdict,
            Err(reason) => Verdict::Retry(reason),
        }
    }

    async fn drain_page(&self, job: &Drain, invocation: Invocation) -> Result<Verdict, String> {
        let now = invocation.now;
        let devices = self.directory.devices(&job.user, now).await.map_err(|failure| failure.to_string())?;
        let device = devices.into_iter().find(|device| device.id == job.device);
        let Some(connection) = device.and_then(|device| device.connection).filter(|now| now.id == job.connection)
        else {
            return Ok(Verdict::Done);
        };
        let page = self.inbox.page(&job.user, Some(&job.device), job.after.as_ref(), PAGE, now).await;
        let page = page.map_err(|failure| failure.to_string())?;
        let postings: Vec<Posting> =
            page.rows.iter().map(|row| Posting::new(row, &job.device, &connection, 0)).collect();
        let outcomes = self.post(&postings).await;
        if let Some(verdict) = self.interrupted(job, &connection, &outcomes, invocation).await {
            return Ok(verdict);
        }
        let posted: Vec<Pending> = page
            .rows
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome != PostOutcome::TooLarge)
            .map(|(row, _)| pending(job, row))
            .collect();
        let mut scheduled: Vec<Scheduled> = awaits(&posted, self.waits.first(&mut invocation.rng()));
        if page.more {
            scheduled.extend(next(job, &page).map(|next| Scheduled::now(Job::Drain(next))));
        }
        self.queue_all(&scheduled).await?;
        // An old client would not know what was drained.
        if page.more || connection.dialect != Dialect::Current {
            return Ok(Verdict::Done);
        }
        let drained = ServerFrame::Drained { reconnect_by: connection.ends_at() }.render();
        let outcome = self.connections.post(&connection.id, &drained).await;
        if outcome == PostOutcome::Unknown {
            let Some(rest) = next(job, &page) else {
                return Err("the end of the backlog could not be posted".to_owned());
            };
            // Only the end is left to say, so that is all that comes again.
            self.queue_all(&[Scheduled { job: Job::Drain(rest), delay: DELAY }]).await?;
            return Ok(Verdict::Done);
        }
        Ok(self.interrupted(job, &connection, &[outcome], invocation).await.unwrap_or(Verdict::Done))
    }

    async fn queue_all(&self, scheduled: &[Scheduled]) -> Result<(), String> {
        let sent = if scheduled.is_empty() { Vec::new() } else { self.queue.send(scheduled).await };
        sent.into_iter().collect::<Result<(), _>>().map_err(|failure| failure.to_string())
    }

    /// What ends a Drain early: the connection is not open yet (it comes again), is gone (whoever comes next is drained), or may
    /// not be posted to.
    async fn interrupted(
        &self,
        job: &Drain,
        connection: &Connection,
        outcomes: &[PostOutcome],
        invocation: Invocation,
    ) -> Option<Verdict> {
        if outcomes.contains(&PostOutcome::Forbidden) {
            return Some(Verdict::Retry("posting is forbidden".to_owned()));
        }
        if !outcomes.contains(&PostOutcome::Gone) {
            return None;
        }
        if is_opening(connection, invocation.now) {
            return Some(Verdict::Wait(DELAY));
        }
        let address = delivery::Address { user: job.user.clone(), device: job.device.clone() };
        if self.forget([(address, connection.id.clone())]).await.is_empty() {
            return Some(Verdict::Done);
        }
        Some(Verdict::Retry("a connection that is gone could not be closed".to_owned()))
    }
}
