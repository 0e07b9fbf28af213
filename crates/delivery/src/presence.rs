//! Presence: what others are told of whether a user is there. Only devices that have opted in say anything. Who may ask, and how often, is
//! not decided here.

use protocol::Timestamp;

use crate::envelope::Device;

/// Whether a user is there, and when he last was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Whether one of the devices that say so has a connection. A hint, as every connection is.
    pub connected: bool,
    /// When one of them was last seen.
    pub last_seen: Timestamp,
}

/// What a user's devices show; `None` if none of them has opted in, which is as if there were no such user.
pub fn presence(devices: &[Device]) -> Option<Presence> {
    let shown = || devices.iter().filter(|device| device.shows_presence);
    let last_seen = shown().map(|device| device.last_seen).max()?;
    Some(Presence { connected: shown().any(|device| device.connection.is_some()), last_seen })
}

#[cfg(test)]
mod tests {
    use protocol::Notices;

    use super::*;
    use crate::envelope::{Connection, Dialect};

    fn device(name: &str, last_seen: u64, is_connected: bool, shows_presence: bool) -> Device {
        let last_seen = Timestamp::from_secs(last_seen);
        let connection =
            is_connected.then(|| Connection { id: name.into(), connected_at: last_seen, dialect: Dialect::Current });
        Device {
            id: name.parse().expect("a device"),
            connection,
            last_seen,
            shows_presence,
            push: Vec::new(),
            notices: Notices::default(),
            known_since: None,
            last_wake: None,
        }
    }

    #[test]
    fn nobody_is_told_of_a_device_that_has_not_opted_in() {
        assert_eq!(presence(&[]), None);
        assert_eq!(presence(&[device("phone", 9, true, false)]), None);
        let shown = presence(&[device("phone", 9, true, false), device("tablet", 5, false, true)]);
        assert_eq!(shown, Some(Presence { connected: false, last_seen: Timestamp::from_secs(5) }));
    }

    #[test]
    fn any_device_that_is_there_will_do_and_the_last_that_was_counts() {
        let devices =
            [device("phone", 5, true, true), device("tablet", 7, false, true), device("watch", 6, false, true)];
        assert_eq!(presence(&devices), Some(Presence { connected: true, last_seen: Timestamp::from_secs(7) }));
    }
}
