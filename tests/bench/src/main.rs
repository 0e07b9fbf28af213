//! `bench`: what a message to a large group takes, on a real `vartalap up` with a real client for each member: how long until it is accepted
//! and shown, what was called, and what AWS would have charged. Numbers are reported, never judged: they are this machine's, on this day.

mod members;
mod meter;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::members::{Members, Shown};
use crate::meter::Bill;

/// What is in hand after a message was shown and acked is done by then: its Awaits come back once, 5 s after the attempt.
const REST: Duration = Duration::from_secs(8);

/// The news of the group, which met nobody, wake their users a second time half a minute after the first.
const SETTLES: Duration = Duration::from_secs(40);

/// Measure what a message to a large group takes: time, calls and cost.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench")]
struct Cli {
    /// How many members the group has, with a connected device each; at most 1,024.
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=1_024))]
    members: u16,
    /// How many messages are sent, one after the other.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    messages: u16,
    /// The program to measure.
    #[arg(long)]
    vartalap: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

async fn run(cli: &Cli) -> Outcome<()> {
    // Which one is chosen does not matter here; that one is does.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let data = tempfile::tempdir()?;
    let (_up, ws, http) = start(&cli.vartalap, data.path()).await?;
    println!("connecting {} members", cli.members);
    let mut members = Members::connect(&ws, &http, data.path(), usize::from(cli.members)).await?;
    println!("waiting until the news of the group are done");
    while rest(&http, SETTLES).await?.invokes() {}
    let idle = rest(&http, REST).await?;
    let mut runs = Vec::new();
    for number in 1..=cli.messages {
        let before = Bill::of(&http).await?;
        let shown = members.send().await?;
        sleep(REST).await;
        let bill = Bill::of(&http).await?.since(&before).since(&idle);
        println!("message {number}: {shown}, ${:.6}", bill.dollars());
        runs.push((shown, bill));
    }
    report(cli, &mut runs);
    Ok(())
}

/// What is counted while nobody does anything.
async fn rest(http: &str, time: Duration) -> Outcome<Bill> {
    let before = Bill::of(http).await?;
    sleep(time).await;
    Ok(Bill::of(http).await?.since(&before))
}

/// The medians over all messages, and the bill of the one whose price is the median.
fn report(cli: &Cli, runs: &mut [(Shown, Bill)]) {
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1_000.0
    };
    let of = |time: fn(&Shown) -> Duration| median(runs.iter().map(|(shown, _)| time(shown)).collect());
    let (accepted, half, last) = (of(|shown| shown.accepted), of(|shown| shown.half), of(|shown| shown.last));
    println!("a message to a group of {}, medians of {} messages:", cli.members, cli.messages);
    println!("accepted after {accepted:.0} ms, shown by half after {half:.0} ms and by all after {last:.0} ms");
    runs.sort_by(|(_, one), (_, other)| one.dollars().total_cmp(&other.dollars()));
    let (_, bill) = &runs[runs.len() / 2];
    let recipients = f64::from(cli.members - 1);
    println!("${:.6}, or ${:.2} for a million recipients:", bill.dollars(), bill.dollars() / recipients * 1e6);
    print!("{bill}");
}

/// Starts the local cloud; answers where its socket and its HTTP API are.
async fn start(program: &Path, data: &Path) -> Outcome<(Child, String, String)> {
    let mut up = Command::new(program);
    up.args(["up", "--memory", "--json", "--port", "0", "--data"]).arg(data);
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let output = up.stdout.take().ok_or("it has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).await?;
    let ready: Value = serde_json::from_str(&line).map_err(|_| "`vartalap up` ended before it was ready")?;
    let url = |name: &str| ready[name].as_str().map(ToOwned::to_owned).ok_or("it did not say where it listens");
    Ok((up, url("ws")?, url("http")?))
}
