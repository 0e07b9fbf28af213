//! Acked: tells the senders and the user's other devices what was acked or read. Who is told what is decided in `delivery::receipt`; what is
//! stored for them is a Deliver like any other.

use delivery::receipt::{Tidings, in_question, left, listeners, tidings, withdrawals};
use delivery::{
    Acked, Attachments, Connections, Device, Directory, Envelope, Failure, Groups, Holder, Inbox, Invocation, Job,
    OfflineTopic, Queue, Row, Scheduled,
};
use lambda::Verdict;

use crate::Deliver;
use crate::posting::Posting;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// Reads the devices and what was told before, queues what is to be told, keeps that it was, and hands over what pushes are to take back: in
    /// this order, so that an end in between tells twice and never not at all.
    pub(crate) async fn tell(&self, job: &Acked, invocation: Invocation) -> Verdict {
        match self.queue_tidings(job, invocation).await {
            Ok(()) => Verdict::Done,
            Err(failure) => Verdict::Retry(failure.to_string()),
        }
    }

    async fn queue_tidings(&self, job: &Acked, invocation: Invocation) -> Result<(), Failure> {
        let now = invocation.now;
        // The other devices were told the first time.
        let devices = if job.round == 0 { self.directory.devices(&job.user, now).await? } else { Vec::new() };
        let listeners = listeners(job, &devices);
        let names = in_question(job);
        let before = if names.is_empty() { Vec::new() } else { self.inbox.told(&job.user, &names, now).await? };
        let Tidings { delivers, posted, told } = tidings(job, &before, !listeners.is_empty());
        let delivers = delivers.into_iter().map(|one| Scheduled::now(Job::Deliver(one)));
        let jobs: Vec<Scheduled> = delivers.chain(left(job, &before)).collect();
        if !jobs.is_empty() {
            self.queue.send(&jobs).await.into_iter().collect::<Result<(), _>>()?;
        }
        if !told.is_empty() {
            self.inbox.keep_told(&told).await?;
        }
        if let Some(envelope) = posted {
            self.post_once(&listeners, job, &envelope).await;
        }
        let withdrawals = withdrawals(job, &devices);
        if withdrawals.is_empty() {
            return Ok(());
        }
        self.offline.publish(&withdrawals).await.into_iter().collect()
    }

    /// Posts an envelope to devices that are connected, once, whatever becomes of it: who misses it shows a notification for longer.
    async fn post_once(&self, listeners: &[&Device], job: &Acked, envelope: &Envelope) {
        let postings = listeners.iter().filter_map(|device| {
            let row = Row {
                user: job.user.clone(),
                holder: Holder::Device(device.id.clone()),
                envelope: envelope.clone(),
                undelivered: false,
                shared: false,
            };
            Some(Posting { is_stored: false, ..Posting::new(&row, &device.id, device.connection.as_ref()?, 1) })
        });
        let _missed = self.post(&postings.collect::<Vec<_>>()).await;
    }
}
