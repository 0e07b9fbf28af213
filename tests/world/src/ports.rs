//! The handlers' ports on the simulated services: each call goes there, does something or nothing, and comes back or does not. Storage is
//! that of `testkit`; what is remembered for the check is in `facts`.

mod attachments;
mod groups;
mod wakes;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use delivery::{
    Address, Connection, ConnectionId, Connections, Device, Directory, Enrolment, Failure, Holder, Inbox, Job, Key,
    Lookup, Page, PostOutcome, Queue, Receipt, Registration, Row, Scheduled, Told, WakeState, Wakeable,
};
use protocol::{DeviceId, Kind, MessageName, PushTarget, ReceiptEvent, Ref, ServerFrame, Timestamp, Urgency, UserId};

use crate::fault::{Fault, Service};
use crate::functions::{Function, context};
use crate::lock;
use crate::mutation::Mutation;
use crate::old_client;
use crate::world::{World, failure};

/// What one BatchWriteItem carries.
const WRITES: usize = 25;

/// What one SendMessageBatch or PublishBatch carries.
const ENTRIES: usize = 10;

/// How far an eventually consistent read lags. No port has such reads, since each of them is shown to lose messages when it is one.
const LAG: Duration = Duration::from_secs(2);

/// A handler's way to all services.
#[derive(Clone)]
pub(crate) struct Port(pub(crate) Arc<World>);

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Port")
    }
}

fn running(function: Function) -> bool {
    context().is_some_and(|context| context.function == function)
}

/// `failure` for each of `count`.
fn all(count: usize, failed: &Failure) -> Vec<Result<(), Failure>> {
    (0..count).map(|_| Err(failure(failed.operation, &failed.cause))).collect()
}

impl Port {
    /// The way of one batch of writes: which of its entries are processed. `Err` if none is.
    async fn begin(&self, operation: &'static str, batch: Range<usize>) -> Result<Vec<usize>, Failure> {
        self.0.call(Service::Tables, operation).await?;
        let alone = batch.len() == 1;
        Ok(batch.filter(|_| alone || !self.0.strikes(Fault::Throttle)).collect())
    }

    /// The way back: what became of each entry.
    async fn end(&self, operation: &'static str, batch: Range<usize>, processed: &[usize]) -> Vec<Result<(), Failure>> {
        let answered = self.0.answer(operation).await;
        let outcome = |index: usize| match &answered {
            Err(failed) => Err(failure(failed.operation, &failed.cause)),
            Ok(()) if processed.contains(&index) => Ok(()),
            Ok(()) => Err(failure(operation, "unprocessed")),
        };
        batch.map(outcome).collect()
    }
}

/// The places of the entries of each batch.
fn batches(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(WRITES).map(move |first| first..count.min(first + WRITES))
}

impl Inbox for Port {
    async fn put(&self, rows: &[Row]) -> Vec<Result<(), Failure>> {
        let world = &self.0;
        let keys: Vec<Key> = rows.iter().map(Row::key).collect();
        if world.mutated(Mutation::PostBeforePut) {
            // It goes on at once; the rows follow, unless the function is gone by then.
            let (world, rows) = (Arc::clone(world), rows.to_vec());
            let doomed = world.strikes(Fault::Kill) || world.strikes(Fault::Throttle);
            tokio::spawn(async move {
                world.pause(100..3_000).await;
                if !doomed {
                    world.inbox.put(&rows).await;
                }
            });
            return keys.iter().map(|_| Ok(())).collect();
        }
        let mut outcomes = Vec::with_capacity(rows.len());
        for batch in batches(rows.len()) {
            let processed = match self.begin("put", batch.clone()).await {
                Ok(processed) => processed,
                Err(failed) => {
                    outcomes.extend(all(batch.len(), &failed));
                    continue;
                }
            };
            let stored: Vec<Row> = processed.iter().map(|index| self.stored(&rows[*index])).collect();
            world.inbox.put(&stored).await;
            outcomes.extend(self.end("put", batch, &processed).await);
        }
        if world.mutated(Mutation::UnprocessedPutIsDone) {
            return outcomes.into_iter().map(|_| Ok(())).collect();
        }
        outcomes
    }

    async fn delete(&self, keys: &[Key]) -> Vec<Result<(), Failure>> {
        let world = &self.0;
        let mut outcomes = Vec::with_capacity(keys.len());
        for batch in batches(keys.len()) {
            let processed = match self.begin("delete", batch.clone()).await {
                Ok(processed) => processed,
                Err(failed) => {
                    outcomes.extend(all(batch.len(), &failed));
                    continue;
                }
            };
            let mut deleted: Vec<Key> = processed.iter().map(|index| keys[*index].clone()).collect();
            world.tell(|| format!("deletes {deleted:?}"));
            if world.mutated(Mutation::AckForAllDevices) {
                let same = |row: &Row| deleted.iter().any(|key| key.user == row.user && key.id == row.envelope.id);
                deleted = world.inbox.rows().iter().filter(|row| same(row)).map(Row::key).collect();
            }
            if running(Function::Route) || running(Function::Http) {
                let found = world.inbox.get(&deleted, world.now()).await.unwrap_or_default();
                let there = found.into_iter().filter_map(|lookup| match lookup {
                    Lookup::Found(row) => Some(row),
                    Lookup::Missing | Lookup::Unreadable | Lookup::Unprocessed => None,
                });
                lock(&world.facts).deleted.extend(there);
            }
            world.inbox.delete(&deleted).await;
            lock(&world.facts).wakes.deleted(&deleted, world.now());
            outcomes.extend(self.end("delete", batch, &processed).await);
        }
        outcomes
    }

    async fn get(&self, keys: &[Key], now: Timestamp) -> Result<Vec<Lookup>, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "get").await?;
        let mut found = world.inbox.get(keys, now).await?;
        for (lookup, key) in found.iter_mut().zip(keys) {
            if world.mutated(Mutation::EventualLookups) && self.is_newly_put(key) {
                *lookup = Lookup::Missing;
            }
            if world.strikes(Fault::Throttle) {
                *lookup = Lookup::Unprocessed;
            }
        }
        world.answer("get").await?;
        Ok(found)
    }

    async fn page(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        after: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "page").await?;
        // About 1 MB may be few envelopes, so that a backlog has many pages.
        let limit = limit.min(usize::try_from(world.draw(1..6)).unwrap_or(1));
        let mut page = world.inbox.page(user, device, after, limit, now).await?;
        if world.mutated(Mutation::EventualPages) {
            page.rows.retain(|row| !self.is_newly_put(&row.key()));
        }
        if world.mutated(Mutation::SyncIsAck) && running(Function::Http) {
            let read: Vec<Key> = page.rows.iter().map(Row::key).collect();
            world.inbox.delete(&read).await;
        }
        if world.mutated(Mutation::DrainedTooEarly) && running(Function::Deliver) {
            page.more = false;
        }
        if world.mutated(Mutation::CursorSkips) && after.is_some() && !page.rows.is_empty() {
            page.rows.remove(0);
        }
        world.answer("page").await?;
        Ok(page)
    }

    async fn page_back(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        before: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "page back").await?;
        let mut page = world.inbox.page_back(user, device, before, limit, now).await?;
        if world.mutated(Mutation::EventualPages) {
            page.rows.retain(|row| !self.is_newly_put(&row.key()));
        }
        world.answer("page back").await?;
        Ok(page)
    }

    async fn told(&self, user: &UserId, messages: &[MessageName], now: Timestamp) -> Result<Vec<Told>, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "read what was told").await?;
        let told = world.inbox.told(user, messages, now).await?;
        world.answer("read what was told").await?;
        Ok(told)
    }

    async fn keep_told(&self, told: &[Told]) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "keep what was told").await?;
        world.inbox.keep_told(told).await?;
        world.answer("keep what was told").await
    }

    async fn forget_told(&self, user: &UserId) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "forget what was told").await?;
        world.inbox.forget_told(user).await?;
        world.answer("forget what was told").await
    }

    async fn mark_undelivered(&self, key: &Key) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "mark").await?;
        world.inbox.mark_undelivered(key).await?;
        world.answer("mark").await
    }
}

impl Port {
    fn is_newly_put(&self, key: &Key) -> bool {
        lock(&self.0.facts).is_newly_put(key, self.0.now(), LAG)
    }

    /// A row as it is stored.
    fn stored(&self, row: &Row) -> Row {
        let (world, mut row) = (&self.0, row.clone());
        world.tell(|| format!("puts {:?}{}", row.key(), if row.undelivered { ", undelivered" } else { "" }));
        lock(&world.facts).put(row.key(), world.now(), context().map(|context| context.number()));
        lock(&world.facts).wakes.put(&row.key(), world.now());
        if lock(&world.facts).is_ephemeral(&row.key()) {
            world.violate(|| format!("an ephemeral message was stored: {:?}", row.key()));
        }
        if self.0.mutated(Mutation::UrgencyIsLost) {
            row.envelope.urgency = Urgency::default();
        }
        if self.0.mutated(Mutation::ExpiryInWrongUnit) {
            row.envelope.expires_at = Timestamp::from_millis(
                row.envelope.at.as_millis() + row.envelope.expires_at.since(row.envelope.at).as_secs(),
            );
        }
        row
    }
}

impl Port {
    /// The connection that a mutation takes for the one that is to be unregistered.
    fn registered_instead(&self, address: &Address) -> Option<Connection> {
        let world = &self.0;
        let unconditional = world.mutated(Mutation::UnconditionalForget) && running(Function::Deliver)
            || world.mutated(Mutation::DisplacedUnregistersSuccessor) && running(Function::Connect);
        world.directory.connection(address).filter(|_| unconditional)
    }
}

impl Port {
    fn note_absence(&self, address: &Address) {
        let world = &self.0;
        if world.directory.connection(address).is_none() {
            lock(&world.facts).wakes.left(address, world.now());
        }
    }
}

impl Directory for Port {
    async fn register(
        &self,
        address: &Address,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Registration, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "register").await?;
        let registration = world.directory.register(address, connection, now).await?;
        world.tell(|| format!("registers {address:?} on {}: {registration:?}", connection.id));
        if matches!(registration, Registration::Registered { .. }) {
            lock(&world.facts).registered(address);
            lock(&world.facts).wakes.came(address);
        }
        world.answer("register").await?;
        Ok(registration)
    }

    async fn unregister(&self, address: &Address, connection: &ConnectionId) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "unregister").await?;
        let registered = self.registered_instead(address);
        let connection = registered.as_ref().map_or(connection, |registered| &registered.id);
        world.tell(|| format!("unregisters {address:?} if on {connection}"));
        world.directory.unregister(address, connection).await?;
        self.note_absence(address);
        world.answer("unregister").await
    }

    async fn left(&self, address: &Address, connection: &ConnectionId, now: Timestamp) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "unregister who left").await?;
        let registered = self.registered_instead(address);
        let connection = registered.as_ref().map_or(connection, |registered| &registered.id);
        world.tell(|| format!("unregisters {address:?}, who left, if on {connection}"));
        world.directory.left(address, connection, now).await?;
        self.note_absence(address);
        world.answer("unregister who left").await
    }

    async fn enrol(&self, address: &Address, said: &Enrolment, now: Timestamp) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "enrol").await?;
        world.directory.enrol(address, said, now).await?;
        lock(&world.facts).registered(address);
        self.note_absence(address);
        world.answer("enrol").await
    }

    async fn seen(&self, address: &Address, now: Timestamp) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "note that a device was seen").await?;
        world.directory.seen(address, now).await?;
        world.answer("note that a device was seen").await
    }

    async fn forget(&self, address: &Address) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "forget a device").await?;
        world.directory.forget(address).await?;
        world.answer("forget a device").await
    }

    async fn devices(&self, user: &UserId, now: Timestamp) -> Result<Vec<Device>, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "look").await?;
        let fresh = world.directory.devices(user, now).await?;
        let keep = if world.mutated(Mutation::EventualLooks) {
            Some((0, LAG))
        } else if world.mutated(Mutation::AbsenceBeforePut) {
            context().map(|context| (context.number(), Duration::from_secs(10)))
        } else {
            None
        };
        let devices = match keep {
            Some((scope, age)) => lock(&world.facts).look(scope, user, fresh, now, age),
            None => fresh,
        };
        world.tell(|| format!("looks at {user}: {devices:?}"));
        world.answer("look").await?;
        Ok(devices)
    }

    async fn wakeable(&self, user: &UserId, holder: &Holder) -> Result<Option<Wakeable>, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "read the wake state").await?;
        let mut wakeable = world.directory.wakeable(user, holder).await?;
        if let (Some(known), Some(device)) = (&mut wakeable, holder.device()) {
            let address = Address { user: user.clone(), device: device.clone() };
            known.push.extend(world.apps.taken_over(world, &address));
        }
        world.answer("read the wake state").await?;
        Ok(wakeable)
    }

    async fn replace_wake_state(
        &self,
        user: &UserId,
        holder: &Holder,
        before: &WakeState,
        after: &WakeState,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "write the wake state").await?;
        if world.mutated(Mutation::WakeIsForgotten) {
            return Ok(true);
        }
        let after = &wakes::written(world, after);
        let replaced = world.directory.replace_wake_state(user, holder, before, after, now).await?;
        world.tell(|| format!("wake state of {user}/{holder:?}: {after:?}, replaced: {replaced}"));
        world.answer("write the wake state").await?;
        Ok(replaced)
    }

    async fn drop_push(&self, address: &Address, before: &[PushTarget], dead: &[PushTarget]) -> Result<bool, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "drop dead push targets").await?;
        if world.mutated(Mutation::DeadTargetIsKept) {
            return Ok(true);
        }
        if world.mutated(Mutation::RenewedIsDropped) {
            let left = before.iter().filter(|target| !dead.contains(target)).cloned().collect();
            let said = Enrolment { push: Some(left), ..Enrolment::default() };
            world.directory.enrol(address, &said, world.now()).await?;
            return Ok(true);
        }
        let dropped = world.directory.drop_push(address, before, dead).await?;
        world.answer("drop dead push targets").await?;
        Ok(dropped)
    }
}

impl Queue for Port {
    async fn send(&self, jobs: &[Scheduled]) -> Vec<Result<(), Failure>> {
        let world = &self.0;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(ENTRIES) {
            if let Err(failed) = world.call(Service::Queues, "send").await {
                outcomes.extend(all(batch.len(), &failed));
                continue;
            }
            let mut taken = Vec::with_capacity(batch.len());
            for scheduled in batch {
                let refused = batch.len() > 1 && world.strikes(Fault::Throttle);
                let is_late = world.mutated(Mutation::AnnounceAfterChange) && matches!(scheduled.job, Job::Announce(_))
                    || world.mutated(Mutation::AckedAfterDelete) && matches!(scheduled.job, Job::Acked(_));
                if is_late {
                    self.enqueue_later(scheduled);
                } else if !refused {
                    self.enqueue(scheduled);
                }
                taken.push(if refused { Err(failure("send", "failed entry")) } else { Ok(()) });
            }
            match world.answer("send").await {
                Ok(()) => outcomes.extend(taken),
                Err(failed) => outcomes.extend(all(batch.len(), &failed)),
            }
        }
        let done = world.mutated(Mutation::AcceptBeforeSend) && running(Function::Route)
            || world.mutated(Mutation::FailedSendIsDone) && running(Function::Deliver);
        if done { outcomes.into_iter().map(|_| Ok(())).collect() } else { outcomes }
    }

    async fn set_visibility(&self, records: &[(Receipt, Duration)]) -> Vec<Result<(), Failure>> {
        let world = &self.0;
        let queue = if running(Function::Notify) { &world.wakes } else { &world.deliveries };
        let mut outcomes = Vec::with_capacity(records.len());
        for batch in records.chunks(ENTRIES) {
            let called = world.call(Service::Queues, "set the visibility").await;
            for (receipt, wait) in batch {
                let done = match &called {
                    Err(failed) => Err(failure(failed.operation, &failed.cause)),
                    Ok(()) if world.strikes(Fault::Throttle) => Err(failure("set the visibility", "failed entry")),
                    Ok(()) => {
                        queue.hide(world, receipt, *wait);
                        Ok(())
                    }
                };
                outcomes.push(done);
            }
        }
        outcomes
    }

    async fn send_later(&self, body: &str, delay: Duration) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Queues, "send").await?;
        let body = wakes::sent(world, body);
        world.tell(|| format!("sends, delayed by {} s: {body}", delay.as_secs()));
        world.wakes.put(world, body, delay);
        world.answer("send").await
    }

    async fn dead_letter(&self, body: &str, reason: &str) -> Result<(), Failure> {
        let world = &self.0;
        if world.mutated(Mutation::PoisonIsKept) {
            return Err(failure("dead-letter", "mutated"));
        }
        world.call(Service::Queues, "dead-letter").await?;
        world.tell(|| format!("dead-letters {body}: {reason}"));
        lock(&world.facts).dead_letters.push(body.to_owned());
        world.answer("dead-letter").await
    }
}

impl Port {
    /// It is sent after whatever comes next, unless the function is gone by then.
    fn enqueue_later(&self, scheduled: &Scheduled) {
        let (port, scheduled) = (self.clone(), scheduled.clone());
        let doomed = self.0.strikes(Fault::Kill) || self.0.strikes(Fault::Throttle);
        tokio::spawn(async move {
            port.0.pause(100..3_000).await;
            if !doomed {
                port.enqueue(&scheduled);
            }
        });
    }

    fn enqueue(&self, scheduled: &Scheduled) {
        let world = &self.0;
        let mut scheduled = scheduled.clone();
        if let Job::Acked(job) = &mut scheduled.job {
            lock(&world.facts).wakes.acked(job, world.now());
            if world.mutated(Mutation::ReceiptUnasked) {
                job.messages.iter_mut().filter_map(|message| message.row.as_mut()).for_each(|row| row.receipts = true);
            }
            if world.mutated(Mutation::AckSaidAsRead) {
                job.event = ReceiptEvent::Read;
            }
        }
        if let Job::Deliver(job) = &mut scheduled.job {
            if job.envelope.kind == Kind::Receipt {
                let queued = lock(&world.facts).enqueued_receipt(job);
                queued.unwrap_or_else(|wrong| world.violate(|| wrong));
                job.except = job.except.take().filter(|_| !world.mutated(Mutation::ExceptIsIgnored));
            } else {
                lock(&world.facts).enqueued(&job.envelope, std::slice::from_ref(&job.recipient));
            }
            if world.mutated(Mutation::EphemeralIsStored) {
                job.ephemeral = false;
            }
            if world.mutated(Mutation::WrongRecipient) {
                job.recipient = job.envelope.from.user().cloned().unwrap_or_else(|| job.recipient.clone());
            }
        }
        if let Job::Fanout(job) = &mut scheduled.job {
            lock(&world.facts).enqueued(&job.envelope, &job.members);
            if world.mutated(Mutation::FanoutForgetsLast) && job.members.len() > 1 {
                job.members.pop();
            }
        }
        world.tell(|| format!("sends, delayed by {} s: {}", scheduled.delay.as_secs(), scheduled.job.encode()));
        world.deliveries.put(world, scheduled.job.encode(), scheduled.delay);
    }
}

impl Connections for Port {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> PostOutcome {
        let world = &self.0;
        if world.call(Service::Gateway, "post").await.is_err() {
            return PostOutcome::Unknown;
        }
        let outcome = world.sockets.post(world, connection, frame);
        if outcome == PostOutcome::Posted {
            let carried = self.carried_and_deleted(connection, frame);
            world.inbox.delete(&carried).await;
        }
        if outcome == PostOutcome::Posted && world.strikes(Fault::FalseGone) {
            return PostOutcome::Gone;
        }
        if world.answer("post").await.is_err() { PostOutcome::Unknown } else { outcome }
    }

    async fn disconnect(&self, connection: &ConnectionId) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Gateway, "disconnect").await?;
        world.tell(|| format!("closes {connection}"));
        world.sockets.close(world, connection);
        world.answer("disconnect").await
    }
}

impl Port {
    /// The rows of a frame that a mutation deletes because it was posted.
    fn carried_and_deleted(&self, connection: &ConnectionId, frame: &str) -> Vec<Key> {
        let world = &self.0;
        let rows = || world.inbox.rows();
        if world.mutated(Mutation::DeleteOnPost)
            && let Some(ServerFrame::Messages { messages, .. }) = ServerFrame::parse(frame)
        {
            let carried = |row: &Row| messages.iter().any(|message| message.reference == row.reference());
            return rows().iter().filter(|row| carried(row)).map(Row::key).collect();
        }
        if world.mutated(Mutation::DeleteOnOldPost)
            && let Some(old_client::Told::Delivery(told)) = old_client::read(frame)
            && let Some(id) = lock(&world.facts).named_by_old(&told.from, &told.id)
        {
            let user = world.sockets.user(connection);
            let carried = |key: &Key| Some(&key.user) == user.as_ref() && key.id == id && key.sender == told.from;
            return rows().iter().map(Row::key).filter(carried).collect();
        }
        Vec::new()
    }
}
