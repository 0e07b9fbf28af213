//! Items of both tables, of any attributes and types. How DynamoDB keeps them is not here.

use aws::keys::{
    AttributeValue, Item, connection, device, holder_key, identity, is_expired, number, row, row_item, text,
    wake_state, wake_update,
};
use delivery::{Envelope, Holder, Row, WakeState};
use protocol::{Body, Kind, Recipient, Timestamp, Urgency, UserId};
use serde_json::{Map, Value, json};

use crate::{ID, MARK, NOW, assert_discreet, known};

/// Any item is read as what its key promises and is then stored the same, or is unreadable, which is said without quoting it.
/// The bytes are the item in DynamoDB's own JSON.
pub fn stored_item(data: &[u8]) {
    let Ok(Value::Object(attributes)) = serde_json::from_slice(data) else { return };
    let item: Item = attributes.iter().filter_map(|(name, value)| Some((name.clone(), attribute(value)?))).collect();
    let bob: UserId = known("bob");
    for holder in [Holder::Device(known("phone")), Holder::Unclaimed] {
        match row(&bob, &holder, &item) {
            Ok(found) => {
                let stored = row_item(&found);
                let again = row(&bob, &holder, &stored).expect("it was just written");
                assert_eq!(row_item(&again), stored);
                assert_eq!((again.key(), again.undelivered), (found.key(), found.undelivered));
            }
            Err(error) => assert_discreet(&error.to_string()),
        }
        match wake_state(&item) {
            Ok(state) => {
                let update = wake_update(&holder, &state, &WakeState::default(), NOW);
                assert!(
                    update.values.keys().all(|name| update.condition.contains(name) || update.update.contains(name))
                );
            }
            Err(error) => assert_discreet(&error.to_string()),
        }
    }
    match device(&item, NOW) {
        Ok(device) => assert!(device.connection.is_none_or(|connection| connection.ends_at() > NOW)),
        Err(error) => assert_discreet(&error.to_string()),
    }
    if let Err(error) = connection(&item) {
        assert_discreet(&error.to_string());
    }
    // Both answer anything.
    let _ = (identity(&item), is_expired(&item, NOW));
}

/// A value of an item. Of the nine types those that matter: what is expected, and something else.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let owned = || value.as_str().map(str::to_owned);
    Some(match kind.as_str() {
        "S" => AttributeValue::S(owned()?),
        "N" => AttributeValue::N(owned()?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "L" => AttributeValue::L(value.as_array()?.iter().filter_map(attribute).collect()),
        _ => AttributeValue::Null(true),
    })
}

/// Valid items of both tables.
pub fn stored_item_seeds() -> Vec<String> {
    let envelope = |to: Recipient| Row {
        user: known("bob"),
        holder: Holder::Device(known("phone")),
        envelope: Envelope {
            id: known(ID),
            from: known("alice"),
            to,
            kind: Kind::Message,
            at: NOW,
            expires_at: Timestamp::from_secs(1_758_092_000),
            receipts: false,
            urgency: Urgency::Quiet,
            body: Body::text(MARK),
        },
        undelivered: true,
        shared: false,
    };
    let mut registered = holder_key(&known("bob"), &Holder::Device(known("phone")));
    let at = number(NOW.as_millis());
    for (name, value) in [("c", text(format!("{MARK}="))), ("ca", at.clone()), ("cx", at.clone()), ("ttl", at.clone())]
    {
        registered.insert(name.to_owned(), value);
    }
    for (name, value) in [("lw", at.clone()), ("wd", at), ("wr", text(MARK))] {
        registered.insert(name.to_owned(), value);
    }
    let items = [
        row_item(&envelope(Recipient::User(known("bob")))),
        row_item(&envelope(Recipient::Group(known("team")))),
        registered,
    ];
    items.iter().map(|item| shown(item).to_string()).collect()
}

fn shown(item: &Item) -> Value {
    let attribute = |value: &AttributeValue| match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        other => panic!("no item has {other:?}"),
    };
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}
