//! Wakes, as the check knows them: what was handed over, who was told of what, and which rows there were when. Messages are in `facts`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use delivery::{Acked, Address, Device, HandOver, Holder, Key, Reason, Wake};
use protocol::{DeviceId, MessageId, Timestamp, Urgency, UserId};

use crate::check::serves;
use crate::facts::{Facts, Name};
use crate::functions::{WAKE_INTERVAL, context};
use crate::world::World;

/// Somebody was told, or there was nobody to tell.
#[derive(Debug)]
struct Told {
    user: UserId,
    device: Option<DeviceId>,
    ids: BTreeSet<MessageId>,
    urgency: Urgency,
    /// When it was decided.
    decided_at: Timestamp,
    at: Timestamp,
    invocation: Option<u32>,
}

impl Told {
    fn holder(&self) -> Holder {
        self.device.clone().map_or(Holder::Unclaimed, Holder::Device)
    }

    fn of(wake: &Wake, now: Timestamp) -> Self {
        Self {
            user: wake.user.clone(),
            device: wake.device.clone(),
            ids: wake.ids.iter().copied().collect(),
            urgency: wake.notice.urgency,
            decided_at: wake.at,
            at: now,
            invocation: context().map(|context| context.number()),
        }
    }

    /// Whether it was about this row, at `since` or later.
    fn is_about(&self, key: &Key, since: Timestamp) -> bool {
        self.user == key.user && self.ids.contains(&key.id) && self.at >= since && serves(&self.holder(), &key.holder)
    }
}

/// When an envelope was handed over last, and how loud it may be.
#[derive(Clone, Copy, Debug)]
struct Handed {
    at: Timestamp,
    urgency: Urgency,
}

/// What is remembered of wakes.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// What the topic has, but for what was acked elsewhere, and the device that is to be woken for it.
    handed_over: BTreeMap<(Key, Option<DeviceId>), Handed>,
    told: Vec<Told>,
    nowhere: Vec<Told>,
    /// When each row came and went.
    rows: BTreeMap<Key, Vec<(Timestamp, bool)>>,
    /// What it was queued that a device has acked, of what others have as well, and when.
    acked: Vec<(Address, Vec<Name>, Timestamp)>,
    /// Since when each device is absent, if it is.
    absent: BTreeMap<Address, Timestamp>,
}

impl Wakes {
    /// The topic has this.
    pub(crate) fn handed_over(&mut self, hand_over: &HandOver, now: Timestamp) {
        if hand_over.reason != Reason::Acked {
            let handed = Handed { at: now, urgency: hand_over.urgency };
            self.handed_over.insert((hand_over.key(), hand_over.device.clone()), handed);
        }
    }

    /// An app or the webhook has this.
    pub(crate) fn told(&mut self, wake: &Wake, now: Timestamp) {
        self.told.push(Told::of(wake, now));
    }

    /// There is no place that this could go to.
    pub(crate) fn nowhere(&mut self, wake: &Wake, now: Timestamp) {
        self.nowhere.push(Told::of(wake, now));
    }

    /// It is queued that a device has acked these.
    pub(crate) fn acked(&mut self, acked: &Acked, now: Timestamp) {
        let shared = acked
            .messages
            .iter()
            .filter(|message| message.row.is_some_and(|row| row.shared && row.urgency != Urgency::Silent));
        let names: Vec<Name> = shared.map(|message| (message.name.from.clone(), message.name.id)).collect();
        if acked.round == 0 && !names.is_empty() {
            let address = Address { user: acked.user.clone(), device: acked.device.clone() };
            self.acked.push((address, names, now));
        }
    }

    pub(crate) fn came(&mut self, address: &Address) {
        self.absent.remove(address);
    }

    pub(crate) fn left(&mut self, address: &Address, now: Timestamp) {
        self.absent.entry(address.clone()).or_insert(now);
    }

    pub(crate) fn count(&self) -> usize {
        self.told.len()
    }

    pub(crate) fn nowhere_count(&self) -> usize {
        self.nowhere.len()
    }

    pub(crate) fn is_handed_over(&self, is_meant: impl Fn(&Key) -> bool) -> bool {
        self.handed_over.keys().any(|(key, _)| is_meant(key))
    }

    pub(crate) fn put(&mut self, key: &Key, now: Timestamp) {
        self.rows.entry(key.clone()).or_default().push((now, true));
    }

    pub(crate) fn deleted(&mut self, keys: &[Key], now: Timestamp) {
        for key in keys {
            self.rows.entry(key.clone()).or_default().push((now, false));
        }
    }

    /// Whether there was no such row at some time since then.
    fn was_missing(&self, key: &Key, since: Timestamp) -> bool {
        let Some(events) = self.rows.get(key) else { return true };
        let before = events.iter().rev().find(|(at, _)| *at <= since);
        before.is_none_or(|(_, there)| !there) || events.iter().any(|(at, there)| *at > since && !there)
    }

    /// Whether there was such a row for a device, its own or an unclaimed one, at some time since then.
    fn was_there(&self, user: &UserId, device: Option<&DeviceId>, id: MessageId, since: Timestamp) -> bool {
        let is_meant = |key: &Key| {
            key.user == *user && key.id == id && key.holder.device().is_none_or(|holder| Some(holder) == device)
        };
        self.rows.iter().filter(|(key, _)| is_meant(key)).any(|(_, events)| {
            let before = events.iter().rev().find(|(at, _)| *at <= since);
            before.is_some_and(|(_, there)| *there) || events.iter().any(|(at, there)| *at > since && *there)
        })
    }

    /// Every message that was handed over woke its device, was gone before it could, or had nowhere to go.
    pub(crate) fn check(&self, world: &World, facts: &Facts) -> Vec<String> {
        let untold = self.handed_over.iter().filter(|((key, _), handed)| self.is_untold(world, facts, key, **handed));
        let mut wrong: Vec<String> = untold.map(|((key, _), _)| woke_nobody(key)).collect();
        wrong.extend(self.frequent(facts));
        wrong.extend(self.needless());
        wrong.extend(self.loud(facts));
        wrong.extend(self.left_to_believe(world, facts));
        wrong
    }

    /// Who was told of a message that another device has acked since, while he was away, is told once more, if there was where.
    fn left_to_believe(&self, world: &World, facts: &Facts) -> Vec<String> {
        let mut wrong = Vec::new();
        for (address, since) in &self.absent {
            let is_other = |by: &&Address| by.user == address.user && by.device != address.device;
            let key = |name: &Name| Key {
                user: address.user.clone(),
                holder: Holder::Device(address.device.clone()),
                id: name.1,
                sender: name.0.clone(),
            };
            for (_, names, at) in self.acked.iter().filter(|(by, _, at)| is_other(&by) && at > since) {
                let is_pending = |name: &Name| {
                    let sent = facts.messages.get(name).and_then(|sent| sent.enqueued.as_ref());
                    sent.is_some_and(|(expires_at, _)| *expires_at > world.now()) && !self.was_missing(&key(name), *at)
                };
                let told = |name: &Name, told: &Told| {
                    told.device.as_ref() == Some(&address.device)
                        && told.is_about(&key(name), Timestamp::from_millis(0))
                };
                let is_told_of = |name: &Name| {
                    self.told.iter().any(|one| one.urgency != Urgency::Silent && one.at < *at && told(name, one))
                };
                let mut again = self.told.iter().chain(&self.nowhere).filter(|one| one.at >= *at);
                if names.iter().all(|name| is_pending(name) && is_told_of(name))
                    && world.apps.could_be_woken(world, address, *at)
                    && !again.any(|one| one.user == address.user && one.device.as_ref() == Some(&address.device))
                {
                    wrong.push(format!("{address:?} still believes what it was told of {names:?}"));
                }
            }
        }
        wrong
    }

    /// Whether a message that was handed over has not woken its device, as loudly as it may, since then, and could have.
    fn is_untold(&self, world: &World, facts: &Facts, key: &Key, handed: Handed) -> bool {
        let since = handed.at;
        let name = (key.sender.clone(), key.id);
        let sent = facts.messages.get(&name);
        let enqueued = sent.and_then(|sent| sent.enqueued.as_ref());
        if enqueued.is_none_or(|(expires_at, _)| *expires_at <= world.now()) {
            return false;
        }
        let about = |told: &Told| told.is_about(key, since);
        // Less loudly only what another device has no more. One that is still to be given it passes for one that has acked it.
        let devices = world.directory.devices_of(&key.user, world.now());
        let was_known = |device: &Device| {
            let (since, at) = (device.known_since, sent.and_then(|sent| sent.at));
            since.zip(at).is_some_and(|(since, at)| since < at)
        };
        let others = devices.iter().filter(|device| Some(&device.id) != key.holder.device() && was_known(device));
        let others: Vec<&DeviceId> = others.map(|device| &device.id).collect();
        let has_no_more = |device: &DeviceId, since: Timestamp| {
            self.was_missing(&Key { holder: Holder::Device(device.clone()), ..key.clone() }, since)
        };
        let may_be_quieter = |told: &Told| others.iter().any(|device| has_no_more(device, told.decided_at));
        let is_told =
            self.told.iter().any(|told| about(told) && (told.urgency >= handed.urgency || may_be_quieter(told)));
        !is_told && !self.nowhere.iter().any(about) && !self.was_missing(key, since)
    }

    /// What woke nobody, although a record of the wake queue has `ended`, and none that is `left` will wake the same device as loudly as it may.
    pub(crate) fn stranded(&self, world: &World, facts: &Facts, ended: &str, left: &[String]) -> Vec<String> {
        let Ok(ended) = HandOver::decode(ended) else { return Vec::new() };
        let left: Vec<HandOver> = left.iter().filter_map(|body| HandOver::decode(body).ok()).collect();
        let loudest = left.iter().filter(|one| one.user == ended.user && one.device == ended.device);
        let loudest = loudest.map(HandOver::loudness).max();
        let is_of_it = |key: &Key, woken: &Option<DeviceId>| key.user == ended.user && *woken == ended.device;
        let of_it = self.handed_over.iter().filter(|((key, woken), _)| is_of_it(key, woken));
        let untold = of_it.filter(|((key, _), handed)| {
            loudest.is_none_or(|loudest| loudest < handed.urgency) && self.is_untold(world, facts, key, **handed)
        });
        untold.map(|((key, _), _)| woke_nobody(key)).collect()
    }

    /// No device is told twice within the interval, unless something went wrong.
    fn frequent(&self, facts: &Facts) -> Vec<String> {
        let mut times: BTreeMap<(&UserId, &Option<DeviceId>), BTreeSet<Timestamp>> = BTreeMap::new();
        let is_clean = |told: &&Told| told.invocation.is_none_or(|number| !facts.unclean.contains(&number));
        for told in self.told.iter().filter(is_clean) {
            times.entry((&told.user, &told.device)).or_default().insert(told.decided_at);
        }
        let mut wrong = Vec::new();
        for ((user, device), times) in times {
            let pairs = times.iter().zip(times.iter().skip(1));
            let soon = pairs.filter(|(one, next)| next.since(**one) < WAKE_INTERVAL);
            wrong.extend(soon.map(|(one, next)| {
                let wait: Duration = next.since(*one);
                format!("{user}/{device:?} was woken again after {} ms", wait.as_millis())
            }));
        }
        wrong
    }

    /// Nobody is shown a notice of nothing but what is to be silent.
    fn loud(&self, facts: &Facts) -> Vec<String> {
        let is_silent = |id: &MessageId| {
            let mut sent = facts.messages.iter().filter(|((_, other), _)| other == id);
            sent.all(|(_, sent)| sent.urgency == Urgency::Silent)
        };
        let loud = self.told.iter().filter(|told| told.urgency != Urgency::Silent && told.ids.iter().all(is_silent));
        loud.map(|told| format!("{}/{:?} was shown what is silent: {:?}", told.user, told.device, told.ids)).collect()
    }

    /// Nobody is told of what he had acked before it was decided.
    fn needless(&self) -> Vec<String> {
        let told = self.told.iter().flat_map(|told| told.ids.iter().map(move |id| (told, *id)));
        let needless = told.filter(|(told, id)| {
            told.urgency != Urgency::Silent && !self.was_there(&told.user, told.device.as_ref(), *id, told.decided_at)
        });
        needless
            .map(|(told, id)| format!("{}/{:?} was woken for {id}, which was gone", told.user, told.device))
            .collect()
    }
}

fn woke_nobody(key: &Key) -> String {
    format!("{}~{} of {}/{:?} woke nobody", key.id, key.sender, key.user, key.holder)
}
