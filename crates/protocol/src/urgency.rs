//! How much a message makes of itself where its recipient is pushed to. What comes of it is decided elsewhere.

use serde::{Deserialize, Serialize};

/// How much a message makes of itself. The greatest is the loudest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "&'static str")]
pub enum Urgency {
    /// Not shown: the app may fetch it in the background. For what no person reads.
    Silent,
    /// Shown without a sound, when it suits the device's battery.
    Quiet,
    /// Shown at once, with a sound.
    #[default]
    Urgent,
}

impl Urgency {
    /// The urgency that a word means.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "silent" => Some(Self::Silent),
            "quiet" => Some(Self::Quiet),
            "urgent" => Some(Self::Urgent),
            _ => None,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Quiet => "quiet",
            Self::Urgent => "urgent",
        }
    }

    /// Whether it is what a message has that says nothing of it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A word of a later version is read as the default, so that nothing is kept from anybody.
impl From<String> for Urgency {
    fn from(word: String) -> Self {
        Self::of(&word).unwrap_or_default()
    }
}

impl From<Urgency> for &'static str {
    fn from(urgency: Urgency) -> Self {
        urgency.as_str()
    }
}
