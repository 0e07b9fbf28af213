//! What an old client says, read from hostile text: `ping`, JSON of version 1 and 2, protobuf of version 3 in base64. It judges
//! form only, and it does not read who sends: that is for the authorizer to say.

use std::borrow::Cow;

use protocol::limits::{ID_WINDOW_FUTURE, ID_WINDOW_PAST, MAX_CLIENT_MESSAGE_BYTES, MAX_REFS_PER_ACK};
use protocol::{Body, Code, Kind, MessageId, Outgoing, Recipient, Timestamp, Urgency, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ack::Ack;
use crate::client_id::{ClientId, time_in};
use crate::object::{Members, object};
use crate::proto;
use crate::stored::{Content, Head, Stored};
use crate::words::{Channel, Format, SERVER, Type};

/// A frame from an old client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Are you there? The answer is [`PONG`](crate::PONG).
    Ping,
    /// A message to accept.
    Message(LegacyMessage),
    /// A message that the client has.
    Ack(Ack),
    /// Nothing to do and nothing to answer.
    Ignored(Ignored),
}

/// Why nothing is done about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// A `SERVER_ACK`, which only the server may say.
    ServerAck,
    /// A notification to the server, which the original takes and forgets.
    ToServer,
}

/// A message as an old client wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyMessage {
    /// How it was written; its server ack is written the same way.
    pub format: Format,
    /// The client's id for it.
    pub id: ClientId,
    /// What it is for: [`Type::Message`], [`Type::Notification`] or [`Type::Custom`].
    pub kind: Type,
    /// Whom it is for.
    pub to: Recipient,
    /// Post once to who is connected; never store, retry or push.
    pub ephemeral: bool,
    /// What it says, in the form that the crate documents.
    pub body: Body,
}

/// A frame that could not be taken. The original says nothing to its client then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The client's id for what it sent, when that much could be read.
    pub id: Option<ClientId>,
    /// What is wrong.
    pub code: Code,
    /// What is wrong, for a person. It is a constant, so it quotes nothing.
    pub detail: &'static str,
}

impl LegacyMessage {
    /// The message to accept, under `id`: [`message_id`](crate::message_id) makes one. What old clients call a notification is for the app and
    /// not for its user.
    pub fn outgoing(&self, id: MessageId) -> Outgoing {
        let urgency = if self.kind == Type::Notification { Urgency::Silent } else { Urgency::default() };
        Outgoing { ephemeral: self.ephemeral, urgency, ..Outgoing::new(id, self.to.clone(), self.body.clone()) }
    }

    /// When it was made, as the frame itself says, if that is a time at which a message that is accepted at `now` may have been
    /// made: the time in its id, `meta.createdAt` or `meta.generate_ts`, or the timestamp of a protobuf message.
    ///
    /// A client that sends a message again sends the same frame, so a message id with this time is the same again.
    pub fn made_at(&self, sender: &UserId, now: Timestamp) -> Option<Timestamp> {
        let stored = Stored::read(Kind::Message, &self.body);
        let stated = stored.iter().flat_map(|stored| {
            let meta = ["createdAt", "generate_ts"].into_iter().filter_map(|key| stored.meta.number(key));
            // The original's own web page writes seconds there.
            meta.chain([stored.timestamp, stored.timestamp.saturating_mul(1000)]).map(Timestamp::from_millis)
        });
        let from_id = time_in(&self.id, sender);
        // Time that has not passed counts as none.
        let may_be = |time: &Timestamp| now.since(*time) <= ID_WINDOW_PAST && time.since(now) <= ID_WINDOW_FUTURE;
        from_id.into_iter().chain(stated).find(may_be)
    }

    /// What the recipient's receipt acks, if this is one: a notification with the action `state` to the sender of
    /// messages that were delivered or read.
    ///
    /// The original's app never sends a `CLIENT_ACK`; this is all that it says about what it has. The receipt is a message all
    /// the same, and goes to whom it is for. At most 100 ids of it are read.
    pub fn receipt(&self) -> Vec<Ack> {
        #[derive(Deserialize)]
        struct State {
            ids: Vec<String>,
            state: String,
        }
        let Recipient::User(sender) = &self.to else { return Vec::new() };
        if self.kind != Type::Notification {
            return Vec::new();
        }
        let stored = Stored::read(Kind::Message, &self.body);
        let state = stored.filter(|stored| stored.head.others.text("action") == Ok(Some("state".to_owned())));
        let state = state.and_then(|stored| match stored.content {
            Content::Json(raw) => serde_json::from_str::<State>(raw.get()).ok(),
            Content::Empty | Content::Bytes(_) => None,
        });
        let Some(State { ids, state }) = state else { return Vec::new() };
        if !["delivered", "read"].iter().any(|known| known.eq_ignore_ascii_case(&state)) {
            return Vec::new();
        }
        let ids = ids.into_iter().take(MAX_REFS_PER_ACK).filter_map(ClientId::new);
        ids.map(|id| Ack { id, sender: Some(sender.clone()) }).collect()
    }
}

/// Reads one text frame.
///
/// # Errors
/// A [`Refused`] with `invalid_frame`, `invalid_id`, `invalid_recipient`, `invalid_message`, or `too_large` beyond
/// [`MAX_CLIENT_MESSAGE_BYTES`], which API Gateway does not let through.
pub fn incoming(text: &str) -> Result<Incoming, Refused> {
    if text == "ping" {
        return Ok(Incoming::Ping);
    }
    if text.len() > MAX_CLIENT_MESSAGE_BYTES {
        return Err(refused(Code::TooLarge, "a frame has at most 128 KB"));
    }
    let text = text.trim_ascii();
    if !text.starts_with('{') {
        let message = proto::decode(text).ok_or(refused(
            Code::InvalidFrame,
            "a frame is `ping`, one JSON object, or one protobuf message in base64",
        ))?;
        return version_3(&message);
    }
    let frame = Members::read(text)
        .map_err(|_| refused(Code::InvalidFrame, "a frame is one JSON object without duplicate keys"))?;
    match version(&frame) {
        Some(version) if version >= 2.0 => version_2(&frame),
        Some(_) => version_1(&frame),
        None => Err(refused(Code::InvalidFrame, "`_v` is a number")),
    }
}

fn refused(code: Code, detail: &'static str) -> Refused {
    Refused { id: None, code, detail }
}

/// The version; 1 when there is none. A number may be written as text, as JavaScript compares either.
fn version(frame: &Members<'_>) -> Option<f64> {
    let Some(raw) = frame.get("_v") else { return Some(1.0) };
    raw.get().trim_matches('"').parse().ok().filter(|version: &f64| version.is_finite())
}

/// What all three versions say, before it is judged.
struct Frame<'a> {
    format: Format,
    id: Option<ClientId>,
    kind: Type,
    to: Option<String>,
    timestamp: u64,
    head: Head<'a>,
    meta: Members<'a>,
    content: Content<'a>,
}

impl Frame<'_> {
    fn judge(self) -> Result<Incoming, Refused> {
        let Some(id) = self.id else {
            return Err(refused(Code::InvalidId, "`id` (`msgId` in version 1) is a text of 1 to 128 bytes"));
        };
        let refused = |code, detail| Refused { id: Some(id.clone()), code, detail };
        let to = self.to.as_deref().filter(|to| !to.is_empty());
        match self.kind {
            Type::ServerAck => return Ok(Incoming::Ignored(Ignored::ServerAck)),
            Type::Notification if to == Some(SERVER) => return Ok(Incoming::Ignored(Ignored::ToServer)),
            Type::ClientAck => {
                let sender = to.filter(|to| *to != SERVER).map(str::parse::<UserId>).transpose();
                let detail = "`to` of an ack is the sender of the message, or `server`";
                let sender = sender.map_err(|_| refused(Code::InvalidRecipient, detail))?;
                return Ok(Incoming::Ack(Ack { id, sender }));
            }
            Type::Message | Type::Notification | Type::Custom => {}
        }
        let invalid = || refused(Code::InvalidRecipient, "`to` is a user or a group, and `type` says which");
        let to = to.filter(|to| *to != SERVER).ok_or_else(invalid)?;
        let to = match self.head.channel {
            Some(Channel::Individual | Channel::Chat) => Recipient::User(to.parse().map_err(|_| invalid())?),
            Some(Channel::Group) => Recipient::Group(to.parse().map_err(|_| invalid())?),
            None => return Err(invalid()),
        };
        let ephemeral = self.head.ephemeral;
        let stored = Stored {
            id: id.clone(),
            kind: self.kind,
            timestamp: self.timestamp,
            head: self.head,
            meta: self.meta,
            content: self.content,
        };
        let body = stored.write();
        Ok(Incoming::Message(LegacyMessage { format: self.format, id, kind: self.kind, to, ephemeral, body }))
    }
}

fn client_id(frame: &Members<'_>, key: &str) -> Option<ClientId> {
    frame.text(key).ok().flatten().and_then(ClientId::new)
}

/// Text that is anything else is nobody, so that a bad recipient is refused as one.
fn recipient(members: &Members<'_>, key: &str) -> Option<String> {
    members.text(key).ok().flatten()
}

fn version_2(frame: &Members<'_>) -> Result<Incoming, Refused> {
    let id = client_id(frame, "id");
    let refused = |code, detail| Refused { id: id.clone(), code, detail };
    let head = frame.object("head").ok().filter(|_| frame.get("head").is_some());
    let head = head.ok_or_else(|| refused(Code::InvalidFrame, "`head` is an object without duplicate keys"))?;
    let to = recipient(&head, "to");
    let meta = frame.object("meta");
    let meta = meta.map_err(|_| refused(Code::InvalidFrame, "`meta` is an object without duplicate keys"))?;
    let head = Head::read(head).map_err(|_| {
        refused(Code::InvalidMessage, "`type` and `contentType` of `head` are text, and `ephemeral` is true or false")
    })?;
    let content = match frame.iter().find(|(key, _)| *key == "body") {
        Some((_, raw)) => Content::Json(Cow::Borrowed(raw)),
        None => Content::Empty,
    };
    Frame { format: Format::Json, id, kind: head.kind(), to, timestamp: 0, head, meta, content }.judge()
}

/// Members of version 1 that stand in the head of version 2, under the name that they have there.
const MOVED: &[(&str, &str)] = &[("chatId", "chatid"), ("module", "module"), ("action", "action"), ("state", "state")];

fn version_1(frame: &Members<'_>) -> Result<Incoming, Refused> {
    let id = client_id(frame, "msgId");
    let refused = |detail| Refused { id: id.clone(), code: Code::InvalidMessage, detail };
    let content_type = frame.text("type").map_err(|_| refused("`type` is text"))?;
    // The original's first clients had a `module` where later ones have a `chatType`.
    let channel = frame.text("chatType").ok().flatten().or_else(|| frame.text("module").ok().flatten());
    let mut others = Members::default();
    for (old, new) in MOVED {
        if let Some(raw) = frame.get(old) {
            others.add(new, raw.clone());
        }
    }
    let channel = channel.as_deref().and_then(Channel::of);
    let head = Head { channel, content_type, ephemeral: false, others };
    let mut to = recipient(frame, "to").filter(|to| !to.is_empty());
    // What an ack is for is its sender's, and never a chat's.
    if to.is_none() && head.kind().is_carried() {
        to = recipient(frame, "chatId");
    }
    let mut body = Members::default();
    if let Some(raw) = frame.get("text") {
        body.add("text", raw.clone());
    }
    let content = Content::Json(object(&body));
    let meta = Members::default();
    Frame { format: Format::Json, id, kind: head.kind(), to, timestamp: 0, head, meta, content }.judge()
}

/// What stands before a key of `meta` in the one map that a protobuf message has for head and meta.
pub(crate) const META_PREFIX: &str = "_m";

fn version_3(message: &proto::Message) -> Result<Incoming, Refused> {
    let (mut others, mut meta) = (Members::default(), Members::default());
    for (key, value) in &message.meta {
        match key.strip_prefix(META_PREFIX) {
            Some(key) => meta.add_text(key, value),
            None => others.add_text(key, value),
        }
    }
    // Of the own members of a head a map has only the content type: the original lets the others change who a message is from.
    let Ok(mut head) = Head::read(others.without(&["type", "ephemeral"])) else {
        return Err(refused(Code::InvalidFrame, "`meta` is a map of text"));
    };
    head.ephemeral = message.ephemeral;
    head.channel = match message.channel() {
        proto::Channel::Individual => Some(Channel::Individual),
        proto::Channel::Group => Some(Channel::Group),
        proto::Channel::Unknown | proto::Channel::Other => None,
    };
    let kind = match proto::Type::try_from(message.r#type) {
        Ok(proto::Type::ServerAck) => Type::ServerAck,
        Ok(proto::Type::ClientAck) => Type::ClientAck,
        Ok(proto::Type::Notification) => Type::Notification,
        Ok(proto::Type::Custom) => Type::Custom,
        Ok(proto::Type::Message) | Err(_) => Type::Message,
    };
    if kind.is_carried() && !head.kind().is_carried() {
        let id = ClientId::new(message.id.clone());
        let detail = "the content type of a message is none of an ack";
        return Err(Refused { id, code: Code::InvalidMessage, detail });
    }
    let content = match message.content.as_slice() {
        [] => Content::Empty,
        bytes => match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(raw) => Content::Json(Cow::Borrowed(raw)),
            Err(_) => Content::Bytes(bytes.to_vec()),
        },
    };
    Frame {
        format: Format::Base64,
        id: ClientId::new(message.id.clone()),
        kind,
        to: Some(message.destination.clone()),
        timestamp: message.timestamp,
        head,
        meta,
        content,
    }
    .judge()
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
pub(crate) mod tests;
