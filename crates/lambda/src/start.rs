//! The start of a function's process, and the edge where each invocation takes its time and its randomness.

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use delivery::Invocation;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use protocol::Timestamp;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::error::HandlerError;

/// Crates that write whole requests, events or frames at their finer levels: bodies and tokens would reach the log.
const TALKATIVE: [&str; 6] =
    ["aws_smithy_runtime", "aws_smithy_runtime_api", "hyper", "lambda_runtime", "tokio_tungstenite", "tungstenite"];

/// What is logged: what `filter` says, but nothing that could hold a body or a token, whatever it says.
pub fn without_bodies(filter: EnvFilter) -> EnvFilter {
    TALKATIVE.iter().fold(filter, |filter, name| {
        filter.add_directive(format!("{name}=info").parse().expect("a crate and a level are a directive"))
    })
}

/// Starts JSON logs on standard output, each with its time (without one Lambda takes every line for INFO), at the level that Lambda's own `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG` names, or `info`.
pub fn telemetry() {
    let filter = EnvFilter::try_from_env("AWS_LAMBDA_LOG_LEVEL")
        .or_else(|_| EnvFilter::try_from_default_env())
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = without_bodies(filter);
    tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_env_filter(filter).init();
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
