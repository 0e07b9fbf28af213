//! The five handlers, and what one invocation of them is: it is answered, fails, times out, or is killed between two awaits. What is
//! done with the answer is its caller's business.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use connect::{Authorizer, Connect};
use deliver::Deliver;
use delivery::{AttachmentRules, Waits};
use http::Http;
use lambda::HandlerError;
use notify::Notify;
use route::{Answers, Route};
use serde_json::Value;
use testkit::MemoryFiles;
use tokio::time::timeout;

use crate::fault::Fault;
use crate::lock;
use crate::ports::Port;
use crate::world::World;

/// Lambda ends what takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Shortest time between two wakes of a device.
pub(crate) const WAKE_INTERVAL: Duration = Duration::from_secs(30);

/// The receive on which an Await gives up: Deliver makes the first attempt, and each receive before this one makes another.
pub(crate) const AWAIT_RECEIVES: u32 = 4;

/// One of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Connect,
    Route,
    Deliver,
    Notify,
    Http,
}

/// What is known about an invocation while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) function: Function,
    number: u32,
    /// The highest true receive count of its records.
    pub(crate) receives: u32,
    clean: Arc<AtomicBool>,
}

impl Context {
    /// Which invocation it is.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// The invocation that this is called in, if it is called in one.
pub(crate) fn context() -> Option<Context> {
    CONTEXT.try_with(Clone::clone).ok()
}

/// A fault has happened in this invocation.
pub(crate) fn not_clean() {
    if let Some(context) = context() {
        context.clean.store(false, Ordering::SeqCst);
    }
}

/// Names the invocation, for the history.
pub(crate) fn whose() -> String {
    context().map(|context| format!("{:?}-{}: ", context.function, context.number)).unwrap_or_default()
}

/// How an invocation ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it answered, unless it failed, was killed or timed out.
    pub(crate) answer: Option<Value>,
    /// Whether nothing went wrong in it.
    pub(crate) clean: bool,
}

pub(crate) struct Functions {
    connect: Connect<Port, Port, Port>,
    route: Route<Port, Port, Port, Port, Port, Port>,
    deliver: Deliver<Port, Port, Port, Port, Port, Port, Port>,
    notify: Notify<Port, Port, Port, Port>,
    http: Http<Port, Port, Port, Port, Port, Port, MemoryFiles>,
    world: Arc<World>,
    count: AtomicU32,
}

impl Functions {
    pub(crate) fn new(world: &Arc<World>, authorizer: Authorizer) -> Self {
        let port = || Port(Arc::clone(world));
        let answers = || Answers { inbox: port(), groups: port(), queue: port(), attachments: port() };
        Self {
            connect: Connect { authorizer, directory: port(), queue: port(), connections: port() },
            route: Route { answers: answers(), directory: port(), connections: port() },
            http: Http {
                answers: answers(),
                directory: port(),
                connections: port(),
                files: MemoryFiles::default(),
                attachment_rules: AttachmentRules::default(),
                vapid_public_key: None,
            },
            deliver: Deliver {
                inbox: port(),
                directory: port(),
                groups: port(),
                queue: port(),
                connections: port(),
                offline: port(),
                attachments: port(),
                waits: Waits::default(),
            },
            notify: Notify {
                inbox: port(),
                directory: port(),
                queue: port(),
                gateway: port(),
                interval: WAKE_INTERVAL,
                previews: false,
            },
            world: Arc::clone(world),
            count: AtomicU32::new(0),
        }
    }

    /// Gives back what is costly to make.
    pub(crate) fn into_authorizer(self) -> Authorizer {
        self.connect.authorizer
    }

    /// Runs one invocation on `event`, whose records have been received `receives` times at most.
    pub(crate) async fn invoke(&self, function: Function, event: Value, receives: u32) -> Ended {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let clean = Arc::new(AtomicBool::new(true));
        let context = Context { function, number, receives, clean: Arc::clone(&clean) };
        let invocation = self.world.invocation();
        let run = async {
            match function {
                Function::Connect => self.limited(self.connect.handle(event, invocation)).await,
                Function::Route => self.limited(self.route.handle(event, invocation)).await,
                Function::Deliver => self.limited(self.deliver.handle(event, invocation)).await,
                Function::Notify => self.limited(self.notify.handle(event, invocation)).await,
                Function::Http => self.limited(self.http.handle(event, invocation)).await,
            }
        };
        let answer = CONTEXT.scope(context, run).await;
        let clean = clean.load(Ordering::SeqCst);
        if !clean {
            lock(&self.world.facts).unclean.insert(number);
        }
        Ended { answer, clean }
    }

    async fn limited(&self, handled: impl Future<Output = Result<Value, HandlerError>>) -> Option<Value> {
        let killed = self.world.strikes(Fault::Kill);
        let limit = if killed { Duration::from_millis(self.world.draw(0..400)) } else { TIMEOUT };
        match timeout(limit, handled).await {
            Ok(Ok(answer)) => {
                self.world.tell(|| format!("answers {answer}"));
                Some(answer)
            }
            Ok(Err(error)) => {
                not_clean();
                self.world.tell(|| format!("fails: {error}"));
                None
            }
            Err(_) => {
                not_clean();
                self.world.tell(|| if killed { "is killed".to_owned() } else { "times out".to_owned() });
                None
            }
        }
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}
