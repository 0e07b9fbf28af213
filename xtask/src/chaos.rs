//! Runs the chaos test of `tests/chaos` on a `vartalap` built from this checkout. What it kills and counts is there.

use std::path::Path;
use std::process::Command;

use crate::report::{Failure, Outcome};
use crate::{blackbox, child};

/// Runs it with these arguments.
///
/// # Errors
///
/// When it does not build, or a message was lost or shown twice.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<Outcome, Failure> {
    let mut chaos = Command::new("cargo");
    chaos.current_dir(root).args(["run", "--quiet", "--locked", "--package", "vartalap-chaos", "--"]);
    chaos.arg("--vartalap").arg(blackbox::vartalap(root)?).args(arguments);
    if child::run(&mut chaos)? { Ok(Outcome::Passed) } else { Err(Failure::new("see above")) }
}
