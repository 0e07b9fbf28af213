//! What tests of a deployment that is known only by its URL are made of: options, devices on sockets, tokens, wakes, and a run of them. It
//! has no test of its own: those are in the programs, `vartalap-blackbox` beside it and `vartalap-conformance`.

pub mod clock;

mod deployment;
mod device;
mod frame;
mod http_api;
mod latency;
mod options;
mod poll;
mod run;
mod socket;
mod target;
mod test;
mod token_command;
mod waits;
mod wakes;
mod webhook;

pub use deployment::{Deployment, User, new_id};
pub use device::{Answered, Backlog, Device, Received};
pub use frame::{Accepted, Envelope, Frame, Messages, Refusal, Refused};
pub use http_api::Answer;
pub use latency::Latency;
pub use options::{EXIT_STATUS, HELP_TEMPLATE, Options};
pub use poll::{POLL_INTERVAL, eventually};
pub use run::run;
pub use socket::{Arrived, DEADLINE, Ended, Late, NotOpened, Socket};
pub use target::Target;
pub use test::{Need, Run, Test};
pub use waits::Waits;
pub use wakes::Wake;
