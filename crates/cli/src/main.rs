//! The `vartalap` command: a local cloud, its issuer, three small clients, and an operator's tool for dead letters. Each command has its file; this one parses
//! and dispatches.

mod chat;
mod connection;
mod dlq;
mod exit;
mod identity;
mod interrupts;
mod jwks;
mod listen;
mod screen;
mod send;
mod sent;
mod token;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
    Jwks(jwks::JwksArgs),
    Send(send::SendArgs),
    Listen(listen::ListenArgs),
    Chat(chat::ChatArgs),
    Dlq(dlq::DlqArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    exit::code(match cli.command {
        Command::Up(args) => up::run(args).await,
        Command::Token(args) => token::run(&args),
        Command::Jwks(args) => jwks::run(&args),
        Command::Send(args) => send::run(args).await,
        Command::Listen(args) => listen::run(args).await,
        Command::Chat(args) => chat::run(args).await,
        Command::Dlq(args) => dlq::run(args).await,
    })
}

/// Logs to stderr, and goes on without a log when that is closed. What could hold a token or a body stays out of it, whatever is asked for.
fn start_log() {
    let asked = std::env::var_os("VARTALAP_LOG").and_then(|value| value.to_str()?.parse::<Targets>().ok());
    let filter = local::without_bodies(asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN)));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
