//! What goes wrong, in words that say what to do next, and the exit code that it means. It prints nothing but the failure.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use client::{BoxError, Cause, FatalError, SendError};
use protocol::{Code, DeviceId};

use crate::screen;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),

    #[error("nothing listens at {url}; start it with `vartalap up`, or pass --url")]
    NothingListens { url: String, source: io::Error },
    #[error("cannot connect to {url}; check the URL, or try again later")]
    CannotConnect { url: String, source: Cause },
    #[error("{url} did not answer within {} s; try again, the message may or may not have been accepted", .after.as_secs())]
    NoAnswer { url: String, after: Duration },
    #[error("some acks could not be sent ({unacked}); their messages come again")]
    NotAcked { unacked: usize },

    #[error("{hint}")]
    TokenRefused { hint: &'static str, source: FatalError },
    #[error("the message was refused ({}): {detail}", code_name(*.code))]
    Refused { code: Code, detail: String },
    #[error("refused messages: {0}")]
    SomeRefused(usize),
    #[error("the message cannot be sent")]
    NotQueued(#[from] SendError),
    #[error(
        "another connection of device {device} took over; a user's commands share one device unless told otherwise, so pass \
         another --device to run two at once"
    )]
    Displaced { device: DeviceId },
    #[error("timed out after {} s with {shown} of {wanted} messages", .after.as_secs())]
    TimedOut { after: Duration, shown: u64, wanted: u64 },

    #[error(
        "no local cloud answers at {url}; start it with `vartalap up`, pass another --url, or --outputs for a deployed system"
    )]
    NoLocalCloud { url: String, source: reqwest::Error },
    #[error(
        "{url} is no local cloud of this version; pass another --url, or --outputs for a deployed system: it answered {detail}"
    )]
    NotALocalCloud { url: String, detail: String },
    #[error("SQS does not answer; check the network, AWS_REGION and AWS_ENDPOINT_URL, or try again later")]
    SqsUnreachable(#[source] delivery::Failure),
    #[error(
        "SQS refuses; check the queues' URLs, AWS_REGION, AWS_ENDPOINT_URL, and that the credentials may receive, delete and change \
         the visibility of dead letters, and send to the queues"
    )]
    SqsRefused(#[source] delivery::Failure),
    #[error("{left} of {asked} dead letters were not redriven and are still there; run the same again, which is safe")]
    NotRedriven { left: usize, asked: usize },
    #[error("there is no dead letter for {which}; `vartalap dlq list` shows those that there are{caveat}")]
    NoSuchDeadLetter { which: String, caveat: &'static str },
    #[error("interrupted; run the same again, which is safe")]
    Interrupted,

    #[error("cannot use {path}; pass another --data, or make it writable")]
    Data { path: PathBuf, source: io::Error },
    #[error("cannot use the key in the data folder")]
    Key(#[source] BoxError),
    #[error("the local cloud does not start")]
    Local(#[source] BoxError),
    #[error("cannot listen for Ctrl-C")]
    Interrupts(#[source] io::Error),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NothingListens { .. }
            | Self::CannotConnect { .. }
            | Self::NoAnswer { .. }
            | Self::NotAcked { .. }
            | Self::NoLocalCloud { .. }
            | Self::SqsUnreachable(_) => 3,
            Self::TokenRefused { .. }
            | Self::Refused { .. }
            | Self::SomeRefused(_)
            | Self::NotQueued(_)
            | Self::Displaced { .. }
            | Self::TimedOut { .. }
            | Self::NotALocalCloud { .. }
            | Self::SqsRefused(_)
            | Self::NotRedriven { .. }
            | Self::NoSuchDeadLetter { .. }
            | Self::Interrupted
            | Self::Data { .. }
            | Self::Key(_)
            | Self::Local(_)
            | Self::Interrupts(_)
            | Self::Output(_) => 1,
        }
    }
}

/// The exit code of a command, after its failure, if any, was told on stderr with its causes. That the reader of its output
/// has gone, such as `head`, is not told.
pub(crate) fn code(outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    if !matches!(&failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        screen::tell(&format!("vartalap: {}", chain(&failure)));
    }
    ExitCode::from(failure.code())
}

/// An error and its causes in one line. A cause that the text before it ends with already is not repeated.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        cause = error.source();
    }
    text
}

/// A code as it is on the wire.
pub(crate) fn code_name(code: Code) -> String {
    serde_json::to_value(code).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_causes() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let failure = Failure::NothingListens { url: "ws://h/s".to_owned(), source: refused };
        let expected = "nothing listens at ws://h/s; start it with `vartalap up`, or pass --url: refused";
        assert_eq!((chain(&failure).as_str(), failure.code()), (expected, 3));
    }

    #[test]
    fn a_cause_is_told_once() {
        let inner = io::Error::other("reset");
        let failure = Failure::CannotConnect { url: "ws://h/s".to_owned(), source: Cause::Broken(inner.into()) };
        assert!(chain(&failure).ends_with("try again later: the connection broke: reset"), "{}", chain(&failure));
        assert_eq!(chain(&Failure::Output(io::Error::other("cannot write the output"))), "cannot write the output");
    }

    #[test]
    fn codes_are_named_as_on_the_wire() {
        let failure = Failure::Refused { code: Code::NotAMember, detail: "ask to join".to_owned() };
        assert_eq!(chain(&failure), "the message was refused (not_a_member): ask to join");
    }
}
