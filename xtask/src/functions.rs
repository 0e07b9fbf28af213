//! Builds the functions as they are deployed, with cargo lambda, and weighs them. Where they are deployed to is not known here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::report::{Failure, Outcome};
use crate::tools::{self, Tool};

/// Where cargo lambda leaves `NAME/bootstrap`, or `NAME/bootstrap.zip`.
const ARTIFACTS: &str = "target/lambda";

/// The most that the zip of a function may weigh: 4 MB. A cold start fetches it, and what it weighs is also what has to be
/// relocated and paged in; what exceeds this has got a dependency that a function does not need.
const MAX_ZIPPED_BYTES: u64 = 4_000_000;

/// The names of the functions: the folders of `functions/`, sorted.
///
/// # Errors
///
/// When the folder cannot be read.
pub(crate) fn names(root: &Path) -> Result<Vec<String>, Failure> {
    let folder = root.join("functions");
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The binary of a function, once it is built.
pub(crate) fn bootstrap(root: &Path, name: &str) -> PathBuf {
    root.join(ARTIFACTS).join(name).join("bootstrap")
}

/// Builds every function for this machine's architecture.
///
/// # Errors
///
/// When cargo lambda cannot be installed, or does not build one.
pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    cargo_lambda(root, &["--output-format", "binary"])
}

/// Builds and zips every function, prints what each weighs, and fails when one weighs too much.
///
/// # Errors
///
/// When one is not built or is too large.
pub(crate) fn size(root: &Path) -> Result<Outcome, Failure> {
    // Both: a zip alone would leave an older binary beside it, and each is what somebody deploys.
    build(root)?;
    cargo_lambda(root, &["--output-format", "zip"])?;
    let mut too_large = Vec::new();
    println!("{:<10}{:>12}{:>12}", "function", "binary", "zipped");
    for name in names(root)? {
        let binary = weigh(&bootstrap(root, &name))?;
        let zipped = weigh(&root.join(ARTIFACTS).join(&name).join("bootstrap.zip"))?;
        println!("{name:<10}{:>9.2} MB{:>9.2} MB", megabytes(binary), megabytes(zipped));
        if zipped > MAX_ZIPPED_BYTES {
            too_large.push(name);
        }
    }
    if too_large.is_empty() {
        return Ok(Outcome::Passed);
    }
    Err(Failure::new(format!(
        "more than {:.2} MB zipped: {}; `cargo tree -e normal,features -p vartalap-NAME` shows what a function is made of",
        megabytes(MAX_ZIPPED_BYTES),
        too_large.join(", ")
    )))
}

fn cargo_lambda(root: &Path, format: &[&str]) -> Result<(), Failure> {
    let program = tools::locate(root, Tool::CargoLambda)?;
    let mut build = Command::new(&program);
    build.current_dir(root).args(["lambda", "build", "--release", "--locked"]).args(format);
    build.arg("--lambda-dir").arg(root.join(ARTIFACTS));
    for name in names(root)? {
        build.args(["--package", &format!("vartalap-{name}")]);
    }
    // Zig is in the Python beside it, and both would keep their caches in the home directory.
    build.env("CARGO_ZIGBUILD_PYTHON_PATH", program.with_file_name("python"));
    let cache = root.join("target/tools/zig");
    build.env("CARGO_ZIGBUILD_CACHE_DIR", &cache);
    build.env("ZIG_GLOBAL_CACHE_DIR", cache.join("global")).env("ZIG_LOCAL_CACHE_DIR", cache.join("local"));
    if child::run(&mut build)? {
        Ok(())
    } else {
        Err(Failure::new("cargo lambda did not build the functions; it says why above"))
    }
}

fn weigh(file: &Path) -> Result<u64, Failure> {
    let metadata = fs::metadata(file);
    metadata.map(|found| found.len()).map_err(|error| Failure::new(format!("cannot weigh {}: {error}", file.display())))
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
