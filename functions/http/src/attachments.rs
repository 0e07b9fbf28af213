//! Attachments over HTTP: who may upload a file is told where, and who may have it where from. No byte of it passes through here, and which
//! files are taken is decided in `delivery::attachment`.

use aws_lc_rs::rand;
use delivery::attachment::NotTaken;
use delivery::{Attachments, Connections, Directory, Failure, Files, Groups, Inbox, Queue};
use lambda::http::Response;
use protocol::{AttachmentId, Code, MediaType, Timestamp, UserId};

use crate::{Http, answer};

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, A: Attachments, C: Connections, F: Files> Http<I, D, G, Q, A, C, F> {
    /// Signed before it is kept: whoever gets a URL finds the attachment, and what nobody got a URL of leaves nothing behind.
    pub(crate) async fn create_attachment(
        &self,
        user: &UserId,
        media_type: MediaType,
        bytes: u64,
        now: Timestamp,
    ) -> Response {
        let id = match unguessable() {
            Ok(id) => id,
            Err(failure) => return answer::failed(&failure),
        };
        let attachment = match self.attachment_rules.admit(id, user.clone(), media_type, bytes, now) {
            Ok(attachment) => attachment,
            Err(NotTaken { code, detail }) => return answer::error(code, &detail),
        };
        let signed = async {
            let upload = self.files.upload(&attachment, now).await?;
            self.answers.attachments.keep(&attachment).await?;
            Ok(upload)
        };
        match signed.await {
            Ok(upload) => answer::upload(&attachment, &upload),
            Err(failure) => answer::failed(&failure),
        }
    }

    /// To others there is no difference between an attachment and none.
    pub(crate) async fn show_attachment(&self, user: &UserId, id: AttachmentId, now: Timestamp) -> Response {
        let signed = async {
            let found = self.answers.attachments.open_to(user, &[id], now).await?;
            let Some(attachment) = found.into_iter().next().flatten() else { return Ok(None) };
            let url = self.files.download(&attachment, now).await?;
            Ok(Some((attachment, url)))
        };
        match signed.await {
            Ok(Some((attachment, url))) => answer::download(&attachment, &url),
            Ok(None) => answer::error(Code::NotFound, "there is no such attachment, or it is not for you"),
            Err(failure) => answer::failed(&failure),
        }
    }
}

/// Not by the invocation's seed, which is for jitter: that has half as many bits, and anybody might guess it.
fn unguessable() -> Result<AttachmentId, Failure> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|error| Failure::new("draw an id for an attachment", &error))?;
    Ok(AttachmentId::new(u128::from_be_bytes(random)))
}
