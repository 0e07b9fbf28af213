//! Groups: who may change what, and what a change does to the members. Pure decisions; the state comes from the [`Groups`] port, which
//! also makes the change, all of it or nothing.
//!
//! [`Groups`]: crate::ports::Groups

use std::time::Duration;

use protocol::limits::MAX_GROUP_MEMBERS;
use protocol::{Body, Code, GroupId, GroupName, Kind, MessageId, Recipient, Sender, Timestamp, Urgency, UserId};
use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::job::Fanout;

/// What a member may do beside sending and leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Change the group: its name, its members, their roles.
    Admin,
    /// Nothing.
    Member,
}

impl Role {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// The role that a word means.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Admin, Self::Member].into_iter().find(|role| role.as_str() == word)
    }
}

/// A user in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A group that a user is in, from the user's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Which group.
    pub group: GroupId,
    /// What its members call it.
    pub name: GroupName,
    /// As what the user is in it.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A group, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// What its members call it.
    pub name: GroupName,
    /// Grows with every change, so that a change is made to the state that it was decided on, or not at all.
    pub version: u64,
    /// Everybody in it, longest-standing first. Empty only after the last one has left, and then the group is gone.
    pub members: Vec<Member>,
}

impl Group {
    /// A group of these members, in any order.
    pub fn new(id: GroupId, name: GroupName, version: u64, mut members: Vec<Member>) -> Self {
        members.sort_by(|one, other| (one.joined_at, &one.user).cmp(&(other.joined_at, &other.user)));
        Self { id, name, version, members }
    }

    /// The membership of `user`.
    pub fn member(&self, user: &UserId) -> Option<&Member> {
        self.members.iter().find(|member| member.user == *user)
    }
}

/// What somebody wants done to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make it, with its maker as admin.
    Create {
        /// Its name.
        name: GroupName,
        /// Who else is in it.
        users: Vec<UserId>,
    },
    /// Call it something else.
    Rename {
        /// Its new name.
        name: GroupName,
    },
    /// Add users as members.
    Add {
        /// Whom.
        users: Vec<UserId>,
    },
    /// Remove a user; one's own removal is leaving.
    Remove {
        /// Whom.
        user: UserId,
    },
    /// Make a member an admin or an admin a member.
    Appoint {
        /// Whom.
        user: UserId,
        /// To what.
        role: Role,
    },
}

/// Why a change is not made. Nothing is changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What the client is told.
    pub code: Code,
    /// The same, for a person.
    pub detail: &'static str,
}

/// What a change comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state that it was decided on: the version that the group must still have; none if there must be no such group.
    pub before: Option<u64>,
    /// The group afterwards. Without members it is gone.
    pub after: Group,
    /// Members who are new or have another role.
    pub put: Vec<Member>,
    /// Who is no member any more.
    pub removed: Vec<UserId>,
    /// What everybody is told.
    pub news: News,
}

/// What happened to a group, as its members are told: the body of a message of kind `system`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// What.
    pub event: Event,
    /// Who did it.
    pub by: UserId,
    /// The group's name, afterwards.
    pub name: GroupName,
    /// Whom it was done to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    /// Who is an admin now because the last one left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<UserId>,
}

/// See [`News::event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// The group was made, with these users beside its maker.
    Created,
    /// It has another name.
    Renamed,
    /// These users are members now.
    Added,
    /// This user was removed.
    Removed,
    /// This user left.
    Left,
    /// This user is an admin now.
    Promoted,
    /// This user is an admin no more.
    Demoted,
}

/// How long after its id was made a change may still be made: well beyond the ten seconds for which a function runs. One that is not
/// there by then was never made.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// Whether a change that cannot be found never will be.
pub fn is_settled(id: MessageId, now: Timestamp) -> bool {
    now.since(id.timestamp()) > SETTLED_AFTER
}

/// How long a news item is kept for whoever is to be told, and how long the message about it is owed.
pub const NEWS_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl News {
    /// The message that tells `group` and whoever was just removed.
    pub fn fanout(&self, id: MessageId, group: &GroupId, mut members: Vec<UserId>) -> Fanout {
        let at = id.timestamp();
        let body = serde_json::to_string(self).expect("names and words are always JSON");
        if matches!(self.event, Event::Removed | Event::Left) {
            for removed in &self.users {
                if !members.contains(removed) {
                    members.push(removed.clone());
                }
            }
        }
        let envelope = Envelope {
            id,
            from: Sender::System,
            to: Recipient::Group(group.clone()),
            kind: Kind::System,
            at,
            expires_at: Timestamp::from_secs(at.plus(NEWS_LIFETIME).as_secs()),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::from_json(body).expect("it is JSON"),
        };
        Fanout { envelope, members, ephemeral: false, attachments: Vec::new() }
    }
}

/// Decides a change by `actor`. `None` when everything is as asked for already, so that asking twice is the same as once.
///
/// # Errors
/// What the actor may not do, or nobody can.
pub fn decide(
    id: &GroupId,
    group: Option<&Group>,
    actor: &UserId,
    change: &Change,
    now: Timestamp,
) -> Result<Option<Transition>, Denied> {
    let stranger = Denied { code: Code::NotAMember, detail: "you are not a member of such a group" };
    let as_member = || group.and_then(|group| Some((group, group.member(actor)?))).ok_or(stranger);
    let as_admin = || {
        let (group, member) = as_member()?;
        if member.role == Role::Admin {
            Ok((group, member))
        } else {
            Err(Denied { code: Code::NotAnAdmin, detail: "only an admin of the group may do this" })
        }
    };
    match change {
        Change::Create { name, users } => create(id, group, actor, name, users, now),
        Change::Rename { name } => as_admin().map(|(group, admin)| rename(group, admin, name)),
        Change::Add { users } => as_admin().and_then(|(group, admin)| add(group, admin, users, now)),
        Change::Remove { user } if user == actor => as_member().map(|(group, member)| remove(group, member, user)),
        Change::Remove { user } => as_admin().map(|(group, admin)| remove(group, admin, user)),
        Change::Appoint { user, role } => as_admin().and_then(|(group, admin)| appoint(group, admin, user, *role)),
    }
}

fn create(
    id: &GroupId,
    group: Option<&Group>,
    actor: &UserId,
    name: &GroupName,
    users: &[UserId],
    now: Timestamp,
) -> Result<Option<Transition>, Denied> {
    let others: Vec<UserId> = users.iter().filter(|user| *user != actor).cloned().collect();
    if let Some(group) = group {
        let is_mine = group.member(actor).is_some_and(|member| member.role == Role::Admin);
        let is_same = group.name == *name && others.iter().all(|user| group.member(user).is_some());
        return if is_mine && is_same {
            Ok(None)
        } else {
            Err(Denied { code: Code::GroupExists, detail: "there is such a group; choose another id" })
        };
    }
    let joined = |user: &UserId, role| Member { user: user.clone(), role, joined_at: now };
    let mut members = vec![joined(actor, Role::Admin)];
    members.extend(others.iter().map(|user| joined(user, Role::Member)));
    // The clock, so that a group that is made again under the id of one that is gone has another version.
    let after = Group::new(id.clone(), name.clone(), now.as_millis(), members.clone());
    let news = news(Event::Created, actor, &after, others);
    Ok(Some(Transition { before: None, after, put: members, removed: Vec::new(), news }))
}

fn rename(group: &Group, actor: &Member, name: &GroupName) -> Option<Transition> {
    (group.name != *name).then(|| {
        let after = Group { name: name.clone(), ..next(group) };
        let news = news(Event::Renamed, &actor.user, &after, Vec::new());
        Transition { before: Some(group.version), after, put: Vec::new(), removed: Vec::new(), news }
    })
}

fn add(group: &Group, actor: &Member, users: &[UserId], now: Timestamp) -> Result<Option<Transition>, Denied> {
    let new: Vec<UserId> = users.iter().filter(|user| group.member(user).is_none()).cloned().collect();
    if new.is_empty() {
        return Ok(None);
    }
    if group.members.len() + new.len() > MAX_GROUP_MEMBERS {
        return Err(Denied { code: Code::TooManyMembers, detail: "a group has at most 1024 members" });
    }
    let joined = |user: &UserId| Member { user: user.clone(), role: Role::Member, joined_at: now };
    let put: Vec<Member> = new.iter().map(joined).collect();
    let members = [&group.members[..], &put].concat();
    let after = Group::new(group.id.clone(), group.name.clone(), group.version + 1, members);
    let news = news(Event::Added, &actor.user, &after, new);
    Ok(Some(Transition { before: Some(group.version), after, put, removed: Vec::new(), news }))
}

fn remove(group: &Group, actor: &Member, user: &UserId) -> Option<Transition> {
    group.member(user)?;
    let mut after = next(group);
    after.members.retain(|member| member.user != *user);
    let mut put = Vec::new();
    let mut promoted = None;
    if !after.members.iter().any(|member| member.role == Role::Admin)
        && let Some(eldest) = after.members.first_mut()
    {
        eldest.role = Role::Admin;
        promoted = Some(eldest.user.clone());
        put.push(eldest.clone());
    }
    let event = if actor.user == *user { Event::Left } else { Event::Removed };
    let news = News { promoted, ..news(event, &actor.user, &after, vec![user.clone()]) };
    Some(Transition { before: Some(group.version), after, put, removed: vec![user.clone()], news })
}

fn appoint(group: &Group, actor: &Member, user: &UserId, role: Role) -> Result<Option<Transition>, Denied> {
    let Some(member) = group.member(user) else {
        return Err(Denied {
            code: Code::NotAMember,
            detail: "this user is not a member of the group; add them first",
        });
    };
    if member.role == role {
        return Ok(None);
    }
    let mut after = next(group);
    let appointed = Member { role, ..member.clone() };
    for member in after.members.iter_mut().filter(|member| member.user == *user) {
        member.role = role;
    }
    if !after.members.iter().any(|member| member.role == Role::Admin) {
        return Err(Denied { code: Code::LastAdmin, detail: "a group has an admin; appoint another one first" });
    }
    let event = if role == Role::Admin { Event::Promoted } else { Event::Demoted };
    let news = news(event, &actor.user, &after, vec![user.clone()]);
    Ok(Some(Transition { before: Some(group.version), after, put: vec![appointed], removed: Vec::new(), news }))
}

/// The group one version later.
fn next(group: &Group) -> Group {
    Group { version: group.version + 1, ..group.clone() }
}

fn news(event: Event, by: &UserId, after: &Group, users: Vec<UserId>) -> News {
    News { event, by: by.clone(), name: after.name.clone(), users, promoted: None }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
