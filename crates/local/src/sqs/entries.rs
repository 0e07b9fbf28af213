//! What a batch of sends must be like for SQS to take it, and how sends are cut into such batches. It stores nothing.
//!
//! Sources: the SQS API reference of SendMessageBatch and the quotas of messages (1 MiB since August 2025).

use std::time::Duration;

use aws::sqs::{MAX_BATCH, MAX_BATCH_BYTES, cut};

/// Longest delay of a send.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Longest name of an entry, in characters.
const MAX_ENTRY_ID_CHARS: usize = 80;

/// One record to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name within the batch.
    pub(crate) id: String,
    /// What it says.
    pub(crate) body: String,
    /// How long nobody shall see it, in whole seconds.
    pub(crate) delay: Duration,
}

/// Why SQS does not take a batch, or one entry of it. Never quotes a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There is no entry.
    #[error("EmptyBatchRequest: a batch has at least one entry")]
    Empty,
    /// There are more than ten.
    #[error("TooManyEntriesInBatchRequest: a batch has at most 10 entries")]
    TooMany,
    /// An entry's name is not 1-80 of letters, digits, `-` and `_`.
    #[error("InvalidBatchEntryId: an entry's id is 1-80 of [A-Za-z0-9_-]")]
    EntryId,
    /// Two entries have one name.
    #[error("BatchEntryIdsNotDistinct: the ids of a batch's entries are distinct")]
    NotDistinct,
    /// The bodies are too long together.
    #[error("BatchRequestTooLong: the bodies of a batch have at most 1048576 bytes together")]
    TooLong,
    /// A body is empty.
    #[error("MissingParameter: a record has a body")]
    NoBody,
    /// A body has a character that SQS does not carry.
    #[error("InvalidMessageContents: a body has only #x9, #xA, #xD, #x20-#xD7FF, #xE000-#xFFFD and #x10000-#x10FFFF")]
    Characters,
    /// The delay is too long.
    #[error("InvalidParameterValue: a delay is at most 900 seconds")]
    Delay,
}

/// Judges a batch: as a whole, then entry by entry, in order.
///
/// # Errors
/// Why nothing of it is taken.
pub(crate) fn check(batch: &[Entry]) -> Result<Vec<Result<(), Refused>>, Refused> {
    if batch.is_empty() {
        return Err(Refused::Empty);
    }
    if batch.len() > MAX_BATCH {
        return Err(Refused::TooMany);
    }
    if !batch.iter().all(|entry| is_entry_id(&entry.id)) {
        return Err(Refused::EntryId);
    }
    if batch.iter().enumerate().any(|(index, entry)| batch[..index].iter().any(|earlier| earlier.id == entry.id)) {
        return Err(Refused::NotDistinct);
    }
    if batch.iter().map(|entry| entry.body.len()).sum::<usize>() > MAX_BATCH_BYTES {
        return Err(Refused::TooLong);
    }
    Ok(batch.iter().map(check_entry).collect())
}

fn check_entry(entry: &Entry) -> Result<(), Refused> {
    if entry.body.is_empty() {
        Err(Refused::NoBody)
    } else if !entry.body.chars().all(is_carried) {
        Err(Refused::Characters)
    } else if entry.delay > MAX_DELAY {
        Err(Refused::Delay)
    } else {
        Ok(())
    }
}

fn is_entry_id(id: &str) -> bool {
    (1..=MAX_ENTRY_ID_CHARS).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_carried(character: char) -> bool {
    // Surrogates are no characters, so the range may span them.
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Cuts sends into batches as the deployed adapter does, and names their entries.
pub(crate) fn batches(bodies: Vec<(String, Duration)>) -> Vec<Vec<Entry>> {
    let entry = |(index, (body, delay)): (usize, _)| Entry { id: index.to_string(), body, delay };
    cut(bodies).into_iter().map(|batch| batch.into_iter().enumerate().map(entry).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, body: &str) -> Entry {
        Entry { id: id.to_owned(), body: body.to_owned(), delay: Duration::ZERO }
    }

    #[test]
    fn a_batch_that_sqs_would_refuse_is_refused() {
        let eleven: Vec<Entry> = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
        let half = "x".repeat(MAX_BATCH_BYTES / 2);
        for (batch, refused) in [
            (vec![], Refused::Empty),
            (eleven, Refused::TooMany),
            (vec![entry("", "x")], Refused::EntryId),
            (vec![entry("a.b", "x")], Refused::EntryId),
            (vec![entry(&"a".repeat(81), "x")], Refused::EntryId),
            (vec![entry("a", "x"), entry("a", "y")], Refused::NotDistinct),
            (vec![entry("a", &half), entry("b", &half), entry("c", "x")], Refused::TooLong),
        ] {
            assert_eq!(check(&batch), Err(refused));
        }
        assert_eq!(check(&[entry("a", &half), entry("b", &half)]), Ok(vec![Ok(()), Ok(())]));
    }

    #[test]
    fn an_entry_that_sqs_would_refuse_is_refused_alone() {
        let late = Entry { delay: Duration::from_secs(901), ..entry("d", "x") };
        let outcomes = check(&[entry("a", ""), entry("b", "\u{fffe}"), entry("c", "ok"), late]).expect("a batch");
        assert_eq!(outcomes, [Err(Refused::NoBody), Err(Refused::Characters), Ok(()), Err(Refused::Delay)]);
    }

    #[test]
    fn the_characters_that_sqs_carries() {
        for good in ['\t', '\n', '\r', ' ', '~', 'ä', '\u{d7ff}', '\u{e000}', '\u{fffd}', '\u{10000}', '\u{10ffff}'] {
            assert!(is_carried(good), "{good:?}");
        }
        for bad in ['\0', '\u{8}', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert!(!is_carried(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_was_cut_is_taken_unless_one_body_is_too_long() {
        let sends = |bytes: &[usize]| bytes.iter().map(|bytes| ("x".repeat(*bytes), Duration::ZERO)).collect();
        let third = MAX_BATCH_BYTES / 3;
        for bytes in [&[1; 25][..], &[third; 4], &[MAX_BATCH_BYTES, 1]] {
            let batches = batches(sends(bytes));
            assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), bytes.len());
            assert!(batches.iter().all(|batch| check(batch).is_ok_and(|entries| entries.iter().all(Result::is_ok))));
        }
        let outcomes =
            batches(sends(&[1, MAX_BATCH_BYTES + 1, 1])).iter().map(|batch| check(batch).err()).collect::<Vec<_>>();
        assert_eq!(outcomes, [None, Some(Refused::TooLong), None]);
    }
}
