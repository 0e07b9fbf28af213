//! What a client says: the frames `send`, `ack`, `read`, `sync`, `device` and `ping`, parsed from hostile text and rendered by clients.
//!
//! Parsing answers every input with a frame or a [`Rejected`] that names the code. It judges form only; whether an id lies
//! in the window or a message fits a frame is decided where it is accepted.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::body::Body;
use crate::code::Code;
use crate::ids::{AttachmentId, MessageId, Recipient};
use crate::limits::{
    MAX_ATTACHMENTS_PER_MESSAGE, MAX_EXPIRES_IN_SECS, MAX_MESSAGES_PER_SEND, MAX_NONCE_CHARS, MAX_REFS_PER_ACK,
    MAX_SYNC_LIMIT,
};
use crate::push::Enrolment;
use crate::reference::Ref;
use crate::server_frame::Refusal;
use crate::urgency::Urgency;

/// A client's mark on a frame, at most 64 characters, echoed in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(String);

impl Nonce {
    /// Takes a text of at most 64 characters.
    pub fn new(text: String) -> Option<Self> {
        (text.chars().count() <= MAX_NONCE_CHARS).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One message as its sender wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outgoing {
    /// The sender's id for it.
    pub id: MessageId,
    /// Whom it is for.
    pub to: Recipient,
    /// What it says.
    pub body: Body,
    /// Post once to who is connected; never store, retry or push.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// Tell the sender when a recipient has it, and when it was read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub receipts: bool,
    /// How much to make of it where a recipient is pushed to.
    #[serde(skip_serializing_if = "Urgency::is_default")]
    pub urgency: Urgency,
    /// Lifetime in seconds from acceptance, 1 to 2,592,000; 30 days when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// What its recipients may download because of it: at most 10, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentId>,
}

impl Outgoing {
    /// A message that is stored until it is acked, for 30 days at most.
    pub fn new(id: MessageId, to: Recipient, body: Body) -> Self {
        Self {
            id,
            to,
            body,
            ephemeral: false,
            receipts: false,
            urgency: Urgency::default(),
            expires_in: None,
            attachments: Vec::new(),
        }
    }
}

/// A `send` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Echoed in the answer.
    pub nonce: Option<Nonce>,
    /// 1 to 25 messages; one that could not be read stands as its refusal.
    pub messages: Vec<Result<Outgoing, Refusal>>,
}

/// An `ack` or a `read` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Echoed in an error, the only answer that it can have.
    pub nonce: Option<Nonce>,
    /// The refs that are well formed, each once.
    pub refs: Vec<Ref>,
    /// How many others there were.
    pub malformed: usize,
}

/// A `sync` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Echoed in the answer.
    pub nonce: Option<Nonce>,
    /// Answer what comes after this one; from the start when absent.
    pub after: Option<Ref>,
    /// Most envelopes in the answer, 1 to 100.
    pub limit: usize,
}

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Messages to accept.
    Send(Send),
    /// Envelopes that the device has.
    Ack(Ack),
    /// The same, of what its user has seen.
    Read(Ack),
    /// A page of the inbox, please.
    Sync(Sync),
    /// What there is to say of the device itself.
    Device {
        /// Echoed in the answer.
        nonce: Option<Nonce>,
        /// What is said; what is left out stays as it is.
        said: Enrolment,
    },
    /// Are you there?
    Ping {
        /// Echoed in the answer.
        nonce: Option<Nonce>,
    },
}

/// A frame that could not be taken as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The frame's nonce, when that much could be read.
    pub nonce: Option<Nonce>,
    /// What is wrong.
    pub code: Code,
    /// What is wrong, for a person. Never quotes a body.
    pub detail: String,
}

impl ClientFrame {
    /// Reads one text frame.
    ///
    /// # Errors
    /// A [`Rejected`] with `invalid_frame`, `unknown_action` or `invalid_cursor`.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let fields = Fields::read(text).map_err(|error| Rejected {
            nonce: None,
            code: Code::InvalidFrame,
            detail: format!("a frame is one JSON object without duplicate keys: {}", place(&error)),
        })?;
        let nonce = fields.nonce()?;
        let rejected = |code, detail: &str| Rejected { nonce: nonce.clone(), code, detail: detail.to_owned() };
        match fields.action().as_deref() {
            Some("send") => {
                let messages = fields.messages().map_err(|detail| rejected(Code::InvalidFrame, &detail))?;
                Ok(Self::Send(Send { nonce, messages }))
            }
            Some(action @ ("ack" | "read")) => {
                let (refs, malformed) = fields.refs().map_err(|detail| rejected(Code::InvalidFrame, detail))?;
                let ack = Ack { nonce, refs, malformed };
                Ok(if action == "ack" { Self::Ack(ack) } else { Self::Read(ack) })
            }
            Some("sync") => {
                let limit = fields.limit().map_err(|detail| rejected(Code::InvalidFrame, detail))?;
                let after = fields.after().map_err(|detail| rejected(Code::InvalidCursor, detail))?;
                Ok(Self::Sync(Sync { nonce, after, limit }))
            }
            Some("device") => {
                let said = Enrolment::read(&fields).map_err(|detail| rejected(Code::InvalidFrame, detail))?;
                Ok(Self::Device { nonce, said })
            }
            Some("ping") => Ok(Self::Ping { nonce }),
            _ => Err(rejected(Code::UnknownAction, "`action` is one of send, ack, read, sync, device, ping")),
        }
    }

    /// A `send` of these messages.
    pub fn render_send(messages: &[Outgoing], nonce: Option<&Nonce>) -> String {
        Rendered { action: "send", messages: Some(messages), nonce, ..Rendered::default() }.into_text()
    }

    /// An `ack` of these refs.
    pub fn render_ack(refs: &[Ref]) -> String {
        Rendered { action: "ack", refs: Some(refs), ..Rendered::default() }.into_text()
    }

    /// A `read` of these refs.
    pub fn render_read(refs: &[Ref]) -> String {
        Rendered { action: "read", refs: Some(refs), ..Rendered::default() }.into_text()
    }

    /// A `sync` from after `after`.
    pub fn render_sync(after: Option<&Ref>, limit: Option<usize>, nonce: Option<&Nonce>) -> String {
        Rendered { action: "sync", after, limit, nonce, ..Rendered::default() }.into_text()
    }

    /// A `device` that says this.
    pub fn render_device(said: &Enrolment, nonce: Option<&Nonce>) -> String {
        Rendered { action: "device", said: Some(said), nonce, ..Rendered::default() }.into_text()
    }

    /// A `ping`.
    pub fn render_ping() -> String {
        Rendered { action: "ping", ..Rendered::default() }.into_text()
    }
}

#[derive(Default, Serialize)]
struct Rendered<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<&'a [Outgoing]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refs: Option<&'a [Ref]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(flatten)]
    said: Option<&'a Enrolment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Nonce>,
}

impl Rendered<'_> {
    fn into_text(self) -> String {
        serde_json::to_string(&self).expect("a frame of strings and numbers is always JSON")
    }
}

/// An object's members, unread, each key once. Duplicate keys are refused because readers disagree about which one counts:
/// API Gateway would route by one `action` and the function act by the other.
pub(crate) struct Fields<'a>(HashMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = HashMap<String, &'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Unknown members are let through for the sake of newer clients.
                let mut members = HashMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if members.insert(key, map.next_value()?).is_some() {
                        return Err(A::Error::custom("a key occurs twice"));
                    }
                }
                Ok(members)
            }
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer.deserialize_map(Members)?;
        deserializer.end()?;
        Ok(Self(members))
    }

    fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.get(key).copied()
    }

    /// The member as a `T`: `None` when it is absent, an error when it is something else.
    pub(crate) fn typed<T: Deserialize<'a>>(&self, key: &str) -> Result<Option<T>, serde_json::Error> {
        self.get(key).map(|raw| serde_json::from_str(raw.get())).transpose()
    }

    pub(crate) fn nonce(&self) -> Result<Option<Nonce>, Rejected> {
        match self.typed::<String>("nonce").map(|text| text.map(Nonce::new)) {
            Ok(None) => Ok(None),
            Ok(Some(Some(nonce))) => Ok(Some(nonce)),
            Ok(Some(None)) | Err(_) => Err(Rejected {
                nonce: None,
                code: Code::InvalidFrame,
                detail: format!("`nonce` is a string of at most {MAX_NONCE_CHARS} characters"),
            }),
        }
    }

    /// Owned: a word that was written with escapes cannot be borrowed, and means the same.
    fn action(&self) -> Option<String> {
        self.typed("action").ok().flatten()
    }

    pub(crate) fn messages(&self) -> Result<Vec<Result<Outgoing, Refusal>>, String> {
        let says = || format!("`messages` is a list of 1 to {MAX_MESSAGES_PER_SEND} messages");
        let list: Vec<&RawValue> = self.typed("messages").ok().flatten().ok_or_else(says)?;
        if !(1..=MAX_MESSAGES_PER_SEND).contains(&list.len()) {
            return Err(says());
        }
        list.into_iter().enumerate().map(|(index, raw)| read_message(index, raw)).collect()
    }

    pub(crate) fn refs(&self) -> Result<(Vec<Ref>, usize), &'static str> {
        let says = "`refs` is a list of 1 to 100 refs";
        let list: Vec<&RawValue> = self.typed("refs").ok().flatten().ok_or(says)?;
        if !(1..=MAX_REFS_PER_ACK).contains(&list.len()) {
            return Err(says);
        }
        let mut refs: Vec<Ref> = Vec::with_capacity(list.len());
        let mut malformed = 0;
        for raw in list {
            match serde_json::from_str::<Ref>(raw.get()) {
                Ok(known) if refs.contains(&known) => {}
                Ok(new) => refs.push(new),
                Err(_) => malformed += 1,
            }
        }
        Ok((refs, malformed))
    }

    fn limit(&self) -> Result<usize, &'static str> {
        match self.typed::<usize>("limit") {
            Ok(None) => Ok(MAX_SYNC_LIMIT),
            Ok(Some(limit)) if (1..=MAX_SYNC_LIMIT).contains(&limit) => Ok(limit),
            Ok(Some(_)) | Err(_) => Err(LIMIT_SAYS),
        }
    }

    fn after(&self) -> Result<Option<Ref>, &'static str> {
        self.typed("after").map_err(|_| AFTER_SAYS)
    }
}

/// What a `limit` and an `after` must be, wherever they stand.
pub(crate) const LIMIT_SAYS: &str = "`limit` is a whole number from 1 to 100";
/// See [`LIMIT_SAYS`].
pub(crate) const AFTER_SAYS: &str = "`after` is a ref that was received; leave it out to start again";

/// Reads one element of `messages`. A message of the wrong form is refused alone; a duplicate key spoils the frame.
fn read_message(index: usize, raw: &RawValue) -> Result<Result<Outgoing, Refusal>, String> {
    let refusal =
        |id: Option<String>, code, detail: &str| Ok(Err(Refusal { index, id, code, detail: detail.to_owned() }));
    if !raw.get().starts_with('{') {
        return refusal(None, Code::InvalidMessage, "a message is a JSON object");
    }
    let fields =
        Fields::read(raw.get()).map_err(|error| format!("message {index} has a key twice: {}", place(&error)))?;
    let text: Option<String> = fields.typed("id").ok().flatten().filter(|id: &String| id.len() <= MAX_ECHOED_ID_BYTES);
    let Some(id) = text.as_deref().and_then(|id| id.parse::<MessageId>().ok()) else {
        return refusal(text, Code::InvalidId, "`id` is a hyphenated UUID of version 7, made by the client");
    };
    let to = fields.get("to").map_or(Ok(None), read_recipient);
    let Some(to) = to.map_err(|error| format!("`to` of message {index} has a key twice: {}", place(&error)))? else {
        return refusal(text, Code::InvalidRecipient, "`to` is {\"user\": U} or {\"group\": G}");
    };
    let Some(body) = fields.get("body") else {
        return refusal(text, Code::InvalidMessage, "`body` is missing");
    };
    let Ok(ephemeral) = fields.typed::<bool>("ephemeral") else {
        return refusal(text, Code::InvalidMessage, "`ephemeral` is true or false");
    };
    let Ok(receipts) = fields.typed::<bool>("receipts") else {
        return refusal(text, Code::InvalidMessage, "`receipts` is true or false");
    };
    let (ephemeral, receipts) = (ephemeral.unwrap_or(false), receipts.unwrap_or(false));
    if ephemeral && receipts {
        return refusal(text, Code::InvalidMessage, "there are no receipts for what is `ephemeral`: it is never acked");
    }
    let urgency = match fields.typed::<String>("urgency").map(|word| word.as_deref().map(Urgency::of)) {
        Ok(None) => Urgency::default(),
        Ok(Some(Some(urgency))) => urgency,
        Ok(Some(None)) | Err(_) => {
            return refusal(text, Code::InvalidMessage, "`urgency` is \"urgent\", \"quiet\" or \"silent\"");
        }
    };
    let expires_in = match fields.typed::<u64>("expires_in") {
        Ok(None) => None,
        Ok(Some(secs)) if (1..=MAX_EXPIRES_IN_SECS).contains(&secs) => Some(secs),
        Ok(Some(_)) | Err(_) => {
            return refusal(text, Code::InvalidMessage, "`expires_in` is a whole number of seconds from 1 to 2592000");
        }
    };
    let Some(attachments) = read_attachments(&fields) else {
        return refusal(text, Code::InvalidAttachment, "`attachments` is a list of 1 to 10 ids of attachments");
    };
    if ephemeral && !attachments.is_empty() {
        return refusal(text, Code::InvalidMessage, "an ephemeral message names no attachments");
    }
    let body = Body::new(body.to_owned());
    Ok(Ok(Outgoing { id, to, body, ephemeral, receipts, urgency, expires_in, attachments }))
}

/// The attachments that a message names, each once; none where it names none, `None` where what it names are no such list.
fn read_attachments(fields: &Fields<'_>) -> Option<Vec<AttachmentId>> {
    let Some(listed) = fields.typed::<Vec<AttachmentId>>("attachments").ok()? else { return Some(Vec::new()) };
    if !(1..=MAX_ATTACHMENTS_PER_MESSAGE).contains(&listed.len()) {
        return None;
    }
    Some(each_once(listed))
}

/// What is listed, without what was listed before it.
pub(crate) fn each_once<T: PartialEq>(listed: Vec<T>) -> Vec<T> {
    let mut once = Vec::with_capacity(listed.len());
    for one in listed {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

/// An id that is no id is echoed up to this size, so that the client can tell which message was meant.
const MAX_ECHOED_ID_BYTES: usize = 64;

/// Reads `{"user": U}` or `{"group": G}`: exactly one of the two and nothing beside it. A duplicate key spoils the frame.
fn read_recipient(raw: &RawValue) -> Result<Option<Recipient>, serde_json::Error> {
    if raw.get().starts_with('{') {
        Fields::read(raw.get())?;
    }
    Ok(serde_json::from_str(raw.get()).ok())
}

/// Where a text is not what it should be. serde's own words would quote the text, of any length and with any body in it.
pub(crate) fn place(error: &serde_json::Error) -> String {
    format!("see line {} column {}", error.line(), error.column())
}

#[cfg(test)]
#[path = "client_frame_tests.rs"]
mod tests;
