//! The five functions on the ports of the local cloud, and how one is invoked: with a time limit, isolated from panics, metered, and
//! crashed when a fault says so. What invokes them is in `gateway` and `event_source`.

use std::sync::Arc;
use std::time::Duration;

use aws::meter::{Meter, Unit};
use aws::{DynamoAttachments, DynamoDirectory, DynamoGroups, DynamoInbox};
use connect::Connect;
use deliver::Deliver;
use http::Http;
use lambda::HandlerError;
use notify::Notify;
use route::Route;
use serde_json::Value;
use tokio::time::Instant;

use crate::connections::LocalConnections;
use crate::faults::Faults;
use crate::files::LocalFiles;
use crate::lifecycle::Lifecycle;
use crate::push_services::PushServices;
use crate::sqs::LocalQueue;
use crate::topic::LocalTopic;

/// Memory of a function in gigabytes: what the template gives it.
const MEMORY_GB: f64 = 0.125;

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Connect,
    Route,
    Deliver,
    Notify,
    Http,
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Route => "route",
            Self::Deliver => "deliver",
            Self::Notify => "notify",
            Self::Http => "http",
        }
    }

    /// Under which name its time is metered, apart from its invocations.
    fn time(self) -> &'static str {
        match self {
            Self::Connect => "connect, time",
            Self::Route => "route, time",
            Self::Deliver => "deliver, time",
            Self::Notify => "notify, time",
            Self::Http => "http, time",
        }
    }
}

/// The functions and what every invocation shares.
#[derive(Debug)]
pub(crate) struct Functions {
    pub(crate) connect: Connect<DynamoDirectory, LocalQueue, LocalConnections>,
    pub(crate) route:
        Route<DynamoInbox, DynamoGroups, LocalQueue, DynamoAttachments, DynamoDirectory, LocalConnections>,
    pub(crate) deliver: Deliver<
        DynamoInbox,
        DynamoDirectory,
        DynamoGroups,
        LocalQueue,
        LocalConnections,
        LocalTopic,
        DynamoAttachments,
    >,
    pub(crate) notify: Notify<DynamoInbox, DynamoDirectory, LocalQueue, PushServices>,
    pub(crate) http:
        Http<DynamoInbox, DynamoDirectory, DynamoGroups, LocalQueue, DynamoAttachments, LocalConnections, LocalFiles>,
    /// An invocation that takes longer is dropped.
    pub(crate) timeout: Duration,
    pub(crate) faults: Arc<Faults>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) lifecycle: Lifecycle,
}

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvocationError {
    /// The handler says so.
    #[error(transparent)]
    Failed(HandlerError),
    /// It took too long and was dropped.
    #[error("the invocation timed out")]
    TimedOut,
    /// It panicked.
    #[error("the invocation panicked")]
    Panicked,
    /// It was dropped at some await point, on purpose.
    #[error("the invocation was crashed on purpose")]
    Crashed,
}

impl Functions {
    /// Invokes a function. The invocation runs to its end even if the caller stops waiting.
    ///
    /// # Errors
    /// When the handler fails, panics, times out, or is crashed by a fault.
    pub(crate) async fn invoke(self: &Arc<Self>, function: Function, event: Value) -> Result<Value, InvocationError> {
        let in_hand = self.lifecycle.invocations.enter();
        let functions = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _in_hand = in_hand;
            functions.run(function, event).await
        });
        let outcome = task.await.unwrap_or(Err(InvocationError::Panicked));
        match &outcome {
            Ok(_) | Err(InvocationError::Failed(HandlerError::Unauthorized)) => {}
            Err(error) => tracing::warn!(function = function.name(), %error, "an invocation failed"),
        }
        outcome
    }

    async fn run(&self, function: Function, event: Value) -> Result<Value, InvocationError> {
        self.meter.count("lambda", function.name(), Unit::Invocation, 1.0);
        let started = Instant::now();
        let handled = self.faults.crashing(self.handle(function, event));
        let outcome = tokio::time::timeout(self.timeout, handled).await;
        // Lambda charges whole milliseconds.
        let seconds = (started.elapsed().as_secs_f64() * 1000.0).ceil() / 1000.0;
        self.meter.count("lambda", function.time(), Unit::GigabyteSecond, seconds * MEMORY_GB);
        match outcome {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(InvocationError::Failed(error)),
            Ok(Err(_)) => Err(InvocationError::Crashed),
            Err(_) => Err(InvocationError::TimedOut),
        }
    }

    async fn handle(&self, function: Function, event: Value) -> Result<Value, HandlerError> {
        let invocation = lambda::start::invocation();
        match function {
            Function::Connect => self.connect.handle(event, invocation).await,
            Function::Route => self.route.handle(event, invocation).await,
            Function::Deliver => self.deliver.handle(event, invocation).await,
            Function::Notify => self.notify.handle(event, invocation).await,
            Function::Http => self.http.handle(event, invocation).await,
        }
    }
}
