//! What a standard queue does with its records, as functions over a SQLite connection and a time that is given. It refuses what
//! [`super::entries`] refuses; it waits for nothing and reads no clock.
//!
//! | state | `visible_at` | `in_hand` | `receipt` |
//! |---|---|---|---|
//! | delayed or visible | when the delay ends | 0 | none, or a past receive's |
//! | received | when the visibility timeout ends | 1 | the latest receive's |
//! | hidden on purpose | when its visibility was set to end | 0 | the latest receive's |
//!
//! Receives take the longest visible first; a real standard queue promises no order. The 12 hours that SQS allows a record to be
//! hidden in all are not counted, only each change by itself.

use std::path::Path;
use std::time::Duration;

use aws::sqs::MAX_BATCH;
use delivery::Receipt;
use protocol::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::entries::{self, Entry, Refused};

/// Longest visibility that can be set (12 hours).
const MAX_VISIBILITY: Duration = Duration::from_secs(43_200);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS records (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,
        reason TEXT,
        sent_at INTEGER NOT NULL,
        first_received_at INTEGER,
        visible_at INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        in_hand INTEGER NOT NULL DEFAULT 0,
        receipt TEXT
    ) STRICT;
    CREATE INDEX IF NOT EXISTS records_by_visibility ON records (queue, visible_at);
    CREATE INDEX IF NOT EXISTS records_by_receipt ON records (receipt) WHERE receipt IS NOT NULL;
";

/// What a queue is called and how it behaves.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Its name.
    pub(crate) name: &'static str,
    /// The name of its dead-letter queue.
    pub(crate) dead_letters: &'static str,
    /// How long a received record is hidden, at least 1 s.
    pub(crate) visibility: Duration,
    /// A record that was received this often goes to the dead-letter queue instead of being received again.
    pub(crate) max_receive_count: u32,
    /// How long a record is kept.
    pub(crate) retention: Duration,
    /// How long a dead letter is kept, counted from when the record was first sent.
    pub(crate) dead_letter_retention: Duration,
}

impl Spec {
    /// A queue with the settings of the deployed ones.
    pub(crate) fn new(name: &'static str, dead_letters: &'static str) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            name,
            dead_letters,
            visibility: Duration::from_secs(60),
            max_receive_count: 200,
            retention: 7 * DAY,
            dead_letter_retention: 14 * DAY,
        }
    }
}

/// One receive of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// The record's id, the same on every receive.
    pub(crate) id: String,
    /// What this receive is settled by.
    pub(crate) receipt: String,
    /// What it says.
    pub(crate) body: String,
    /// How often it was received, this time included.
    pub(crate) receive_count: u32,
    /// When it was sent.
    pub(crate) sent_at: Timestamp,
    /// When it was received for the first time.
    pub(crate) first_received_at: Timestamp,
}

/// Why the visibility of a record cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSet {
    /// The receipt is not the latest, or its visibility timeout is over.
    #[error("MessageNotInflight: the record is not in the hands of this receipt any more")]
    NotInFlight,
    /// Over 12 hours.
    #[error("InvalidParameterValue: a visibility timeout is at most 43200 seconds")]
    TooLong,
}

/// Opens the queues in a file, or in memory. A killed process loses nothing that was committed; a machine that loses power may
/// lose the last moment.
pub(crate) fn open(file: Option<&Path>) -> rusqlite::Result<Connection> {
    let connection = match file {
        Some(file) => Connection::open(file)?,
        None => Connection::open_in_memory()?,
    };
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

/// Makes visible what was in the hands of an invocation when the process ended, since that ended the invocation too. What was
/// hidden on purpose keeps its time.
pub(crate) fn release(store: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    store.execute(
        "UPDATE records SET visible_at = :now, in_hand = 0 WHERE in_hand = 1 AND visible_at > :now",
        named_params! {":now": millis(now)},
    )
}

/// Deletes what has outlived its retention.
pub(crate) fn expire(store: &Connection, spec: &Spec, now: Timestamp) -> rusqlite::Result<usize> {
    let mut expired = 0;
    for (queue, retention) in [(spec.name, spec.retention), (spec.dead_letters, spec.dead_letter_retention)] {
        expired += store.execute(
            "DELETE FROM records WHERE queue = :queue AND sent_at <= :cutoff",
            named_params! {":queue": queue, ":cutoff": millis(now.minus(retention))},
        )?;
    }
    Ok(expired)
}

/// Sends a batch, all in one transaction. Answers in order what was taken; if the batch is refused as a whole, nothing was.
pub(crate) fn send(
    store: &mut Connection,
    spec: &Spec,
    batch: &[Entry],
    now: Timestamp,
) -> rusqlite::Result<Vec<Result<(), Refused>>> {
    let outcomes = match entries::check(batch) {
        Ok(outcomes) => outcomes,
        Err(refused) => return Ok(vec![Err(refused); batch.len()]),
    };
    let transaction = store.transaction()?;
    for (entry, _) in batch.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()) {
        insert(&transaction, spec.name, &entry.body, None, now, now.plus(entry.delay))?;
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// Puts a body into the dead-letter queue, with the reason.
pub(crate) fn dead_letter(
    store: &Connection,
    spec: &Spec,
    body: &str,
    reason: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    insert(store, spec.dead_letters, body, Some(reason), now, now)
}

/// Puts a record into a queue of any kind.
pub(super) fn insert(
    store: &Connection,
    queue: &str,
    body: &str,
    reason: Option<&str>,
    now: Timestamp,
    visible_at: Timestamp,
) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "INSERT INTO records (queue, id, body, reason, sent_at, visible_at)
             VALUES (:queue, :id, :body, :reason, :now, :visible_at)",
        )?
        .execute(named_params! {
            ":queue": queue, ":id": random_name(), ":body": body, ":reason": reason,
            ":now": millis(now), ":visible_at": millis(visible_at),
        })
        .map(drop)
}

/// Receives up to 10 visible records under fresh receipts and hides them. Worn-out ones go to the dead-letter queue, expired ones
/// end; both make room for others.
pub(crate) fn receive(store: &mut Connection, spec: &Spec, now: Timestamp) -> rusqlite::Result<Vec<Received>> {
    let transaction = store.transaction()?;
    let mut received = Vec::new();
    loop {
        // Each record of a round is not visible any more when the round is over, so the rounds come to an end.
        let visible = visible(&transaction, spec, MAX_BATCH - received.len(), now)?;
        if visible.is_empty() {
            break;
        }
        for record in visible {
            if record.sent_at.plus(spec.retention) <= now {
                transaction.execute("DELETE FROM records WHERE seq = ?1", [record.seq])?;
            } else if record.receive_count >= spec.max_receive_count {
                redrive(&transaction, spec, record.seq, now)?;
            } else {
                received.push(take(&transaction, spec, record, now)?);
            }
        }
    }
    transaction.commit()?;
    Ok(received)
}

struct Visible {
    seq: i64,
    id: String,
    body: String,
    receive_count: u32,
    sent_at: Timestamp,
    first_received_at: Option<Timestamp>,
}

fn visible(store: &Transaction<'_>, spec: &Spec, limit: usize, now: Timestamp) -> rusqlite::Result<Vec<Visible>> {
    let read = |row: &Row<'_>| {
        Ok(Visible {
            seq: row.get("seq")?,
            id: row.get("id")?,
            body: row.get("body")?,
            receive_count: row.get("receive_count")?,
            sent_at: timestamp(row.get("sent_at")?),
            first_received_at: row.get::<_, Option<i64>>("first_received_at")?.map(timestamp),
        })
    };
    let mut statement = store.prepare_cached(
        "SELECT seq, id, body, receive_count, sent_at, first_received_at FROM records
         WHERE queue = :queue AND visible_at <= :now ORDER BY visible_at, seq LIMIT :limit",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map(named_params! {":queue": spec.name, ":now": millis(now), ":limit": limit}, read)?.collect()
}

fn redrive(store: &Transaction<'_>, spec: &Spec, seq: i64, now: Timestamp) -> rusqlite::Result<()> {
    store
        .prepare_cached(
            "UPDATE records SET queue = :dead_letters, visible_at = :now, in_hand = 0, receipt = NULL,
                 reason = 'maxReceiveCount' WHERE seq = :seq",
        )?
        .execute(named_params! {":dead_letters": spec.dead_letters, ":now": millis(now), ":seq": seq})
        .map(drop)
}

fn take(store: &Transaction<'_>, spec: &Spec, record: Visible, now: Timestamp) -> rusqlite::Result<Received> {
    let received = Received {
        id: record.id,
        receipt: random_name(),
        body: record.body,
        receive_count: record.receive_count + 1,
        sent_at: record.sent_at,
        first_received_at: record.first_received_at.unwrap_or(now),
    };
    store
        .prepare_cached(
            "UPDATE records SET receive_count = :count, receipt = :receipt, visible_at = :visible_at, in_hand = 1,
                 first_received_at = :first WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":count": received.receive_count, ":receipt": received.receipt,
            ":visible_at": millis(now.plus(spec.visibility)), ":first": millis(received.first_received_at),
            ":seq": record.seq,
        })?;
    Ok(received)
}

/// Deletes records by their latest receipts, in flight or not. Any other receipt deletes nothing.
pub(crate) fn delete(store: &mut Connection, spec: &Spec, receipts: &[String]) -> rusqlite::Result<()> {
    let transaction = store.transaction()?;
    for receipt in receipts {
        transaction
            .prepare_cached("DELETE FROM records WHERE queue = :queue AND receipt = :receipt")?
            .execute(named_params! {":queue": spec.name, ":receipt": receipt})?;
    }
    transaction.commit()
}

/// Hides records that are in flight for a while from now, or shows them (0 s). Answers in order.
pub(crate) fn set_visibility(
    store: &mut Connection,
    spec: &Spec,
    records: &[(Receipt, Duration)],
    now: Timestamp,
) -> rusqlite::Result<Vec<Result<(), NotSet>>> {
    let transaction = store.transaction()?;
    let mut outcomes = Vec::with_capacity(records.len());
    for (receipt, timeout) in records {
        if *timeout > MAX_VISIBILITY {
            outcomes.push(Err(NotSet::TooLong));
            continue;
        }
        let changed = transaction
            .prepare_cached(
                "UPDATE records SET visible_at = :visible_at, in_hand = 0
                 WHERE queue = :queue AND receipt = :receipt AND visible_at > :now",
            )?
            .execute(named_params! {
                ":visible_at": millis(now.plus(*timeout)), ":queue": spec.name, ":receipt": receipt.0,
                ":now": millis(now),
            })?;
        outcomes.push(if changed == 0 { Err(NotSet::NotInFlight) } else { Ok(()) });
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// Makes a record visible and its receipt void.
pub(crate) fn show_again(store: &Connection, spec: &Spec, receipt: &str, now: Timestamp) -> rusqlite::Result<()> {
    store
        .execute(
            "UPDATE records SET visible_at = :now, in_hand = 0, receipt = NULL
             WHERE queue = :queue AND receipt = :receipt",
            named_params! {":now": millis(now), ":queue": spec.name, ":receipt": receipt},
        )
        .map(drop)
}

/// When the next record of the queue becomes visible, or became so.
pub(crate) fn next_visible(store: &Connection, spec: &Spec) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement =
        store.prepare_cached("SELECT visible_at FROM records WHERE queue = ?1 ORDER BY visible_at LIMIT 1")?;
    Ok(statement.query_row([spec.name], |row| row.get(0)).optional()?.map(timestamp))
}

/// Writes what is in the log beside the file into the file.
pub(crate) fn flush(store: &Connection) -> rusqlite::Result<()> {
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// A name that nobody else bears, for ids and receipts. Nobody is kept from guessing one.
fn random_name() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

/// A time as it is stored.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
