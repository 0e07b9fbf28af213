//! Conformance: what the test suites of other systems ask of a server that delivers until it is acked, asked of a deployment that is known
//! only by its URL. Each case is written afresh in the words of docs/PROTOCOL.md and says whose it is; what only this system promises
//! is in `tests/blackbox`.
//!
//! This file is the command line. Which cases there are is in `catalogue`.

mod autopush;
mod catalogue;
mod mongooseim;
mod pending;

use std::process::ExitCode;

use blackbox::{EXIT_STATUS, HELP_TEMPLATE, Options};
use clap::Parser;

/// Conformance tests of a deployment of Vartalap: what the suites of autopush-rs and MongooseIM ask of acks, lifetimes and connections.
///
/// They connect as clients do, to whatever `--url` names, and take the options of the black-box tests (`vartalap-blackbox --help` has an
/// example). Users are named at random for each run, so they can run again and again against one deployment, and at the same time.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment, help_template = HELP_TEMPLATE, after_help = EXIT_STATUS)]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    blackbox::run(Program::parse().options, catalogue::tests())
}
