//! What the item of a device says of how it is woken and notified. Whose push targets are is in `claim.rs`.

use aws_sdk_dynamodb::types::AttributeValue;
use protocol::{Notices, PushTarget};

use super::{Item, NOTICES, PUSH, Update, text};

/// Reads how a device wants to be notified. What cannot be read is as if it had never been said.
pub fn notices(item: &Item) -> Notices {
    let Some(stored) = item.get(NOTICES) else { return Notices::default() };
    let read = stored.as_s().ok().and_then(|json| serde_json::from_str(json).ok());
    read.unwrap_or_else(|| {
        tracing::error!(
            metric = "directory.unreadable",
            "how a device wants to be notified is unreadable and is skipped"
        );
        Notices::default()
    })
}

/// The push targets as they are stored.
pub(super) fn push_json(targets: &[PushTarget]) -> AttributeValue {
    text(serde_json::to_string(targets).expect("push targets are always JSON"))
}

/// Keeps only the push targets `left` of a device, if it still has exactly those of `before`.
pub fn drop_push_update(before: &[PushTarget], left: &[PushTarget]) -> Update {
    keep_push_update(push_json(before), left)
}

/// The same of targets as they were read.
pub(super) fn keep_push_update(before: AttributeValue, left: &[PushTarget]) -> Update {
    let mut values = Item::from([(":before".to_owned(), before)]);
    let update = if left.is_empty() {
        format!("REMOVE {PUSH}")
    } else {
        values.insert(":left".to_owned(), push_json(left));
        format!("SET {PUSH} = :left")
    };
    Update { update, condition: format!("{PUSH} = :before"), values }
}

/// Reads the push targets of a device. Those that cannot be read wake nobody. A device is not passed over for it, or it would get no messages either.
pub fn push_targets(item: &Item) -> Vec<PushTarget> {
    let Some(stored) = item.get(PUSH) else { return Vec::new() };
    let read = stored.as_s().ok().and_then(|json| serde_json::from_str(json).ok());
    read.unwrap_or_else(|| {
        tracing::error!(metric = "directory.unreadable", "push targets are unreadable and are skipped");
        Vec::new()
    })
}
