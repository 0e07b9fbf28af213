//! The start of a function's process, and the edge where each invocation takes its time and its randomness.

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use delivery::Invocation;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use protocol::Timestamp;
use serde_json::Value;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::HandlerError;

/// Crates that write whole requests, events or frames at their finer levels: bodies and tokens would reach the log.
const TALKATIVE: [&str; 6] =
    ["aws_smithy_runtime", "aws_smithy_runtime_api", "hyper", "lambda_runtime", "tokio_tungstenite", "tungstenite"];

/// What is logged: what was asked for, but nothing that could hold a body or a token, whatever was asked for.
pub fn without_bodies(asked: Targets) -> Targets {
    let rest = asked.default_level().unwrap_or(LevelFilter::OFF);
    let quieted = TALKATIVE.map(|name| (name.to_owned(), rest.min(LevelFilter::INFO)));
    let asked = asked.into_iter().map(|(target, level)| {
        let talks = TALKATIVE.iter().any(|name| target.starts_with(name));
        (target, if talks { level.min(LevelFilter::INFO) } else { level })
    });
    // Of two with one target, the later counts.
    quieted.into_iter().chain(asked).collect::<Targets>().with_default(rest)
}

/// Starts JSON logs on standard output, each with its time (without one Lambda takes every line for INFO), at the level that Lambda's own `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG` names, or `info`.
pub fn telemetry() {
    let asked = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"].into_iter().find_map(|name| {
        let value = std::env::var_os(name)?;
        value.to_str()?.parse::<Targets>().ok()
    });
    let filter = without_bodies(asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Serves invocations until Lambda ends the process.
///
/// # Errors
/// When the runtime API is out of reach.
pub async fn serve<F, R>(handler: F) -> Result<(), Error>
where
    F: Fn(Value, Invocation) -> R,
    R: Future<Output = Result<Value, HandlerError>>,
{
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let outcome = handler(event.payload, invocation());
        async { outcome.await.map_err(Diagnostic::from) }
    }))
    .await
}

/// The time and a seed for one invocation, from the machine.
#[expect(clippy::disallowed_methods, reason = "this is the edge at which the clock is read")]
pub fn invocation() -> Invocation {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Invocation {
        now: Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)),
        seed: fastrand::u64(..),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::Targets;

    use super::without_bodies;

    fn level(asked: &str, target: &str) -> Option<tracing::Level> {
        let filter = without_bodies(asked.parse::<Targets>().expect("a filter"));
        let all = [tracing::Level::TRACE, tracing::Level::DEBUG, tracing::Level::INFO, tracing::Level::WARN];
        all.into_iter().find(|level| filter.would_enable(target, level))
    }

    #[test]
    fn what_could_hold_a_body_is_never_logged() {
        for asked in ["trace", "trace,hyper=trace", "hyper::proto=trace,info", "hyper=debug,hyper::proto::h1=trace"] {
            for target in ["hyper", "hyper::proto", "hyper::proto::h1::conn", "aws_smithy_runtime::client"] {
                assert!(level(asked, target) <= Some(tracing::Level::INFO), "{asked}: {target}");
            }
        }
    }

    #[test]
    fn otherwise_what_was_asked_for_is() {
        assert_eq!(level("warn", "hyper::proto"), Some(tracing::Level::WARN), "nothing is made louder");
        assert_eq!(level("warn,route=debug", "route::lib"), Some(tracing::Level::DEBUG));
        assert_eq!(level("warn,hyper=error", "hyper"), None);
        assert_eq!(level("info", "deliver"), Some(tracing::Level::INFO));
    }
}
