//! Runs the chaos test of `tests/chaos` on a `vartalap` built from this checkout. What it kills and counts is there.

use std::path::Path;
use std::process::Command;

use crate::report::{Failure, Outcome};
use crate::{child, programs};

/// How long every run of all tests kills: three or four times.
const SECONDS: &str = "20";

/// Runs it with these arguments.
///
/// # Errors
///
/// When it does not build, or a message was lost or shown twice.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<Outcome, Failure> {
    let chaos = programs::built(root, "chaos")?;
    let vartalap = chaos.with_file_name("vartalap");
    let mut chaos = Command::new(chaos);
    chaos.current_dir(root).arg("--vartalap").arg(vartalap).args(arguments);
    if child::run(&mut chaos)? { Ok(Outcome::Passed) } else { Err(Failure::new("see above")) }
}

/// Runs it for as long as every run of all tests does.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn brief(root: &Path) -> Result<Outcome, Failure> {
    run(root, &["--seconds".to_owned(), SECONDS.to_owned()])
}
