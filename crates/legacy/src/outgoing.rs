//! What an old client is told: a delivery, a server ack, `pong`. Whom a message is from and to is what the delivery says,
//! whatever its body says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use protocol::limits::MAX_CLIENT_FRAME_BYTES;
use protocol::{Body, Delivery, Kind, MessageId, Recipient, Timestamp, UserId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client_id::ClientId;
use crate::incoming::META_PREFIX;
use crate::object::{Members, Raw, object, quoted, text};
use crate::proto;
use crate::stored::{Content, Head, Stored};
use crate::words::{Channel, Format, SERVER, Type};

/// The answer to `ping`.
pub const PONG: &str = "pong";

/// The frame that carries `delivery` to an old client.
///
/// One envelope makes one frame. JSON of the original says a text twice, for clients of version 2 and of version 1; where both do not
/// fit into [`MAX_CLIENT_FRAME_BYTES`], which is also what API Gateway carries to a client in one frame, version 1 is told `[unknown]`.
/// Then whatever fits a frame of [`MAX_SERVER_FRAME_BYTES`](protocol::limits::MAX_SERVER_FRAME_BYTES) fits here, unless the members of
/// its head, which version 1 is told once more, are as long as a text. Base64 is a third longer and has nothing to leave out: the
/// caller must not send a frame that does not fit.
pub fn delivery(delivery: &Delivery, format: Format) -> String {
    let stored = match delivery.kind {
        Kind::System => news(delivery.id, &delivery.body),
        Kind::Receipt => receipt(delivery.id, &delivery.body),
        Kind::Message | Kind::Unknown => {
            Stored::read(delivery.kind, &delivery.body).unwrap_or_else(|| foreign(delivery.id, &delivery.body))
        }
    };
    let (to, group) = match &delivery.to {
        Recipient::User(user) => (user.as_str(), false),
        Recipient::Group(group) => (group.as_str(), true),
    };
    let channel = match (group, stored.head.channel) {
        (true, _) => Channel::Group,
        (false, Some(Channel::Chat)) => Channel::Chat,
        (false, Some(Channel::Individual | Channel::Group) | None) => Channel::Individual,
    };
    let from = delivery.from.user().map_or(SERVER, UserId::as_str);
    render(&Told { stored, from, to, channel, message: delivery.id, at: delivery.at }, format)
}

/// The frame that tells `sender`'s client that its message `id` was accepted at `at`, as `message`. It is owed to sockets that
/// were opened with `?ack=true`.
pub fn server_ack(id: &ClientId, sender: &UserId, message: MessageId, at: Timestamp, format: Format) -> String {
    let stored = Stored {
        id: id.clone(),
        kind: Type::ServerAck,
        timestamp: 0,
        head: Head { ephemeral: true, ..Head::default() },
        meta: Members::default(),
        content: Content::Empty,
    };
    render(&Told { stored, from: SERVER, to: sender.as_str(), channel: Channel::Individual, message, at }, format)
}

/// A message as it is told.
struct Told<'a> {
    stored: Stored<'a>,
    from: &'a str,
    to: &'a str,
    channel: Channel,
    message: MessageId,
    at: Timestamp,
}

fn render(told: &Told<'_>, format: Format) -> String {
    match format {
        Format::Json => {
            let frame = json(told, true);
            if frame.len() <= MAX_CLIENT_FRAME_BYTES { frame } else { json(told, false) }
        }
        Format::Base64 => proto::encode(&protobuf(told)),
    }
}

/// The body of a client that knows nothing of old ones, as an old message. An object is its own body; anything else becomes the
/// text of one, since old clients take no other bodies.
fn foreign(id: MessageId, body: &Body) -> Stored<'_> {
    let raw: &RawValue = serde_json::from_str(body.as_json()).expect("a body is JSON");
    let (content_type, content) = if raw.get().starts_with('{') {
        let says_text = text_of(raw).is_some_and(|says| text(&says).is_some());
        // The app drops a message whose content type it does not know; it has one for `other`.
        (if says_text { "text" } else { "other" }, Cow::Borrowed(raw))
    } else {
        ("text", with_text(&as_text(raw)))
    };
    Stored {
        id: id.into(),
        kind: Type::Message,
        timestamp: 0,
        head: head(content_type, "message", "message"),
        meta: Members::default(),
        content: Content::Json(content),
    }
}

/// News about a group, as the notification that the original makes of it: `add` or `remove` for its clients to act on, and whom
/// in `added` or `removed`. Its other words are passed on.
fn news(id: MessageId, body: &Body) -> Stored<'_> {
    let mut members = Members::read_last(body.as_json()).unwrap_or_default();
    let event = members.text("event").ok().flatten().unwrap_or_else(|| "notification".to_owned());
    let (action, whom) = match event.as_str() {
        "created" | "added" => ("add", Some("added")),
        "removed" | "left" => ("remove", Some("removed")),
        other => (other, None),
    };
    let head = head(Type::Notification.as_str(), action, "system");
    if let (Some(whom), Some(users)) = (whom, members.get("users").cloned()) {
        members = members.without(&[whom]);
        members.add(whom, users);
    }
    let content = Content::Json(object(&members));
    Stored { id: id.into(), kind: Type::Notification, timestamp: 0, head, meta: Members::default(), content }
}

/// A receipt, as a notification whose action the original's clients do not know, so that they pass it over: what they take for a receipt
/// comes from the other user.
fn receipt(id: MessageId, body: &Body) -> Stored<'_> {
    Stored {
        id: id.into(),
        kind: Type::Notification,
        timestamp: 0,
        head: head(Type::Notification.as_str(), "receipt", "system"),
        meta: Members::default(),
        content: Content::Json(object(&Members::read_last(body.as_json()).unwrap_or_default())),
    }
}

fn head<'a>(content_type: &str, action: &str, category: &str) -> Head<'a> {
    let mut others = Members::default();
    others.add_text("action", action);
    others.add_text("category", category);
    Head { channel: None, content_type: Some(content_type.to_owned()), ephemeral: false, others }
}

fn with_text<'a>(text: &str) -> Raw<'a> {
    let mut members = Members::default();
    members.add_text("text", text);
    object(&members)
}

/// What a body says to a person, if it says it where old clients do.
fn text_of(body: &RawValue) -> Option<Raw<'_>> {
    match body.get().as_bytes().first() {
        Some(b'{') => Members::read_last(body.get()).ok()?.get("text").cloned(),
        Some(b'"') => Some(Cow::Borrowed(body)),
        _ => None,
    }
}

/// The names are the original's; those after `body` are version 1.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(rename = "_v")]
    version: f32,
    id: &'a str,
    head: Members<'a>,
    meta: &'a Members<'a>,
    body: &'a RawValue,
    from: &'a str,
    to: &'a str,
    #[serde(rename = "msgId")]
    msg_id: &'a str,
    r#type: &'a str,
    #[serde(rename = "chatId")]
    chat_id: Raw<'a>,
    text: Raw<'a>,
    module: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Raw<'a>>,
    #[serde(rename = "chatType")]
    chat_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Raw<'a>>,
}

fn json(told: &Told<'_>, says_text_twice: bool) -> String {
    let Told { stored, from, to, channel, .. } = told;
    let others = &stored.head.others;
    let content_type = stored.head.content_type.as_deref().unwrap_or(stored.kind.as_str());
    let mut head = Members::default();
    for (key, value) in [("type", channel.as_str()), ("from", from), ("to", to), ("contentType", content_type)] {
        head.add_text(key, value);
    }
    head.add("ephemeral", Cow::Borrowed(if stored.head.ephemeral { RawValue::TRUE } else { RawValue::FALSE }));
    for (key, value) in others.iter() {
        head.add(key, Cow::Borrowed(value));
    }
    let head = with_defaults(head, stored.kind);
    let body = match &stored.content {
        Content::Json(raw) if raw.get() != "null" => raw.clone(),
        // The app takes no other.
        Content::Json(_) | Content::Empty | Content::Bytes(_) => object(&Members::default()),
    };
    let frame = Json {
        version: 2.1,
        id: stored.id.as_str(),
        meta: &stored.meta,
        body: &body,
        from,
        to,
        msg_id: stored.id.as_str(),
        r#type: content_type,
        chat_id: others.get("chatId").or_else(|| others.get("chatid")).cloned().unwrap_or_else(|| quoted(to)),
        text: text_of(&body).filter(|_| says_text_twice).unwrap_or_else(|| quoted("[unknown]")),
        module: channel.as_str(),
        action: head.get("action").cloned(),
        chat_type: channel.as_str(),
        state: others.get("state").cloned(),
        head,
    };
    serde_json::to_string(&frame).expect("text, numbers and JSON values are always JSON")
}

/// Adds what the app cannot do without, where the sender left it out. The category is by the original's rule.
fn with_defaults(mut head: Members<'_>, kind: Type) -> Members<'_> {
    if head.get("action").is_none() && kind.is_carried() {
        head = head.without(&["action"]);
        head.add_text("action", "message");
    }
    if head.get("category").is_none() {
        let system =
            head.text("action").ok().flatten().is_some_and(|action| ["state", "ack"].contains(&action.as_str()));
        head = head.without(&["category"]);
        head.add_text("category", if system { "system" } else { "message" });
    }
    head
}

fn protobuf(told: &Told<'_>) -> proto::Message {
    let Told { stored, from, to, channel, message, at } = told;
    let mut meta = BTreeMap::new();
    for (key, value) in stored.head.others.iter() {
        meta.insert(key.to_owned(), as_text(value));
    }
    if let Some(content_type) = &stored.head.content_type {
        meta.insert("contentType".to_owned(), content_type.clone());
    }
    for (key, value) in stored.meta.iter() {
        meta.insert(format!("{META_PREFIX}{key}"), as_text(value));
    }
    proto::Message {
        version: 3.0,
        id: stored.id.as_str().to_owned(),
        r#type: match stored.kind {
            Type::ServerAck => proto::Type::ServerAck,
            Type::ClientAck => proto::Type::ClientAck,
            Type::Message => proto::Type::Message,
            Type::Notification => proto::Type::Notification,
            Type::Custom => proto::Type::Custom,
        }
        .into(),
        channel: match channel {
            Channel::Individual | Channel::Chat => proto::Channel::Individual,
            Channel::Group => proto::Channel::Group,
        }
        .into(),
        ephemeral: stored.head.ephemeral,
        source: (*from).to_owned(),
        destination: (*to).to_owned(),
        content: match &stored.content {
            Content::Empty => Vec::new(),
            Content::Json(raw) => raw.get().as_bytes().to_vec(),
            Content::Bytes(bytes) => bytes.clone(),
        },
        timestamp: if stored.timestamp == 0 { at.as_millis() } else { stored.timestamp },
        meta,
        server_id: message.to_string(),
        server_timestamp: at.as_millis(),
    }
}

/// The one map of a protobuf message holds text: what is none is told as JSON.
fn as_text(value: &RawValue) -> String {
    text(value).unwrap_or_else(|| value.get().to_owned())
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
pub(crate) mod tests;
