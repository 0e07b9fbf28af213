//! What became of a push to one target, and how services say when to come again. What a service's own codes mean is in
//! its module.

use std::time::{Duration, SystemTime};

use protocol::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Longest wait that a service is believed. Whoever retries can keep nothing longer.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// What became of a push to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The service has it.
    Taken,
    /// The target is unregistered, expired, disabled, or was never good: it is to be removed.
    Dead,
    /// Too many, out of order, or out of reach: try again, not sooner than that if the service said so (at most 1 h).
    Later(Option<Duration>),
    /// Anything else: credentials, payload, configuration. Worth another try and an error in the log, which this text
    /// is for: it says what to do and quotes no token, key or content.
    Refused(String),
    /// The service has no use for it, and was not asked.
    Needless,
    /// The deployment does not push there: it has no credentials for this service, or may not use them for this target.
    Unserved,
}

/// A service's way of saying that it will not take anything now.
pub(crate) fn is_later(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Later, as `Retry-After` says: seconds or an HTTP date.
pub(crate) fn later(headers: &HeaderMap, now: Timestamp) -> Answer {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Answer::Later(text.and_then(|text| wait(text.trim(), now)).map(|wait| wait.min(MAX_RETRY_AFTER)))
}

fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(secs) = text.parse() {
        return Some(Duration::from_secs(secs));
    }
    let until = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(until.as_secs()).since(now))
}

/// A code that a service gave, for a log: services send single words, and whatever else it may be is not repeated.
pub(crate) fn word(text: &str) -> &str {
    let is_word =
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_word { text } else { "no code" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        let now = Timestamp::from_secs(784_111_747);
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header"))]);
            later(&headers, now)
        };
        let secs = |secs| Answer::Later(Some(Duration::from_secs(secs)));
        assert_eq!(of("120"), secs(120));
        assert_eq!(of("86400"), secs(3_600));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), secs(30));
        assert_eq!(of("Sun, 06 Nov 1994 08:00:00 GMT"), secs(0));
        assert_eq!(of("soon"), Answer::Later(None));
        assert_eq!(later(&HeaderMap::new(), now), Answer::Later(None));
    }

    #[test]
    fn only_a_word_is_repeated() {
        assert_eq!(word("QUOTA_EXCEEDED"), "QUOTA_EXCEEDED");
        assert_eq!(word("token dW9:APA91b"), "no code");
        assert_eq!(word(""), "no code");
    }
}
