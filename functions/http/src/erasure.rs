//! Erasure: everything that is kept of a user goes, by the same steps by which each part of it goes alone. What the user has written to others
//! is theirs and stays, and so do attachments, which go with time.

use delivery::group::Change;
use delivery::{Address, Attachments, Connections, Directory, Files, GroupPage, Groups, Inbox, Invocation, Queue};
use protocol::UserId;
use protocol::limits::MAX_GROUPS_PER_PAGE;

use crate::Http;
use crate::group_change::Unchanged;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, A: Attachments, C: Connections, F: Files> Http<I, D, G, Q, A, C, F> {
    /// Leaves the groups, forgets the devices with their inboxes, and deletes what no device has claimed, and what
    /// senders were told. Whatever failed, or took too
    /// long, is left for the next time that it is asked for.
    pub(crate) async fn erase(&self, user: &UserId, invocation: Invocation) -> Result<(), Unchanged> {
        let (now, mut rng) = (invocation.now, invocation.rng());
        loop {
            let GroupPage { groups, more } = self.answers.groups.groups_of(user, None, MAX_GROUPS_PER_PAGE).await?;
            for (group, _) in groups {
                match self.change(user, &group, &Change::Remove { user: user.clone() }, now, &mut rng).await {
                    // Not a member: somebody else removed the user meanwhile.
                    Ok(_) | Err(Unchanged::Denied(_)) => {}
                    Err(unchanged) => return Err(unchanged),
                }
            }
            if !more {
                break;
            }
        }
        for device in self.directory.devices(user, now).await? {
            let address = Address { user: user.clone(), device: device.id };
            self.forget(&address, device.connection.as_ref(), now).await?;
        }
        self.empty(user, None, now).await?;
        Ok(self.answers.inbox.forget_told(user).await?)
    }
}
