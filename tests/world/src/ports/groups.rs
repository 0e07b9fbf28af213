//! Groups, as a port on the simulated tables.

use delivery::{Failure, Group, GroupPage, Groups, MembershipPage, News, Transition};
use protocol::{GroupId, MessageId, UserId};

use super::Port;
use crate::facts::Changed;
use crate::fault::Service;
use crate::lock;

impl Groups for Port {
    async fn group(&self, id: &GroupId) -> Result<Option<Group>, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "read a group").await?;
        let group = world.groups.group(id).await?;
        world.answer("read a group").await?;
        Ok(group)
    }

    async fn change(&self, transition: &Transition, id: MessageId) -> Result<bool, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "change a group").await?;
        let changed = world.groups.change(transition, id).await?;
        if changed {
            let members = transition.after.members.iter().map(|member| member.user.clone()).collect();
            lock(&world.facts).changes.push(Changed { id, members, removed: transition.removed.clone() });
        }
        world.tell(|| format!("changes {} from {:?}: {changed}", transition.after.id, transition.before));
        world.answer("change a group").await?;
        Ok(changed)
    }

    async fn news(&self, group: &GroupId, id: MessageId) -> Result<Option<News>, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "read the news of a group").await?;
        let news = world.groups.news(group, id).await?;
        world.answer("read the news of a group").await?;
        Ok(news)
    }

    async fn groups_of(&self, user: &UserId, after: Option<&GroupId>, limit: usize) -> Result<GroupPage, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "read the groups of a user").await?;
        let page = world.groups.groups_of(user, after, limit).await?;
        world.answer("read the groups of a user").await?;
        Ok(page)
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<&GroupId>,
        limit: usize,
    ) -> Result<MembershipPage, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "read the memberships of a user").await?;
        let page = world.groups.memberships(user, after, limit).await?;
        world.answer("read the memberships of a user").await?;
        Ok(page)
    }
}
