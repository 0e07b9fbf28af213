//! Groups in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use delivery::{Failure, Group, GroupPage, Groups, Membership, MembershipPage, News, Transition};
use protocol::{GroupId, MessageId, UserId};

use crate::ledger::Ledger;
use crate::lock;

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<GroupId, Group>,
    news: BTreeMap<(GroupId, MessageId), News>,
}

/// Groups that their clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryGroups {
    state: Arc<Mutex<State>>,
    /// Calls: `group`, `change`, `news`, `groups_of`, `memberships`.
    pub ledger: Ledger,
}

impl MemoryGroups {
    /// Every group.
    pub fn all(&self) -> Vec<Group> {
        lock(&self.state).groups.values().cloned().collect()
    }

    /// Lets a group be, as it is.
    pub fn insert(&self, group: Group) {
        lock(&self.state).groups.insert(group.id.clone(), group);
    }
}

impl Groups for MemoryGroups {
    async fn group(&self, id: &GroupId) -> Result<Option<Group>, Failure> {
        self.ledger.enter("group")?;
        Ok(lock(&self.state).groups.get(id).cloned())
    }

    async fn change(&self, transition: &Transition, id: MessageId) -> Result<bool, Failure> {
        self.ledger.enter("change")?;
        let mut state = lock(&self.state);
        let group = transition.after.id.clone();
        if state.groups.get(&group).map(|group| group.version) != transition.before {
            return Ok(false);
        }
        // From what is said to change, as a store does it, not from what the change comes to.
        let mut members = state.groups.remove(&group).map(|group| group.members).unwrap_or_default();
        let changed = |user: &UserId| {
            transition.removed.contains(user) || transition.put.iter().any(|member| member.user == *user)
        };
        members.retain(|member| !changed(&member.user));
        members.extend(transition.put.iter().cloned());
        state.news.insert((group.clone(), id), transition.news.clone());
        if !members.is_empty() {
            let after = &transition.after;
            state.groups.insert(group.clone(), Group::new(group, after.name.clone(), after.version, members));
        }
        Ok(true)
    }

    async fn news(&self, group: &GroupId, id: MessageId) -> Result<Option<News>, Failure> {
        self.ledger.enter("news")?;
        Ok(lock(&self.state).news.get(&(group.clone(), id)).cloned())
    }

    async fn groups_of(&self, user: &UserId, after: Option<&GroupId>, limit: usize) -> Result<GroupPage, Failure> {
        self.ledger.enter("groups_of")?;
        let state = lock(&self.state);
        let mine = state.groups.values().filter(|group| group.member(user).is_some());
        let mut groups: Vec<_> = mine
            .filter(|group| after.is_none_or(|after| group.id > *after))
            .map(|group| (group.id.clone(), group.name.clone()))
            .collect();
        let more = groups.len() > limit;
        groups.truncate(limit);
        Ok(GroupPage { groups, more })
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<&GroupId>,
        limit: usize,
    ) -> Result<MembershipPage, Failure> {
        self.ledger.enter("memberships")?;
        assert!(limit <= 50, "{limit}");
        let state = lock(&self.state);
        let mine = state.groups.values().filter_map(|group| Some((group, group.member(user)?)));
        let mut memberships: Vec<Membership> = mine
            .filter(|(group, _)| after.is_none_or(|after| group.id > *after))
            .map(|(group, member)| Membership {
                group: group.id.clone(),
                name: group.name.clone(),
                role: member.role,
                joined_at: member.joined_at,
            })
            .collect();
        let more = memberships.len() > limit;
        memberships.truncate(limit);
        let next = memberships.last().filter(|_| more).map(|last| last.group.clone());
        Ok(MembershipPage { memberships, next })
    }
}
