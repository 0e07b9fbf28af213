//! `cargo xtask bench`: how long the release build of `vartalap up` takes from its start to ready, and, by `tests/bench`, what a message to a
//! large group takes. Reported, never asserted: numbers of this machine, on this day.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Starts per kind of storage.
const RUNS: usize = 20;

/// Builds, measures, and prints a line for each kind of storage; then what `tests/bench` prints of a group.
pub(crate) fn run(root: &Path, members: u16, messages: u16) -> ExitCode {
    match measure(root, members, messages) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench did not run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(root: &Path, members: u16, messages: u16) -> io::Result<()> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--locked", "-p", "vartalap-cli", "-p", "vartalap-bench"]);
    let built = build.current_dir(root).status()?;
    if !built.success() {
        return Err(io::Error::other("the release build failed; see above"));
    }
    let program = root.join("target/release/vartalap");
    let folder = root.join("target/bench");
    for (kind, flags) in [("new folder", &[][..]), ("same folder", &[]), ("memory", &["--memory"])] {
        let mut times = Vec::with_capacity(RUNS);
        for run in 0..RUNS {
            let data = if kind == "new folder" { folder.join(format!("{run}")) } else { folder.join("same") };
            times.push(start_to_ready(&program, &data, flags)?);
        }
        times.sort_unstable();
        println!(
            "start to ready, {kind:<11}  median {:>6.1} ms  max {:>6.1} ms  of {RUNS} runs",
            millis(times[RUNS / 2]),
            millis(times[RUNS - 1])
        );
    }
    std::fs::remove_dir_all(&folder)?;
    let mut group = Command::new(program.with_file_name("bench"));
    group.arg("--vartalap").arg(&program);
    group.args(["--members", &members.to_string(), "--messages", &messages.to_string()]);
    let measured = group.status()?;
    if measured.success() { Ok(()) } else { Err(io::Error::other("the group was not measured; see above")) }
}

fn start_to_ready(program: &Path, data: &PathBuf, flags: &[&str]) -> io::Result<Duration> {
    let started = Instant::now();
    let mut up = Command::new(program)
        .args(["up", "--json", "--port", "0", "--data"])
        .arg(data)
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let ready = first_line(&mut up);
    let took = started.elapsed();
    up.kill()?;
    up.wait()?;
    if ready?.is_empty() {
        return Err(io::Error::other("`vartalap up` ended before it was ready"));
    }
    Ok(took)
}

fn first_line(up: &mut Child) -> io::Result<String> {
    let mut line = String::new();
    let output = up.stdout.take().ok_or_else(|| io::Error::other("`vartalap up` has no output"))?;
    BufReader::new(output).read_line(&mut line)?;
    Ok(line)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
