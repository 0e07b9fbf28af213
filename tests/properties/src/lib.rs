//! What holds for any bytes that arrive from outside, as functions of these bytes that panic where it does not hold.
//!
//! Each target is run twice: bounded and with valid inputs that were mutated, by the tests of this package in CI, and for as
//! long as one likes by `cargo fuzz`, whose targets in `fuzz/` only call these functions. What valid input means is tested
//! where it is read, not here.

pub mod events;
pub mod frames;
mod issuer;
pub mod items;
pub mod names;
pub mod records;
pub mod settings;
pub mod tokens;

/// A secret that stands in the seeds wherever a body, a token or a setting does. No error may show it, wherever a mutation
/// has moved it to.
pub const MARK: &str = "sesame";

/// Longest text of an error about anything but settings, of which many may be wrong at once.
const MAX_ERROR_BYTES: usize = 200;

/// A function that takes bytes from outside, and where to begin.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name here, in the tests and in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Panics if a property does not hold for these bytes.
    pub check: fn(&[u8]),
    /// Valid inputs.
    pub seeds: fn() -> Vec<String>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "client_frame", check: frames::client_frame, seeds: frames::client_frame_seeds },
    Target { name: "old_frame", check: frames::old_frame, seeds: frames::old_frame_seeds },
    Target { name: "server_frame", check: frames::server_frame, seeds: frames::server_frame_seeds },
    Target { name: "packing", check: frames::packing, seeds: frames::packing_seeds },
    Target { name: "identifiers", check: names::identifiers, seeds: names::identifier_seeds },
    Target { name: "references", check: names::references, seeds: names::reference_seeds },
    Target { name: "websocket_event", check: events::websocket_event, seeds: events::websocket_event_seeds },
    Target { name: "http_event", check: events::http_event, seeds: events::http_event_seeds },
    Target { name: "authorizer_event", check: events::authorizer_event, seeds: events::authorizer_event_seeds },
    Target { name: "sqs_event", check: events::sqs_event, seeds: events::sqs_event_seeds },
    Target { name: "job", check: records::job, seeds: records::job_seeds },
    Target { name: "hand_over", check: records::hand_over, seeds: records::hand_over_seeds },
    Target { name: "stored_item", check: items::stored_item, seeds: items::stored_item_seeds },
    Target { name: "token", check: tokens::token, seeds: tokens::token_seeds },
    Target { name: "claims", check: tokens::claims, seeds: tokens::claims_seeds },
    Target { name: "waits", check: settings::waits, seeds: settings::waits_seeds },
    Target { name: "settings", check: settings::settings, seeds: settings::settings_seeds },
];

/// An error text is for an operator's log or a stranger's client: short, and without what it is about.
fn assert_discreet(text: &str) {
    assert!(text.len() <= MAX_ERROR_BYTES, "{} bytes: {text}", text.len());
    assert_unquoted(text);
}

fn assert_unquoted(text: &str) {
    assert!(!text.contains(MARK), "the text quotes its input: {text}");
}

/// A well-formed value of a type that is parsed from text.
fn known<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a seed is well formed")
}

/// A message id for seeds; its time is [`NOW`].
const ID: &str = "0198a5c0-7c00-7abc-8def-0123456789ab";

/// When everything happens.
const NOW: protocol::Timestamp = protocol::Timestamp::from_millis(0x0198_a5c0_7c00);
