//! Tries the chat page of the local cloud in a browser: Debian's Chromium, driven by Playwright, both installed if need be. What is tried is
//! in `tests/page`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::programs;
use crate::report::{Failure, Outcome};
use crate::tally::Tally;

/// The tests, with what they need from the npm registry, and its exact versions.
const TESTS: &str = "tests/page";
const PINNED: [&str; 2] = ["package.json", "package-lock.json"];

/// Where that is installed: not beside the tests, so that nothing in the checkout changes.
const TOOLS: &str = "target/tools/page";

/// Left there when everything in it has been installed: what was asked for.
const RECEIPT: &str = "installed.txt";

/// The oldest Node.js that has a test runner with these flags.
const NODE_MAJOR: u32 = 20;

const CHROMIUM: &str = "chromium";

/// Runs them.
///
/// # Errors
///
/// When something is missing that cannot be installed, the text saying what; when `vartalap` does not build; and when a test failed.
pub(crate) fn try_out(root: &Path) -> Result<Outcome, Failure> {
    demand_node()?;
    let chromium = chromium_or_install(root)?;
    let tools = install_packages(root)?;
    let tests = test_files(root).map_err(|error| Failure::new(format!("cannot list {TESTS}: {error}")))?;
    let vartalap = programs::built(root, "vartalap")?;
    let mut run = Command::new("node");
    // One after the other: each of them has a browser and a server.
    run.current_dir(root).args(["--test", "--test-concurrency=1", "--test-reporter=spec"]).args(tests);
    run.env("VARTALAP", vartalap).env("PAGE_TOOLS", tools).env("CHROMIUM", chromium);
    let mut tally = Tally::default();
    let passed = child::run_and_read(&mut run, |line| tally += Tally::from_node_test(line))?;
    match passed {
        true if tally.passed > 0 => Ok(Outcome::Tested(tally)),
        true => Err(Failure::new(format!("no test ran in {TESTS}"))),
        false => Err(Failure::new("see above; the command alone, with --test-name-pattern=NAME, runs one").with(tally)),
    }
}

fn test_files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root.join(TESTS))?.collect::<Result<Vec<_>, _>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut tests: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
    tests.sort();
    Ok(tests)
}

fn demand_node() -> Result<(), Failure> {
    let version = child::output_of(Command::new("node").arg("--version"));
    let has_npm = child::output_of(Command::new("npm").arg("--version")).is_some();
    match version.as_deref().map(|version| (version.trim(), major(version))) {
        Some((_, Some(NODE_MAJOR..))) if has_npm => Ok(()),
        Some((_, Some(NODE_MAJOR..))) => Err(Failure::new("`npm` was not found: install it beside Node.js")),
        Some((version, _)) => {
            Err(Failure::new(format!("Node.js {NODE_MAJOR} or later is needed; `node` on PATH is {version}")))
        }
        None => Err(Failure::new(format!("`node` was not found: install Node.js {NODE_MAJOR} or later, with npm"))),
    }
}

/// The first number of a version such as `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Where Chromium is. If there is none, the package of the system is installed: a browser needs more of the system than a folder of ours can
/// hold.
fn chromium_or_install(root: &Path) -> Result<String, Failure> {
    if let Some(path) = chromium() {
        return Ok(path);
    }
    let advice = format!("`{CHROMIUM}` was not found: `apt-get install {CHROMIUM}` as root, or put it on PATH");
    if child::output_of(Command::new("id").arg("-u")).is_none_or(|user| user.trim() != "0") {
        return Err(Failure::new(advice));
    }
    for arguments in [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends", CHROMIUM]] {
        let mut apt = Command::new("apt-get");
        apt.current_dir(root).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        if !child::run(&mut apt).unwrap_or(false) {
            return Err(Failure::new(format!("{advice}; apt-get could not, see above")));
        }
    }
    chromium().ok_or_else(|| Failure::new(advice))
}

/// The path of the program: Playwright looks nowhere for it.
fn chromium() -> Option<String> {
    let found = child::output_of(Command::new("sh").args(["-c", &format!("command -v {CHROMIUM}")]))?;
    Some(found.trim().to_owned())
}

/// The folder with what the tests need from npm, installed if need be.
fn install_packages(root: &Path) -> Result<PathBuf, Failure> {
    let tools = root.join(TOOLS);
    let unusable = |error: io::Error| Failure::new(format!("cannot prepare {TOOLS}: {error}"));
    let pinned = PINNED.map(|name| fs::read_to_string(root.join(TESTS).join(name)));
    let [package, lock] = pinned.map(|text| text.map_err(unusable));
    let pinned = [package?, lock?];
    let receipt = tools.join(RECEIPT);
    if fs::read_to_string(&receipt).is_ok_and(|installed| installed == pinned.concat()) {
        return Ok(tools);
    }
    fs::create_dir_all(&tools).map_err(unusable)?;
    for (name, text) in PINNED.iter().zip(&pinned) {
        fs::write(tools.join(name), text).map_err(unusable)?;
    }
    let mut install = Command::new("npm");
    install.current_dir(&tools).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    if !child::run(&mut install)? {
        return Err(Failure::new(format!(
            "npm could not install {TESTS}/{}: it needs the npm registry once",
            PINNED[1]
        )));
    }
    fs::write(receipt, pinned.concat()).map_err(unusable)?;
    Ok(tools)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!([major("v20.20.2\n"), major("v9.1.0"), major("20"), major("")], [Some(20), Some(9), None, None]);
    }

    /// Whoever installs from it gets the files from the registry that he uses, and no others than these.
    #[test]
    fn the_lock_file_names_hashes_and_no_addresses() {
        let lock = include_str!("../../tests/page/package-lock.json");
        let package = include_str!("../../tests/page/package.json");
        assert!(!lock.contains("\"resolved\"") && !lock.contains("http"), "set omit-lockfile-registry-resolved of npm");
        assert_eq!(lock.matches("\"integrity\": \"sha512-").count(), lock.matches("\"node_modules/").count());
        let pinned = package.split_once("\"playwright-core\": \"").map(|(_, version)| version);
        assert!(pinned.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit())));
    }
}
