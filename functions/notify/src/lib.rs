//! `notify`: consumes the wake queue. Is the envelope still pending? Was the device not woken a moment ago? Then it is woken.
//!
//! Whether a record pushes, waits or is covered by another is decided in `delivery::wake`.

mod settings;
pub mod webhook;

use std::time::Duration;

use delivery::ports::MAX_DELAY;
use delivery::wake::{Due, MAX_IDS, step};
use delivery::{
    Directory, Failure, HandOver, Holder, Inbox, Invocation, Lookup, PushGateway, Queue, Row, Wake, WakeState,
    WakeStep, Wakeable,
};
use lambda::batch::{records, settle};
use lambda::{HandlerError, Record, Verdict};
use protocol::{MessageId, PushTarget, Timestamp};
use serde_json::Value;

pub use settings::Settings;

/// Most pages of an inbox that are read for one wake. Before what one is woken for there may be any number of receipts, and the function has
/// 10 s for a whole batch.
const MAX_PAGES: usize = 4;

/// How often a record decides again because another one changed the wake state in between, before it backs off.
const RACES: usize = 5;

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Notify<I, D, Q, P> {
    /// Where what is pending lies.
    pub inbox: I,
    /// When devices were woken.
    pub directory: D,
    /// The wake queue, which this function consumes.
    pub queue: Q,
    /// What carries wakes to devices.
    pub gateway: P,
    /// The shortest time between two wakes of one device.
    pub interval: Duration,
}

impl<I: Inbox, D: Directory, Q: Queue, P: PushGateway> Notify<I, D, Q, P> {
    /// Handles one batch of the wake queue and answers with the records that SQS is to keep.
    ///
    /// # Errors
    /// [`HandlerError::WrongShape`] when the event is no SQS batch. Nothing else fails a batch as a whole.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let verdicts = records(event)?.into_iter().map(|record| async {
            let verdict = match HandOver::decode(&record.body) {
                Ok(hand_over) => self.wake(&hand_over, &record, invocation).await.unwrap_or_else(Verdict::Retry),
                Err(unreadable) => Verdict::Reject(unreadable.to_string()),
            };
            (record, verdict)
        });
        let response = settle(&self.queue, futures::future::join_all(verdicts).await, invocation).await;
        Ok(serde_json::to_value(response).expect("a list of ids is always JSON"))
    }

    async fn wake(&self, hand_over: &HandOver, record: &Record, invocation: Invocation) -> Result<Verdict, String> {
        let now = invocation.now;
        // A holder's own envelope says nothing: it is to wake for others as well. Nor does that of a record which may have overtaken
        // a holder before.
        if hand_over.due.is_none() && record.receive_count == 1 && !self.is_pending(hand_over, now).await? {
            return Ok(Verdict::Done);
        }
        let user = &hand_over.user;
        let holder = hand_over.device.clone().map_or(Holder::Unclaimed, Holder::Device);
        for race in 0..RACES {
            let read = self.directory.wakeable(user, &holder).await.map_err(|failure| failure.to_string())?;
            let Some(Wakeable { state, push }) = read else { return Ok(Verdict::Done) };
            let next = match step(&state, hand_over.due.as_deref(), self.interval, now) {
                WakeStep::Covered => return Ok(Verdict::Done),
                WakeStep::Wait(until) => return Ok(Verdict::Wait(whole_seconds(until.since(now)))),
                WakeStep::Push(next) => next,
                WakeStep::Postpone(at) => {
                    let token = format!("{}/{:x}/{race}", record.id, invocation.seed);
                    // The holder first: one that nobody names is a record like any other, a name that nobody holds would hold up
                    // everybody.
                    self.send_holder(hand_over, &token, at.since(now)).await?;
                    WakeState { last: state.last, due: Some(Due { at, token }) }
                }
            };
            let replaced = self.directory.replace_wake_state(user, &holder, &state, &next, now).await;
            if !replaced.map_err(|failure| failure.to_string())? {
                continue;
            }
            if next.due.is_some() {
                return Ok(Verdict::Done);
            }
            let pushed = self.push(hand_over, push, now).await;
            if pushed != Ok(true) {
                // Nobody was woken, so the interval must not hold up the next try. Where there was nothing to wake for, this record
                // ends, and must not become the due wake any more: whoever sent it as its holder, and has yet to name it so, must not
                // find the state that he has read. So the last wake, whose interval is over, is forgotten as well.
                let undone = if pushed.is_ok() { WakeState::default() } else { state };
                let replaced = self.directory.replace_wake_state(user, &holder, &next, &undone, now).await;
                replaced.map_err(|failure| failure.to_string())?;
            }
            return pushed.map(|_| Verdict::Done);
        }
        Err("the wake state kept changing".to_owned())
    }

    async fn send_holder(&self, hand_over: &HandOver, token: &str, delay: Duration) -> Result<(), String> {
        let holder = HandOver { due: Some(token.to_owned()), ..hand_over.clone() };
        let delay = whole_seconds(delay).min(MAX_DELAY);
        self.queue.send_later(&holder.encode(), delay).await.map_err(|failure| failure.to_string())
    }

    async fn is_pending(&self, hand_over: &HandOver, now: Timestamp) -> Result<bool, String> {
        let found = self.inbox.get(&[hand_over.key()], now).await.map_err(|failure| failure.to_string())?;
        match found.first() {
            Some(Lookup::Found(_)) => Ok(true),
            Some(Lookup::Unprocessed) | None => Err("the envelope could not be read".to_owned()),
            Some(Lookup::Missing | Lookup::Unreadable) => Ok(false),
        }
    }

    /// The oldest messages that the device is to be woken for. Where they come after more receipts than are read, the one that it was handed
    /// over for.
    async fn wanting(&self, hand_over: &HandOver, now: Timestamp) -> Result<Vec<MessageId>, Failure> {
        let (user, device) = (&hand_over.user, hand_over.device.as_ref());
        let (mut ids, mut after) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let page = self.inbox.page(user, device, after.as_ref(), MAX_IDS, now).await?;
            let wanting = page.rows.iter().filter(|row| row.envelope.wakes());
            ids.extend(wanting.map(|row| row.envelope.id));
            ids.dedup();
            after = page.rows.last().map(Row::reference);
            if ids.len() >= MAX_IDS || !page.more || after.is_none() {
                ids.truncate(MAX_IDS);
                return Ok(ids);
            }
        }
        if ids.is_empty() {
            ids.push(hand_over.reference.id);
        }
        Ok(ids)
    }

    /// Pushes one wake for everything that is pending by now. Answers whether anything was.
    async fn push(&self, hand_over: &HandOver, push: Vec<PushTarget>, now: Timestamp) -> Result<bool, String> {
        let ids = self.wanting(hand_over, now).await.map_err(|failure| failure.to_string())?;
        if ids.is_empty() {
            return Ok(false);
        }
        let wake = Wake {
            user: hand_over.user.clone(),
            device: hand_over.device.clone(),
            ids,
            reason: hand_over.reason,
            at: now,
            push,
        };
        self.gateway.push(&wake).await.map_err(|failure| failure.to_string())?;
        Ok(true)
    }
}

/// Rounded up, so that a record does not come back before its time; at least 1.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX))
}
