//! Every key and attribute name of the two tables, and the items made of them. Nothing else in the project spells one.
//!
//! Attribute names are short because a row of up to 1,024 bytes, names included, is written for one unit: an envelope's
//! overhead stays below 200 bytes for user and device ids of 16 bytes.
//!
//! | table | pk | sk | attributes |
//! |---|---|---|---|
//! | directory | `U#user` | `D#device` | `c` connection, `ca` connected at (ms), `cx` connection's end (ms), `cd` how its client speaks if it is an old one, `ls` last seen (ms), `p` the opt-in to presence, `pt` its push targets (JSON), `nt` how it wants to be notified (JSON), `ks` known since (ms), `lw` last wake (ms), `wd` wake due (ms), `wr` the record that holds the due wake, `ttl` |
//! | directory | `U#user` | `W#*` | `lw`, `wd`, `wr`, `ttl`: the wakes of a user without a device |
//! | directory | `U#user` | `G#group` | nothing: the user is in the group |
//! | directory | `G#group` | `_` | the group: `n` name, `v` version |
//! | directory | `G#group` | `M#user` | `r` role, `j` joined at (ms) |
//! | directory | `G#group` | `C#id` | a change: `b` its news (JSON), `ttl` |
//! | directory | `P#HASH` | `_` | the claim to a push target: `us` and `dv` user and device whose it is, `ttl`. The hash is of where the target leads |
//! | directory | `A#id` | `_` | an attachment: `up` its uploader, `mt` type, `by` bytes, `ttl` |
//! | directory | `A#id` | `R#ID~SENDER~HASH` | `us` who may have it because of a message, `ttl`. The hash is of `us` |
//! | inbox | `user#device` or `user#*` | `ID~SENDER` | `b` body (JSON), `a` accepted at (ms), `k` kind if it is not `message`, `g` urgency if it is not `urgent`, `r` that the sender is to be told, `s` that other devices have it, `to` recipient if it is not the user (JSON), `u` the undelivered mark, `ttl` |
//! | inbox | `user#~` | `ID~SENDER` | what the sender was told of the user: `e` event, `ttl` |
//!
//! `#`, `*` and `~` are outside the alphabets of users and devices, so no two keys run into each other. `ttl` is in seconds,
//! as DynamoDB wants it; every other time is in milliseconds.

mod attachment;
mod claim;
mod page;
mod push;

use std::collections::HashMap;

use delivery::group::{NEWS_LIFETIME, Role};
use delivery::{
    Address, Connection, ConnectionId, Device, Dialect, Due, Enrolment, Envelope, Group, Holder, Key, Member, News,
    Row, Told, WakeState,
};
use protocol::{
    Body, DeviceId, GroupId, GroupName, Kind, MessageId, MessageName, Notices, ReceiptEvent, Recipient, Ref, Shelf,
    Timestamp, Urgency, UserId,
};

pub use attachment::*;
pub use claim::*;
pub use page::*;
pub use push::*;

/// A value of an item, for those who hold items and may not name the SDK.
pub use aws_sdk_dynamodb::types::AttributeValue;

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
const KIND: &str = "k";
const TO: &str = "to";
const RECEIPTS: &str = "r";
const SHARED: &str = "s";
const UNDELIVERED: &str = "u";
const URGENCY: &str = "g";
const EVENT: &str = "e";
const CONNECTION: &str = "c";
const CONNECTED_AT: &str = "ca";
const CONNECTION_END: &str = "cx";
const DIALECT: &str = "cd";
const LAST_SEEN: &str = "ls";
const PRESENCE: &str = "p";
const PUSH: &str = "pt";
const NOTICES: &str = "nt";
const KNOWN_SINCE: &str = "ks";
/// How expressions name [`TTL`], which is a reserved word.
pub(crate) const TTL_NAME: &str = "#ttl";
const LAST_WAKE: &str = "lw";
const WAKE_DUE: &str = "wd";
const WAKE_RECORD: &str = "wr";
const GROUP: &str = "_";
/// Before every member of a group, and before the group itself.
pub(crate) const MEMBER_PREFIX: &str = "M#";
const MEMBERSHIP_PREFIX: &str = "G#";
const NEWS_PREFIX: &str = "C#";
const NAME: &str = "n";
const VERSION: &str = "v";
const ROLE: &str = "r";
const JOINED_AT: &str = "j";

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

/// The key of a device in the directory.
pub fn device_key(address: &Address) -> Item {
    holder_key(&address.user, &Holder::Device(address.device.clone()))
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
    if envelope.kind != Kind::Message {
        item.insert(KIND.to_owned(), text(envelope.kind.as_str()));
    }
    if !envelope.urgency.is_default() {
        item.insert(URGENCY.to_owned(), text(envelope.urgency.as_str()));
    }
    let flags = [(RECEIPTS, envelope.receipts), (UNDELIVERED, row.undelivered), (SHARED, row.shared)];
    for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
        item.insert(name.to_owned(), AttributeValue::Bool(true));
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
            kind: if item.contains_key(KIND) { Kind::of(text_of(item, KIND)?) } else { Kind::Message },
            at: Timestamp::from_millis(number_of(item, ACCEPTED_AT)?),
            expires_at: Timestamp::from_secs(number_of(item, TTL)?),
            receipts: is_set(item, RECEIPTS),
            urgency: match item.get(URGENCY) {
                None => Urgency::default(),
                Some(_) => Urgency::from(text_of(item, URGENCY)?.to_owned()),
            },
            body: Body::from_json(text_of(item, BODY)?.to_owned()).map_err(|_| UnreadableItem(BODY))?,
        },
        undelivered: is_set(item, UNDELIVERED),
        shared: is_set(item, SHARED),
    })
}

fn is_set(item: &Item, name: &'static str) -> bool {
    matches!(item.get(name), Some(AttributeValue::Bool(true)))
}

/// The partition of what senders were told of a user.
pub fn told_pk(user: &UserId) -> AttributeValue {
    text(format!("{user}#~"))
}

/// The key of what the sender of a message was told of a user.
pub fn told_key(user: &UserId, name: &MessageName) -> Item {
    let reference = Ref { id: name.id, sender: name.from.clone(), shelf: Shelf::Own, watched: false };
    Item::from([(PK.to_owned(), told_pk(user)), (SK.to_owned(), text(reference.position()))])
}

/// What a sender was told, as an item of the inbox table.
pub fn told_item(told: &Told) -> Item {
    let mut item = told_key(&told.user, &told.name);
    item.insert(EVENT.to_owned(), text(told.event.as_str()));
    item.insert(TTL.to_owned(), number(told.expires_at.as_secs()));
    item
}

/// Reads what a sender was told of `user`.
///
/// # Errors
/// When it was not written by [`told_item`].
pub fn told(user: &UserId, item: &Item) -> Result<Told, UnreadableItem> {
    let Ref { id, sender, .. } = Ref::at(text_of(item, SK)?, Shelf::Own).map_err(|_| UnreadableItem(SK))?;
    Ok(Told {
        user: user.clone(),
        name: MessageName { id, from: sender },
        event: ReceiptEvent::of(text_of(item, EVENT)?).ok_or(UnreadableItem(EVENT))?,
        expires_at: Timestamp::from_secs(number_of(item, TTL)?),
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
    Ok(Device {
        id,
        connection: connection(item)?.filter(|connection| connection.ends_at() > now),
        last_seen: Timestamp::from_millis(number_of(item, LAST_SEEN)?),
        shows_presence: is_set(item, PRESENCE),
        push: push_targets(item),
        notices: notices(item),
        known_since: number_of(item, KNOWN_SINCE).ok().map(Timestamp::from_millis),
        last_wake: number_of(item, LAST_WAKE).ok().map(Timestamp::from_millis),
    })
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
    let dialect = Dialect::of(text_of(item, DIALECT).ok());
    Ok(Some(Connection { id: text_of(item, CONNECTION)?.into(), connected_at, dialect }))
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
        Some(at) => Some(Due { at, token: text_of(item, WAKE_RECORD)?.to_owned() }),
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

/// Registers a connection as its device's, unless a newer one is registered. The same connection again is a repeated event, and
/// one past its end is nobody's. `ttl` is when the device will be forgotten.
pub fn register_update(connection: &Connection, now: Timestamp, ttl: Timestamp) -> Update {
    let dialect = connection.dialect.word();
    // What a connection before it has left of this would be taken for its own.
    let spoken = if dialect.is_some() { format!(", {DIALECT} = :cd") } else { format!(" REMOVE {DIALECT}") };
    Update {
        update: format!(
            "SET {CONNECTION} = :c, {CONNECTED_AT} = :ca, {CONNECTION_END} = :cx, {LAST_SEEN} = :now, {KNOWN_SINCE} = if_not_exists({KNOWN_SINCE}, :now), {TTL_NAME} = :ttl{spoken}"
        ),
        condition: format!(
            "attribute_not_exists({CONNECTION}) OR {CONNECTED_AT} < :ca OR {CONNECTION_END} <= :now OR {CONNECTION} = :c"
        ),
        values: [
            (":c".to_owned(), text(connection.id.as_str())),
            (":ca".to_owned(), number(connection.connected_at.as_millis())),
            (":cx".to_owned(), number(connection.ends_at().as_millis())),
            (":now".to_owned(), number(now.as_millis())),
            (":ttl".to_owned(), number(ttl.as_secs())),
        ]
        .into_iter()
        .chain(dialect.map(|word| (":cd".to_owned(), text(word))))
        .collect(),
    }
}

fn seen(now: Timestamp, ttl: Timestamp) -> Update {
    Update {
        update: format!("SET {LAST_SEEN} = :now, {TTL_NAME} = :ttl"),
        condition: String::new(),
        values: Item::from([(":now".to_owned(), number(now.as_millis())), (":ttl".to_owned(), number(ttl.as_secs()))]),
    }
}

/// Notes that a known device was seen, and so when it will be forgotten.
pub fn seen_update(now: Timestamp, ttl: Timestamp) -> Update {
    Update { condition: format!("attribute_exists({PK})"), ..seen(now, ttl) }
}

/// The same of any device, known or not, and what is said of it.
pub fn enrol_update(said: &Enrolment, now: Timestamp, ttl: Timestamp) -> Update {
    let presence = said.presence.map(|shows| shows.then_some(AttributeValue::Bool(true)));
    let push = said.push.as_ref().map(|targets| (!targets.is_empty()).then(|| push_json(targets)));
    let notices = said.notices.map(|notices| {
        let json = || text(serde_json::to_string(&notices).expect("words and numbers are always JSON"));
        (notices != Notices::default()).then(json)
    });
    let (mut update, mut remove) = (seen(now, ttl), Vec::new());
    update.update.push_str(&format!(", {KNOWN_SINCE} = if_not_exists({KNOWN_SINCE}, :now)"));
    for (name, said) in [(PRESENCE, presence), (PUSH, push), (NOTICES, notices)] {
        match said {
            Some(Some(value)) => {
                update.update.push_str(&format!(", {name} = :{name}"));
                update.values.insert(format!(":{name}"), value);
            }
            Some(None) => remove.push(name),
            None => {}
        }
    }
    if !remove.is_empty() {
        update.update.push_str(&format!(" REMOVE {}", remove.join(", ")));
    }
    update
}

/// Forgets a connection if it is still the registered one, and notes that its device was seen.
pub fn left_update(connection: &ConnectionId, now: Timestamp, ttl: Timestamp) -> Update {
    let Update { update: forgets, condition, mut values } = unregister_update(connection);
    let seen = seen(now, ttl);
    values.extend(seen.values);
    Update { update: format!("{} {forgets}", seen.update), condition, values }
}

/// Forgets a connection if it is still the registered one.
pub fn unregister_update(connection: &ConnectionId) -> Update {
    Update {
        update: format!("REMOVE {CONNECTION}, {CONNECTED_AT}, {CONNECTION_END}, {DIALECT}"),
        condition: format!("{CONNECTION} = :c"),
        values: Item::from([(":c".to_owned(), text(connection.as_str()))]),
    }
}

/// Marks an envelope as undelivered, if it is still there.
pub fn undelivered_update() -> Update {
    Update {
        update: format!("SET {UNDELIVERED} = :true"),
        condition: format!("attribute_exists({PK})"),
        values: Item::from([(":true".to_owned(), AttributeValue::Bool(true))]),
    }
}

/// Replaces the wake state `before` by `after`, if it is still `before`. A device that was forgotten meanwhile is not re-created;
/// the wakes of a user without one are an item of their own, forgotten at `ttl`.
pub fn wake_update(holder: &Holder, before: &WakeState, after: &WakeState, ttl: Timestamp) -> Update {
    let columns = |state: &WakeState| {
        let due = state.due.as_ref();
        [
            (LAST_WAKE, state.last.map(|last| number(last.as_millis()))),
            (WAKE_DUE, due.map(|due| number(due.at.as_millis()))),
            (WAKE_RECORD, due.map(|due| text(due.token.as_str()))),
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
    match holder {
        Holder::Device(_) => conditions.push(format!("attribute_exists({PK})")),
        Holder::Unclaimed => {
            set.push(format!("{TTL_NAME} = :ttl"));
            values.insert(":ttl".to_owned(), number(ttl.as_secs()));
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

/// The partition of a group in the directory.
pub fn group_pk(group: &GroupId) -> AttributeValue {
    text(format!("{MEMBERSHIP_PREFIX}{group}"))
}

fn in_group(group: &GroupId, sk: impl Into<String>) -> Item {
    Item::from([(PK.to_owned(), group_pk(group)), (SK.to_owned(), text(sk))])
}

/// The key of a group.
pub fn group_key(group: &GroupId) -> Item {
    in_group(group, GROUP)
}

/// The key of a member of a group.
pub fn member_key(group: &GroupId, user: &UserId) -> Item {
    in_group(group, format!("{MEMBER_PREFIX}{user}"))
}

/// The key of a change of a group.
pub fn news_key(group: &GroupId, id: MessageId) -> Item {
    in_group(group, format!("{NEWS_PREFIX}{id}"))
}

/// The key under which a user's membership is found from the user's side; also the whole item.
pub fn membership_key(user: &UserId, group: &GroupId) -> Item {
    let sk = text(format!("{MEMBERSHIP_PREFIX}{group}"));
    Item::from([(PK.to_owned(), user_pk(user)), (SK.to_owned(), sk)])
}

/// Where a page of a user's memberships begins. `!` comes before every character of a group id.
pub fn first_membership(after: Option<&GroupId>) -> AttributeValue {
    text(after.map_or(MEMBERSHIP_PREFIX.to_owned(), |after| format!("{MEMBERSHIP_PREFIX}{after}!")))
}

/// Where the last page of a user's memberships ends. `~` comes after every character of a group id.
pub fn last_membership() -> AttributeValue {
    text(format!("{MEMBERSHIP_PREFIX}~"))
}

/// Reads the group of a membership.
///
/// # Errors
/// When it is none.
pub fn membership(item: &Item) -> Result<GroupId, UnreadableItem> {
    group_of(item, SK)
}

fn group_of(item: &Item, name: &'static str) -> Result<GroupId, UnreadableItem> {
    let id = text_of(item, name)?.strip_prefix(MEMBERSHIP_PREFIX).ok_or(UnreadableItem(name))?;
    id.parse().map_err(|_| UnreadableItem(name))
}

/// A new group, without its members, as an item of the directory.
pub fn group_item(group: &Group) -> Item {
    let mut item = group_key(&group.id);
    item.insert(NAME.to_owned(), text(group.name.as_str()));
    item.insert(VERSION.to_owned(), number(group.version));
    item
}

/// The condition under which a group is made.
pub const NO_SUCH_GROUP: &str = "attribute_not_exists(pk)";

/// Replaces the group of version `before` by `after`.
pub fn group_update(before: u64, after: &Group) -> Update {
    let mut update = group_gone(before);
    update.update = format!("SET {NAME} = :name, {VERSION} = :after");
    update.values.insert(":name".to_owned(), text(after.name.as_str()));
    update.values.insert(":after".to_owned(), number(after.version));
    update
}

/// The condition under which a group of version `before` goes.
pub fn group_gone(before: u64) -> Update {
    Update {
        update: String::new(),
        condition: format!("{VERSION} = :before"),
        values: Item::from([(":before".to_owned(), number(before))]),
    }
}

/// Whether an item of a group's partition is the group itself.
pub fn is_group(item: &Item) -> bool {
    text_of(item, SK) == Ok(GROUP)
}

/// Reads name and version of a group.
///
/// # Errors
/// When it is none.
pub fn group(item: &Item) -> Result<(GroupName, u64), UnreadableItem> {
    let name = text_of(item, NAME)?.to_owned().try_into().map_err(|_| UnreadableItem(NAME))?;
    Ok((name, number_of(item, VERSION)?))
}

/// Reads id and name of a group.
///
/// # Errors
/// When it is none.
pub fn group_name(item: &Item) -> Result<(GroupId, GroupName), UnreadableItem> {
    Ok((group_of(item, PK)?, group(item)?.0))
}

/// A member as an item of the directory.
pub fn member_item(group: &GroupId, member: &Member) -> Item {
    let mut item = member_key(group, &member.user);
    item.insert(ROLE.to_owned(), text(member.role.as_str()));
    item.insert(JOINED_AT.to_owned(), number(member.joined_at.as_millis()));
    item
}

/// Reads a member of a group.
///
/// # Errors
/// When it is none.
pub fn member(item: &Item) -> Result<Member, UnreadableItem> {
    let user = text_of(item, SK)?.strip_prefix(MEMBER_PREFIX).ok_or(UnreadableItem(SK))?;
    Ok(Member {
        user: user.parse().map_err(|_| UnreadableItem(SK))?,
        role: Role::of(text_of(item, ROLE)?).ok_or(UnreadableItem(ROLE))?,
        joined_at: Timestamp::from_millis(number_of(item, JOINED_AT)?),
    })
}

/// Reads a member with the group that he is in.
///
/// # Errors
/// When it is none.
pub fn member_of(item: &Item) -> Result<(GroupId, Member), UnreadableItem> {
    Ok((group_of(item, PK)?, member(item)?))
}

/// The news of a change as an item of the directory.
pub fn news_item(group: &GroupId, id: MessageId, news: &News) -> Item {
    let mut item = news_key(group, id);
    item.insert(BODY.to_owned(), text(serde_json::to_string(news).expect("names and words are always JSON")));
    item.insert(TTL.to_owned(), number(id.timestamp().plus(NEWS_LIFETIME).as_secs()));
    item
}

/// Reads the news of a change.
///
/// # Errors
/// When it is none.
pub fn news(item: &Item) -> Result<News, UnreadableItem> {
    serde_json::from_str(text_of(item, BODY)?).map_err(|_| UnreadableItem(BODY))
}

fn text_of<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, UnreadableItem> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or(UnreadableItem(name))
}

fn number_of(item: &Item, name: &'static str) -> Result<u64, UnreadableItem> {
    let value = item.get(name).and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
    value.ok_or(UnreadableItem(name))
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
