//! How a device wants to be notified, as a client says it. What comes of it is decided elsewhere.

use serde::{Deserialize, Serialize};

/// How a device wants to be notified. The default is what one that says nothing gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// Whether a push may carry who wrote what, if the deployment allows it.
    pub preview: bool,
    /// When notices make no sound.
    pub quiet: Quiet,
}

/// When notices make no sound: `"never"`, `"always"`, or hours of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelled", into = "Spelled")]
pub enum Quiet {
    /// Every notice may make one.
    #[default]
    Never,
    /// None does.
    Always,
    /// None does within these hours.
    Hours(QuietHours),
}

/// Hours of each day. A client says them anew when its clock changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unjudged")]
pub struct QuietHours {
    /// The first minute, counted from midnight: 0-1,439.
    from: u16,
    /// The first minute that is not quiet any more; earlier than `from` if they go over midnight.
    to: u16,
    /// By how many minutes the device's clock is ahead of UTC: -840 to 840.
    utc_offset: i16,
}

/// Minutes in a day.
const DAY: i64 = 24 * 60;

impl QuietHours {
    /// `None` if a member is out of its range, or there is no minute between the two.
    pub fn new(from: u16, to: u16, utc_offset: i16) -> Option<Self> {
        let good = i64::from(from) < DAY && i64::from(to) < DAY && from != to && (-840..=840).contains(&utc_offset);
        good.then_some(Self { from, to, utc_offset })
    }

    /// Whether a time is within them, in seconds since the epoch.
    pub fn contain(self, secs: u64) -> bool {
        let minutes = i64::try_from(secs / 60).unwrap_or(i64::MAX).saturating_add(i64::from(self.utc_offset));
        let minute = minutes.rem_euclid(DAY);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

/// The same before it is judged.
#[derive(Deserialize)]
struct Unjudged {
    from: u16,
    to: u16,
    utc_offset: i16,
}

impl TryFrom<Unjudged> for QuietHours {
    type Error = &'static str;

    fn try_from(Unjudged { from, to, utc_offset }: Unjudged) -> Result<Self, Self::Error> {
        Self::new(from, to, utc_offset).ok_or("hours that are none")
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelled {
    Word(Word),
    Hours(QuietHours),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Never,
    Always,
}

impl From<Spelled> for Quiet {
    fn from(spelled: Spelled) -> Self {
        match spelled {
            Spelled::Word(Word::Never) => Self::Never,
            Spelled::Word(Word::Always) => Self::Always,
            Spelled::Hours(hours) => Self::Hours(hours),
        }
    }
}

impl From<Quiet> for Spelled {
    fn from(quiet: Quiet) -> Self {
        match quiet {
            Quiet::Never => Self::Word(Word::Never),
            Quiet::Always => Self::Word(Word::Always),
            Quiet::Hours(hours) => Self::Hours(hours),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Notices> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn what_is_said_is_read_as_it_was_written() {
        for json in [
            r#"{"preview":false,"quiet":"never"}"#,
            r#"{"preview":true,"quiet":"always"}"#,
            r#"{"preview":true,"quiet":{"from":1320,"to":420,"utc_offset":-330}}"#,
        ] {
            let notices = read(json).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(serde_json::to_string(&notices).expect("JSON"), json);
        }
        assert_eq!(read("{}"), Some(Notices::default()));
    }

    #[test]
    fn what_is_none_is_refused() {
        for quiet in [
            r#""at night""#,
            "7",
            "null",
            r#"{"from":1320,"to":420}"#,
            r#"{"from":1440,"to":420,"utc_offset":0}"#,
            r#"{"from":420,"to":420,"utc_offset":0}"#,
            r#"{"from":1320,"to":420,"utc_offset":841}"#,
            r#"{"from":-1,"to":420,"utc_offset":0}"#,
        ] {
            assert_eq!(read(&format!(r#"{{"quiet":{quiet}}}"#)), None, "{quiet}");
        }
        assert_eq!(read(r#"{"preview":"yes"}"#), None);
    }

    #[test]
    fn hours_go_over_midnight_and_are_those_of_the_device() {
        let hour = |hours: u64| hours * 3_600;
        let night = QuietHours::new(22 * 60, 7 * 60, 60).expect("hours");
        let quiet: Vec<u64> = (0..24).filter(|utc| night.contain(hour(*utc))).collect();
        assert_eq!(quiet, [0, 1, 2, 3, 4, 5, 21, 22, 23]);
        let noon = QuietHours::new(12 * 60, 13 * 60, -840).expect("hours");
        let quiet: Vec<u64> = (0..24).filter(|utc| noon.contain(hour(*utc))).collect();
        assert_eq!(quiet, [2]);
        assert!(!noon.contain(u64::MAX));
    }
}
