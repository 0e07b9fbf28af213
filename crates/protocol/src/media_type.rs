//! The type of a file as its uploader names it, such as `image/jpeg`. It knows what one looks like, not what it stands for, and never looks
//! into the file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;
use crate::limits::MAX_MEDIA_TYPE_BYTES;

/// A media type without parameters: `type/subtype` of RFC 6838, at most 127 bytes. Upper case is read and lower case is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaType(String);

impl MediaType {
    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the slash.
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

/// Whether it is a name that RFC 6838 lets a type or a subtype have. A `*` is none: only a list of types has it.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) && text.bytes().all(allowed)
}

impl FromStr for MediaType {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_type = text.split_once('/').is_some_and(|(kind, name)| is_name(kind) && is_name(name));
        if is_type && text.len() <= MAX_MEDIA_TYPE_BYTES {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidId("a type is `type/subtype` without parameters, such as image/jpeg"))
        }
    }
}

impl TryFrom<String> for MediaType {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.0
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_two_names() {
        let longest = format!("image/{}", "x".repeat(MAX_MEDIA_TYPE_BYTES - 6));
        for good in ["image/jpeg", "IMAGE/JPEG", "application/vnd.ms-excel", "image/svg+xml", &longest] {
            let read: MediaType = good.parse().expect(good);
            assert_eq!(
                (read.as_str(), read.kind()),
                (good.to_ascii_lowercase().as_str(), read.as_str().split('/').next().expect("a kind"))
            );
        }
        for bad in [
            "",
            "image",
            "image/",
            "/jpeg",
            "image/*",
            "*/*",
            "image/jpeg/x",
            "image/jpeg; q=1",
            "image /jpeg",
            "image/\u{e9}",
            "image/jpeg\r\nx: y",
            ".image/jpeg",
            &format!("{longest}x"),
        ] {
            assert!(bad.parse::<MediaType>().is_err(), "{bad}");
        }
    }
}
