//! Every key and attribute name of the two tables, and the items made of them. Nothing else in the project spells one.
//!
//! Attribute names are short because a row of up to 1,024 bytes, names included, is written for one unit: an envelope's
//! overhead stays below 200 bytes for user and device ids of 16 bytes.
//!
//! | table | pk | sk | attributes |
//! |---|---|---|---|
//! | directory | `U#user` | `D#device` | `c` connection, `ca` connected at (ms), `cx` connection's end (ms), `ls` last seen (ms), `lw` last wake (ms), `wd` wake due (ms), `wr` the record that holds the due wake, `ttl` |
//! | directory | `U#user` | `W#*` | `lw`, `wd`, `wr`, `ttl`: the wakes of a user without a device |
//! | inbox | `user#device` or `user#*` | `ID~SENDER` | `b` body (JSON), `a` accepted at (ms), `to` recipient if it is not the user (JSON), `u` the undelivered mark, `ttl` |
//!
//! `#`, `*` and `~` are outside the alphabets of users and devices, so no two keys run into each other. `ttl` is in seconds,
//! as DynamoDB wants it; every other time is in milliseconds.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use delivery::{Connection, Device, Due, Envelope, Holder, Key, Row, WakeState};
use protocol::{Body, DeviceId, Kind, Recipient, Ref, Shelf, Timestamp, UserId};

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// Partition key of both tables.
pub const PK: &str = "pk";
/// Sort key of both tables.
pub const SK: &str = "sk";
/// When DynamoDB may delete an item, in seconds since the epoch.
pub const TTL: &str = "ttl";
pub(crate) const DEVICE_PREFIX: &str = "D#";
const BODY: &str = "b";
const ACCEPTED_AT: &str = "a";
const TO: &str = "to";
pub(crate) const UNDELIVERED: &str = "u";
pub(crate) const CONNECTION: &str = "c";
pub(crate) const CONNECTED_AT: &str = "ca";
const LAST_WAKE: &str = "lw";
const WAKE_DUE: &str = "wd";
const WAKE_RECORD: &str = "wr";

/// An item that is not what its key promises. The text names the attribute, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its attribute `{0}` is missing or unreadable")]
pub struct UnreadableItem(&'static str);

/// A string attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The partition of a user in the directory.
pub fn user_pk(user: &UserId) -> AttributeValue {
    text(format!("U#{user}"))
}

/// The key of a device, or of the wakes of a user without one, in the directory.
pub fn holder_key(user: &UserId, holder: &Holder) -> Item {
    let sk = match holder {
        Holder::Device(device) => format!("{DEVICE_PREFIX}{device}"),
        Holder::Unclaimed => "W#*".to_owned(),
    };
    Item::from([(PK.to_owned(), user_pk(user)), (SK.to_owned(), text(sk))])
}

/// The partition of an inbox.
pub fn inbox_pk(user: &UserId, holder: &Holder) -> AttributeValue {
    match holder {
        Holder::Device(device) => text(format!("{user}#{device}")),
        Holder::Unclaimed => text(format!("{user}#*")),
    }
}

/// The key of an envelope in the inbox.
pub fn row_key(key: &Key) -> Item {
    let pk = inbox_pk(&key.user, &key.holder);
    Item::from([(PK.to_owned(), pk), (SK.to_owned(), text(key.reference().position()))])
}

/// An envelope as an item of the inbox.
pub fn row_item(row: &Row) -> Item {
    let envelope = &row.envelope;
    let mut item = row_key(&row.key());
    item.insert(BODY.to_owned(), text(envelope.body.as_json()));
    item.insert(ACCEPTED_AT.to_owned(), number(envelope.at.as_millis()));
    item.insert(TTL.to_owned(), number(envelope.expires_at.as_secs()));
    if envelope.to != Recipient::User(row.user.clone()) {
        let to = serde_json::to_string(&envelope.to).expect("a recipient is always JSON");
        item.insert(TO.to_owned(), text(to));
    }
    if row.undelivered {
        item.insert(UNDELIVERED.to_owned(), AttributeValue::Bool(true));
    }
    item
}

/// Reads an item of the inbox of `holder`.
///
/// # Errors
/// When it was not written by [`row_item`] or has been changed since.
pub fn row(user: &UserId, holder: &Holder, item: &Item) -> Result<Row, UnreadableItem> {
    let position = text_of(item, SK)?;
    let Ref { id, sender, .. } = Ref::at(position, holder.shelf()).map_err(|_| UnreadableItem(SK))?;
    let to = match item.get(TO) {
        None => Recipient::User(user.clone()),
        Some(_) => serde_json::from_str(text_of(item, TO)?).map_err(|_| UnreadableItem(TO))?,
    };
    Ok(Row {
        user: user.clone(),
        holder: holder.clone(),
        envelope: Envelope {
            id,
            from: sender,
            to,
            kind: Kind::Message,
            at: Timestamp::from_millis(number_of(item, ACCEPTED_AT)?),
            expires_at: Timestamp::from_secs(number_of(item, TTL)?),
            body: Body::from_json(text_of(item, BODY)?.to_owned()).map_err(|_| UnreadableItem(BODY))?,
        },
        undelivered: matches!(item.get(UNDELIVERED), Some(AttributeValue::Bool(true))),
    })
}

/// Partition and sort key of an item or a key, as text, to match answers with requests.
pub fn identity(item: &Item) -> Option<(&str, &str)> {
    Some((text_of(item, PK).ok()?, text_of(item, SK).ok()?))
}

/// Reads a device from an item of the directory. A connection past its end is left out.
///
/// # Errors
/// When it is not an item of a device.
pub fn device(item: &Item, now: Timestamp) -> Result<Device, UnreadableItem> {
    let id = text_of(item, SK)?.strip_prefix(DEVICE_PREFIX).ok_or(UnreadableItem(SK))?;
    let id: DeviceId = id.parse().map_err(|_| UnreadableItem(SK))?;
    Ok(Device { id, connection: connection(item)?.filter(|connection| connection.ends_at() > now) })
}

/// Reads the connection of an item of the directory, if it has one.
///
/// # Errors
/// When it has half of one.
pub fn connection(item: &Item) -> Result<Option<Connection>, UnreadableItem> {
    if !item.contains_key(CONNECTION) {
        return Ok(None);
    }
    let connected_at = Timestamp::from_millis(number_of(item, CONNECTED_AT)?);
    Ok(Some(Connection { id: text_of(item, CONNECTION)?.into(), connected_at }))
}

/// Whether an item of the directory has expired; DynamoDB deletes it some day.
pub fn is_expired(item: &Item, now: Timestamp) -> bool {
    number_of(item, TTL).is_ok_and(|ttl| ttl <= now.as_secs())
}

/// Reads the wake state of an item of the directory.
///
/// # Errors
/// When it cannot have been written by [`wake_update`].
pub fn wake_state(item: &Item) -> Result<WakeState, UnreadableItem> {
    let moment = |name| item.contains_key(name).then(|| number_of(item, name).map(Timestamp::from_millis)).transpose();
    let due = match moment(WAKE_DUE)? {
        Some(at) => Some(Due { at, record: text_of(item, WAKE_RECORD)?.to_owned() }),
        None => None,
    };
    Ok(WakeState { last: moment(LAST_WAKE)?, due })
}

/// An update of an item with the condition under which it is made.
#[derive(Debug, Default)]
pub struct Update {
    /// `SET .. REMOVE ..`
    pub update: String,
    /// The condition.
    pub condition: String,
    /// The values that both name.
    pub values: Item,
}

/// Replaces the wake state `before` by `after`, if it is still `before`.
pub fn wake_update(before: &WakeState, after: &WakeState) -> Update {
    let columns = |state: &WakeState| {
        let due = state.due.as_ref();
        [
            (LAST_WAKE, state.last.map(|last| number(last.as_millis()))),
            (WAKE_DUE, due.map(|due| number(due.at.as_millis()))),
            (WAKE_RECORD, due.map(|due| text(due.record.as_str()))),
        ]
    };
    let (mut set, mut remove, mut conditions, mut values) = (vec![], vec![], vec![], Item::new());
    for ((name, old), (_, new)) in columns(before).into_iter().zip(columns(after)) {
        match old {
            Some(old) => {
                conditions.push(format!("{name} = :old_{name}"));
                values.insert(format!(":old_{name}"), old);
            }
            None => conditions.push(format!("attribute_not_exists({name})")),
        }
        match new {
            Some(new) => {
                set.push(format!("{name} = :new_{name}"));
                values.insert(format!(":new_{name}"), new);
            }
            None => remove.push(name),
        }
    }
    let mut update = Vec::new();
    if !set.is_empty() {
        update.push(format!("SET {}", set.join(", ")));
    }
    if !remove.is_empty() {
        update.push(format!("REMOVE {}", remove.join(", ")));
    }
    Update { update: update.join(" "), condition: conditions.join(" AND "), values }
}

/// Where a page of one shelf begins, given the ref after which the merged page begins: the condition on the sort key.
pub fn after_condition(after: &Ref, shelf: Shelf) -> &'static str {
    // An unclaimed envelope comes right after the device's own one of the same message.
    if shelf > after.shelf { "sk >= :after" } else { "sk > :after" }
}

fn text_of<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, UnreadableItem> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or(UnreadableItem(name))
}

fn number_of(item: &Item, name: &'static str) -> Result<u64, UnreadableItem> {
    let value = item.get(name).and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
    value.ok_or(UnreadableItem(name))
}

/// Bytes that DynamoDB counts for an item: names, UTF-8 text, and about half a byte for each digit of a number.
pub fn item_bytes(item: &Item) -> usize {
    let value_bytes = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        _ => 1,
    };
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
