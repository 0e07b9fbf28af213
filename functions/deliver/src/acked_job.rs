//! Acked: tells the senders and the user's other devices what was acked or read. Who is told what is decided in `delivery::receipt`; the
//! telling is a Deliver like any other.

use delivery::receipt::{Tidings, in_question, tidings};
use delivery::{
    Acked, Attachments, Connections, Directory, Groups, Inbox, Invocation, Job, OfflineTopic, Queue, Scheduled,
};
use lambda::Verdict;
use protocol::DeviceId;

use crate::Deliver;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// Reads the devices and what was told before, queues what is to be told, and keeps that it was: in this order, so that an end in
    /// between tells twice and never not at all.
    pub(crate) async fn tell(&self, job: &Acked, invocation: Invocation) -> Verdict {
        match self.queue_tidings(job, invocation).await {
            Ok(()) => Verdict::Done,
            Err(failure) => Verdict::Retry(failure.to_string()),
        }
    }

    async fn queue_tidings(&self, job: &Acked, invocation: Invocation) -> Result<(), delivery::Failure> {
        let now = invocation.now;
        let devices = self.directory.devices(&job.user, now).await?;
        let others = devices.into_iter().map(|device| device.id).filter(|device| *device != job.device);
        let others: Vec<DeviceId> = others.collect();
        let names = in_question(job);
        let before = if names.is_empty() { Vec::new() } else { self.inbox.told(&job.user, &names, now).await? };
        let Tidings { delivers, told } = tidings(job, &before, &others);
        if !delivers.is_empty() {
            let jobs: Vec<Scheduled> = delivers.into_iter().map(|one| Scheduled::now(Job::Deliver(one))).collect();
            self.queue.send(&jobs).await.into_iter().collect::<Result<(), _>>()?;
        }
        if !told.is_empty() {
            self.inbox.keep_told(&told).await?;
        }
        Ok(())
    }
}
