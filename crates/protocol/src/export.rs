//! Where an export goes on: a cursor that a client sends back as it received it. What comes after what is not decided here.
//!
//! A cursor names nothing but places within what is kept of whoever asks, so one that was made up leads nowhere else.

use std::fmt;
use std::str::FromStr;

use crate::ids::{DeviceId, GroupId, InvalidId};
use crate::reference::Ref;

/// A place in an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportCursor {
    /// The devices after this one; all of them if it names none. Where every export begins.
    Devices(Option<DeviceId>),
    /// The groups after this one.
    Groups(Option<GroupId>),
    /// What is pending for a device, or what no device has claimed, after this ref.
    Pending {
        /// Whose inbox; the unclaimed one if it names none.
        device: Option<DeviceId>,
        /// Where in it; its start if it names none.
        after: Option<Ref>,
    },
}

const DEVICES: &str = "devices";
const GROUPS: &str = "groups";
const PENDING: &str = "pending";

/// Stands between the parts. No device has it; a group or a ref, which may, comes last.
const SEPARATOR: char = '.';

/// Stands for the device of the unclaimed inbox.
const UNCLAIMED: &str = "*";

impl Default for ExportCursor {
    fn default() -> Self {
        Self::Devices(None)
    }
}

impl FromStr for ExportCursor {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = InvalidId("a cursor of an export is opaque: send it back as it was received");
        let (section, place) = parted(text);
        let cursor = match section {
            DEVICES => Self::Devices(read(place)?),
            GROUPS => Self::Groups(read(place)?),
            PENDING => {
                let (device, after) = parted(place.ok_or(invalid)?);
                let device = if device == UNCLAIMED { None } else { Some(device.parse().map_err(|_| invalid)?) };
                Self::Pending { device, after: read(after)? }
            }
            _ => return Err(invalid),
        };
        return Ok(cursor);

        fn read<T: FromStr<Err = InvalidId>>(place: Option<&str>) -> Result<Option<T>, InvalidId> {
            place.map(str::parse).transpose()
        }
    }
}

fn parted(text: &str) -> (&str, Option<&str>) {
    text.split_once(SEPARATOR).map_or((text, None), |(part, rest)| (part, Some(rest)))
}

impl TryFrom<String> for ExportCursor {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for ExportCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut write = |section: &str, parts: [Option<&dyn fmt::Display>; 2]| {
            f.write_str(section)?;
            parts.into_iter().flatten().try_for_each(|part| write!(f, "{SEPARATOR}{part}"))
        };
        match self {
            Self::Devices(after) => write(DEVICES, [after.as_ref().map(|after| after as _), None]),
            Self::Groups(after) => write(GROUPS, [after.as_ref().map(|after| after as _), None]),
            Self::Pending { device, after } => {
                let device = device.as_ref().map_or(UNCLAIMED, DeviceId::as_str);
                write(PENDING, [Some(&device), after.as_ref().map(|after| after as _)])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REF: &str = "0198a5c0-7c00-7abc-8def-0123456789ab~auth0|a.b";

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let phone: DeviceId = "phone".parse().expect("a device");
        let after: Option<Ref> = Some(REF.parse().expect("a ref"));
        for (cursor, text) in [
            (ExportCursor::default(), "devices".to_owned()),
            (ExportCursor::Devices(Some(phone.clone())), "devices.phone".to_owned()),
            (ExportCursor::Groups(None), "groups".to_owned()),
            (ExportCursor::Groups(Some("a.b".parse().expect("a group"))), "groups.a.b".to_owned()),
            (ExportCursor::Pending { device: None, after: None }, "pending.*".to_owned()),
            (ExportCursor::Pending { device: None, after: after.clone() }, format!("pending.*.{REF}")),
            (ExportCursor::Pending { device: Some(phone), after }, format!("pending.phone.{REF}")),
        ] {
            assert_eq!(cursor.to_string(), text);
            assert_eq!(text.parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_no_export_has_written_is_refused() {
        for text in [
            "",
            "*",
            "device",
            "devices.",
            "devices.a.b",
            "devices.*",
            "groups.",
            "groups.a b",
            "pending",
            "pending.",
            "pending.a#b",
            "pending.phone.",
            "pending.phone.x",
            "pending.*.*",
            " devices",
            "Devices",
        ] {
            assert!(text.parse::<ExportCursor>().is_err(), "{text}");
        }
    }
}
