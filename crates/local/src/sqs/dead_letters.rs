//! What lies in a dead-letter queue, and the way back into the queue, as functions over a SQLite connection. Unlike SQS it can look
//! without receiving, so looking hides and counts nothing.

use delivery::{DeadLetter, Origin, Stamp};
use protocol::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::records::{Spec, insert, timestamp};

/// The dead letters of a queue, oldest first.
pub(crate) fn all(store: &Connection, spec: &Spec, origin: Origin) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut statement = store.prepare_cached(
        "SELECT id, body, reason, sent_at, receive_count FROM records WHERE queue = ?1 ORDER BY sent_at, seq",
    )?;
    let letters = statement.query_map([spec.dead_letters], |row| {
        let stamp = Stamp {
            id: row.get("id")?,
            queue: origin,
            sent_at: timestamp(row.get("sent_at")?),
            receive_count: row.get("receive_count")?,
            reason: row.get("reason")?,
        };
        Ok(DeadLetter::describe(stamp, &row.get::<_, String>("body")?))
    })?;
    letters.collect()
}

/// A whole record as it is, if there is such a dead letter.
pub(crate) fn raw(store: &Connection, spec: &Spec, id: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = store.prepare_cached("SELECT body FROM records WHERE queue = ?1 AND id = ?2")?;
    statement.query_row([spec.dead_letters, id], |row| row.get(0)).optional()
}

/// Sends dead letters back to the queue, as new records that are visible at once, all in one transaction. Answers the ids of those
/// that were there.
pub(crate) fn redrive(
    store: &mut Connection,
    spec: &Spec,
    ids: &[String],
    now: Timestamp,
) -> rusqlite::Result<Vec<String>> {
    let transaction = store.transaction()?;
    let mut redriven = Vec::new();
    for id in ids {
        let Some(body) = raw(&transaction, spec, id)? else { continue };
        insert(&transaction, spec.name, &body, None, now, now)?;
        transaction.execute(
            "DELETE FROM records WHERE queue = :queue AND id = :id",
            named_params! {":queue": spec.dead_letters, ":id": id},
        )?;
        redriven.push(id.clone());
    }
    transaction.commit()?;
    Ok(redriven)
}

#[cfg(test)]
mod tests {
    use super::super::records::{dead_letter, open, receive};
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn looking_changes_nothing_and_redriving_moves_each_once() {
        let spec = Spec::new("delivery", "delivery-dead");
        let other = Spec::new("wakes", "wakes-dead");
        let mut store = open(None).expect("a store");
        dead_letter(&store, &spec, "one", "why", START).expect("a dead letter");
        dead_letter(&store, &spec, "two", "why", START).expect("a dead letter");
        dead_letter(&store, &other, "three", "why", START).expect("a dead letter");

        let letters = all(&store, &spec, Origin::Delivery).expect("letters");
        assert_eq!(letters, all(&store, &spec, Origin::Delivery).expect("letters"));
        let stamps: Vec<_> = letters.iter().map(|letter| (letter.reason.as_deref(), letter.receive_count)).collect();
        assert_eq!(stamps, [(Some("why"), 0), (Some("why"), 0)]);
        let first = letters[0].id.clone();
        assert_eq!(raw(&store, &spec, &first), Ok(Some("one".to_owned())));
        assert_eq!(raw(&store, &other, &first), Ok(None));

        let ids = vec![first.clone(), "unknown".to_owned(), first.clone()];
        assert_eq!(redrive(&mut store, &spec, &ids, START), Ok(vec![first.clone()]));
        assert_eq!(redrive(&mut store, &spec, &ids, START), Ok(vec![]));
        let received = receive(&mut store, &spec, START).expect("a receive");
        assert_eq!(received.iter().map(|record| record.body.as_str()).collect::<Vec<_>>(), ["one"]);
        assert!(received[0].receive_count == 1 && received[0].id != first);
        assert_eq!(all(&store, &spec, Origin::Delivery).expect("letters").len(), 1);
    }
}
