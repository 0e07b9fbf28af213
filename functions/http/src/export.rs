//! The export: everything that is kept of a user, read where an erasure deletes it, an answer at a time. It changes nothing. What comes after
//! what is decided in `delivery::export`.

use delivery::drain::PAGE;
use delivery::export::{self, MAX_BYTES, MAX_GROUPS, MAX_PARTS};
use delivery::{Attachments, Connections, Device, Directory, Failure, Files, Groups, Inbox, Membership, Queue, Row};
use protocol::{ExportCursor, Timestamp, UserId};

use crate::Http;

/// A part of an export, and where it goes on.
#[derive(Debug, Default)]
pub(crate) struct Export {
    pub(crate) devices: Vec<Device>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) pending: Vec<Row>,
    pub(crate) next: Option<ExportCursor>,
}

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, A: Attachments, C: Connections, F: Files> Http<I, D, G, Q, A, C, F> {
    /// Reads on from a place until the answer is full, or long enough in the making.
    pub(crate) async fn export(&self, user: &UserId, from: ExportCursor, now: Timestamp) -> Result<Export, Failure> {
        let mut devices = self.directory.devices(user, now).await?;
        devices.sort_by(|one, other| one.id.cmp(&other.id));
        let mut export = Export { next: Some(from), ..Export::default() };
        let mut room = MAX_BYTES;
        for _ in 0..MAX_PARTS {
            export.next = match export.next {
                Some(ExportCursor::Devices(after)) => {
                    let (part, next) = export::devices(&devices, after.as_ref());
                    export.devices.extend_from_slice(part);
                    Some(next)
                }
                Some(ExportCursor::Groups(after)) => {
                    let page = self.answers.groups.memberships(user, after.as_ref(), MAX_GROUPS).await?;
                    export.memberships.extend(page.memberships);
                    Some(export::after_groups(page.next))
                }
                Some(ExportCursor::Pending { device, after }) if room > 0 => {
                    let inbox = &self.answers.inbox;
                    let page = inbox.page(user, device.as_ref(), after.as_ref(), PAGE, now).await?;
                    let (rows, next) = export::pending(device.as_ref(), page, &mut room, &devices);
                    export.pending.extend(rows);
                    next
                }
                full_or_done => {
                    export.next = full_or_done;
                    break;
                }
            };
        }
        Ok(export)
    }
}
