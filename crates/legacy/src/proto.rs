//! The protobuf message of version 3, in base64. It knows the fields and not what they mean.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// `Message` of the original's `proto/event-args.proto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(float, tag = "1")]
    pub(crate) version: f32,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    #[prost(enumeration = "Type", tag = "3")]
    pub(crate) r#type: i32,
    #[prost(enumeration = "Channel", tag = "4")]
    pub(crate) channel: i32,
    #[prost(bool, tag = "5")]
    pub(crate) ephemeral: bool,
    #[prost(string, tag = "6")]
    pub(crate) source: String,
    #[prost(string, tag = "7")]
    pub(crate) destination: String,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) content: Vec<u8>,
    #[prost(uint64, tag = "9")]
    pub(crate) timestamp: u64,
    /// Ordered, so that a message is always the same bytes.
    #[prost(btree_map = "string, string", tag = "10")]
    pub(crate) meta: BTreeMap<String, String>,
    #[prost(string, tag = "20")]
    pub(crate) server_id: String,
    #[prost(uint64, tag = "21")]
    pub(crate) server_timestamp: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Type {
    ServerAck = 0,
    ClientAck = 1,
    Message = 2,
    Notification = 3,
    Custom = 10,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Channel {
    Unknown = 0,
    Individual = 1,
    Group = 2,
    Other = 10,
}

/// Node reads either alphabet, and padding or none; so do these.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads a message; `None` when `text` is not base64 or not a message. No bytes would be a message too, in which nothing is said.
pub(crate) fn decode(text: &str) -> Option<Message> {
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let bytes = engine.decode(text).ok().filter(|bytes| !bytes.is_empty())?;
    prost::Message::decode(bytes.as_slice()).ok()
}

/// The message in base64, with padding, as the original writes it.
pub(crate) fn encode(message: &Message) -> String {
    STANDARD.encode(prost::Message::encode_to_vec(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            version: 3.0,
            id: "a1".to_owned(),
            r#type: Type::Message.into(),
            channel: Channel::Individual.into(),
            destination: "bob".to_owned(),
            content: br#"{"a":1}"#.to_vec(),
            timestamp: 300,
            meta: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            server_id: "s".to_owned(),
            server_timestamp: 1,
            ..Message::default()
        }
    }

    /// The bytes by the protobuf specification, written by hand: tag, length, value.
    #[test]
    fn a_message_is_what_the_proto_file_says() {
        let mut bytes = vec![0x0d, 0, 0, 0x40, 0x40];
        bytes.extend(b"\x12\x02a1\x18\x02\x20\x01\x3a\x03bob\x42\x07{\"a\":1}\x48\xac\x02");
        bytes.extend(b"\x52\x06\x0a\x01k\x12\x01v\xa2\x01\x01s\xa8\x01\x01");
        assert_eq!(prost::Message::encode_to_vec(&message()), bytes);
        assert_eq!(decode(&STANDARD.encode(&bytes)), Some(message()));
    }

    #[test]
    fn every_dialect_of_base64_is_read() {
        let mut message = message();
        message.content = vec![0xfb, 0xff, 0xfe, 0x3e, 0x3f];
        let text = encode(&message);
        assert!(text.contains(['+', '/']), "{text}");
        for dialect in [&text, text.trim_end_matches('='), &text.replace('+', "-").replace('/', "_")] {
            assert_eq!(decode(dialect).as_ref(), Some(&message), "{dialect}");
        }
    }

    #[test]
    fn anything_else_is_no_message() {
        for bad in ["", "hello", "hello!", "====", "ÄÖ", "//////////8="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
