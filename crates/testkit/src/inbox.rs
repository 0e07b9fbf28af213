//! An inbox in memory. Rows can be made unreadable or unprocessed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use delivery::{Failure, Holder, Inbox, Key, Lookup, Page, Row, Told};
use protocol::{DeviceId, MessageName, Ref, Timestamp, UserId};

use crate::ledger::{Ledger, planned};
use crate::lock;

/// An inbox that its clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryInbox {
    rows: Arc<Mutex<BTreeMap<Key, Row>>>,
    unreadable: Arc<Mutex<BTreeSet<Key>>>,
    unprocessed: Arc<Mutex<BTreeSet<Key>>>,
    told: Arc<Mutex<BTreeMap<(UserId, MessageName), Told>>>,
    /// Calls: `put`, `delete`, `get`, `page`, `told`, `keep_told`, `forget_told`, `mark_undelivered`.
    pub ledger: Ledger,
}

impl MemoryInbox {
    /// Every row, in order of keys.
    pub fn rows(&self) -> Vec<Row> {
        lock(&self.rows).values().cloned().collect()
    }

    /// Makes a row unreadable.
    pub fn spoil(&self, key: Key) {
        lock(&self.unreadable).insert(key);
    }

    /// The next batch leaves this key unprocessed.
    pub fn leave_unprocessed(&self, key: Key) {
        lock(&self.unprocessed).insert(key);
    }

    fn write(&self, key: &Key, write: impl FnOnce(&mut BTreeMap<Key, Row>)) -> Result<(), Failure> {
        if lock(&self.unprocessed).remove(key) {
            return Err(planned());
        }
        write(&mut lock(&self.rows));
        Ok(())
    }
}

fn assert_distinct(keys: &[Key]) {
    let distinct: BTreeSet<&Key> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "keys of one batch must be distinct");
}

impl MemoryInbox {
    /// What can be read of a device's own shelf and the unclaimed one, in order of refs.
    fn pending(&self, user: &UserId, device: Option<&DeviceId>, now: Timestamp) -> Vec<Row> {
        let unreadable = lock(&self.unreadable);
        let is_of = |key: &Key| {
            let own = key.holder.device().is_some_and(|own| Some(own) == device);
            key.user == *user && (key.holder == Holder::Unclaimed || own) && !unreadable.contains(key)
        };
        let rows = lock(&self.rows);
        let found = rows.iter().filter(|(key, row)| is_of(key) && !row.envelope.is_expired(now));
        let mut rows: Vec<Row> = found.map(|(_, row)| row.clone()).collect();
        rows.sort_by_key(|row| row.key().reference());
        rows
    }
}

fn cut(mut rows: Vec<Row>, limit: usize) -> Page {
    let more = rows.len() > limit;
    rows.truncate(limit);
    Page { rows, more }
}

impl Inbox for MemoryInbox {
    async fn put(&self, rows: &[Row]) -> Vec<Result<(), Failure>> {
        assert_distinct(&rows.iter().map(Row::key).collect::<Vec<_>>());
        if self.ledger.enter("put").is_err() {
            return rows.iter().map(|_| Err(planned())).collect();
        }
        rows.iter().map(|row| self.write(&row.key(), |all| drop(all.insert(row.key(), row.clone())))).collect()
    }

    async fn delete(&self, keys: &[Key]) -> Vec<Result<(), Failure>> {
        assert_distinct(keys);
        if self.ledger.enter("delete").is_err() {
            return keys.iter().map(|_| Err(planned())).collect();
        }
        keys.iter().map(|key| self.write(key, |all| drop(all.remove(key)))).collect()
    }

    async fn get(&self, keys: &[Key], now: Timestamp) -> Result<Vec<Lookup>, Failure> {
        assert_distinct(keys);
        self.ledger.enter("get")?;
        let lookup = |key: &Key| {
            if lock(&self.unprocessed).remove(key) {
                return Lookup::Unprocessed;
            }
            match lock(&self.rows).get(key) {
                Some(_) if lock(&self.unreadable).contains(key) => Lookup::Unreadable,
                Some(row) if !row.envelope.is_expired(now) => Lookup::Found(row.clone()),
                _ => Lookup::Missing,
            }
        };
        Ok(keys.iter().map(lookup).collect())
    }

    async fn page(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        after: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, Failure> {
        self.ledger.enter("page")?;
        let mut rows = self.pending(user, device, now);
        rows.retain(|row| after.is_none_or(|after| row.key().reference() > *after));
        Ok(cut(rows, limit))
    }

    async fn page_back(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        before: Option<&Ref>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, Failure> {
        self.ledger.enter("page_back")?;
        let mut rows = self.pending(user, device, now);
        // A watched ref comes after the same one that is not, and names the same row.
        let before = before.map(|before| Ref { watched: false, ..before.clone() });
        rows.retain(|row| before.as_ref().is_none_or(|before| row.key().reference() < *before));
        rows.reverse();
        Ok(cut(rows, limit))
    }

    async fn told(&self, user: &UserId, messages: &[MessageName], now: Timestamp) -> Result<Vec<Told>, Failure> {
        self.ledger.enter("told")?;
        let all = lock(&self.told);
        let told = messages.iter().filter_map(|name| all.get(&(user.clone(), name.clone())).cloned());
        Ok(told.filter(|told| told.expires_at > now).collect())
    }

    async fn keep_told(&self, told: &[Told]) -> Result<(), Failure> {
        self.ledger.enter("keep_told")?;
        lock(&self.told).extend(told.iter().map(|told| ((told.user.clone(), told.name.clone()), told.clone())));
        Ok(())
    }

    async fn forget_told(&self, user: &UserId) -> Result<(), Failure> {
        self.ledger.enter("forget_told")?;
        lock(&self.told).retain(|(of, _), _| of != user);
        Ok(())
    }

    async fn mark_undelivered(&self, key: &Key) -> Result<(), Failure> {
        self.ledger.enter("mark_undelivered")?;
        if let Some(row) = lock(&self.rows).get_mut(key) {
            row.undelivered = true;
        }
        Ok(())
    }
}
