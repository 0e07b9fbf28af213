//! Runs the black-box tests of `tests/blackbox` and `tests/conformance` against one deployment. How it was deployed is not known here,
//! except for the local cloud, which is started for them.

use std::path::{Path, PathBuf};
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

/// The test after which a local cloud has much to do that nobody waits for, and that no emulator bears.
const LAST: [&str; 3] = ["--crowd", "--exact", "bad_requests::a_group_has_at_most_1024_members"];

/// Runs them. `flags` say where, and where wakes can be seen.
///
/// # Errors
///
/// When they do not build or one failed.
pub(crate) fn run(root: &Path, data: &Path, flags: &[&str]) -> Result<Outcome, Failure> {
    Tests::of(root, data, flags)?.all()?.outcome()
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
    let flags = ["--url", &cloud.ws, "--http", &cloud.http, "--pushes", &pushes];
    let tests = Tests::of(root, &data, &flags)?;
    let all = tests.all()?;
    let last = tests.run(PROGRAMS[0], &LAST)?;
    if last.is_nothing() {
        let unknown = format!("no test ran as {}; if it has another name now, mend LAST in {}", LAST[2], file!());
        return Err(Failure::new(unknown).with(all.tally));
    }
    all.and(last).outcome()
}

/// The programs, and what all of them are told of the deployment.
#[derive(Debug)]
struct Tests<'a> {
    root: &'a Path,
    data: &'a Path,
    flags: &'a [&'a str],
    vartalap: PathBuf,
}

impl<'a> Tests<'a> {
    fn of(root: &'a Path, data: &'a Path, flags: &'a [&'a str]) -> Result<Self, Failure> {
        Ok(Self { root, data, flags, vartalap: programs::built(root, "vartalap")? })
    }

    /// Runs both programs, whatever the first one comes to.
    fn all(&self) -> Result<Ran, Failure> {
        let [first, second] = PROGRAMS;
        Ok(self.run(first, &[])?.and(self.run(second, &[])?))
    }

    /// Runs one program, or what is chosen of it.
    fn run(&self, program: &str, chosen: &[&str]) -> Result<Ran, Failure> {
        let token = format!("'{}' token --data '{}' \"$1\"", self.vartalap.display(), self.data.display());
        let mut tests = Command::new(self.vartalap.with_file_name(program));
        tests.current_dir(self.root).args(chosen);
        tests.args(["--token-command", &token, "--waits", WAITS, "--wake-interval", WAKE_INTERVAL]).args(self.flags);
        let mut tally = Tally::default();
        let all_passed = child::run_and_read(&mut tests, |line| tally += Tally::from_libtest(line))?;
        Ok(Ran { tally, all_passed })
    }
}

/// How programs ended.
#[derive(Debug, Clone, Copy)]
struct Ran {
    tally: Tally,
    all_passed: bool,
}

impl Ran {
    fn and(self, other: Self) -> Self {
        Self { tally: self.tally + other.tally, all_passed: self.all_passed && other.all_passed }
    }

    /// Whether nothing failed because nothing ran: a program that has no test of a name does not complain.
    fn is_nothing(self) -> bool {
        self.all_passed && self.tally.passed == 0
    }

    fn outcome(self) -> Result<Outcome, Failure> {
        if self.all_passed { Ok(Outcome::Tested(self.tally)) } else { Err(Failure::new("see above").with(self.tally)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_test_answers_to_is_nothing_and_what_fails_is_not() {
        let ran = |passed, failed, all_passed| Ran { tally: Tally { passed, failed }, all_passed };
        assert!(ran(0, 0, true).is_nothing());
        assert!(!ran(1, 0, true).is_nothing());
        // One that failed, and a program that could not begin: both have said why.
        assert!(!ran(0, 1, false).is_nothing() && !ran(0, 0, false).is_nothing());
    }

    #[test]
    fn what_failed_counts_whatever_passed_after_it() {
        let (failed, passed) = (Tally { passed: 2, failed: 1 }, Tally { passed: 1, failed: 0 });
        let both = Ran { tally: failed, all_passed: false }.and(Ran { tally: passed, all_passed: true });
        assert_eq!(both.tally, Tally { passed: 3, failed: 1 });
        assert!(both.outcome().is_err());
    }
}
