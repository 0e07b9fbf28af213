//! Reads the workspace: its packages from `cargo metadata`, its files from git. It judges neither.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// A package of this workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    manifest_path: PathBuf,
}

/// A dependency as its manifest declares it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal one, otherwise `dev` or `build`.
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Package {
    /// Where it is, from the root: `crates/delivery`.
    pub(crate) fn folder(&self) -> &Path {
        let folder = self.manifest_path.parent().expect("a manifest is in a folder");
        folder.strip_prefix(root()).expect("a member is below the root")
    }

    pub(crate) fn manifest(&self) -> String {
        read(&self.folder().join("Cargo.toml"))
    }
}

impl Dependency {
    /// Whether it is there for tests alone, so that nothing that ships has it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// The checkout whose tests these are. Cargo and nextest say so at run time; the one this was built in may be another, as
/// checkouts that share a target directory share what is in it.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("run by `cargo test` or nextest");
    Path::new(&manifest).parent().expect("xtask is a folder of the workspace").to_owned()
}

pub(crate) fn packages() -> Vec<Package> {
    let metadata = output_of("cargo", &["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    serde_json::from_str::<Metadata>(&metadata).expect("cargo metadata prints this format").packages
}

/// Every file that is ours, from the root: what git tracks or would track. Build output is not.
pub(crate) fn files() -> Vec<PathBuf> {
    let listed = output_of("git", &["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let paths = listed.split_terminator('\0').map(PathBuf::from);
    // A file that was deleted and not yet committed as such is still listed.
    paths.filter(|path| root().join(path).is_file()).collect()
}

/// Those of [`files`] whose name ends in one of these extensions.
pub(crate) fn files_of(extensions: &[&str]) -> Vec<PathBuf> {
    let matches =
        |path: &PathBuf| path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted));
    files().into_iter().filter(matches).collect()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("`{program}` did not run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program} {}` failed: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("paths and names here are UTF-8")
}
