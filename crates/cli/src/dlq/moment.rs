//! A time on the command line: a moment in UTC, or a duration before now. It reads no clock.

use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use protocol::Timestamp;

/// Latest that can be written: the end of the year 9999.
const LAST: Timestamp = Timestamp::from_secs(253_402_300_799);

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So long before now.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl Moment {
    /// The moment, seen from `now`.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => now.minus(ago),
            Self::At(at) => at,
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        // A date alone is its first moment.
        let at =
            humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")));
        let at = at.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        at.map(|at| Self::At(Timestamp::default().plus(at)))
            .ok_or("write a duration before now such as 2h or 30m, or a time in UTC such as 2026-11-25T08:00:00Z")
    }
}

/// A time as people read it, in UTC, to the second.
pub(crate) fn written(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at.min(LAST).as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_people_write_it() {
        let now = Timestamp::from_secs(1_795_600_000);
        for (text, expected) in [
            ("2h", "2026-11-25T07:46:40Z"),
            ("1day 30m", "2026-11-24T09:16:40Z"),
            ("2026-11-25T08:00:00Z", "2026-11-25T08:00:00Z"),
            ("2026-11-25 08:00:00", "2026-11-25T08:00:00Z"),
            ("2026-11-25", "2026-11-25T00:00:00Z"),
        ] {
            assert_eq!(
                text.parse::<Moment>().map(|moment| written(moment.before(now))),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
        for bad in ["", "soon", "2026-13-01", "08:00", "2", "1960-01-01"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
        assert_eq!(written(Timestamp::from_millis(u64::MAX)), "9999-12-31T23:59:59Z");
    }
}
