//! One run of tests: it is started, reported as Cargo's are, and ended. Which tests there are is a program's business.

use std::process::ExitCode;

use libtest_mimic::Trial;
use tokio::runtime::Runtime;

use crate::deployment::{Deployment, Unusable};
use crate::options::Options;
use crate::test::Test;

/// How many tests run at the same time unless `--test-threads` says otherwise. They wait far more than they compute, so the
/// number of processors says nothing.
const TEST_THREADS: usize = 8;

/// What a run that could not begin ends with; tests that failed end it with 101, as Cargo's do.
const CANNOT_BEGIN: u8 = 2;

/// Runs these tests against the deployment that the options name, and answers what the program ends with.
#[must_use]
pub fn run(options: Options, tests: Vec<Test>) -> ExitCode {
    try_to(options, tests).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(CANNOT_BEGIN)
    })
}

/// Notes for people go to standard error: standard output is the harness's, and may be JSON.
fn try_to(mut options: Options, tests: Vec<Test>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    // An error means that it has been chosen already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    options.harness.test_threads.get_or_insert(TEST_THREADS);
    let harness = options.harness.clone();
    let listing = harness.list;
    let deployment = runtime.block_on(async {
        let deployment = Deployment::of(options, listing).await?;
        if !listing {
            deployment.try_out().await?;
        }
        Ok::<_, Unusable>(deployment)
    })?;
    let trials = trials(tests, &deployment, &runtime, |trial, why| {
        if !listing && harness.is_ignored(trial) && !harness.is_filtered_out(trial) {
            eprintln!("{} is not run: {why}", trial.name());
        }
    });
    let conclusion = libtest_mimic::run(&harness, trials);
    let alone = harness.test_threads == Some(1) || conclusion.num_passed + conclusion.num_failed == 1;
    if let Some(words) = deployment.latency().in_words(alone) {
        eprintln!("{words}");
    }
    Ok(conclusion.exit_code())
}

/// The tests as the harness takes them. `tell` hears of each that cannot pass here, and why.
fn trials(tests: Vec<Test>, deployment: &Deployment, runtime: &Runtime, tell: impl Fn(&Trial, &str)) -> Vec<Trial> {
    let trials = tests.into_iter().enumerate().map(|(number, test)| {
        let (deployment, runtime) = (deployment.with_users_of(number), runtime.handle().clone());
        let missing = test.missing(&deployment);
        let trial = Trial::test(test.name, move || {
            runtime.block_on((test.run)(&deployment));
            Ok(())
        })
        .with_ignored_flag(missing.is_some());
        if let Some(why) = missing {
            tell(&trial, &why);
        }
        trial
    });
    trials.collect()
}
