//! A simulated world: the five real handlers, driven by event JSON, on simulated queues, tables, topic, gateway and devices, under a virtual
//! clock and one seeded source of randomness. Everything that can go wrong does, at rates that the seed draws; afterwards it is
//! checked that nothing was lost.
//!
//! One seed is one history: the same seed gives the same run, to the event. It proves what the handlers do with the ports; that
//! the adapters on AWS keep the ports' contract is proven in `crates/aws`, and by the black-box tests.
//!
//! | file | what it is |
//! |---|---|
//! | `plan` | what a run is: seed, size, faults, mutation |
//! | `fault` | what can go wrong, how often |
//! | `mutation` | bugs that can be switched on, each of which must be caught |
//! | `world` | what everybody shares: clock, randomness, history, facts |
//! | `ports` | the handlers' ports on all of it |
//! | `queue`, `gateway` | SQS with its event source mapping; API Gateway |
//! | `functions` | one invocation: killed, timed out or answered |
//! | `device` | a client with a socket: what it sends, when it is there, how it acks |
//! | `socketless` | one without, which asks over HTTP |
//! | `messages`, `old_client` | what current and old clients write and read |
//! | `apps` | where devices can be woken, and the push services between |
//! | `steward` | who changes the group |
//! | `facts`, `receipts`, `wakes`, `check` | what happened, and what must be true of it |
//! | `run`, `shrink` | one seed from beginning to end; the smallest run that still fails |

mod apps;
mod check;
mod device;
mod facts;
pub mod fault;
mod functions;
mod gateway;
mod messages;
pub mod mutation;
mod old_client;
pub mod plan;
mod ports;
mod queue;
mod receipts;
pub mod run;
pub mod shrink;
mod socketless;
mod steward;
mod wakes;
mod world;

pub use fault::Fault;
pub use mutation::Mutation;
pub use plan::Plan;
pub use run::{Finding, Report, Simulator};

/// Locks a mutex; a poisoned one belongs to a run that has failed already.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
