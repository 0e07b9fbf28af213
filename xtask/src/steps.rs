//! The steps, in the order they run. What each one demands is in its own configuration file (`clippy.toml`,
//! `deny.toml`, `typos.toml`, `.config/nextest.toml`), not here.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child::{self, Ended};
use crate::report::{Failure, Outcome, Step};
use crate::tally::Tally;
use crate::tools::{self, Tool};
use crate::{blackbox, chaos, emulator, functions, openapi, page, world};

/// What needs no test to run.
pub(crate) const CHECKS: &[Step] = &[
    Step { name: "format", run: format },
    Step { name: "clippy", run: clippy },
    Step { name: "rustdoc", run: rustdoc },
    Step { name: "spelling", run: spelling },
    Step { name: "dependencies", run: dependencies },
    Step { name: "advisories", run: advisories },
    Step { name: "template", run: template },
];

/// What executes the code of the workspace.
pub(crate) const TESTS: &[Step] = &[
    Step { name: "tests", run: tests },
    Step { name: "doc tests", run: doc_tests },
    Step { name: "world", run: world::seeds },
    Step { name: "chaos", run: chaos::brief },
    Step { name: "black box", run: blackbox::local },
    Step { name: "HTTP API", run: openapi::try_out },
    Step { name: "page", run: page::try_out },
    Step { name: "size", run: functions::size },
    Step { name: "emulator", run: emulator::tests },
];

/// Where cargo-deny gets its advisories from, unless `deny.toml` says otherwise.
const ADVISORY_DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// How long the advisory database may take to say that it is there. Without a network some machines answer at once and
/// others never.
const REACH_LIMIT: Duration = Duration::from_secs(10);

/// How long a first copy of the advisory database may take; it is a few megabytes.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Where nextest leaves its machine-readable result: under the workspace, wherever Cargo's target directory is.
const NEXTEST_RESULT: &str = "target/nextest/default/junit.xml";

fn format(root: &Path) -> Result<Outcome, Failure> {
    let check = cargo(root, &["fmt", "--all", "--check"]);
    demand(check, "run `cargo fmt --all`")
}

fn clippy(root: &Path) -> Result<Outcome, Failure> {
    let check = cargo(root, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    demand(check, "correct what clippy named; where it is wrong, #[expect(..., reason = \"...\")]")
}

fn rustdoc(root: &Path) -> Result<Outcome, Failure> {
    let mut check = cargo(root, &["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"]);
    check.env("RUSTDOCFLAGS", "-D warnings");
    demand(check, "correct the doc comments that rustdoc named")
}

fn spelling(root: &Path) -> Result<Outcome, Failure> {
    demand(tool(root, Tool::Typos, &[])?, "correct the word, or add it to typos.toml with its reason")
}

fn dependencies(root: &Path) -> Result<Outcome, Failure> {
    // Without this flag every duplicate is followed by a screen of who asked for it.
    let rules = ["--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    demand(
        tool(root, Tool::Deny, &rules)?,
        "`cargo tree --workspace -i CRATE` shows who asked for it; rules: deny.toml",
    )
}

fn advisories(root: &Path) -> Result<Outcome, Failure> {
    let mut probe = Command::new("git");
    probe.current_dir(root).args(["ls-remote", "--exit-code", ADVISORY_DATABASE, "HEAD"]);
    // Somebody has to be there to type a password, and nobody is in CI.
    probe.env("GIT_TERMINAL_PROMPT", "0");
    if let Some(why) = unreached(child::run_within(&mut probe, REACH_LIMIT)?, REACH_LIMIT) {
        return Ok(Outcome::Skipped(format!("the advisory database {why}")));
    }
    let mut fetch = tool(root, Tool::Deny, &["--locked", "fetch", "db"])?;
    if let Some(why) = unreached(child::run_within(&mut fetch, FETCH_LIMIT)?, FETCH_LIMIT) {
        return Ok(Outcome::Skipped(format!("the advisory database answered, but its copy {why}")));
    }
    let check = tool(root, Tool::Deny, &["--locked", "--offline", "check", "--hide-inclusion-graph", "advisories"])?;
    demand(check, "update the crate (`cargo update -p CRATE`), or ignore the advisory in deny.toml with its reason")
}

/// The template, offline, by three tools that find different things. What they may overlook is said in `infra/checks`.
fn template(root: &Path) -> Result<Outcome, Failure> {
    let cfn_lint = tool(root, Tool::CfnLint, &["--config-file", "infra/checks/.cfnlintrc.yaml"])?;
    let mut sam = tool(root, Tool::Sam, &["validate", "--lint", "--template", "infra/template.yaml"])?;
    // It would report home, write there, and ask for a region that it does not use.
    sam.env("SAM_CLI_TELEMETRY", "0").env("__SAM_CLI_APP_DIR", root.join("target/tools/sam"));
    sam.env("AWS_DEFAULT_REGION", "us-east-1");
    let mut checkov = tool(root, Tool::Checkov, &["--config-file", "infra/checks/.checkov.yaml"])?;
    checkov.env("CKV_SKIP_PACKAGE_UPDATE_CHECK", "True");
    for check in [cfn_lint, sam, checkov] {
        demand(check, "correct infra/template.yaml, or suppress the rule in infra/checks with its reason")?;
    }
    Ok(Outcome::Passed)
}

fn tests(root: &Path) -> Result<Outcome, Failure> {
    // A run that does not get as far as writing a result must not be counted by the last one's.
    let result = root.join(NEXTEST_RESULT);
    if result.exists() {
        fs::remove_file(&result).map_err(|error| Failure::new(format!("cannot remove {NEXTEST_RESULT}: {error}")))?;
    }
    let mut run = tool(root, Tool::Nextest, &["nextest", "run", "--workspace", "--locked"])?;
    let passed = child::run(&mut run)?;
    let tally = fs::read_to_string(&result).ok().and_then(|xml| Tally::from_junit(&xml));
    match tally {
        Some(tally) if passed => Ok(Outcome::Tested(tally)),
        Some(tally) => Err(Failure::new("see the list above; `cargo test -p PACKAGE NAME` runs one alone").with(tally)),
        None if passed => {
            Err(Failure::new(format!("nextest left no count in {NEXTEST_RESULT}; see .config/nextest.toml")))
        }
        None => Err(Failure::new("the tests did not start; nextest says why above")),
    }
}

fn doc_tests(root: &Path) -> Result<Outcome, Failure> {
    let mut run = cargo(root, &["test", "--doc", "--workspace", "--locked"]);
    let mut tally = Tally::default();
    let passed = child::run_and_read(&mut run, |line| tally += Tally::from_libtest(line))?;
    if passed {
        Ok(Outcome::Tested(tally))
    } else {
        Err(Failure::new("see above; `cargo test --doc -p PACKAGE` runs those of one package").with(tally))
    }
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(arguments);
    command
}

fn tool(root: &Path, tool: Tool, arguments: &[&str]) -> Result<Command, Failure> {
    let mut command = Command::new(tools::locate(root, tool)?);
    command.current_dir(root).args(arguments);
    Ok(command)
}

/// Runs a check that speaks for itself, and says what to do when it fails.
fn demand(mut check: Command, advice: &str) -> Result<Outcome, Failure> {
    if child::run(&mut check)? { Ok(Outcome::Passed) } else { Err(Failure::new(advice)) }
}

/// Says why something on the network was not reached, or nothing when it was.
fn unreached(ended: Ended, limit: Duration) -> Option<String> {
    match ended {
        Ended::Passed => None,
        Ended::Failed => Some("cannot be reached from here".to_owned()),
        Ended::Late => Some(format!("did not come within {} s", limit.as_secs())),
    }
}
