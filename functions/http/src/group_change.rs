//! How a change of a group is made: whole, once, on the state that it was decided on, and never untold. Whether it may be made is decided in
//! `delivery::group`.

use std::time::Duration;

use delivery::group::{Change, Denied, decide};
use delivery::{
    Announce, Attachments, Connections, Directory, Failure, Files, Group, Groups, Inbox, Job, Queue, Scheduled,
    new_message_id,
};
use fastrand::Rng;
use protocol::{GroupId, MessageId, Timestamp, UserId};

use crate::Http;

/// How often a change is tried while others change the same group. Each time somebody else's change was made, so this many in the time of
/// one request is a crowd.
const TRIES: usize = 5;

/// How much later than it is queued an Announce is seen, so that the change is usually there by then and need not be waited for.
const HEADWAY: Duration = Duration::from_secs(1);

/// A change that was made, or was there already.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The group as it is then.
    pub(crate) group: Group,
    /// Whether this made it.
    pub(crate) is_new: bool,
}

/// Why a group is as it was.
#[derive(Debug)]
pub(crate) enum Unchanged {
    /// It may not be changed so.
    Denied(Denied),
    /// Something that this stands on failed. The change may have been made all the same; to ask again is to find out.
    Failed(Failure),
    /// Others were faster, every time.
    Overtaken,
}

impl From<Denied> for Unchanged {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Failure> for Unchanged {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, A: Attachments, C: Connections, F: Files> Http<I, D, G, Q, A, C, F> {
    /// Makes a change, unless everything is as asked for. The members are told by a record that is queued first: a function that ends in
    /// between leaves a record of nothing rather than a change that nobody hears of.
    pub(crate) async fn change(
        &self,
        actor: &UserId,
        id: &GroupId,
        change: &Change,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Changed, Unchanged> {
        // The news of the change are a message by this id.
        let change_id = new_message_id(now, rng);
        for tried in 0..TRIES {
            let group = self.answers.groups.group(id).await?;
            let Some(transition) = decide(id, group.as_ref(), actor, change, now)? else {
                let group = group.expect("only what is there can be as asked for");
                return Ok(Changed { group, is_new: false });
            };
            if tried == 0 {
                self.announce(id, change_id).await?;
            }
            if self.answers.groups.change(&transition, change_id).await? {
                return Ok(Changed { is_new: transition.before.is_none(), group: transition.after });
            }
        }
        Err(Unchanged::Overtaken)
    }

    async fn announce(&self, group: &GroupId, id: MessageId) -> Result<(), Failure> {
        let job = Job::Announce(Announce { group: group.clone(), id });
        self.answers.queue.send(&[Scheduled { job, delay: HEADWAY }]).await.into_iter().collect()
    }
}
