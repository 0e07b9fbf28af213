//! Granting: the recipients of a record may have the attachments that its message names before anything of the message is put or posted, so
//! that nobody sees a message whose files are closed to him. What is granted is decided in `delivery::attachment`.

use std::collections::BTreeMap;

use delivery::attachment::grants;
use delivery::{Attachments, Grant};
use protocol::Timestamp;

use crate::Deliver;

impl<I: Sync, D: Sync, G: Sync, Q: Sync, C: Sync, O: Sync, A: Attachments> Deliver<I, D, G, Q, C, O, A> {
    /// Grants what several records give, each of which is the Delivers that it asks for; in one batch, and without a call if none names an
    /// attachment. Answers in order of `records`: why a record must come again, since a grant of it was not made.
    pub(crate) async fn grant(&self, records: &[&[delivery::Deliver]], now: Timestamp) -> Vec<Result<(), String>> {
        let mut outcomes = vec![Ok(()); records.len()];
        // A record may be there twice, and its grants are made once.
        let mut waiting: BTreeMap<Grant, Vec<usize>> = BTreeMap::new();
        for (index, delivers) in records.iter().enumerate() {
            for grant in grants(delivers, now) {
                waiting.entry(grant).or_default().push(index);
            }
        }
        if waiting.is_empty() {
            return outcomes;
        }
        let (grants, waiting): (Vec<Grant>, Vec<Vec<usize>>) = waiting.into_iter().unzip();
        for (indexes, outcome) in waiting.into_iter().zip(self.attachments.grant(&grants).await) {
            if let Err(failure) = outcome {
                for index in indexes {
                    outcomes[index] = Err(failure.to_string());
                }
            }
        }
        outcomes
    }
}
