//! `world`: runs seeds until one fails, or one seed with its history.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use world::{Fault, Mutation, Plan, Report, Simulator, plan, shrink};

/// Run the simulated world: every fault that can happen, and a check that nothing was lost.
///
/// One seed is one history. A seed that fails is made as small as it can be, told event by event, and named with the command that runs it
/// again.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask world", after_help = "Exit status: 0 when every seed held, 1 when one did not.")]
struct Cli {
    /// How many seeds to run.
    #[arg(long, default_value_t = 2_000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Run this seed alone, and tell its history.
    #[arg(long)]
    seed: Option<u64>,
    /// Most messages of a run.
    #[arg(long, default_value_t = plan::MESSAGES)]
    messages: usize,
    /// A kind of fault that does not happen; may be given again.
    #[arg(long)]
    without: Vec<Fault>,
    /// Switch on a bug.
    #[arg(long)]
    mutation: Option<Mutation>,
    /// Do not make a seed that fails smaller.
    #[arg(long)]
    whole: bool,
}

impl Cli {
    fn plan(&self, seed: u64) -> Plan {
        Plan { seed, messages: self.messages, without: self.without.clone(), mutation: self.mutation }
    }
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    messages: usize,
    shown: usize,
    wakes: usize,
    nowhere: usize,
}

impl Counts {
    fn of(report: &Report) -> Self {
        Self { messages: report.messages, shown: report.shown, wakes: report.wakes, nowhere: report.nowhere }
    }

    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.shown += other.shown;
        self.wakes += other.wakes;
        self.nowhere += other.nowhere;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, shown, wakes, nowhere } = self;
        write!(f, "{messages} messages, {shown} shown, {wakes} wakes, {nowhere} more with nowhere to go")
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let told = match cli.seed {
        Some(seed) => tell(&Simulator::default().run(&cli.plan(seed), true)),
        None => run_all(&cli),
    };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader of the output has gone.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Tells one run; `true` if it held.
fn tell(report: &Report) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    for event in &report.history {
        writeln!(out, "{event}")?;
    }
    for finding in &report.findings {
        writeln!(out, "WRONG: {finding}")?;
    }
    let verdict = if report.findings.is_empty() { "held" } else { "failed" };
    writeln!(out, "seed {} {verdict}: {}", report.plan.seed, Counts::of(report))?;
    if !report.findings.is_empty() {
        writeln!(out, "run it again: {}", report.plan.command())?;
    }
    Ok(report.findings.is_empty())
}

fn run_all(cli: &Cli) -> io::Result<bool> {
    let began = Instant::now();
    let (next, counts) = (AtomicU64::new(0), Mutex::new(Counts::default()));
    let (stop, failed) = (AtomicBool::new(false), Mutex::new(None::<Plan>));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut simulator = Simulator::default();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cli.seeds {
                        return;
                    }
                    let report = simulator.run(&cli.plan(cli.from + number), false);
                    counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&Counts::of(&report));
                    if !report.findings.is_empty() {
                        stop.store(true, Ordering::Relaxed);
                        let mut failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        failed.get_or_insert(report.plan);
                    }
                    if number.is_multiple_of(500) && io::stderr().is_terminal() {
                        eprint!("\r{number} of {} seeds", cli.seeds);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(plan) = failed {
        let mut simulator = Simulator::default();
        let report = if cli.whole { simulator.run(&plan, true) } else { shrink::shrink(&mut simulator, &plan) };
        return tell(&report);
    }
    writeln!(
        io::stdout(),
        "{} seeds held: {}, {:.1} s",
        cli.seeds,
        counts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner),
        began.elapsed().as_secs_f64()
    )?;
    Ok(true)
}
