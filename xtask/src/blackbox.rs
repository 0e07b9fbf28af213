//! Runs the black-box tests of `tests/blackbox` and `tests/conformance` against one deployment. How it was deployed is not known here,
//! except for the local cloud, which is started for them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::report::{Failure, Outcome};
use crate::tally::Tally;
use crate::{child, programs};

/// Waits for an ack, in seconds, of a deployment under test: as short as they can be, since the tests wait them out.
pub(crate) const WAITS: &str = "1,1,1,1";

/// Seconds between two wakes of a device of a deployment under test.
pub(crate) const WAKE_INTERVAL: &str = "2";

/// The programs, which take the same flags.
const PROGRAMS: [&str; 2] = ["vartalap-blackbox", "vartalap-conformance"];

/// Runs them. `flags` say where, and where wakes can be seen.
///
/// # Errors
///
/// When they do not build or one failed.
pub(crate) fn run(root: &Path, data: &Path, flags: &[&str]) -> Result<Outcome, Failure> {
    let vartalap = programs::built(root, "vartalap")?;
    let token = format!("'{}' token --data '{}' \"$1\"", vartalap.display(), data.display());
    let (mut tally, mut all_passed) = (Tally::default(), true);
    for program in PROGRAMS {
        let mut tests = Command::new(vartalap.with_file_name(program));
        tests.current_dir(root);
        tests.args(["--token-command", &token, "--waits", WAITS, "--wake-interval", WAKE_INTERVAL]).args(flags);
        all_passed &= child::run_and_read(&mut tests, |line| tally += Tally::from_libtest(line))?;
    }
    if all_passed { Ok(Outcome::Tested(tally)) } else { Err(Failure::new("see above").with(tally)) }
}

/// Runs them against a local cloud of their own.
///
/// # Errors
///
/// When that does not start, or one failed.
pub(crate) fn local(root: &Path) -> Result<Outcome, Failure> {
    let data = root.join("target/blackbox");
    let mut up = Command::new(programs::built(root, "vartalap")?);
    up.current_dir(root).args(["up", "--memory", "--port", "0", "--json", "--waits", WAITS]);
    up.args(["--wake-interval", WAKE_INTERVAL, "--data"]).arg(&data).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut up = child::spawn(&mut up)?;
    let outcome = ready(&mut up).and_then(|(ws, pushes)| run(root, &data, &["--url", &ws, "--pushes", &pushes]));
    let ended = up.kill().and_then(|()| up.wait());
    ended.map_err(|error| Failure::new(format!("the local cloud could not be ended: {error}")))?;
    outcome
}

/// Where the local cloud listens, and where it shows its wakes.
fn ready(up: &mut Child) -> Result<(String, String), Failure> {
    let mut line = String::new();
    if let Some(output) = up.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(|error| Failure::new(format!("`vartalap up`: {error}")))?;
    }
    let ready: Value = serde_json::from_str(&line).unwrap_or_default();
    match (ready["ws"].as_str(), ready["http"].as_str()) {
        (Some(ws), Some(http)) => Ok((ws.to_owned(), format!("{http}/_local/pushes"))),
        _ => Err(Failure::new("`vartalap up` ended before it was ready; it says why above")),
    }
}
