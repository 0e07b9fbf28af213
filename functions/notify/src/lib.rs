//! `notify`: consumes the wake queue. Is the envelope still pending? Was the device not woken a moment ago? Then it is woken.
//!
//! Whether a record pushes, waits or is covered by another is decided in `delivery::wake`.

pub mod gateway;
mod settings;
pub mod webhook;

use std::time::Duration;

use delivery::notice::{Occasion, Situation, notice, was_given};
use delivery::ports::MAX_DELAY;
use delivery::wake::{Due, MAX_IDS, loudness, step};
use delivery::{
    Address, Directory, Failure, HandOver, Holder, Inbox, Invocation, Key, Lookup, PushGateway, PushOutcome, Queue,
    Reason, Row, Wake, WakeState, WakeStep, Wakeable,
};
use futures::future::join_all;
use lambda::batch::{records, settle};
use lambda::{HandlerError, Record, Verdict};
use protocol::{DeviceId, MessageId, PushTarget, Ref, Timestamp, Urgency};
use serde_json::Value;

pub use settings::Settings;

/// Most pages of an inbox that are read for one wake. Before what one is woken for there may be any number of receipts, and the function has
/// 10 s for a whole batch.
const MAX_PAGES: usize = 4;

/// Most envelopes in one read by key.
const LOOKUPS: usize = 100;

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
    /// Whether pushes may show who wrote what to devices that want it.
    pub previews: bool,
}

/// What became of a wake that was decided.
enum Told {
    /// Somebody was told, or there is nobody to tell.
    Done,
    /// There was nothing to tell.
    Nothing,
    /// It is to be tried again: after this wait, or after a back-off.
    Later(Verdict),
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
        let response = settle(&self.queue, join_all(verdicts).await, invocation).await;
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
            let Some(wakeable) = read else { return Ok(Verdict::Done) };
            let state = &wakeable.state;
            if hand_over.reason == Reason::Acked && state.last.is_none() {
                // It was never told anything that is to be taken back.
                return Ok(Verdict::Done);
            }
            let urgency = loudness(state, hand_over.loudness(), now);
            let hand_over = &HandOver { urgency, ..hand_over.clone() };
            let next = match step(state, hand_over.due.as_deref(), urgency, self.interval, now) {
                WakeStep::Covered => return Ok(Verdict::Done),
                WakeStep::Wait(until) => return Ok(Verdict::Wait(whole_seconds(until.since(now)))),
                WakeStep::Push(next) => next,
                WakeStep::Postpone(at) => {
                    let due = Due::new(at, &format!("{}/{:x}/{race}", record.id, invocation.seed), urgency);
                    // The holder first: one that nobody names is a record like any other, a name that nobody holds would hold up
                    // everybody.
                    self.send_holder(hand_over, &due.token, at.since(now)).await?;
                    WakeState { last: state.last, due: Some(due) }
                }
            };
            let replaced = self.directory.replace_wake_state(user, &holder, state, &next, now).await;
            if !replaced.map_err(|failure| failure.to_string())? {
                continue;
            }
            if next.due.is_some() {
                return Ok(Verdict::Done);
            }
            let told = self
                .tell(hand_over, &wakeable, invocation)
                .await
                .unwrap_or_else(|cause| Told::Later(Verdict::Retry(cause)));
            // Nobody was told, so the interval must not hold up the next try. Where there was nothing to tell, this record ends, and must
            // not become the due wake any more: whoever sent it as its holder, and has yet to name it so, must not find the state that he
            // has read. So the last wake, whose interval is over, is forgotten as well.
            let (undone, verdict) = match told {
                Told::Done => return Ok(Verdict::Done),
                Told::Nothing => (WakeState::default(), Verdict::Done),
                Told::Later(verdict) => (state.clone(), verdict),
            };
            let replaced = self.directory.replace_wake_state(user, &holder, &next, &undone, now).await;
            replaced.map_err(|failure| failure.to_string())?;
            return Ok(verdict);
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

    /// The newest envelopes that the device is to be woken for, oldest first, and whether there is more that was not read. What is silent counts for
    /// nothing, so that no number of them hides what is not.
    async fn wanting(&self, hand_over: &HandOver, now: Timestamp) -> Result<(Vec<Row>, bool), Failure> {
        let (user, device) = (&hand_over.user, hand_over.device.as_ref());
        let (mut wanting, mut before): (Vec<Row>, _) = (Vec::new(), None);
        let mut is_cut = false;
        for _ in 0..MAX_PAGES {
            let page = self.inbox.page_back(user, device, before.as_ref(), MAX_IDS, now).await?;
            before = page.rows.last().map(Row::reference);
            wanting.extend(page.rows.into_iter().filter(|row| row.envelope.wakes()));
            is_cut = page.more && before.is_some();
            if !is_cut || wanting.iter().filter(|row| row.envelope.is_seen()).count() >= MAX_IDS {
                break;
            }
        }
        let mut seen = 0;
        wanting.retain(|row| {
            seen += usize::from(row.envelope.is_seen());
            !row.envelope.is_seen() || seen <= MAX_IDS
        });
        is_cut |= seen > MAX_IDS;
        wanting.reverse();
        // Of an unclaimed envelope that has become the device's own as well, its own counts.
        wanting.dedup_by_key(|row| (row.envelope.id, row.envelope.from.clone()));
        Ok((wanting, is_cut))
    }

    /// What of these another device of the user has acked. A user with one device costs no look.
    async fn acked_elsewhere(&self, device: &DeviceId, rows: &[Row], now: Timestamp) -> Result<Vec<Ref>, Failure> {
        let shared: Vec<&Row> = rows.iter().filter(|row| row.shared && row.envelope.is_seen()).collect();
        let Some(user) = shared.first().map(|row| &row.user) else { return Ok(Vec::new()) };
        let mut acked = Vec::new();
        for other in self.directory.devices(user, now).await?.iter().filter(|other| other.id != *device) {
            let given: Vec<&Row> = shared.iter().copied().filter(|row| was_given(other, &row.envelope)).collect();
            for rows in given.chunks(LOOKUPS) {
                let holder = Holder::Device(other.id.clone());
                let keys: Vec<Key> = rows.iter().map(|row| Key { holder: holder.clone(), ..row.key() }).collect();
                let found = self.inbox.get(&keys, now).await?;
                let gone = rows.iter().zip(found).filter(|(_, lookup)| matches!(lookup, Lookup::Missing));
                acked.extend(gone.map(|(row, _)| row.reference()));
            }
        }
        Ok(acked)
    }

    /// Pushes one wake for everything that is pending by now.
    async fn tell(&self, hand_over: &HandOver, to: &Wakeable, invocation: Invocation) -> Result<Told, String> {
        let now = invocation.now;
        let failed = |failure: Failure| failure.to_string();
        let (rows, is_cut) = self.wanting(hand_over, now).await.map_err(failed)?;
        if rows.is_empty() && !is_cut {
            return Ok(Told::Nothing);
        }
        let acked_elsewhere = match &hand_over.device {
            // Where nothing is pushed, nothing is taken back.
            Some(device) if !to.push.is_empty() => self.acked_elsewhere(device, &rows, now).await.map_err(failed)?,
            _ => Vec::new(),
        };
        let notice = notice(&Situation {
            user: &hand_over.user,
            notices: to.notices,
            previews: self.previews,
            occasion: match (hand_over.reason, &hand_over.due) {
                (Reason::Acked, _) if hand_over.urgency == Urgency::Silent => Occasion::AckedElsewhere,
                (Reason::Absent | Reason::Exhausted, None) => Occasion::New,
                _ => Occasion::Summary,
            },
            reference: &hand_over.reference,
            urgency: hand_over.urgency,
            pending: &rows,
            is_cut,
            acked_elsewhere: &acked_elsewhere,
            now,
        });
        let ids = named(&rows, hand_over.reference.id, is_cut);
        // A summary of what others have acked by now only takes back what was told.
        let is_taken_back = notice.urgency == Urgency::Silent && !acked_elsewhere.is_empty();
        let reason = if is_taken_back { Reason::Acked } else { hand_over.reason };
        let (user, device) = (hand_over.user.clone(), hand_over.device.clone());
        let wake = Wake { user, device, ids, reason, at: now, push: to.push.clone(), notice };
        let pushed = self.gateway.push(&wake).await.map_err(failed)?;
        let is_current = pushed.dead.is_empty() || self.drop_dead(&wake, &pushed.dead).await;
        Ok(match pushed.outcome {
            PushOutcome::Taken => Told::Done,
            PushOutcome::Nowhere if !is_current => {
                Told::Later(Verdict::Retry("the device may have said meanwhile where it can be woken now".to_owned()))
            }
            PushOutcome::Nowhere => {
                tracing::info!(metric = "wake.no_target", pending = wake.ids.len(), "a wake has nowhere to go");
                Told::Done
            }
            PushOutcome::Later(None) => Told::Later(Verdict::Retry("the push service asks to come later".to_owned())),
            PushOutcome::Later(Some(wait)) => {
                // Whoever was turned away at the same moment is not to come again at the same moment.
                let jitter = wait.mul_f64(invocation.rng().f64() / 10.0);
                Told::Later(Verdict::Wait(whole_seconds(wait + jitter)))
            }
        })
    }

    /// Answers whether they are gone. Where the device has others by now, or it fails, they are found dead once more.
    async fn drop_dead(&self, wake: &Wake, dead: &[PushTarget]) -> bool {
        let Some(device) = wake.device.clone() else { return true };
        let address = Address { user: wake.user.clone(), device };
        let dropped = self.directory.drop_push(&address, &wake.push, dead).await;
        match &dropped {
            Ok(true) => {
                tracing::info!(metric = "push.dead", count = dead.len(), "push targets are dead and were dropped")
            }
            Ok(false) => {}
            Err(failure) => tracing::error!(%failure, "dead push targets were not dropped"),
        }
        dropped == Ok(true)
    }
}

/// The ids that a wake names of these, oldest first: the newest that are to be seen, and then of the others. If there is more than was read, what was
/// handed over is named in any case.
fn named(rows: &[Row], handed_over: MessageId, is_cut: bool) -> Vec<MessageId> {
    let newest = |seen: bool| rows.iter().rev().filter(move |row| row.envelope.is_seen() == seen);
    let mut ids: Vec<MessageId> = newest(true).chain(newest(false)).map(|row| row.envelope.id).collect();
    ids.truncate(MAX_IDS);
    if is_cut && !ids.contains(&handed_over) {
        ids.truncate(MAX_IDS - 1);
        ids.push(handed_over);
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Rounded up, so that a record does not come back before its time; at least 1.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX))
}
