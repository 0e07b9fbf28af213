//! A message body: a JSON value that is carried from sender to recipient and never read on the way.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as text, exactly as its sender wrote it but for two characters.
///
/// `U+FFFE` and `U+FFFF` are written as `\ufffe` and `\uffff`, since an SQS record cannot carry them raw. Valid JSON has
/// them only inside strings, where the escape means the same.
///
/// `Debug` shows the size only: bodies reach no log.
#[derive(Clone)]
pub struct Body(Box<RawValue>);

impl Body {
    /// Takes a JSON value as it was written.
    pub fn new(raw: Box<RawValue>) -> Self {
        if !raw.get().contains(['\u{fffe}', '\u{ffff}']) {
            return Self(raw);
        }
        let escaped = raw.get().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        Self(RawValue::from_string(escaped).expect("an escape inside a JSON string leaves it valid"))
    }

    /// A body that is the JSON string `text`.
    pub fn text(text: &str) -> Self {
        Self::new(serde_json::value::to_raw_value(text).expect("a string is always JSON"))
    }

    /// Reads `json` as one JSON value.
    ///
    /// # Errors
    /// When it is not.
    pub fn from_json(json: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(json).map(Self::new)
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.as_json().len())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Body {}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_cannot_carry_is_escaped() {
        let body = Body::from_json("{\"a\":\"x\u{fffe}y\u{ffff}\"}".to_owned()).expect("valid JSON");
        assert_eq!(body.as_json(), r#"{"a":"x\ufffey\uffff"}"#);
    }

    #[test]
    fn debug_does_not_show_the_text() {
        assert_eq!(format!("{:?}", Body::text("secret")), "Body(8 bytes)");
    }
}
