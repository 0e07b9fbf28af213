//! Who may have attachments, as a port on the simulated tables.

use delivery::{Attachment, Attachments, Failure, Grant};
use protocol::{AttachmentId, Timestamp, UserId};

use super::{Port, all, batches};
use crate::fault::Service;
use crate::mutation::Mutation;

impl Attachments for Port {
    async fn keep(&self, attachment: &Attachment) -> Result<(), Failure> {
        let world = &self.0;
        world.call(Service::Tables, "keep an attachment").await?;
        world.attachments.keep(attachment).await?;
        world.answer("keep an attachment").await
    }

    async fn open_to(
        &self,
        user: &UserId,
        ids: &[AttachmentId],
        now: Timestamp,
    ) -> Result<Vec<Option<Attachment>>, Failure> {
        let world = &self.0;
        world.call(Service::Tables, "read attachments").await?;
        let found = world.attachments.open_to(user, ids, now).await?;
        world.answer("read attachments").await?;
        Ok(found)
    }

    async fn grant(&self, grants: &[Grant]) -> Vec<Result<(), Failure>> {
        let world = &self.0;
        let mut outcomes = Vec::with_capacity(grants.len());
        for batch in batches(grants.len()) {
            let processed = match self.begin("grant", batch.clone()).await {
                Ok(processed) => processed,
                Err(failed) => {
                    outcomes.extend(all(batch.len(), &failed));
                    continue;
                }
            };
            let made: Vec<Grant> = processed.iter().map(|index| grants[*index].clone()).collect();
            world.attachments.grant(&made).await;
            outcomes.extend(self.end("grant", batch, &processed).await);
        }
        if world.mutated(Mutation::FailedGrantIsDone) {
            return outcomes.into_iter().map(|_| Ok(())).collect();
        }
        outcomes
    }
}
