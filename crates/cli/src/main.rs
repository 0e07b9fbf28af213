//! The `vartalap` command: a local cloud, tokens for it, and three small clients. Each command has its file; this one parses
//! and dispatches.

mod chat;
mod connection;
mod exit;
mod identity;
mod interrupts;
mod listen;
mod marks;
mod screen;
mod send;
mod sent;
mod token;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Chat delivery: run it on this machine, and talk to it or to a deployed one.
///
/// Exit codes: 0 done, 1 refused, 2 wrong usage, 3 unreachable. VARTALAP_LOG sets what is logged to stderr, "warn" when unset.
#[derive(Debug, Parser)]
#[command(name = "vartalap", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::UpArgs),
    Token(token::TokenArgs),
    Send(send::SendArgs),
    Listen(listen::ListenArgs),
    Chat(chat::ChatArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    exit::code(match cli.command {
        Command::Up(args) => up::run(args).await,
        Command::Token(args) => token::run(&args),
        Command::Send(args) => send::run(args).await,
        Command::Listen(args) => listen::run(args).await,
        Command::Chat(args) => chat::run(args).await,
    })
}

/// Logs to stderr, and goes on without a log when that is closed. What could hold a token or a body stays out of it, whatever is asked for.
fn start_log() {
    let asked = EnvFilter::try_from_env("VARTALAP_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let filter = local::without_bodies(asked);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false).init();
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
