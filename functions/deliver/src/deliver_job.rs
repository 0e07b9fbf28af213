//! Deliver: an envelope's first receive, and every other receive of the same record, does all of it again. It never infers an ack
//! from a missing row, because an earlier receive may have died before its put. A crash costs a duplicate, never a loss.

use std::collections::{BTreeMap, HashMap, HashSet};

use delivery::attempt::{AfterPost, after_post, is_stale, owed};
use delivery::drain::awaits;
use delivery::{
    Attachments, Connection, ConnectionId, Connections, Device, Directory, Groups, Holder, Inbox, Invocation, Key,
    OfflineTopic, Pending, Queue, Reason, Row,
};
use lambda::Verdict;
use protocol::{DeviceId, Timestamp};

use crate::hand_over::Undelivered;
use crate::posting::Posting;
use crate::{Deliver, Looks};

/// A Deliver that is asked for by a record, alone or among others.
pub(crate) struct Asked {
    pub(crate) job: delivery::Deliver,
    /// Whether the record was received before. What was done then is not known.
    pub(crate) again: bool,
}

/// A row that is owed, and the records that wait for it.
struct Owed {
    jobs: Vec<usize>,
    row: Row,
    ephemeral: bool,
    /// Whether one of the records was received before.
    again: bool,
    /// Where it was or could be posted when the devices were last looked at.
    connection: Option<Connection>,
}

/// How the batch stands: each record is done unless something that it waits for failed.
struct Progress {
    verdicts: Vec<Verdict>,
    /// What was posted, with the records that wait for its Await to be queued.
    posted: Vec<(Pending, Vec<usize>)>,
}

impl Progress {
    fn retry(&mut self, jobs: &[usize], reason: &str) {
        for job in jobs {
            self.verdicts[*job] = Verdict::Retry(reason.to_owned());
        }
    }
}

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// Puts, posts, looks again for who seemed absent, hands over, and queues the Await. Answers in order of `jobs`.
    pub(crate) async fn deliver(&self, jobs: &[Asked], invocation: Invocation) -> Vec<Verdict> {
        let now = invocation.now;
        let mut progress = Progress { verdicts: vec![Verdict::Done; jobs.len()], posted: Vec::new() };
        let current = jobs.iter().map(|asked| &asked.job).filter(|job| !is_stale(job, now));
        let looks = self.look(current.map(|job| &job.recipient), now).await;
        let rows = owed_rows(jobs, &looks, &mut progress, now);
        let rows = self.put(rows, &mut progress).await;
        self.delete_twins(&rows, &mut progress).await;
        let absent = self.post_first(rows, &mut progress, now).await;
        self.look_again(absent, &looks, &mut progress, now).await;
        self.queue_awaits(&mut progress, invocation).await;
        progress.verdicts
    }

    /// Puts what is to be stored, in one batch. Only rows whose own put succeeded, and ephemeral ones, go on.
    async fn put(&self, rows: Vec<Owed>, progress: &mut Progress) -> Vec<Owed> {
        let (ephemeral, stored): (Vec<Owed>, Vec<Owed>) = rows.into_iter().partition(|owed| owed.ephemeral);
        let batch: Vec<Row> = stored.iter().map(|owed| owed.row.clone()).collect();
        let outcomes = if batch.is_empty() { Vec::new() } else { self.inbox.put(&batch).await };
        let mut ready = ephemeral;
        for (owed, outcome) in stored.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => ready.push(owed),
                Err(failure) => progress.retry(&owed.jobs, &failure.to_string()),
            }
        }
        ready
    }

    /// Deletes what an earlier receive of the same record may have put for a user who had no device then: now that every device has a row
    /// of its own, nobody would come for it.
    async fn delete_twins(&self, rows: &[Owed], progress: &mut Progress) {
        let mut twins: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for owed in rows.iter().filter(|owed| owed.again && !owed.ephemeral && owed.row.holder.device().is_some()) {
            let twin = Key { holder: Holder::Unclaimed, ..owed.row.key() };
            twins.entry(twin).or_default().extend(&owed.jobs);
        }
        if twins.is_empty() {
            return;
        }
        let (keys, jobs): (Vec<Key>, Vec<Vec<usize>>) = twins.into_iter().unzip();
        for (jobs, outcome) in jobs.into_iter().zip(self.inbox.delete(&keys).await) {
            if let Err(failure) = outcome {
                progress.retry(&jobs, &failure.to_string());
            }
        }
    }

    /// Posts to whoever is connected. Answers the stored rows whose device has no connection, or turned out to have none.
    async fn post_first(&self, rows: Vec<Owed>, progress: &mut Progress, now: Timestamp) -> Vec<Owed> {
        let (connected, mut absent): (Vec<Owed>, Vec<Owed>) =
            rows.into_iter().partition(|owed| owed.connection.is_some());
        let postings: Vec<Posting> = connected
            .iter()
            .filter_map(|owed| {
                let posting = Posting::new(&owed.row, owed.row.holder.device()?, owed.connection.as_ref()?, 1);
                Some(Posting { is_stored: !owed.ephemeral, ..posting })
            })
            .collect();
        let outcomes = self.post(&postings).await;
        let mut gone = Vec::new();
        for ((owed, posting), outcome) in connected.into_iter().zip(postings).zip(outcomes) {
            match after_post(outcome, &posting.connection, now) {
                AfterPost::Gone => gone.push((owed, posting)),
                _ if owed.ephemeral => {}
                AfterPost::Await => progress.posted.push((posting.pending, owed.jobs)),
                AfterPost::Never => {}
                AfterPost::Retry => progress.retry(&owed.jobs, "posting is forbidden"),
            }
        }
        let forgotten = gone.iter().map(|(_, posting)| (posting.pending.address(), posting.connection.id.clone()));
        let unclosed = self.forget(forgotten).await;
        for (owed, posting) in gone.into_iter().filter(|(owed, _)| !owed.ephemeral) {
            if unclosed.contains(&posting.connection.id) {
                progress.posted.push((posting.pending, owed.jobs));
            } else {
                absent.push(owed);
            }
        }
        absent
    }

    /// Concludes that a device is absent only from a look made after its put, and goes on with any connection that this look
    /// shows.
    async fn look_again(&self, absent: Vec<Owed>, before: &Looks, progress: &mut Progress, now: Timestamp) {
        let looks = self.look(absent.iter().map(|owed| &owed.row.user), now).await;
        let (mut returned, mut still_absent) = (Vec::new(), Vec::new());
        for owed in absent {
            match &looks[&owed.row.user] {
                Err(reason) => progress.retry(&owed.jobs, reason),
                Ok(devices) => {
                    if has_newcomers(&owed, devices, before) {
                        progress.retry(&owed.jobs, "a device was registered meanwhile");
                    }
                    if connected(&owed, devices).is_empty() {
                        still_absent.push(owed);
                    } else {
                        returned.push(owed);
                    }
                }
            }
        }
        self.post_returned(returned, &looks, progress, now).await;
        // Not marked: that would be a write for each, and all that it saves is one more wake of a device that comes and does not ack.
        still_absent.retain(|owed| owed.row.envelope.wakes());
        let undelivered: Vec<Undelivered> = still_absent.iter().map(Owed::undelivered).collect();
        for (owed, outcome) in still_absent.into_iter().zip(self.publish(&undelivered).await) {
            if let Err(reason) = outcome {
                progress.retry(&owed.jobs, &reason);
            }
        }
    }

    /// Posts to who seemed absent at first and is connected after all.
    async fn post_returned(&self, returned: Vec<Owed>, looks: &Looks, progress: &mut Progress, now: Timestamp) {
        let (mut postings, mut waiting) = (Vec::new(), Vec::new());
        for owed in returned {
            for (device, to) in
                looks[&owed.row.user].as_ref().map(|devices| connected(&owed, devices)).unwrap_or_default()
            {
                postings.push(Posting::new(&owed.row, device, to, 1));
                waiting.push(owed.jobs.clone());
            }
        }
        let outcomes = self.post(&postings).await;
        for ((posting, jobs), outcome) in postings.into_iter().zip(waiting).zip(outcomes) {
            match after_post(outcome, &posting.connection, now) {
                // Gone once more: the Await will see who is there by then.
                AfterPost::Await | AfterPost::Gone => progress.posted.push((posting.pending, jobs)),
                AfterPost::Never => {}
                AfterPost::Retry => progress.retry(&jobs, "posting is forbidden"),
            }
        }
    }

    /// Queues what was posted to be awaited; one send for all of it.
    async fn queue_awaits(&self, progress: &mut Progress, invocation: Invocation) {
        let posted = std::mem::take(&mut progress.posted);
        if posted.is_empty() {
            return;
        }
        let (pending, jobs): (Vec<Pending>, Vec<Vec<usize>>) = posted.into_iter().unzip();
        let scheduled = awaits(&pending, self.waits.first(&mut invocation.rng()));
        let sent = self.queue.send(&scheduled).await;
        for (chunk, outcome) in jobs.chunks(delivery::job::MAX_PENDING).zip(sent) {
            if let Err(failure) = outcome {
                progress.retry(&chunk.concat(), &failure.to_string());
            }
        }
    }
}

impl Owed {
    fn undelivered(&self) -> Undelivered {
        Undelivered { row: self.row.clone(), device: self.row.holder.device().cloned(), reason: Reason::Absent }
    }
}

/// What the jobs owe, each key once: of two records with the same key in one batch, the later one's envelope is put and
/// both wait for it.
fn owed_rows(jobs: &[Asked], looks: &Looks, progress: &mut Progress, now: Timestamp) -> Vec<Owed> {
    let mut rows: Vec<Owed> = Vec::new();
    let mut places: HashMap<(Key, bool), usize> = HashMap::new();
    for (index, Asked { job, again }) in jobs.iter().enumerate().filter(|(_, asked)| !is_stale(&asked.job, now)) {
        let devices = match &looks[&job.recipient] {
            Ok(devices) => devices,
            Err(reason) => {
                progress.retry(&[index], reason);
                continue;
            }
        };
        for row in owed(job, devices) {
            let connection = row.holder.device().and_then(|device| connection_of(device, devices)).cloned();
            if job.ephemeral && connection.is_none() {
                continue;
            }
            match places.get(&(row.key(), job.ephemeral)) {
                Some(place) => {
                    rows[*place].jobs.push(index);
                    rows[*place].row = row;
                    rows[*place].again |= again;
                }
                None => {
                    places.insert((row.key(), job.ephemeral), rows.len());
                    rows.push(Owed { jobs: vec![index], row, ephemeral: job.ephemeral, again: *again, connection });
                }
            }
        }
    }
    rows
}

fn connection_of<'a>(device: &DeviceId, devices: &'a [Device]) -> Option<&'a Connection> {
    devices.iter().find(|known| known.id == *device)?.connection.as_ref()
}

/// Where a row can be posted now: its own device, or, while it is unclaimed, any device that the user has got meanwhile. Not the
/// connection that was just found to be gone.
fn connected<'a>(owed: &Owed, devices: &'a [Device]) -> Vec<(&'a DeviceId, &'a Connection)> {
    let gone: Option<&ConnectionId> = owed.connection.as_ref().map(|connection| &connection.id);
    devices
        .iter()
        .filter(|device| match &owed.row.holder {
            Holder::Device(holder) => device.id == *holder,
            Holder::Unclaimed => true,
        })
        .filter_map(|device| Some((&device.id, device.connection.as_ref()?)))
        .filter(|(_, connection)| Some(&connection.id) != gone)
        .collect()
}

/// Whether a user who had devices has others now: they are owed too, so the record is done again. For a user who had
/// none, the unclaimed row serves the newcomers as well.
fn has_newcomers(owed: &Owed, devices: &[Device], before: &Looks) -> bool {
    let Some(Ok(before)) = before.get(&owed.row.user) else { return false };
    let known: HashSet<&DeviceId> = before.iter().map(|device| &device.id).collect();
    !known.is_empty() && devices.iter().any(|device| !known.contains(&device.id))
}
