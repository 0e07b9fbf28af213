//! When to ask for pages of the inbox: instead of a drain that does not come, as the heartbeat, and after messages had to
//! be left in the inbox. It keeps no clock and writes nothing.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use protocol::{ClientFrame, Code, Nonce, Ref};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::outbox::ANSWER_TIMEOUT;

/// How long after connecting `drained` is waited for before the backlog is fetched with `sync` instead.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Seconds from one heartbeat to the next: below the ten minutes after which API Gateway closes a silent socket.
pub const HEARTBEAT_SECS: RangeInclusive<u64> = 5 * 60..=9 * 60;

/// As many answers missing in a row mean that the connection is dead.
pub const UNANSWERED_LIMIT: u32 = 3;

/// A pass fetches every page of the inbox, from the start. At most one is under way.
#[derive(Debug)]
pub(crate) struct SyncPasses {
    /// When a drain that was not reported is replaced by a pass.
    drain_by: Option<Instant>,
    heartbeat_at: Instant,
    /// A pass is to start as soon as there is room for what it brings.
    wanted: bool,
    /// Messages were left in the inbox, and the pass that fetches them has not started.
    behind: bool,
    page: Option<Page>,
    pages: u64,
}

#[derive(Debug)]
struct Page {
    after: Option<Ref>,
    state: State,
    unanswered: u32,
    backoff: Backoff,
}

#[derive(Debug)]
enum State {
    ToAsk { from: Instant },
    Asked { nonce: Nonce, answer_by: Instant },
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PassStep {
    /// Write this frame.
    Write(String),
    /// The connection is dead.
    Unanswered,
    /// Nothing before this moment.
    Wait(Instant),
}

impl SyncPasses {
    /// Of a connection that has just opened.
    pub(crate) fn new(now: Instant, rng: &mut Rng) -> Self {
        Self {
            drain_by: Some(now + DRAIN_TIMEOUT),
            heartbeat_at: now + heartbeat(rng),
            wanted: false,
            behind: false,
            page: None,
            pages: 0,
        }
    }

    /// The next step. `room` says whether the consumer has taken enough for a page to fit.
    pub(crate) fn poll(&mut self, now: Instant, room: bool, rng: &mut Rng) -> PassStep {
        if self.drain_by.take_if(|by| *by <= now).is_some() {
            self.wanted = true;
        }
        if self.heartbeat_at <= now {
            self.heartbeat_at = now + heartbeat(rng);
            self.wanted = true;
            if !room {
                return PassStep::Write(ClientFrame::render_ping());
            }
        }
        if self.page.is_none() && self.wanted && room {
            (self.wanted, self.behind) = (false, false);
            self.page = Some(Page::new(None, now));
        }
        let mut wake = self.drain_by.map_or(self.heartbeat_at, |by| by.min(self.heartbeat_at));
        if let Some(page) = &mut self.page {
            if page.give_up_waiting(now, rng) >= UNANSWERED_LIMIT {
                return PassStep::Unanswered;
            }
            match &page.state {
                State::ToAsk { from } if *from <= now && room => {
                    self.pages += 1;
                    return PassStep::Write(page.ask(self.pages, now));
                }
                // When there is no room, the consumer's taking something brings the next poll.
                State::ToAsk { from } => wake = if room { wake.min(*from) } else { wake },
                State::Asked { answer_by, .. } => wake = wake.min(*answer_by),
            }
        }
        PassStep::Wait(wake)
    }

    /// `drained` was received.
    pub(crate) fn drained(&mut self) {
        self.drain_by = None;
    }

    /// Messages had to be left in the inbox: a pass from the start fetches them later.
    pub(crate) fn want(&mut self) {
        self.page = None;
        (self.wanted, self.behind) = (true, true);
    }

    /// Whether messages were left in the inbox and the pass that fetches them is still to start. What comes meanwhile is
    /// later than they are.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// An answer with `more`. Answers whether it was the last page of the pass.
    pub(crate) fn answered(&mut self, nonce: &Nonce, last: Option<Ref>, more: bool, now: Instant) -> bool {
        if self.page.take_if(|page| page.awaits(nonce)).is_none() {
            return false;
        }
        match last {
            Some(last) if more => {
                self.page = Some(Page::new(Some(last), now));
                false
            }
            // A page without messages leads nowhere, whatever it says about more.
            _ => true,
        }
    }

    /// An `error` frame. It concerns the pass if it bears its nonce.
    pub(crate) fn errored(&mut self, nonce: &Nonce, code: Code, now: Instant, rng: &mut Rng) {
        let Some(page) = self.page.as_mut().filter(|page| page.awaits(nonce)) else { return };
        if code == Code::InvalidCursor {
            page.after = None;
        }
        page.state = State::ToAsk { from: now + page.backoff.failed(rng) };
    }
}

impl Page {
    fn new(after: Option<Ref>, now: Instant) -> Self {
        Self { after, state: State::ToAsk { from: now }, unanswered: 0, backoff: Backoff::default() }
    }

    fn ask(&mut self, page: u64, now: Instant) -> String {
        let nonce = Nonce::new(format!("sync-{page}")).expect("it is short");
        let frame = ClientFrame::render_sync(self.after.as_ref(), None, Some(&nonce));
        self.state = State::Asked { nonce, answer_by: now + ANSWER_TIMEOUT };
        frame
    }

    fn awaits(&self, answered: &Nonce) -> bool {
        matches!(&self.state, State::Asked { nonce, .. } if nonce == answered)
    }

    /// Counts an answer that did not come. Answers how many did not, in a row.
    fn give_up_waiting(&mut self, now: Instant, rng: &mut Rng) -> u32 {
        if matches!(self.state, State::Asked { answer_by, .. } if answer_by <= now) {
            self.unanswered += 1;
            self.state = State::ToAsk { from: now + self.backoff.failed(rng) };
        }
        self.unanswered
    }
}

fn heartbeat(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(HEARTBEAT_SECS.start() * 1_000..=HEARTBEAT_SECS.end() * 1_000))
}

#[cfg(test)]
#[path = "sync_passes_tests.rs"]
mod tests;
