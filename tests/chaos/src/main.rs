//! `chaos`: a real `vartalap up` that is killed again and again while hundreds of real clients write to each other and every fault of its
//! switchboard is on. At the end nothing may be lost and nothing shown twice. What a fault is, is the local cloud's business.

mod crowd;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::time::{Instant, sleep, sleep_until};

use crate::crowd::Crowd;
use crate::server::Server;

/// After the last fault, everything must have arrived by then: a record that a killed server had in hand comes again after 60 s, and
/// backs off by as much as it had failed before.
const REST: Duration = Duration::from_secs(300);

/// Kill the local cloud again and again while hundreds of clients write to each other, with all its faults on.
///
/// Ends when everything that was accepted has been shown, or five minutes after the last kill; exit status 1 when a message was lost or
/// shown twice.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask chaos")]
struct Cli {
    /// How long the server is killed and misbehaves, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many users there are, with a device each.
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// How long there is between two messages of a device, in milliseconds, on average.
    #[arg(long, default_value_t = 4_000)]
    pause: u64,
    /// Of when it is killed and who writes to whom. What happens in between differs from run to run all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program to kill.
    #[arg(long)]
    vartalap: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

async fn run(cli: &Cli) -> Outcome<bool> {
    // Which one is chosen does not matter here; that one is does.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let mut rng = fastrand::Rng::with_seed(cli.seed);
    let data = tempfile::tempdir()?;
    let mut server = Server::start(&cli.vartalap, data.path()).await?;
    let crowd = Crowd::start(&server, data.path(), cli, &mut rng)?;
    let end = Instant::now() + Duration::from_secs(cli.seconds);
    let mut kills = 0;
    while Instant::now() < end {
        server.misbehave().await?;
        sleep_until(end.min(Instant::now() + Duration::from_millis(rng.u64(2_000..8_000)))).await;
        server.kill().await?;
        kills += 1;
        println!("{:>4} s left, kill {kills}: {}", (end - Instant::now()).as_secs(), crowd.standing());
        server = Server::start_again(server).await?;
    }
    crowd.stop_writing();
    let rest = Instant::now() + REST;
    while Instant::now() < rest && !crowd.is_done() {
        sleep(Duration::from_secs(1)).await;
    }
    let result = crowd.standing();
    println!("{} devices, {kills} kills, all faults on for {} s", cli.devices, cli.seconds);
    println!("{result}");
    for lost in crowd.lost().iter().take(10) {
        println!("lost: {lost}");
    }
    server.kill().await?;
    Ok(result.lost == 0 && result.shown_twice == 0 && result.unanswered == 0)
}
