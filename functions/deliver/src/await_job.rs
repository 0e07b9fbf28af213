//! Await: attempts again what was posted and is still unacked, or hands it over when its device is absent or the attempts are used up. It
//! exists only after the puts, so here a missing row means acked or expired.

use std::collections::BTreeMap;

use delivery::attempt::{AfterPost, Step, after_post, had_its_chance, step};
use delivery::{
    Attachments, Await, Connection, ConnectionId, Connections, Device, Directory, Groups, Inbox, Invocation, Key,
    Lookup, OfflineTopic, Pending, Queue, Reason, Row,
};
use lambda::Verdict;
use protocol::DeviceId;

use crate::hand_over::Undelivered;
use crate::posting::Posting;
use crate::{Deliver, Looks};

/// What the Await is about, by what is to be done with it.
#[derive(Default)]
struct Plan {
    postings: Vec<(Posting, Row)>,
    absent: Vec<(Pending, Row)>,
    exhausted: Vec<(Pending, Row, Connection)>,
    /// Why the record must come again even if nothing is left to wait for.
    retry: Option<String>,
}

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections, O: OfflineTopic, A: Attachments>
    Deliver<I, D, G, Q, C, O, A>
{
    /// One receive of an Await. The receive count is the attempt: SQS is the clock and the counter.
    pub(crate) async fn await_acks(&self, job: &Await, receive_count: u32, invocation: Invocation) -> Verdict {
        let now = invocation.now;
        let (unacked, unprocessed) = match self.unacked(job, invocation).await {
            Ok(read) => read,
            Err(reason) => return Verdict::Retry(reason),
        };
        let looks = self.look(unacked.iter().map(|(pending, _)| &pending.user), now).await;
        let step = step(receive_count, &self.waits);
        let mut plan =
            Plan { retry: unprocessed.then(|| "some envelopes could not be read".to_owned()), ..Plan::default() };
        for (pending, row) in unacked {
            plan.add(pending, row, &looks, step, None);
        }
        let mut waiting = self.post_again(&mut plan, step, invocation).await;
        // Where the attempts are used up, nothing waits any more.
        waiting &= matches!(step, Step::Attempt(_));
        self.give_up(&mut plan, invocation).await;
        match (plan.retry, step) {
            (Some(reason), _) => Verdict::Retry(reason),
            (None, Step::Attempt(attempt)) if waiting => {
                self.waits.after(attempt, &mut invocation.rng()).map_or(Verdict::Done, Verdict::Wait)
            }
            (None, _) => Verdict::Done,
        }
    }

    /// What is still in the inbox, and whether something could not be read.
    async fn unacked(&self, job: &Await, invocation: Invocation) -> Result<(Vec<(Pending, Row)>, bool), String> {
        let pending: BTreeMap<(Key, DeviceId), Pending> =
            job.pending.iter().map(|one| ((one.key(), one.device.clone()), one.clone())).collect();
        // Two devices may await one unclaimed envelope.
        let mut keys: Vec<Key> = pending.keys().map(|(key, _)| key.clone()).collect();
        keys.dedup();
        let found = self.inbox.get(&keys, invocation.now).await.map_err(|failure| failure.to_string())?;
        let unprocessed = found.contains(&Lookup::Unprocessed);
        let rows: BTreeMap<Key, Row> = keys
            .into_iter()
            .zip(found)
            .filter_map(|(key, lookup)| match lookup {
                Lookup::Found(row) => Some((key, row)),
                Lookup::Missing | Lookup::Unreadable | Lookup::Unprocessed => None,
            })
            .collect();
        let unacked = pending.into_iter().filter_map(|((key, _), one)| Some((one, rows.get(&key)?.clone())));
        Ok((unacked.collect(), unprocessed))
    }

    /// Posts once more. Who is gone is looked for again, once, and posted to or taken for absent. Answers whether anything is
    /// to be waited for.
    async fn post_again(&self, plan: &mut Plan, step: Step, invocation: Invocation) -> bool {
        let mut waiting = false;
        for last in [false, true] {
            let (postings, rows): (Vec<Posting>, Vec<Row>) = std::mem::take(&mut plan.postings).into_iter().unzip();
            let outcomes = self.post(&postings).await;
            let mut gone = Vec::new();
            for ((posting, row), outcome) in postings.into_iter().zip(rows).zip(outcomes) {
                match after_post(outcome, &posting.connection, invocation.now) {
                    AfterPost::Gone if !last => gone.push((posting, row)),
                    AfterPost::Await | AfterPost::Gone => waiting = true,
                    AfterPost::Never => {}
                    AfterPost::Retry => plan.retry = Some("posting is forbidden".to_owned()),
                }
            }
            if gone.is_empty() {
                break;
            }
            let forgotten = gone.iter().map(|(posting, _)| (posting.pending.address(), posting.connection.id.clone()));
            let unclosed = self.forget(forgotten).await;
            let (kept, gone): (Vec<_>, Vec<_>) =
                gone.into_iter().partition(|(posting, _)| unclosed.contains(&posting.connection.id));
            waiting |= !kept.is_empty();
            let looks = self.look(gone.iter().map(|(posting, _)| &posting.pending.user), invocation.now).await;
            for (posting, row) in gone {
                plan.add(posting.pending, row, &looks, step, Some(&posting.connection.id));
            }
        }
        waiting
    }

    /// Hands over who is absent or exhausted, then closes the connections that were silent to the end.
    async fn give_up(&self, plan: &mut Plan, invocation: Invocation) {
        let absent = plan.absent.iter().map(|(pending, row)| (pending, row, Reason::Absent));
        let exhausted = plan.exhausted.iter().map(|(pending, row, _)| (pending, row, Reason::Exhausted));
        let undelivered: Vec<Undelivered> = absent
            .chain(exhausted)
            .filter(|(_, row, _)| !row.undelivered && row.envelope.wakes())
            .map(|(pending, row, reason)| Undelivered {
                row: row.clone(),
                device: Some(pending.device.clone()),
                reason,
            })
            .collect();
        for reason in self.hand_over(&undelivered).await.into_iter().filter_map(Result::err) {
            plan.retry = Some(reason);
        }
        let silent = plan
            .exhausted
            .iter()
            .filter(|(.., connection)| had_its_chance(connection, &self.waits, invocation.now))
            .map(|(pending, _, connection)| (pending.address(), connection.id.clone()));
        if !self.forget(silent).await.is_empty() {
            plan.retry = Some("a silent connection could not be closed".to_owned());
        }
    }
}

impl Plan {
    /// Decides what becomes of one unacked envelope. `gone` is a connection that was just found to be.
    fn add(&mut self, pending: Pending, row: Row, looks: &Looks, step: Step, gone: Option<&ConnectionId>) {
        let devices: &[Device] = match &looks[&pending.user] {
            Ok(devices) => devices,
            Err(reason) => {
                self.retry = Some(reason.clone());
                return;
            }
        };
        let device = devices.iter().find(|device| device.id == pending.device);
        let connection = device.and_then(|device| device.connection.as_ref()).filter(|to| Some(&to.id) != gone);
        match (connection, step) {
            (None, _) => self.absent.push((pending, row)),
            (Some(to), Step::Attempt(attempt)) => {
                self.postings.push((Posting::new(&row, &pending.device, to, attempt), row));
            }
            (Some(to), Step::Exhausted) => self.exhausted.push((pending, row, to.clone())),
        }
    }
}
