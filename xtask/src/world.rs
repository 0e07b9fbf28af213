//! Runs the simulated world of `tests/world`. What it simulates and checks is there.

use std::path::Path;
use std::process::Command;

use crate::report::{Failure, Outcome};
use crate::{child, programs};

/// Seeds that every run of all tests takes: always the same, so that what fails is what was changed.
const SEEDS: &str = "2000";

/// Runs it with these arguments.
///
/// # Errors
///
/// When it does not build, or a seed failed.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<Outcome, Failure> {
    let mut world = Command::new(programs::built(root, "world")?);
    world.current_dir(root).args(arguments);
    if child::run(&mut world)? { Ok(Outcome::Passed) } else { Err(Failure::new("see above")) }
}

/// Runs the seeds of every run.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn seeds(root: &Path) -> Result<Outcome, Failure> {
    run(root, &["--seeds".to_owned(), SEEDS.to_owned()])
}
