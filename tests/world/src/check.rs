//! What must be true when all is quiet. Each thing that is not is named with the message, user or device that it is about.

use std::collections::BTreeSet;

use delivery::{Address, Holder, Key, Row};
use protocol::{DeviceId, MessageId, Sender, UserId};

use crate::facts::{Facts, Name, Sent};
use crate::lock;
use crate::world::World;

/// Checks everything. `connected` are the devices that are, and `served` those that have had and acked everything by now.
pub(crate) fn check(world: &World, connected: &BTreeSet<Address>, served: &BTreeSet<Address>) -> Vec<String> {
    let rows = world.inbox.rows();
    let facts = lock(&world.facts);
    let end = End { world, facts: &facts, rows: &rows, connected, served };
    let mut wrong = facts.violations.clone();
    for (name, sent) in &facts.messages {
        wrong.extend(end.message(name, sent));
    }
    wrong.extend(end.changes());
    wrong.extend(end.receipts());
    wrong.extend(facts.wakes.check(world, &facts));
    wrong.extend(world.apps.check(world, |invocation| facts.unclean.contains(&invocation)));
    for row in &rows {
        wrong.extend(end.row(row));
    }
    wrong.extend(end.directory());
    wrong.extend(end.dead_letters());
    wrong
}

/// Checks that whoever is registered is there, once every registration of a connection that was lost without a word has ended.
pub(crate) fn check_ghosts(world: &World) -> Vec<String> {
    let facts = lock(&world.facts);
    let addresses = facts.devices.iter().flat_map(|(user, devices)| {
        devices.iter().map(|device| Address { user: user.clone(), device: device.clone() })
    });
    addresses
        .filter_map(|address| Some((world.directory.connection(&address)?, address)))
        .filter(|(connection, _)| connection.ends_at() > world.now() && !world.sockets.is_open(&connection.id))
        .map(|(connection, address)| format!("{address:?} is registered on {}, which is gone", connection.id))
        .collect()
}

struct End<'a> {
    world: &'a World,
    facts: &'a Facts,
    rows: &'a [Row],
    connected: &'a BTreeSet<Address>,
    served: &'a BTreeSet<Address>,
}

impl End<'_> {
    fn has_shown(&self, user: &UserId, device: &DeviceId, name: &Name) -> bool {
        let address = Address { user: user.clone(), device: device.clone() };
        self.facts.shown.get(&address).is_some_and(|shown| shown.contains(name))
            || self.facts.posted_once.contains(&(address, name.clone()))
    }

    fn lies(&self, user: &UserId, holder: Option<&Holder>, name: &Name) -> bool {
        let named = |row: &&Row| row.envelope.from == name.0 && row.envelope.id == name.1;
        self.rows.iter().filter(named).any(|row| row.user == *user && holder.is_none_or(|holder| row.holder == *holder))
    }

    /// Accepted means: shown by each device that is owed it, or in its inbox, or expired.
    fn message(&self, name: &Name, sent: &Sent) -> Vec<String> {
        let said = |what: &str| format!("{}~{} {what}", name.1, name.0);
        if sent.ephemeral {
            return Vec::new();
        }
        let Some((expires_at, owed)) = &sent.enqueued else {
            return if sent.accepted { vec![said("was accepted and never enqueued")] } else { Vec::new() };
        };
        if *expires_at <= self.world.now() {
            return Vec::new();
        }
        owed.iter().flat_map(|(user, devices)| self.owed(name, user, devices)).map(|lost| said(&lost)).collect()
    }

    /// Where a message is lost that is owed to these devices of a user, or to any if there was none.
    fn owed(&self, name: &Name, user: &UserId, devices: &BTreeSet<DeviceId>) -> Vec<String> {
        if devices.is_empty() {
            let known = self.facts.devices.get(user).into_iter().flatten();
            let shown = known.into_iter().any(|device| self.has_shown(user, device, name));
            return if shown || self.lies(user, None, name) { Vec::new() } else { vec![format!("is lost to {user}")] };
        }
        let lost = devices.iter().filter(|device| {
            let holder = Holder::Device((*device).clone());
            !self.has_shown(user, device, name) && !self.lies(user, Some(&holder), name)
        });
        lost.map(|device| format!("is lost to {user}/{device}")).collect()
    }

    /// What still lies there is owed to somebody who is away and was handed over. An envelope that was shown, acked, and left behind after that
    /// is owed to nobody: its device gets it again with its next Drain, and acks it again.
    fn row(&self, row: &Row) -> Vec<String> {
        let key = row.key();
        let said = |what: &str| format!("{}~{} of {}/{:?} {what}", key.id, key.sender, key.user, key.holder);
        if row.envelope.is_expired(self.world.now()) {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        let known = self.facts.devices.get(&row.user);
        if row.holder.device().is_some_and(|device| known.is_none_or(|known| !known.contains(device))) {
            wrong.push(said("is an orphan"));
        }
        let name = (key.sender.clone(), key.id);
        let shown = key.holder.device().is_some_and(|device| self.has_shown(&key.user, device, &name));
        if shown && self.facts.is_left_behind(&key) {
            return wrong;
        }
        let holders: Vec<&Address> = self
            .served
            .iter()
            .filter(|address| address.user == row.user)
            .filter(|address| row.holder.device().is_none_or(|device| *device == address.device))
            .collect();
        if !holders.is_empty() {
            wrong.push(said("is pending although its device acks"));
        }
        let wakes = &self.facts.wakes;
        if !row.envelope.wakes() {
            if wakes.is_handed_over(|published| same(published, &key)) {
                wrong.push(said("was published, and nobody is to be woken for it"));
            }
        } else if !wakes.is_handed_over(|published| serves(&published.holder, &key.holder) && same(published, &key)) {
            wrong.push(said("is pending and was not published"));
        }
        wrong
    }

    /// Every change was told to whom it removed and to everybody who has been in the group ever since.
    fn changes(&self) -> Vec<String> {
        let changes = &self.facts.changes;
        let told = |id: MessageId| self.facts.messages.get(&(Sender::System, id))?.enqueued.as_ref();
        let mut wrong = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            let Some((_, owed)) = told(change.id) else {
                wrong.push(format!("nobody was told of the change {}", change.id));
                continue;
            };
            let left = |user: &UserId| changes[place + 1..].iter().any(|later| later.removed.contains(user));
            let stayed = change.members.iter().filter(|user| !left(user));
            let untold = stayed.chain(&change.removed).filter(|user| !owed.contains_key(*user));
            wrong.extend(untold.map(|user| format!("{user} was not told of the change {}", change.id)));
        }
        wrong
    }

    /// The sender who asked is told of an ack, and whoever is told something has it or will have it.
    fn receipts(&self) -> Vec<String> {
        let receipts = &self.facts.receipts;
        let mut wrong = Vec::new();
        for row in self.facts.deleted.iter().filter(|row| row.envelope.receipts) {
            let (by, name) = (&row.user, (row.envelope.from.clone(), row.envelope.id));
            let Some(sender) = name.0.user().filter(|sender| *sender != by) else { continue };
            if !receipts.told.contains(&(sender.clone(), by.clone(), name.clone())) {
                wrong.push(format!("{sender} was not told that {by} has {name:?}"));
            }
        }
        for ((user, id), telling) in receipts.queued.iter().filter(|(_, told)| told.expires_at > self.world.now()) {
            let (name, owed) = ((Sender::System, *id), &telling.owed);
            let lost = if owed.is_empty() { Vec::new() } else { self.owed(&name, user, owed) };
            wrong.extend(lost.into_iter().map(|lost| format!("the receipt {id} {lost}")));
        }
        wrong
    }

    /// Who is there is registered.
    fn directory(&self) -> Vec<String> {
        let live = |address: &Address| {
            let registered = self.world.directory.connection(address);
            registered.is_some_and(|connection| self.world.sockets.is_open(&connection.id))
        };
        let missing = self.connected.iter().filter(|address| !live(address));
        missing.map(|address| format!("{address:?} is there and not registered")).collect()
    }

    /// Poison, all of it, and nothing else.
    fn dead_letters(&self) -> Vec<String> {
        let dead: BTreeSet<&String> = self.facts.dead_letters.iter().collect();
        let poison: BTreeSet<&String> = self.facts.poison.iter().collect();
        let good = dead.difference(&poison).map(|body| format!("dead-lettered although it is good: {body}"));
        let kept = poison.difference(&dead).map(|body| format!("not dead-lettered although it is poison: {body}"));
        good.chain(kept).collect()
    }
}

/// Whether what was done for one inbox of a user does for the other: an unclaimed envelope may be left over from a first try, when a later
/// try found the device that had come meanwhile.
pub(crate) fn serves(done: &Holder, owed: &Holder) -> bool {
    done == owed || *owed == Holder::Unclaimed
}

pub(crate) fn same(one: &Key, other: &Key) -> bool {
    one.user == other.user && one.id == other.id && one.sender == other.sender
}
