//! Runs the black-box tests of `tests/blackbox` and `tests/conformance` against one deployment. How it was deployed is not known here,
//! except for the local cloud, which is started for them.

use std::path::Path;
use std::process::Command;

use crate::local_cloud::LocalCloud;
use crate::report::{Failure, Outcome};
use crate::tally::Tally;
use crate::{child, programs};

/// Waits for an ack, in seconds, of a deployment under test: as short as they can be, since the tests wait them out.
pub(crate) const WAITS: &str = "1,1,1,1";

/// Seconds between two wakes of a device of a deployment under test.
pub(crate) const WAKE_INTERVAL: &str = "2";

/// The programs, which take the same flags.
const PROGRAMS: [&str; 2] = ["vartalap-blackbox", "vartalap-conformance"];

/// The test after which a deployment has much to do that nobody waits for.
const LAST: [&str; 3] = ["--crowd", "--exact", "bad_requests::a_group_has_at_most_1024_members"];

/// Runs them. `flags` say where, and where wakes can be seen.
///
/// # Errors
///
/// When they do not build or one failed.
pub(crate) fn run(root: &Path, data: &Path, flags: &[&str]) -> Result<Outcome, Failure> {
    let vartalap = programs::built(root, "vartalap")?;
    let token = format!("'{}' token --data '{}' \"$1\"", vartalap.display(), data.display());
    let (mut tally, mut all_passed) = (Tally::default(), true);
    let runs = PROGRAMS.map(|program| (program, &[][..])).into_iter().chain([(PROGRAMS[0], &LAST[..])]);
    for (program, chosen) in runs {
        let mut tests = Command::new(vartalap.with_file_name(program));
        tests.current_dir(root).args(chosen);
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
    let cloud = LocalCloud::start(root, data.clone(), &["--waits", WAITS, "--wake-interval", WAKE_INTERVAL])?;
    let pushes = format!("{}/_local/pushes", cloud.http);
    run(root, &data, &["--url", &cloud.ws, "--http", &cloud.http, "--pushes", &pushes])
}
