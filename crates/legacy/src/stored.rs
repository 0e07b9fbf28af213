//! An old message as the body of an ordinary one, and back; the form is in the crate's documentation. It trusts no body: who
//! wrote a message and to whom is not in it, and what only the server says cannot be said with one.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::{Body, Kind};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client_id::ClientId;
use crate::object::{Members, Raw, WrongType};
use crate::words::{Channel, Type};

/// What a body of this form begins with; the writer below writes it so. Cheap to look for in any body.
const OPENING: &str = r#"{"vartalap":"legacy","#;

/// What an old message says, but for whom it is from and to.
#[derive(Clone)]
pub(crate) struct Stored<'a> {
    /// The client's id for it.
    pub(crate) id: ClientId,
    /// What it is for.
    pub(crate) kind: Type,
    /// Its time by the client's clock, in a protobuf message; 0 is none.
    pub(crate) timestamp: u64,
    /// What the head says.
    pub(crate) head: Head<'a>,
    /// Members of `meta`.
    pub(crate) meta: Members<'a>,
    /// The content.
    pub(crate) content: Content<'a>,
}

/// The content of an old message.
#[derive(Clone)]
pub(crate) enum Content<'a> {
    /// None.
    Empty,
    /// A JSON value.
    Json(Raw<'a>),
    /// Bytes that are no JSON; only a protobuf message can have them.
    Bytes(Vec<u8>),
}

/// A head, but for `to` and `from`.
#[derive(Clone, Default)]
pub(crate) struct Head<'a> {
    /// What kind of recipient the message is for, if it is one of the known ones.
    pub(crate) channel: Option<Channel>,
    /// What its content is.
    pub(crate) content_type: Option<String>,
    /// Whether it is for now only.
    pub(crate) ephemeral: bool,
    /// The other members.
    pub(crate) others: Members<'a>,
}

/// Members of a head that have a meaning here. `to` and `from` are among them, so that nobody can have them in `others`.
const OWN: &[&str] = &["type", "to", "from", "contentType", "ephemeral"];

impl<'a> Head<'a> {
    /// Reads the members of a head.
    pub(crate) fn read(members: Members<'a>) -> Result<Self, WrongType> {
        Ok(Self {
            channel: members.text("type")?.as_deref().and_then(Channel::of),
            content_type: members.text("contentType")?,
            ephemeral: members.flag("ephemeral")?.unwrap_or(false),
            others: members.without(OWN),
        })
    }

    /// The type that its content type says.
    pub(crate) fn kind(&self) -> Type {
        self.content_type.as_deref().map_or(Type::Message, Type::of)
    }

    /// The members that are worth storing.
    fn members(&self) -> Members<'_> {
        let mut members = Members::default();
        if self.channel == Some(Channel::Chat) {
            members.add_text("type", Channel::Chat.as_str());
        }
        if let Some(content_type) = &self.content_type {
            members.add_text("contentType", content_type);
        }
        if self.ephemeral {
            members.add("ephemeral", Cow::Borrowed(RawValue::TRUE));
        }
        for (key, value) in self.others.iter() {
            members.add(key, Cow::Borrowed(value));
        }
        members
    }
}

#[derive(Serialize)]
struct Form<'a> {
    vartalap: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<Type>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    head: Members<'a>,
    #[serde(skip_serializing_if = "Members::is_empty")]
    meta: &'a Members<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

impl<'a> Stored<'a> {
    /// The body that carries it.
    pub(crate) fn write(&self) -> Body {
        let form = Form {
            vartalap: "legacy",
            id: self.id.as_str(),
            r#type: (self.kind != self.head.kind()).then_some(self.kind),
            timestamp: Some(self.timestamp).filter(|timestamp| *timestamp != 0),
            head: self.head.members(),
            meta: &self.meta,
            body: if let Content::Json(raw) = &self.content { Some(raw) } else { None },
            content: if let Content::Bytes(bytes) = &self.content { Some(STANDARD.encode(bytes)) } else { None },
        };
        Body::new(serde_json::value::to_raw_value(&form).expect("text, numbers and JSON values are always JSON"))
    }

    /// Reads what [`Stored::write`] wrote. `None` is any other body, among them what an old client could not have sent.
    pub(crate) fn read(kind: Kind, body: &'a Body) -> Option<Self> {
        if matches!(kind, Kind::System | Kind::Receipt) || !body.as_json().starts_with(OPENING) {
            return None;
        }
        let form = Members::read(body.as_json()).ok()?;
        let head = Head::read(form.object("head").ok()?).ok()?;
        let kind = form.text("type").ok()?.as_deref().map_or(head.kind(), Type::of);
        if !kind.is_carried() || !head.kind().is_carried() {
            return None;
        }
        let content = match (form.get("body"), form.text("content").ok()?) {
            // Null is a content, and differs from none.
            (None, None) if form.iter().any(|(key, _)| key == "body") => Content::Json(Cow::Borrowed(RawValue::NULL)),
            (None, None) => Content::Empty,
            (Some(raw), None) => Content::Json(raw.clone()),
            (None, Some(content)) => Content::Bytes(STANDARD.decode(content).ok()?),
            (Some(_), Some(_)) => return None,
        };
        Some(Self {
            id: ClientId::new(form.text("id").ok()??)?,
            kind,
            timestamp: form.number("timestamp").unwrap_or(0),
            head,
            meta: form.object("meta").ok()?,
            content,
        })
    }
}
