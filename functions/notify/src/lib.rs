//! `notify`: consumes the wake queue. Is the envelope still pending? Was the device not woken a moment ago? Then it is woken.
//!
//! Whether a record pushes, waits or is covered by another is decided in `delivery::wake`.

mod settings;
pub mod webhook;

use std::time::Duration;

use delivery::wake::{MAX_IDS, step};
use delivery::{Directory, HandOver, Holder, Inbox, Invocation, Lookup, PushGateway, Queue, Wake, WakeState, WakeStep};
use lambda::batch::{records, settle};
use lambda::{HandlerError, Record, Verdict};
use protocol::Timestamp;
use serde_json::Value;

pub use settings::Settings;

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
                Ok(hand_over) => self.wake(&hand_over, &record, invocation.now).await.unwrap_or_else(Verdict::Retry),
                Err(unreadable) => Verdict::Reject(unreadable.to_string()),
            };
            (record, verdict)
        });
        let response = settle(&self.queue, futures::future::join_all(verdicts).await, invocation).await;
        Ok(serde_json::to_value(response).expect("a list of ids is always JSON"))
    }

    async fn wake(&self, hand_over: &HandOver, record: &Record, now: Timestamp) -> Result<Verdict, String> {
        // On a later receive the record may hold the wake of others, so its own envelope says nothing any more.
        if record.receive_count == 1 && !self.is_pending(hand_over, now).await? {
            return Ok(Verdict::Done);
        }
        let user = &hand_over.user;
        let holder = hand_over.device.clone().map_or(Holder::Unclaimed, Holder::Device);
        for _ in 0..RACES {
            let state = self.directory.wake_state(user, &holder).await.map_err(|failure| failure.to_string())?;
            let Some(state) = state else { return Ok(Verdict::Done) };
            let decision = step(&state, &record.id, self.interval, now);
            let next = match &decision {
                WakeStep::Covered => return Ok(Verdict::Done),
                WakeStep::Push(next) | WakeStep::Hold(next, _) => next,
            };
            let replaced = self.directory.replace_wake_state(user, &holder, &state, next, now).await;
            if !replaced.map_err(|failure| failure.to_string())? {
                continue;
            }
            return match decision {
                WakeStep::Hold(_, until) => Ok(Verdict::Wait(whole_seconds(until.since(now)))),
                WakeStep::Covered => Ok(Verdict::Done),
                WakeStep::Push(started) => {
                    let pushed = self.push(hand_over, now).await;
                    if pushed != Ok(true) {
                        // Nobody was woken, so the interval must not hold up the next try. Where there was nothing to wake for, this
                        // record ends, so it must not hold the due wake either.
                        let undone = if pushed.is_ok() { WakeState { due: None, ..state } } else { state };
                        let replaced = self.directory.replace_wake_state(user, &holder, &started, &undone, now).await;
                        replaced.map_err(|failure| failure.to_string())?;
                    }
                    pushed.map(|_| Verdict::Done)
                }
            };
        }
        Err("the wake state kept changing".to_owned())
    }

    async fn is_pending(&self, hand_over: &HandOver, now: Timestamp) -> Result<bool, String> {
        let found = self.inbox.get(&[hand_over.key()], now).await.map_err(|failure| failure.to_string())?;
        match found.first() {
            Some(Lookup::Found(_)) => Ok(true),
            Some(Lookup::Unprocessed) | None => Err("the envelope could not be read".to_owned()),
            Some(Lookup::Missing | Lookup::Unreadable) => Ok(false),
        }
    }

    /// Pushes one wake for everything that is pending by now. Answers whether anything was.
    async fn push(&self, hand_over: &HandOver, now: Timestamp) -> Result<bool, String> {
        let device = hand_over.device.as_ref();
        let page = self.inbox.page(&hand_over.user, device, None, MAX_IDS, now).await;
        let rows = page.map_err(|failure| failure.to_string())?.rows;
        if rows.is_empty() {
            return Ok(false);
        }
        let mut ids: Vec<_> = rows.iter().map(|row| row.envelope.id).collect();
        ids.dedup();
        let wake = Wake {
            user: hand_over.user.clone(),
            device: hand_over.device.clone(),
            ids,
            reason: hand_over.reason,
            at: now,
        };
        self.gateway.push(&wake).await.map_err(|failure| failure.to_string())?;
        Ok(true)
    }
}

/// Rounded up, so that a record does not come back before its time; at least 1.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX))
}
