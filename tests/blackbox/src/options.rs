//! What every program of such tests takes on its command line. What the options mean for a test is elsewhere.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use url::Url;

use crate::target::Target;
use crate::waits::Waits;

/// How a program that takes them describes itself: the harness brings a template without a word of what the tests are.
pub const HELP_TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}";

/// What the programs say with how they end.
pub const EXIT_STATUS: &str = "Exit status: 0 when nothing failed, 101 when a test did, 2 when they could not begin.";

/// Which deployment, and what cannot be seen of it from outside.
#[derive(Debug, Args)]
pub struct Options {
    /// Where to connect: the ws:// or wss:// URL of the deployment, without a device.
    #[arg(long, value_name = "URL", value_parser = socket_url)]
    pub(crate) url: Url,
    /// What the paths of its HTTP API follow: http://HOST:PORT of the local cloud, the output HttpUrl of a stack.
    ///
    /// Without this, tests of the HTTP API are ignored.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub(crate) http: Option<Url>,
    /// What prints a token: run as `sh -c COMMAND sh USER`, so that the user's id is "$1". The token (a JWT) is what it prints on
    /// standard output.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) token_command: String,
    /// Where the local cloud shows its pushes, http://HOST:PORT/_local/pushes. Asked again and again for wakes.
    #[arg(long, value_name = "URL", conflicts_with = "webhook", value_parser = http_url)]
    pub(crate) pushes: Option<Url>,
    /// Where to listen for wakes, as the webhook to which the deployment posts them, on any path. Each must be signed.
    ///
    /// Without this and --pushes, tests that look for wakes are ignored.
    #[arg(long, value_name = "ADDRESS", requires = "webhook_secret")]
    pub(crate) webhook: Option<SocketAddr>,
    /// What the deployment signs its wakes with: whsec_ and base64.
    #[arg(long, value_name = "SECRET", env = "VARTALAP_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) webhook_secret: Option<Secret>,
    /// The ARN of a platform endpoint of SNS that the deployment may publish to; its application has no endpoint of a made-up name.
    ///
    /// Without this, the test of such endpoints is ignored.
    #[arg(long, value_name = "ARN", requires = "webhook")]
    pub(crate) platform_endpoint: Option<String>,
    /// The deployment's waits for an ack after each attempt, in seconds. Tests wait accordingly, the longest for all of them.
    #[arg(long, value_name = "SECONDS,...", default_value = "5,15,45,5")]
    pub(crate) waits: Waits,
    /// The deployment's shortest time between two wakes of a device, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = whole_seconds)]
    pub(crate) wake_interval: Duration,
    /// The deployment is on the emulator MiniStack, which differs from AWS as localstack/README.md says: other statuses refuse a
    /// connection, and tests of sizes and of binary frames are ignored.
    #[arg(long)]
    emulator: bool,
    /// Fill a group as well. Its news are some 13,000 envelopes, which keep all but AWS busy for minutes: run that test alone, and last.
    #[arg(long)]
    pub(crate) crowd: bool,
    /// What `cargo test` has as well.
    #[command(flatten, next_help_heading = "Options of cargo test")]
    pub(crate) harness: libtest_mimic::Arguments,
}

impl Options {
    /// What kind of gateway the deployment stands behind.
    pub(crate) fn target(&self) -> Target {
        if self.emulator { Target::MiniStack } else { Target::Aws }
    }
}

/// The key that a deployment and its webhook share. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Without the prefix the library would take any base64 for one.
        if text.starts_with("whsec_") { Ok(Self(text.to_owned())) } else { Err("a secret begins with whsec_") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn socket_url(text: &str) -> Result<Url, String> {
    url_of(text, &["ws", "wss"])
}

fn http_url(text: &str) -> Result<Url, String> {
    url_of(text, &["http", "https"])
}

fn url_of(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if schemes.contains(&url.scheme()) {
        Ok(url)
    } else {
        Err(format!("it begins with {}://", schemes.join(":// or ")))
    }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("a whole number of seconds from 1 to 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(flags: &[&str]) -> Result<Options, clap::Error> {
        let needed = ["tests", "--url", "ws://127.0.0.1:8080/local", "--token-command", "echo"];
        Program::try_parse_from(needed.iter().chain(flags)).map(|program| program.options)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Program::command().debug_assert();
    }

    #[test]
    fn flags_of_the_harness_are_understood() {
        let options = parsed(&["--exact", "--test-threads", "3", "online::x"]).expect("options");
        assert_eq!((options.harness.filter.as_deref(), options.harness.test_threads), (Some("online::x"), Some(3)));
        assert_eq!(options.target(), Target::Aws);
        assert_eq!(parsed(&["--emulator"]).expect("options").target(), Target::MiniStack);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for flags in [
            &["--url", "http://127.0.0.1"] as &[&str],
            &["--http", "ws://127.0.0.1"],
            &["--pushes", "ftp://127.0.0.1"],
            &["--waits", "0"],
            &["--wake-interval", "0"],
            &["--webhook", "127.0.0.1:0", "--webhook-secret", "secret"],
            &["--webhook", "127.0.0.1:0", "--webhook-secret", "whsec_AA==", "--pushes", "http://127.0.0.1"],
        ] {
            assert!(parsed(flags).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let options = parsed(&["--webhook", "127.0.0.1:0", "--webhook-secret", "whsec_AA=="]).expect("options");
        assert!(!format!("{options:?}").contains("whsec_"));
    }
}
