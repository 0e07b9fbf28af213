//! Builds the programs of the workspace for this machine, all at once. What each of them does is its own; the functions as they are
//! deployed are built in `functions`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::report::Failure;

/// Builds them all and names the file of one.
///
/// All, and with the features that the tests need: a package built alone has other features, for which every dependency
/// would be compiled, and kept, once more.
///
/// # Errors
///
/// When one does not build.
pub(crate) fn built(root: &Path, name: &str) -> Result<PathBuf, Failure> {
    let mut build = Command::new("cargo");
    // There are no examples; asking for them is what brings the features of the tests in.
    build.current_dir(root).args(["build", "--quiet", "--locked", "--workspace", "--bins", "--examples"]);
    if !child::run(&mut build)? {
        return Err(Failure::new(format!("`{name}` did not build; see above")));
    }
    // Beside this program, wherever Cargo's target directory is.
    std::env::current_exe()
        .map(|xtask| xtask.with_file_name(name))
        .map_err(|error| Failure::new(format!("cannot tell where `{name}` was built: {error}")))
}
