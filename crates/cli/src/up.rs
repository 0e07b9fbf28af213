//! `vartalap up`: what can be asked of the local cloud on the command line. What it does is in the crate `local`.

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::FalseyValueParser;

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::screen;

/// Run the whole system on this machine, in one process.
///
/// What was accepted is kept in the data folder, whatever happens to the process.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Address to listen at.
    #[arg(long, env = "VARTALAP_HOST", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port to listen at; 0 for any that is free.
    #[arg(long, env = "VARTALAP_PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Folder for the database, the queues and the signing key; made if there is none.
    #[arg(long, env = "VARTALAP_DATA", default_value = ".vartalap")]
    pub(crate) data: PathBuf,
    /// Keep everything in memory: faster, and gone afterwards.
    #[arg(long, env = "VARTALAP_MEMORY", value_parser = FalseyValueParser::new())]
    pub(crate) memory: bool,
    /// When ready, print one line of JSON with the URLs and the token settings.
    #[arg(long, env = "VARTALAP_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Seconds to wait for an ack after each attempt, separated by commas: as many attempts as waits.
    #[arg(long, env = "VARTALAP_WAITS", default_value = "5,15,45,5", value_name = "SECONDS,...")]
    pub(crate) waits: String,
    /// Seconds within which a device is woken once only, an hour at most.
    #[arg(
        long, env = "VARTALAP_WAKE_INTERVAL", default_value_t = 30, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(0..=3_600),
    )]
    pub(crate) wake_interval: u64,
}

/// Runs until Ctrl-C.
pub(crate) async fn run(args: UpArgs) -> Result<(), Failure> {
    let mut interrupts = Interrupts::new().map_err(Failure::Interrupts)?;
    let options = local::Options {
        host: args.host,
        port: args.port,
        data: args.data,
        memory: args.memory,
        waits: parse("--waits", &args.waits)?,
        wake_interval: Duration::from_secs(args.wake_interval),
        ..local::Options::default()
    };
    let running = local::start(options).await.map_err(|error| Failure::Local(error.into()))?;
    tell(&ready(&running.ready, args.json, args.memory)?)?;
    interrupts.next().await;
    let summary = running.shutdown().await;
    screen::tell(&bill(&summary));
    Ok(())
}

/// A value whose type is the local cloud's, and so is the reason why it is none.
fn parse<T>(flag: &str, text: &str) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| Failure::Usage(format!("{flag}: {error}")))
}

fn tell(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::Output)
}

/// What is told when it can be reached.
fn ready(ready: &local::Ready, json: bool, memory: bool) -> Result<String, Failure> {
    if json {
        return serde_json::to_string(ready).map_err(|error| Failure::Output(error.into()));
    }
    let kept = match memory {
        true => "everything is in memory and gone afterwards".to_owned(),
        false => format!("what was accepted is kept in {}", ready.data.display()),
    };
    Ok(format!(
        "listening at {}\n\
         chat in a browser: {}/\n\
         or from two other terminals: vartalap chat --as alice --to bob, vartalap chat --as bob --to alice\n\
         Ctrl-C ends it; {kept}",
        ready.ws, ready.http
    ))
}

/// What is told when it has ended.
fn bill(summary: &local::Summary) -> String {
    let unfinished = match summary.unfinished {
        0 => String::new(),
        count => format!("; {count} invocations had not ended, their records come again at the next start"),
    };
    let cost = match summary.dollars_per_million() {
        Some(dollars) => format!("; on AWS, a million like them would cost ${dollars:.2}"),
        None => String::new(),
    };
    format!("{}accepted messages: {}{cost}{unfinished}", summary.report, summary.accepted)
}
