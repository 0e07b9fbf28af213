//! Black-box tests of a deployment that is known only by its URL: the local cloud, an emulator, or AWS. They say and read frames on a
//! socket, ask over HTTP, and look at wakes where those can be seen; what a deployment stores or logs is not looked at.
//!
//! This file is the command line. Which tests there are is in `catalogue`, and what they are made of is the library.

mod absent;
mod attachments;
mod attempts;
mod bad_input;
mod bad_requests;
mod catalogue;
mod groups;
mod handshake;
mod limits;
mod old_clients;
mod online;
mod pages;
mod personal;
mod receipts;
mod short_lived;
mod socketless;
mod woken;

use std::process::ExitCode;

use blackbox::{EXIT_STATUS, HELP_TEMPLATE, Options};
use clap::Parser;

/// Black-box tests of a deployment of Vartalap.
///
/// They connect as clients do, to whatever `--url` names, and need to know nothing else of it: the local cloud, an emulator, or AWS.
/// All users are named at random for each run (`bb-RUN-TEST-NAME`), so they can run again and again, and at the same time,
/// against one deployment; nothing else that it holds is touched. Eight tests run at the same time unless --test-threads says otherwise.
///
/// Against the local cloud:
///
///     vartalap up --memory --waits 1,1,1,1 --wake-interval 2 --data DIR
///     vartalap-blackbox --url ws://127.0.0.1:8080/local --http http://127.0.0.1:8080 --token-command 'vartalap token --data DIR "$1"'
///         --pushes http://127.0.0.1:8080/_local/pushes --waits 1,1,1,1 --wake-interval 2
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment, help_template = HELP_TEMPLATE, after_help = EXIT_STATUS)]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    blackbox::run(Program::parse().options, catalogue::tests())
}
