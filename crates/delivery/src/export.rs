//! An export: everything that is kept of a user, a part at a time. Here it is decided what comes after what, and where a part ends; nothing
//! is read.
//!
//! First the devices, then the groups, then what no device has claimed, then what is pending for each device, in order of their names. An
//! envelope never moves to a place that comes earlier, so what is kept all the while is in the export, whatever else comes and goes. The places
//! are those that an erasure empties, but for one: what senders were told of the user by receipts is erased as well, and not shown.

use protocol::{DeviceId, ExportCursor, GroupId};

use crate::envelope::{Device, Row};
use crate::ports::Page;

/// How much is read for one answer, in parts. For an ordinary user that is everything.
pub const MAX_PARTS: usize = 8;

/// Most devices in one part.
pub const MAX_DEVICES: usize = 1_000;

/// Most groups in one part.
///
/// Two items are read for each. Source: DynamoDB, "BatchGetItem", at most 100 items.
pub const MAX_GROUPS: usize = 50;

/// The size of an answer, in bytes of its envelopes: an answer ends with the envelope that reaches it.
///
/// Lambda carries answers of up to 6 MB, and JSON within JSON may be twice as large. Source: Lambda quotas.
pub const MAX_BYTES: usize = 1_000_000;

/// What an envelope counts beside its body, in bytes: more than the names in it can have.
const OVERHEAD: usize = 1_024;

/// The devices of a part, and what comes after them. `devices` are all of them, in order of their names.
pub fn devices<'a>(devices: &'a [Device], after: Option<&DeviceId>) -> (&'a [Device], ExportCursor) {
    let rest = &devices[devices.partition_point(|device| after.is_some_and(|after| device.id <= *after))..];
    let part = &rest[..rest.len().min(MAX_DEVICES)];
    let last = part.last().filter(|_| part.len() < rest.len());
    (part, last.map_or(ExportCursor::Groups(None), |last| ExportCursor::Devices(Some(last.id.clone()))))
}

/// What comes after a part of the groups, of which there are more after `next` if it names one.
pub fn after_groups(next: Option<GroupId>) -> ExportCursor {
    next.map_or(ExportCursor::Pending { device: None, after: None }, |next| ExportCursor::Groups(Some(next)))
}

/// The envelopes of a page that are in the inbox of `device` itself (in the unclaimed one if it names none) and fit into `room`, of which they take
/// their share, and what comes after them: the end, after the inbox of the last device. `devices` are as for [`devices`].
pub fn pending(
    device: Option<&DeviceId>,
    page: Page,
    room: &mut usize,
    devices: &[Device],
) -> (Vec<Row>, Option<ExportCursor>) {
    let (mut rows, mut more, mut last) = (Vec::new(), page.more, None);
    for row in page.rows {
        if *room == 0 && last.is_some() {
            more = true;
            break;
        }
        last = Some(row.key().reference());
        // A page of a device also has what the user has unclaimed.
        if row.holder.device() == device {
            *room = room.saturating_sub(row.envelope.body.as_json().len() + OVERHEAD);
            rows.push(row);
        }
    }
    let next = match last {
        Some(last) if more => Some((device.cloned(), Some(last))),
        _ => {
            let next = devices.iter().find(|next| device.is_none_or(|device| next.id > *device));
            next.map(|next| (Some(next.id.clone()), None))
        }
    };
    (rows, next.map(|(device, after)| ExportCursor::Pending { device, after }))
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
