//! `http`: answers the HTTP API. Messages, acks and background sync are answered as on the socket, by `route::Answers`; devices, groups and
//! attachments are shown and changed here.
//!
//! What a request may look like is in `protocol::http`, who may change what in `delivery::group`, and with which status something is
//! answered in `answer`.

mod answer;
mod attachments;
mod devices;
mod erasure;
mod export;
mod group_change;
mod old_messages;
mod settings;

use delivery::group::{Change, Role};
use delivery::{
    Address, AttachmentRules, Attachments, Connections, Directory, Files, Groups, Inbox, Invocation, Queue, presence,
};
use futures::future::{OptionFuture, join};
use lambda::HandlerError;
use lambda::http::{Request, Response, request};
use protocol::{Call, Code, GroupId, Timestamp, UserId, VapidPublicKey};
use route::Answers;
use serde_json::Value;

use crate::group_change::Changed;

pub use answer::status;
pub use settings::Settings;

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Http<I, D, G, Q, A, C, F> {
    /// What is answered, however it was asked; and the ports of it.
    pub answers: Answers<I, G, Q, A>,
    /// The user's devices.
    pub directory: D,
    /// Where the connection of a device that is forgotten is closed.
    pub connections: C,
    /// Where clients put and get the bytes of attachments.
    pub files: F,
    /// Which attachments are taken.
    pub attachment_rules: AttachmentRules,
    /// What browsers subscribe with; none if they are not pushed to.
    pub vapid_public_key: Option<VapidPublicKey>,
}

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, A: Attachments, C: Connections, F: Files> Http<I, D, G, Q, A, C, F> {
    /// Handles one request. Whatever a client asks is answered.
    ///
    /// # Errors
    /// [`HandlerError::WrongShape`] when the event is not a request on a route with a JWT authorizer.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let request = request(event)?;
        // Boxed: a change of a group on the SDK's clients is nested too deeply for the compiler to lay out in its caller.
        Ok(Box::pin(self.answer(&request, invocation)).await.into_event())
    }

    async fn answer(&self, request: &Request, invocation: Invocation) -> Response {
        let Some(user) = &request.user else { return answer::nobody() };
        match request.request().parse() {
            Ok(call) => self.call(user, call, invocation).await,
            Err(bad) => answer::bad(&bad),
        }
    }

    async fn call(&self, user: &UserId, call: Call, invocation: Invocation) -> Response {
        let now = invocation.now;
        let address = |device| Address { user: user.clone(), device };
        match call {
            Call::Send(send) => answer::frame(&self.answers.send(user, send, now).await),
            Call::SendOld { frames, wants_acks } => self.send_old(user, frames, wants_acks, invocation).await,
            Call::Sync { device, sync } => {
                let address = address(device);
                let seen = sync.after.is_none().then(|| self.note_seen(&address, now));
                let (page, _) = join(self.answers.sync(&address, sync, now), OptionFuture::from(seen)).await;
                answer::page(page)
            }
            Call::Ack { device, event, ack } => {
                let error = self.answers.ack(&address(device), event, ack, invocation).await;
                error.map_or_else(answer::done, |error| answer::frame(&error))
            }
            Call::CreateAttachment { media_type, bytes } => self.create_attachment(user, media_type, bytes, now).await,
            Call::ShowAttachment { attachment } => self.show_attachment(user, attachment, now).await,
            Call::EnrolDevice { device, said } => {
                answer::outcome(self.directory.enrol(&address(device), &said, now).await)
            }
            Call::ForgetDevice { device } => answer::outcome(self.find_and_forget(&address(device), now).await),
            Call::Erase => match self.erase(user, invocation).await {
                Ok(()) => answer::done(),
                Err(unchanged) => answer::unchanged(unchanged),
            },
            Call::Export { from } => match self.export(user, from, now).await {
                Ok(export) => answer::export(user, &export),
                Err(failure) => answer::failed(&failure),
            },
            Call::ShowPush => answer::push(self.vapid_public_key.as_ref()),
            Call::ShowPresence { user: contact } => self.show_presence(&contact, now).await,
            Call::ListGroups { after, limit } => self.list_groups(user, after.as_ref(), limit).await,
            Call::ShowGroup { group } => self.show_group(user, &group).await,
            Call::CreateGroup { group, name, users } => {
                self.changed(user, &group, &Change::Create { name, users }, invocation).await
            }
            Call::RenameGroup { group, name } => self.changed(user, &group, &Change::Rename { name }, invocation).await,
            Call::AddMembers { group, users } => self.changed(user, &group, &Change::Add { users }, invocation).await,
            Call::AppointMember { group, user: member, admin } => {
                let role = if admin { Role::Admin } else { Role::Member };
                self.changed(user, &group, &Change::Appoint { user: member, role }, invocation).await
            }
            Call::RemoveMember { group, user: member } => {
                match self.change(user, &group, &Change::Remove { user: member }, now, &mut invocation.rng()).await {
                    Ok(_) => answer::done(),
                    Err(unchanged) => answer::unchanged(unchanged),
                }
            }
        }
    }

    async fn list_groups(&self, user: &UserId, after: Option<&GroupId>, limit: usize) -> Response {
        match self.answers.groups.groups_of(user, after, limit).await {
            Ok(page) => answer::groups(&page),
            Err(failure) => answer::failed(&failure),
        }
    }

    /// There is no difference between a contact who shows nothing and none.
    async fn show_presence(&self, contact: &UserId, now: Timestamp) -> Response {
        match self.directory.devices(contact, now).await.map(|devices| presence(&devices)) {
            Ok(Some(presence)) => answer::presence(contact, presence),
            Ok(None) => answer::error(Code::NotFound, "no such user shows a presence"),
            Err(failure) => answer::failed(&failure),
        }
    }

    /// To others there is no difference between a group and none.
    async fn show_group(&self, user: &UserId, id: &GroupId) -> Response {
        match self.answers.groups.group(id).await {
            Ok(Some(group)) if group.member(user).is_some() => answer::group(200, &group),
            Ok(_) => answer::error(Code::NotAMember, "you are not a member of such a group"),
            Err(failure) => answer::failed(&failure),
        }
    }

    /// Makes a change and answers the group as it is then.
    async fn changed(&self, user: &UserId, id: &GroupId, change: &Change, invocation: Invocation) -> Response {
        match self.change(user, id, change, invocation.now, &mut invocation.rng()).await {
            Ok(Changed { group, is_new }) => answer::group(if is_new { 201 } else { 200 }, &group),
            Err(unchanged) => answer::unchanged(unchanged),
        }
    }
}
