//! With which status and body something is answered. It decides nothing that the answer says.

use std::collections::BTreeMap;

use delivery::{Attachment, Device, Failure, Group, GroupPage, Membership, Presence, Row, SignedUrl, Upload};
use lambda::http::Response;
use protocol::{
    AttachmentId, BadRequest, Code, Delivery, DeviceId, GroupId, GroupName, MediaType, Notices, PushTarget,
    ServerFrame, Timestamp, UserId, VapidPublicKey,
};
use serde::Serialize;

use crate::export::Export;
use crate::group_change::Unchanged;

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: Code,
    detail: &'a str,
}

#[derive(Serialize)]
struct PushBody<'a> {
    vapid: Option<&'a VapidPublicKey>,
}

#[derive(Serialize)]
struct PresenceBody<'a> {
    user: &'a UserId,
    connected: bool,
    last_seen: Timestamp,
}

#[derive(Serialize)]
struct GroupsBody<'a> {
    groups: Vec<GroupLine<'a>>,
    more: bool,
}

#[derive(Serialize)]
struct GroupLine<'a> {
    group: &'a GroupId,
    name: &'a GroupName,
}

#[derive(Serialize)]
struct GroupBody<'a> {
    group: &'a GroupId,
    name: &'a GroupName,
    members: Vec<MemberLine<'a>>,
}

#[derive(Serialize)]
struct MemberLine<'a> {
    user: &'a UserId,
    role: &'static str,
    joined_at: Timestamp,
}

#[derive(Serialize)]
struct UploadBody<'a> {
    attachment: AttachmentId,
    upload: UploadLine<'a>,
    expires_at: Timestamp,
}

#[derive(Serialize)]
struct UploadLine<'a> {
    method: &'static str,
    url: &'a str,
    headers: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct DownloadBody<'a> {
    attachment: AttachmentId,
    #[serde(rename = "type")]
    media_type: &'a MediaType,
    bytes: u64,
    url: &'a str,
    expires_at: Timestamp,
}

/// The lists are all there, so that a client puts each together from all answers.
#[derive(Serialize)]
struct ExportBody<'a> {
    user: &'a UserId,
    devices: Vec<DeviceLine<'a>>,
    groups: Vec<MembershipLine<'a>>,
    pending: Vec<PendingLine<'a>>,
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct DeviceLine<'a> {
    device: &'a DeviceId,
    presence: bool,
    push: &'a [PushTarget],
    notices: Notices,
    connected_at: Option<Timestamp>,
    last_seen: Timestamp,
}

#[derive(Serialize)]
struct MembershipLine<'a> {
    group: &'a GroupId,
    name: &'a GroupName,
    role: &'static str,
    joined_at: Timestamp,
}

#[derive(Serialize)]
struct PendingLine<'a> {
    /// None of what no device has claimed.
    device: Option<&'a DeviceId>,
    expires_at: Timestamp,
    message: Delivery,
}

/// The status of an answer that is an error of this code.
pub fn status(code: Code) -> u16 {
    match code {
        Code::InvalidRequest | Code::InvalidFrame | Code::InvalidCursor | Code::InvalidRef => 400,
        Code::NotAMember | Code::NotAnAdmin => 403,
        Code::NotFound => 404,
        Code::MethodNotAllowed => 405,
        Code::GroupExists | Code::TooManyMembers | Code::LastAdmin => 409,
        Code::TooLarge => 413,
        Code::Unavailable => 503,
        // The others refuse single messages or concern a socket.
        _ => 500,
    }
}

pub(crate) fn error(code: Code, detail: &str) -> Response {
    json(status(code), &ErrorBody { code, detail })
}

/// To a token that speaks for nobody who can be a user here.
pub(crate) fn nobody() -> Response {
    let detail = "the token's `sub` is no user id: 1-128 of [A-Za-z0-9._:@+=|-]";
    json(401, &ErrorBody { code: Code::InvalidRequest, detail })
}

pub(crate) fn bad(request: &BadRequest) -> Response {
    let allow = (!request.allow.is_empty()).then(|| request.allow.join(", "));
    Response { allow, ..error(request.code, &request.detail) }
}

pub(crate) fn done() -> Response {
    Response { status: 204, allow: None, body: None }
}

pub(crate) fn outcome(outcome: Result<(), Failure>) -> Response {
    match outcome {
        Ok(()) => done(),
        Err(failure) => failed(&failure),
    }
}

/// What would be answered on the socket.
pub(crate) fn frame(frame: &ServerFrame) -> Response {
    match frame {
        ServerFrame::Error { code, detail, .. } => error(*code, detail),
        answer => Response { status: 200, allow: None, body: Some(answer.render()) },
    }
}

/// The same, of a page that is text already.
pub(crate) fn page(page: Result<String, ServerFrame>) -> Response {
    match page {
        Ok(text) => Response { status: 200, allow: None, body: Some(text) },
        Err(error) => frame(&error),
    }
}

pub(crate) fn push(vapid: Option<&VapidPublicKey>) -> Response {
    json(200, &PushBody { vapid })
}

pub(crate) fn presence(user: &UserId, Presence { connected, last_seen }: Presence) -> Response {
    json(200, &PresenceBody { user, connected, last_seen })
}

pub(crate) fn groups(page: &GroupPage) -> Response {
    let groups = page.groups.iter().map(|(group, name)| GroupLine { group, name }).collect();
    json(200, &GroupsBody { groups, more: page.more })
}

pub(crate) fn group(status: u16, group: &Group) -> Response {
    let members = group.members.iter().map(|member| MemberLine {
        user: &member.user,
        role: member.role.as_str(),
        joined_at: member.joined_at,
    });
    json(status, &GroupBody { group: &group.id, name: &group.name, members: members.collect() })
}

pub(crate) fn upload(attachment: &Attachment, upload: &Upload) -> Response {
    let headers = upload.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let line = UploadLine { method: "PUT", url: &upload.target.url, headers };
    json(201, &UploadBody { attachment: attachment.id, upload: line, expires_at: upload.target.expires_at })
}

pub(crate) fn download(attachment: &Attachment, signed: &SignedUrl) -> Response {
    let Attachment { id, media_type, bytes, .. } = attachment;
    let body =
        DownloadBody { attachment: *id, media_type, bytes: *bytes, url: &signed.url, expires_at: signed.expires_at };
    json(200, &body)
}

pub(crate) fn export(user: &UserId, export: &Export) -> Response {
    json(
        200,
        &ExportBody {
            user,
            devices: export.devices.iter().map(device_line).collect(),
            groups: export.memberships.iter().map(membership_line).collect(),
            pending: export.pending.iter().map(pending_line).collect(),
            more: export.next.is_some(),
            next: export.next.as_ref().map(ToString::to_string),
        },
    )
}

fn device_line(device: &Device) -> DeviceLine<'_> {
    let connected_at = device.connection.as_ref().map(|connection| connection.connected_at);
    DeviceLine {
        device: &device.id,
        presence: device.shows_presence,
        push: &device.push,
        notices: device.notices,
        connected_at,
        last_seen: device.last_seen,
    }
}

fn membership_line(membership: &Membership) -> MembershipLine<'_> {
    let Membership { group, name, role, joined_at } = membership;
    MembershipLine { group, name, role: role.as_str(), joined_at: *joined_at }
}

fn pending_line(row: &Row) -> PendingLine<'_> {
    let message = row.delivery(0);
    PendingLine { device: row.holder.device(), expires_at: row.envelope.expires_at, message }
}

pub(crate) fn unchanged(unchanged: Unchanged) -> Response {
    match unchanged {
        Unchanged::Denied(denied) => error(denied.code, denied.detail),
        Unchanged::Failed(failure) => failed(&failure),
        Unchanged::Overtaken => {
            tracing::warn!("a change of a group was overtaken again and again");
            error(Code::Unavailable, "others change the group at the same time; send it again")
        }
    }
}

pub(crate) fn failed(failure: &Failure) -> Response {
    tracing::error!(%failure, "a request could not be answered");
    error(Code::Unavailable, "the server could not do it now; send it again")
}

pub(crate) fn json(status: u16, body: &impl Serialize) -> Response {
    let body = serde_json::to_string(body).expect("words, names and numbers are always JSON");
    Response { status, allow: None, body: Some(body) }
}
