//! Attachments in memory: what they are and who may have them, and a signer of URLs that lead nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use delivery::attachment::{DOWNLOAD_VALIDITY, UPLOAD_VALIDITY, upload_headers};
use delivery::{Attachment, Attachments, Failure, Files, Grant, SignedUrl, Upload};
use protocol::{AttachmentId, Timestamp, UserId};

use crate::ledger::{Ledger, planned};
use crate::lock;

#[derive(Debug, Default)]
struct State {
    kept: BTreeMap<AttachmentId, Attachment>,
    grants: BTreeSet<Grant>,
    unprocessed: BTreeSet<AttachmentId>,
}

/// Attachments that their clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryAttachments {
    state: Arc<Mutex<State>>,
    /// Calls: `keep`, `open_to`, `grant`.
    pub ledger: Ledger,
}

impl MemoryAttachments {
    /// Every attachment, in order of ids.
    pub fn all(&self) -> Vec<Attachment> {
        lock(&self.state).kept.values().cloned().collect()
    }

    /// Every grant.
    pub fn grants(&self) -> Vec<Grant> {
        lock(&self.state).grants.iter().cloned().collect()
    }

    /// Lets an attachment be, as it is.
    pub fn insert(&self, attachment: Attachment) {
        lock(&self.state).kept.insert(attachment.id, attachment);
    }

    /// Whether `user` may have an attachment, or there is none.
    pub fn is_open(&self, id: AttachmentId, user: &UserId) -> bool {
        let state = lock(&self.state);
        state.kept.get(&id).is_none_or(|attachment| state.is_open(attachment, user))
    }

    /// The next batch leaves the grants of this one unprocessed.
    pub fn leave_unprocessed(&self, id: AttachmentId) {
        lock(&self.state).unprocessed.insert(id);
    }
}

impl State {
    fn is_open(&self, attachment: &Attachment, user: &UserId) -> bool {
        let granted = |grant: &Grant| grant.attachment.id == attachment.id && grant.recipients.contains(user);
        attachment.uploader == *user || self.grants.iter().any(granted)
    }
}

impl Attachments for MemoryAttachments {
    async fn keep(&self, attachment: &Attachment) -> Result<(), Failure> {
        self.ledger.enter("keep")?;
        self.insert(attachment.clone());
        Ok(())
    }

    async fn open_to(
        &self,
        user: &UserId,
        ids: &[AttachmentId],
        now: Timestamp,
    ) -> Result<Vec<Option<Attachment>>, Failure> {
        let distinct: BTreeSet<&AttachmentId> = ids.iter().collect();
        assert!(distinct.len() == ids.len() && ids.len() <= 100, "at most 100 distinct attachments");
        self.ledger.enter("open_to")?;
        let state = lock(&self.state);
        let open = |id| state.kept.get(id).filter(|one| !one.is_expired(now) && state.is_open(one, user)).cloned();
        Ok(ids.iter().map(open).collect())
    }

    async fn grant(&self, grants: &[Grant]) -> Vec<Result<(), Failure>> {
        let distinct: BTreeSet<&Grant> = grants.iter().collect();
        assert_eq!(distinct.len(), grants.len(), "grants of one batch must be distinct");
        if self.ledger.enter("grant").is_err() {
            return grants.iter().map(|_| Err(planned())).collect();
        }
        let mut state = lock(&self.state);
        let unprocessed = std::mem::take(&mut state.unprocessed);
        let put = |grant: &Grant| {
            if unprocessed.contains(&grant.attachment.id) {
                return Err(planned());
            }
            state.grants.insert(grant.clone());
            Ok(())
        };
        grants.iter().map(put).collect()
    }
}

/// A signer whose URLs name what they are for, and lead nowhere.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    /// Calls: `upload`, `download`.
    pub ledger: Ledger,
}

impl Files for MemoryFiles {
    async fn upload(&self, attachment: &Attachment, now: Timestamp) -> Result<Upload, Failure> {
        self.ledger.enter("upload")?;
        let url = format!("memory://put/{}", attachment.id);
        let target = SignedUrl { url, expires_at: now.plus(UPLOAD_VALIDITY) };
        Ok(Upload { target, headers: upload_headers(&attachment.media_type, attachment.bytes) })
    }

    async fn download(&self, attachment: &Attachment, now: Timestamp) -> Result<SignedUrl, Failure> {
        self.ledger.enter("download")?;
        Ok(SignedUrl { url: format!("memory://get/{}", attachment.id), expires_at: now.plus(DOWNLOAD_VALIDITY) })
    }
}
