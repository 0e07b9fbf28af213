//! The members of a JSON object, in their order and unread, so that what nobody here knows comes back as it was written. Values
//! are skipped without recursion, however deep they are.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// One JSON value, as it was written.
pub(crate) type Raw<'a> = Cow<'a, RawValue>;

/// The members of an object.
#[derive(Clone, Default)]
pub(crate) struct Members<'a>(Vec<(String, Raw<'a>)>);

/// A member that is there and is something else than it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongType;

impl<'a> Members<'a> {
    /// Reads an object in which every key occurs once: readers disagree about which one of two counts.
    pub(crate) fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        let members = Self::read_all(json)?;
        let mut keys = HashSet::new();
        if members.0.iter().all(|(key, _)| keys.insert(key.as_str())) {
            Ok(members)
        } else {
            Err(serde_json::Error::custom("a key occurs twice"))
        }
    }

    /// Reads an object that somebody else vouches for: of a key that occurs twice the last one counts, as in JavaScript.
    pub(crate) fn read_last(json: &'a str) -> Result<Self, serde_json::Error> {
        let Self(mut members) = Self::read_all(json)?;
        members.reverse();
        let mut keys = HashSet::new();
        members.retain(|(key, _)| keys.insert(key.clone()));
        members.reverse();
        Ok(Self(members))
    }

    fn read_all(json: &'a str) -> Result<Self, serde_json::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, Raw<'de>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    pairs.push((key, Cow::Borrowed(map.next_value::<&'de RawValue>()?)));
                }
                Ok(pairs)
            }
        }
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let members = deserializer.deserialize_map(Pairs)?;
        deserializer.end()?;
        Ok(Self(members))
    }

    /// The member, unless it is absent or null: old clients write the one for the other.
    pub(crate) fn get(&self, key: &str) -> Option<&Raw<'a>> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value).filter(|value| value.get() != "null")
    }

    /// The member, which is text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, WrongType> {
        self.get(key).map(|value| text(value).ok_or(WrongType)).transpose()
    }

    /// The member, which is a flag. The original documents it as `"true/false"`, so the words are read as well.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, WrongType> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.get().trim_matches('"').to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(WrongType),
        }
    }

    /// The member, which is a whole number from 0, or such a number as text.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.get().trim_matches('"').parse().ok()
    }

    /// The members of the member, which is an object in which every key occurs once. Of none when it is absent.
    pub(crate) fn object(&self, key: &str) -> Result<Self, WrongType> {
        match self.get(key) {
            None => Ok(Self::default()),
            Some(Cow::Borrowed(raw)) => Self::read(raw.get()).map_err(|_| WrongType),
            // Whatever was read is borrowed. What is about to be written is not, and nobody reads it.
            Some(Cow::Owned(_)) => Err(WrongType),
        }
    }

    /// Every member.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a member at the end. Its key is new: the caller knows what it adds to.
    pub(crate) fn add(&mut self, key: &str, value: Raw<'a>) {
        self.0.push((key.to_owned(), value));
    }

    /// Adds a member that is text.
    pub(crate) fn add_text(&mut self, key: &str, value: &str) {
        self.add(key, quoted(value));
    }

    /// The members but for those with these keys.
    pub(crate) fn without(mut self, keys: &[&str]) -> Self {
        self.0.retain(|(key, _)| !keys.contains(&key.as_str()));
        self
    }
}

/// Serializes in order.
impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The text that `raw` is, if it is text.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// `text` as JSON.
pub(crate) fn quoted<'a>(text: &str) -> Raw<'a> {
    Cow::Owned(to_raw_value(text).expect("text is always JSON"))
}

/// These members as JSON.
pub(crate) fn object<'a>(members: &Members<'_>) -> Raw<'a> {
    Cow::Owned(to_raw_value(members).expect("members that are JSON make an object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_as_they_were_written() {
        let json = r#"{"b":1.50,"a":[ 1,{"x":null}],"\u0063":"\u0041"}"#;
        let members = Members::read(json).expect("an object");
        assert_eq!(serde_json::to_string(&members).expect("JSON"), r#"{"b":1.50,"a":[ 1,{"x":null}],"c":"\u0041"}"#);
        assert_eq!(members.text("c"), Ok(Some("A".to_owned())));
        assert_eq!((members.text("b"), members.text("z")), (Err(WrongType), Ok(None)));
    }

    #[test]
    fn of_two_equal_keys_there_is_none_or_the_last() {
        let json = r#"{"a":1,"b":2,"\u0061":3}"#;
        assert!(Members::read(json).is_err());
        let members = Members::read_last(json).expect("an object");
        assert_eq!(serde_json::to_string(&members).expect("JSON"), r#"{"b":2,"a":3}"#);
    }

    #[test]
    fn only_one_object_is_read() {
        for bad in ["", "null", "[]", "{", "{} {}", r#"{"a"}"#, r#"{"\ud800":1}"#] {
            assert!(Members::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let json = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Members::read(&json).expect("an object").get("a").map(|raw| raw.get().len()), Some(200_000));
    }
}
