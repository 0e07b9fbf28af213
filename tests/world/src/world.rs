//! What everybody in a run shares: the clock, the randomness, the faults, the history, and the stores. It decides nothing about messages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery::{Address, Failure, Invocation};
use fastrand::Rng;
use protocol::{DeviceId, Timestamp, UserId};
use testkit::{MemoryAttachments, MemoryDirectory, MemoryGroups, MemoryInbox};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::apps::Apps;
use crate::facts::Facts;
use crate::fault::{Fault, Outage, Rates, Service};
use crate::functions;
use crate::gateway::Sockets;
use crate::lock;
use crate::mutation::Mutation;
use crate::plan::{ACTIVE, Plan};
use crate::queue::SimQueue;

/// When every run begins.
const EPOCH: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// An SDK gives up on an answer after about this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// After the last fault everybody has connected by then.
const SETTLES: Duration = Duration::from_secs(90);

pub(crate) struct World {
    began: Instant,
    rng: Mutex<Rng>,
    rates: Rates,
    outage: Option<Outage>,
    quiet: AtomicBool,
    history: Option<Mutex<Vec<String>>>,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) facts: Mutex<Facts>,
    pub(crate) inbox: MemoryInbox,
    pub(crate) directory: MemoryDirectory,
    pub(crate) groups: MemoryGroups,
    pub(crate) attachments: MemoryAttachments,
    pub(crate) deliveries: SimQueue,
    pub(crate) wakes: SimQueue,
    pub(crate) sockets: Sockets,
    pub(crate) apps: Apps,
    /// Whether there is a webhook for wakes that can go nowhere else.
    pub(crate) has_webhook: bool,
    /// Rings for a device that is woken.
    bells: Mutex<BTreeMap<Address, Arc<Notify>>>,
}

impl World {
    pub(crate) fn new(plan: &Plan, recording: bool) -> Self {
        let mut rng = Rng::with_seed(plan.seed);
        let rates = Rates::draw(&mut rng, &plan.without);
        let outage = (rng.f64() < rates.of(Fault::Outage)).then(|| Outage::draw(&mut rng, ACTIVE));
        let has_webhook = rng.bool();
        Self {
            began: Instant::now(),
            rng: Mutex::new(rng),
            rates,
            outage,
            quiet: AtomicBool::new(false),
            history: recording.then(Mutex::default),
            mutation: plan.mutation,
            facts: Mutex::default(),
            inbox: MemoryInbox::default(),
            directory: MemoryDirectory::default(),
            groups: MemoryGroups::default(),
            attachments: MemoryAttachments::default(),
            deliveries: SimQueue::new("delivery"),
            wakes: SimQueue::new("wake"),
            sockets: Sockets::default(),
            apps: Apps::default(),
            has_webhook,
            bells: Mutex::default(),
        }
    }

    // Time.

    pub(crate) fn now(&self) -> Timestamp {
        EPOCH.plus(self.elapsed())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn invocation(&self) -> Invocation {
        Invocation { now: self.now(), seed: self.draw(0..u64::MAX) }
    }

    /// A wait of some milliseconds within `range`.
    pub(crate) async fn pause(&self, range: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.draw(range))).await;
    }

    // Randomness and faults.

    pub(crate) fn draw(&self, range: std::ops::Range<u64>) -> u64 {
        lock(&self.rng).u64(range)
    }

    /// The place of one of `count`.
    pub(crate) fn pick(&self, count: usize) -> usize {
        lock(&self.rng).usize(0..count)
    }

    /// Whether a fault happens here and now; then the invocation that it happens in is no clean one any more.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let rate = if self.is_quiet() { 0.0 } else { self.rates.of(fault) };
        let strikes = rate > 0.0 && lock(&self.rng).f64() < rate;
        if strikes {
            functions::not_clean();
            self.tell(|| format!("fault {fault:?}"));
        }
        strikes
    }

    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn calm_down(&self) {
        self.quiet.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::SeqCst)
    }

    pub(crate) fn is_down(&self, service: Service) -> bool {
        let now = self.elapsed();
        self.outage.is_some_and(|outage| outage.service == service && (outage.from..outage.to).contains(&now))
    }

    /// When the last fault ends that has a time of its own.
    pub(crate) fn trouble_ends(&self) -> Duration {
        self.outage.map_or(ACTIVE, |outage| outage.to.max(ACTIVE))
    }

    /// Whether all has been quiet for long enough that nobody comes for the first time.
    pub(crate) fn has_settled(&self) -> bool {
        self.elapsed() > self.trouble_ends() + SETTLES
    }

    /// The way of a call to a service. `Err` if nothing was done.
    pub(crate) async fn call(&self, service: Service, operation: &'static str) -> Result<(), Failure> {
        // This bug bites when a put takes long, so that every put does.
        let bites = self.mutated(Mutation::AbsenceBeforePut) && operation == "put" && !self.is_quiet();
        let slow = self.strikes(Fault::Slow) || bites;
        self.pause(if slow { 500..4_000 } else { 1..20 }).await;
        if self.is_down(service) {
            functions::not_clean();
            return Err(failure(operation, "out of service"));
        }
        if self.strikes(Fault::Throttle) { Err(failure(operation, "throttled")) } else { Ok(()) }
    }

    /// The way of the answer back. `Err` if it was lost.
    pub(crate) async fn answer(&self, operation: &'static str) -> Result<(), Failure> {
        if self.strikes(Fault::LostAnswer) {
            sleep(ANSWER_TIMEOUT).await;
            return Err(failure(operation, "timed out"));
        }
        self.pause(1..10).await;
        Ok(())
    }

    /// What rings for a device that is woken.
    pub(crate) fn bell(&self, address: &Address) -> Arc<Notify> {
        Arc::clone(lock(&self.bells).entry(address.clone()).or_default())
    }

    /// Rings for a device of a user, or for all of them.
    pub(crate) fn ring(&self, user: &UserId, device: Option<&DeviceId>) {
        let is_meant = |address: &&Address| address.user == *user && device.is_none_or(|one| address.device == *one);
        for (_, bell) in lock(&self.bells).iter().filter(|(address, _)| is_meant(address)) {
            bell.notify_waiters();
        }
    }

    // History.

    pub(crate) fn tell(&self, event: impl FnOnce() -> String) {
        if let Some(history) = &self.history {
            let line = format!("{:>10.3} {}{}", self.elapsed().as_secs_f64(), functions::whose(), event());
            lock(history).push(line);
        }
    }

    pub(crate) fn history(&self) -> Vec<String> {
        self.history.as_ref().map(|history| lock(history).clone()).unwrap_or_default()
    }

    /// Something was done that must never be.
    pub(crate) fn violate(&self, what: impl FnOnce() -> String) {
        let what = what();
        self.tell(|| format!("VIOLATION {what}"));
        lock(&self.facts).violations.push(what);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

pub(crate) fn failure(operation: &'static str, cause: &str) -> Failure {
    Failure { operation, cause: cause.to_owned() }
}
