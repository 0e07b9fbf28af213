//! Runs steps one after the other, times them, and says at the end how each went.
//!
//! It does not know what a step does, and no step stops another.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::tally::Tally;

/// One check, or one way to run tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Takes the root of the workspace.
    pub(crate) run: fn(&Path) -> Result<Outcome, Failure>,
}

/// How a step ended that found nothing wrong.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// Passed, and these are the tests that did.
    Tested(Tally),
    /// Did not run, and why.
    Skipped(String),
}

/// Why a step failed, or what to do next where its own output has said why.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    tally: Option<Tally>,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tally: None }
    }

    /// Adds the tests that were run before the step failed.
    pub(crate) fn with(self, tally: Tally) -> Self {
        Self { tally: Some(tally), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<Row>,
    /// How many steps there will be.
    total: usize,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    elapsed: Duration,
    result: Result<Outcome, Failure>,
}

impl Report {
    pub(crate) fn new(total: usize) -> Self {
        Self { rows: Vec::with_capacity(total), total }
    }

    pub(crate) fn run_all(&mut self, steps: &[Step], root: &Path) {
        for step in steps {
            self.announce(step.name);
            let started = Instant::now();
            let result = (step.run)(root);
            let row = Row { name: step.name, elapsed: started.elapsed(), result };
            println!("{}: {:.1} s, {}", row.name, row.elapsed.as_secs_f64(), row.verdict());
            self.rows.push(row);
        }
    }

    pub(crate) fn skip_all(&mut self, steps: &[Step], why: &str) {
        for step in steps {
            let result = Ok(Outcome::Skipped(why.to_owned()));
            self.rows.push(Row { name: step.name, elapsed: Duration::ZERO, result });
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.rows.iter().any(|row| row.result.is_err())
    }

    /// Prints the summary; its last line counts the tests, if any were run.
    pub(crate) fn close(&self) -> ExitCode {
        println!("\n{}", self.summary());
        if let Some(tally) = self.tally() {
            println!("{tally}");
        }
        if self.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn announce(&self, name: &str) {
        println!("\n[{}/{}] {name}", self.rows.len() + 1, self.total);
    }

    fn summary(&self) -> String {
        let head = format!("{:<14}{:>8}  {}\n", "step", "seconds", "result");
        self.rows.iter().fold(head, |table, row| {
            table + &format!("{:<14}{:>8.1}  {}\n", row.name, row.elapsed.as_secs_f64(), row.verdict())
        })
    }

    fn tally(&self) -> Option<Tally> {
        self.rows.iter().filter_map(Row::tally).reduce(|sum, tally| sum + tally)
    }
}

impl Row {
    fn verdict(&self) -> String {
        match &self.result {
            Ok(Outcome::Passed | Outcome::Tested(_)) => "ok".to_owned(),
            Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
            Err(failure) => format!("failed: {failure}"),
        }
    }

    fn tally(&self) -> Option<Tally> {
        match &self.result {
            Ok(Outcome::Tested(tally)) => Some(*tally),
            Ok(Outcome::Passed | Outcome::Skipped(_)) => None,
            Err(failure) => failure.tally,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(results: Vec<Result<Outcome, Failure>>) -> Report {
        let rows =
            results.into_iter().map(|result| Row { name: "a step", elapsed: Duration::from_millis(1250), result });
        Report { rows: rows.collect(), total: 0 }
    }

    #[test]
    fn the_summary_says_how_each_step_ended() {
        let report = report(vec![
            Ok(Outcome::Passed),
            Ok(Outcome::Skipped("no way out".to_owned())),
            Err(Failure::new("do this")),
        ]);
        let expected = "step           seconds  result\n\
                        a step             1.2  ok\n\
                        a step             1.2  skipped: no way out\n\
                        a step             1.2  failed: do this\n";
        assert_eq!(report.summary(), expected);
    }

    #[test]
    fn a_skipped_step_is_no_failure() {
        assert!(!report(vec![Ok(Outcome::Passed), Ok(Outcome::Skipped("why".to_owned()))]).failed());
        assert!(report(vec![Err(Failure::new("why")), Ok(Outcome::Passed)]).failed());
    }

    #[test]
    fn tests_of_a_failed_step_count_too() {
        let ran = |passed, failed| Tally { passed, failed };
        let report =
            report(vec![Ok(Outcome::Passed), Err(Failure::new("why").with(ran(5, 1))), Ok(Outcome::Tested(ran(2, 0)))]);
        assert_eq!(report.tally(), Some(ran(7, 1)));
    }

    #[test]
    fn without_tests_nothing_is_counted() {
        assert_eq!(report(vec![Ok(Outcome::Passed), Err(Failure::new("why"))]).tally(), None);
    }
}
