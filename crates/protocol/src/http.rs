//! What is asked of the HTTP API: method, path, query and body, parsed from hostile text into a [`Call`]. It judges form only; who asks,
//! and what he is answered with which status, is not known here.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use crate::client_frame::{AFTER_SAYS, Ack, Fields, LIMIT_SAYS, Send, Sync, each_once, place};
use crate::code::Code;
use crate::export::ExportCursor;
use crate::ids::{AttachmentId, DeviceId, GroupId, GroupName, UserId};
use crate::limits::{MAX_GROUPS_PER_PAGE, MAX_OLD_FRAMES, MAX_SYNC_LIMIT, MAX_USERS_PER_CHANGE};
use crate::media_type::MediaType;
use crate::push::Enrolment;
use crate::receipt::ReceiptEvent;

/// Largest body of a request, in bytes.
///
/// Twice what a message on the socket may have, so that a client need not cut a full `send` smaller than there; far below what API
/// Gateway takes (10 MB).
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// A request, as it came.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// In capitals.
    pub method: &'a str,
    /// From the `/` on, percent-encoded or not: no identifier has a `%`.
    pub path: &'a str,
    /// What stands after the `?`, percent-encoded; empty if nothing does.
    pub query: &'a str,
    /// Empty if there is none.
    pub body: &'a [u8],
}

/// A path and what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With `{name}` for a segment that names something.
    pub path: &'static str,
    /// The methods that it takes.
    pub methods: &'static [&'static str],
}

const MESSAGES: &str = "/v1/messages";
/// As the server that this one replaces has it.
const OLD_MESSAGES: &str = "/v1.0/messages";
const ACKS: &str = "/v1/acks";
const READS: &str = "/v1/reads";
const ATTACHMENTS: &str = "/v1/attachments";
const ATTACHMENT: &str = "/v1/attachments/{attachment}";
const ME: &str = "/v1/me";
const EXPORT: &str = "/v1/me/export";
const DEVICE: &str = "/v1/devices/{device}";
const PUSH: &str = "/v1/push";
const PRESENCE: &str = "/v1/users/{user}/presence";
const GROUPS: &str = "/v1/groups";
const GROUP: &str = "/v1/groups/{group}";
const MEMBERS: &str = "/v1/groups/{group}/members";
const MEMBER: &str = "/v1/groups/{group}/members/{user}";

/// Everything that can be asked for.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint { path: MESSAGES, methods: &["GET", "POST"] },
    Endpoint { path: OLD_MESSAGES, methods: &["POST"] },
    Endpoint { path: ACKS, methods: &["POST"] },
    Endpoint { path: READS, methods: &["POST"] },
    Endpoint { path: ATTACHMENTS, methods: &["POST"] },
    Endpoint { path: ATTACHMENT, methods: &["GET"] },
    Endpoint { path: ME, methods: &["DELETE"] },
    Endpoint { path: EXPORT, methods: &["GET"] },
    Endpoint { path: DEVICE, methods: &["PUT", "DELETE"] },
    Endpoint { path: PUSH, methods: &["GET"] },
    Endpoint { path: PRESENCE, methods: &["GET"] },
    Endpoint { path: GROUPS, methods: &["GET"] },
    Endpoint { path: GROUP, methods: &["GET", "PUT", "PATCH"] },
    Endpoint { path: MEMBERS, methods: &["POST"] },
    Endpoint { path: MEMBER, methods: &["PUT", "DELETE"] },
];

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Messages to accept, as a `send` on the socket.
    Send(Send),
    /// What an old client says, in the words of the server that this one replaces, which are not read here.
    SendOld {
        /// 1 to 100 frames.
        frames: Vec<OldFrame>,
        /// Whether to tell what was accepted.
        wants_acks: bool,
    },
    /// A page of a device's inbox, as a `sync` on its socket.
    Sync {
        /// Whose inbox.
        device: DeviceId,
        /// Which page.
        sync: Sync,
    },
    /// Envelopes that a device has, or that its user has seen, as an `ack` or a `read` on its socket.
    Ack {
        /// Which device.
        device: DeviceId,
        /// Which of the two.
        event: ReceiptEvent,
        /// What it has.
        ack: Ack,
    },
    /// A new attachment, to be uploaded.
    CreateAttachment {
        /// Its type.
        media_type: MediaType,
        /// Its size, at least 1. Whether it is too large is not known here.
        bytes: u64,
    },
    /// An attachment, to be downloaded.
    ShowAttachment {
        /// Which.
        attachment: AttachmentId,
    },
    /// Everything that is kept of the user, gone.
    Erase,
    /// Everything that is kept of the user, shown.
    Export {
        /// Where it goes on.
        from: ExportCursor,
    },
    /// A device to be known without a connection, or known for longer.
    EnrolDevice {
        /// Which.
        device: DeviceId,
        /// What is said of it.
        said: Enrolment,
    },
    /// A device to be forgotten with what is pending for it.
    ForgetDevice {
        /// Which.
        device: DeviceId,
    },
    /// What a browser subscribes with.
    ShowPush,
    /// Whether a user is there, and when he last was.
    ShowPresence {
        /// Whose.
        user: UserId,
    },
    /// A page of one's groups.
    ListGroups {
        /// What comes after this one; from the start when absent.
        after: Option<GroupId>,
        /// Most groups in the answer.
        limit: usize,
    },
    /// A group and its members.
    ShowGroup {
        /// Which.
        group: GroupId,
    },
    /// A new group.
    CreateGroup {
        /// Its id, chosen by the client.
        group: GroupId,
        /// Its name.
        name: GroupName,
        /// Who else is in it, each once.
        users: Vec<UserId>,
    },
    /// Another name for a group.
    RenameGroup {
        /// Which.
        group: GroupId,
        /// Its new name.
        name: GroupName,
    },
    /// Users for a group.
    AddMembers {
        /// Which.
        group: GroupId,
        /// Whom, each once.
        users: Vec<UserId>,
    },
    /// Another role for a member.
    AppointMember {
        /// Of which group.
        group: GroupId,
        /// Whom.
        user: UserId,
        /// Whether to be an admin, or a plain member.
        admin: bool,
    },
    /// A group without a user; without oneself when one leaves.
    RemoveMember {
        /// Which.
        group: GroupId,
        /// Whom.
        user: UserId,
    },
}

/// One frame of an old client, unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFrame {
    /// What it would be on a socket; empty if it is neither a text nor an object.
    pub text: String,
    /// Whether it was a text. An object is answered by an object.
    pub is_text: bool,
}

/// A request that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// What is wrong.
    pub code: Code,
    /// What is wrong, for a person. Never quotes the request.
    pub detail: String,
    /// The methods that the path takes, where the method is wrong.
    pub allow: &'static [&'static str],
}

impl BadRequest {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), allow: &[] }
    }
}

impl HttpRequest<'_> {
    /// Reads the request.
    ///
    /// # Errors
    /// A [`BadRequest`] with `not_found`, `method_not_allowed`, `too_large`, `invalid_request`, `invalid_frame` or `invalid_cursor`.
    pub fn parse(&self) -> Result<Call, BadRequest> {
        let segments: Vec<Cow<'_, str>> = self.path.split('/').map(decode).collect();
        let found = ENDPOINTS.iter().find_map(|endpoint| Some((endpoint, captured(endpoint.path, &segments)?)));
        let Some((endpoint, names)) = found else {
            return Err(BadRequest::new(Code::NotFound, "there is nothing under this path"));
        };
        let group = || named::<GroupId>(names.first().copied());
        match (endpoint.path, self.method) {
            (MESSAGES, "POST") => self.send(),
            (OLD_MESSAGES, "POST") => self.send_old(),
            (MESSAGES, "GET") => self.sync(),
            (ACKS, "POST") => self.ack(ReceiptEvent::Delivered),
            (READS, "POST") => self.ack(ReceiptEvent::Read),
            (ATTACHMENTS, "POST") => self.create_attachment(),
            (ATTACHMENT, "GET") => Ok(Call::ShowAttachment { attachment: named(names.first().copied())? }),
            (ME, "DELETE") => Ok(Call::Erase),
            (EXPORT, "GET") => self.export(),
            (DEVICE, "PUT") => self.enrol_device(named(names.first().copied())?),
            (DEVICE, "DELETE") => Ok(Call::ForgetDevice { device: named(names.first().copied())? }),
            (PUSH, "GET") => Ok(Call::ShowPush),
            (PRESENCE, "GET") => Ok(Call::ShowPresence { user: named(names.first().copied())? }),
            (GROUPS, "GET") => self.list_groups(),
            (GROUP, "GET") => Ok(Call::ShowGroup { group: group()? }),
            (GROUP, "PUT") => self.create_group(group()?),
            (GROUP, "PATCH") => Ok(Call::RenameGroup { group: group()?, name: name(&self.fields()?)? }),
            (MEMBERS, "POST") => {
                let (group, fields) = (group()?, self.fields()?);
                let users = users(&fields)?.filter(|users| !users.is_empty());
                Ok(Call::AddMembers { group, users: users.ok_or_else(no_users)? })
            }
            (MEMBER, "PUT") => {
                let (group, user) = (group()?, named(names.get(1).copied())?);
                Ok(Call::AppointMember { group, user, admin: is_admin(&self.fields()?)? })
            }
            (MEMBER, "DELETE") => Ok(Call::RemoveMember { group: group()?, user: named(names.get(1).copied())? }),
            _ => {
                let refused =
                    BadRequest::new(Code::MethodNotAllowed, "the header `allow` has the methods of this path");
                Err(BadRequest { allow: endpoint.methods, ..refused })
            }
        }
    }

    fn send(&self) -> Result<Call, BadRequest> {
        let fields = self.fields_or(Code::InvalidFrame)?;
        let nonce = fields.nonce().map_err(|rejected| BadRequest::new(rejected.code, rejected.detail))?;
        let messages = fields.messages().map_err(|detail| BadRequest::new(Code::InvalidFrame, detail))?;
        Ok(Call::Send(Send { nonce, messages }))
    }

    /// `format` says how the messages are written, which they say by themselves.
    fn send_old(&self) -> Result<Call, BadRequest> {
        let wants_acks = parameters(self.query)?.get("ack").is_some_and(|ack| ack == "true");
        let says = || BadRequest::new(Code::InvalidFrame, "a body is one JSON list of 1 to 100 messages, in UTF-8");
        let list: Vec<&RawValue> = serde_json::from_str(self.text_or(says)?).map_err(|_| says())?;
        if !(1..=MAX_OLD_FRAMES).contains(&list.len()) {
            return Err(says());
        }
        let read = |raw: &RawValue| match raw.get().as_bytes().first() {
            Some(b'{') => OldFrame { text: raw.get().to_owned(), is_text: false },
            _ => OldFrame { text: serde_json::from_str(raw.get()).unwrap_or_default(), is_text: true },
        };
        Ok(Call::SendOld { frames: list.into_iter().map(read).collect(), wants_acks })
    }

    fn ack(&self, event: ReceiptEvent) -> Result<Call, BadRequest> {
        let fields = self.fields_or(Code::InvalidFrame)?;
        let device = fields.typed("device").ok().flatten().ok_or_else(no_device)?;
        let (refs, malformed) = fields.refs().map_err(|detail| BadRequest::new(Code::InvalidFrame, detail))?;
        Ok(Call::Ack { device, event, ack: Ack { nonce: None, refs, malformed } })
    }

    fn sync(&self) -> Result<Call, BadRequest> {
        let query = parameters(self.query)?;
        let device = query.get("device").and_then(|device| device.parse().ok()).ok_or_else(no_device)?;
        let limit = limit(&query, MAX_SYNC_LIMIT)?;
        let after = query.get("after").map(|after| after.parse()).transpose();
        let after = after.map_err(|_| BadRequest::new(Code::InvalidCursor, AFTER_SAYS))?;
        Ok(Call::Sync { device, sync: Sync { nonce: None, after, limit } })
    }

    fn create_attachment(&self) -> Result<Call, BadRequest> {
        let fields = self.fields()?;
        let invalid = |says: &str| BadRequest::new(Code::InvalidRequest, says);
        let media_type = fields.typed("type").ok().flatten();
        let media_type =
            media_type.ok_or_else(|| invalid("`type` is `type/subtype` without parameters, such as image/jpeg"))?;
        let bytes = fields.typed("bytes").ok().flatten().and_then(|bytes| whole(&bytes)).filter(|bytes| *bytes > 0);
        let bytes = bytes.ok_or_else(|| invalid("`bytes` is the size of the file, a whole number from 1"))?;
        Ok(Call::CreateAttachment { media_type, bytes })
    }

    fn export(&self) -> Result<Call, BadRequest> {
        let query = parameters(self.query)?;
        let from = query.get("after").map(|after| after.parse()).transpose();
        let says = "`after` is `next` of the answer before; leave it out to start again";
        Ok(Call::Export { from: from.map_err(|_| BadRequest::new(Code::InvalidCursor, says))?.unwrap_or_default() })
    }

    fn enrol_device(&self, device: DeviceId) -> Result<Call, BadRequest> {
        if self.body.is_empty() {
            return Ok(Call::EnrolDevice { device, said: Enrolment::default() });
        }
        let said = Enrolment::read(&self.fields()?).map_err(|detail| BadRequest::new(Code::InvalidRequest, detail))?;
        Ok(Call::EnrolDevice { device, said })
    }

    fn list_groups(&self) -> Result<Call, BadRequest> {
        let query = parameters(self.query)?;
        let limit = limit(&query, MAX_GROUPS_PER_PAGE)?;
        let after = query.get("after").map(|after| after.parse()).transpose();
        let says = "`after` is the last group of the page before; leave it out to start again";
        Ok(Call::ListGroups { after: after.map_err(|_| BadRequest::new(Code::InvalidCursor, says))?, limit })
    }

    fn create_group(&self, group: GroupId) -> Result<Call, BadRequest> {
        let fields = self.fields()?;
        Ok(Call::CreateGroup { group, name: name(&fields)?, users: users(&fields)?.unwrap_or_default() })
    }

    fn fields(&self) -> Result<Fields<'_>, BadRequest> {
        self.fields_or(Code::InvalidRequest)
    }

    /// The members of the body; `code` says what is wrong if it has none.
    fn fields_or(&self, code: Code) -> Result<Fields<'_>, BadRequest> {
        let text = self.text_or(|| BadRequest::new(code, "a body is one JSON object in UTF-8"))?;
        Fields::read(text).map_err(|error| {
            BadRequest::new(code, format!("a body is one JSON object without duplicate keys: {}", place(&error)))
        })
    }

    /// The body, which is text; what is wrong if it is none.
    fn text_or(&self, bad: impl FnOnce() -> BadRequest) -> Result<&str, BadRequest> {
        if self.body.len() > MAX_BODY_BYTES {
            return Err(BadRequest::new(Code::TooLarge, "a body is at most 256 KB"));
        }
        std::str::from_utf8(self.body).map_err(|_| bad())
    }
}

/// What is not UTF-8 becomes a character that no identifier has. A `+` is itself: nothing here has a space, and users have pluses.
fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// What stands in the path where the pattern has names; `None` if it is another path.
fn captured<'a>(pattern: &str, segments: &'a [Cow<'_, str>]) -> Option<Vec<&'a str>> {
    let mut names = Vec::new();
    let mut segments = segments.iter();
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') {
            names.push(segment.as_ref());
        } else if segment != expected {
            return None;
        }
    }
    segments.next().is_none().then_some(names)
}

/// A segment as the identifier that it is.
fn named<T: std::str::FromStr<Err = crate::ids::InvalidId>>(segment: Option<&str>) -> Result<T, BadRequest> {
    let read = segment.unwrap_or_default().parse();
    read.map_err(|invalid: crate::ids::InvalidId| BadRequest::new(Code::InvalidRequest, invalid.to_string()))
}

/// The parameters of a query, each once: readers disagree about which of two counts. Unknown ones are let through for the sake of newer
/// clients.
fn parameters(query: &str) -> Result<HashMap<Cow<'_, str>, Cow<'_, str>>, BadRequest> {
    let mut parameters = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if parameters.insert(decode(name), decode(value)).is_some() {
            return Err(BadRequest::new(Code::InvalidRequest, "a parameter occurs twice in the query"));
        }
    }
    Ok(parameters)
}

/// A limit of up to `most`, which it also is when none is named.
fn limit(query: &HashMap<Cow<'_, str>, Cow<'_, str>>, most: usize) -> Result<usize, BadRequest> {
    let Some(text) = query.get("limit") else { return Ok(most) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = is_number.then(|| text.parse().ok()).flatten();
    limit.filter(|limit| (1..=most).contains(limit)).ok_or_else(|| BadRequest::new(Code::InvalidRequest, LIMIT_SAYS))
}

/// A whole number, however it is written: in JSON `7.0` is `7`.
fn whole(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| number.as_f64()?.to_string().parse().ok())
}

fn name(fields: &Fields<'_>) -> Result<GroupName, BadRequest> {
    let says = "`name` is 1-128 characters, none of them a control character, and not all of them blank";
    fields.typed("name").ok().flatten().ok_or_else(|| BadRequest::new(Code::InvalidRequest, says))
}

/// The users of a body, each once; `None` if it names none.
fn users(fields: &Fields<'_>) -> Result<Option<Vec<UserId>>, BadRequest> {
    let Some(listed) = fields.typed::<Vec<UserId>>("users").map_err(|_| no_users())? else { return Ok(None) };
    if listed.len() > MAX_USERS_PER_CHANGE {
        return Err(no_users());
    }
    Ok(Some(each_once(listed)))
}

fn is_admin(fields: &Fields<'_>) -> Result<bool, BadRequest> {
    match fields.typed::<String>("role").ok().flatten().as_deref() {
        Some("admin") => Ok(true),
        Some("member") => Ok(false),
        _ => Err(BadRequest::new(Code::InvalidRequest, "`role` is \"admin\" or \"member\"")),
    }
}

fn no_users() -> BadRequest {
    BadRequest::new(Code::InvalidRequest, "`users` is a list of 1 to 40 user ids, each 1-128 of [A-Za-z0-9._:@+=|-]")
}

fn no_device() -> BadRequest {
    BadRequest::new(Code::InvalidRequest, "`device` is 1-64 of [A-Za-z0-9_-], made by the client and kept")
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
