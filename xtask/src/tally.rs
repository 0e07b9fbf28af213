//! Counts tests from what the runners report. It reads two numbers from each format and leaves the rest to people.

use std::fmt;
use std::ops::{Add, AddAssign};

/// How many tests passed and how many did not, whatever stopped them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Tally {
    /// Reads the totals of a JUnit file, which are attributes of its root element. A test that was killed is there as
    /// a failure, one that could not be started as an error.
    pub(crate) fn from_junit(xml: &str) -> Option<Self> {
        let root = xml.split_once("<testsuites ")?.1.split_once('>')?.0;
        let failed = attribute(root, "failures")? + attribute(root, "errors")?;
        let passed = attribute(root, "tests")?.checked_sub(failed)?;
        Some(Self { passed, failed })
    }

    /// Reads the closing line of one `cargo test` binary; any other line counts nothing.
    pub(crate) fn from_libtest(line: &str) -> Self {
        let Some((_, totals)) = line.split_once("test result: ") else {
            return Self::default();
        };
        Self { passed: before(totals, " passed"), failed: before(totals, " failed") }
    }

    /// Reads one of the closing lines of Node.js's test runner; any other line counts nothing. A test that was stopped is `cancelled`.
    pub(crate) fn from_node_test(line: &str) -> Self {
        let number = |word: &str| line.strip_prefix("ℹ ")?.strip_prefix(word)?.trim().parse().ok();
        let count = |word: &str| number(word).unwrap_or(0);
        Self { passed: count("pass "), failed: count("fail ") + count("cancelled ") }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn attribute(element: &str, name: &str) -> Option<u32> {
    let value = element.split_once(&format!("{name}=\""))?.1;
    value.split_once('"')?.0.parse().ok()
}

/// The number before a word, 0 when there is none.
fn before(text: &str, word: &str) -> u32 {
    let number = text.split_once(word).and_then(|(head, _)| head.rsplit(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From cargo-nextest 0.9.148, in a run with a failed test, an aborted one and one that hung.
    const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="4" skipped="0" failures="3" errors="0" uuid="1642d2be" time="2.017">
    <testsuite name="nt" tests="9" skipped="0" errors="0" failures="9">"#;

    #[test]
    fn junit_totals_are_those_of_the_root() {
        assert_eq!(Tally::from_junit(JUNIT), Some(Tally { passed: 1, failed: 3 }));
    }

    #[test]
    fn a_broken_junit_file_counts_nothing() {
        assert_eq!(Tally::from_junit("<testsuites tests=\"4\""), None);
        assert_eq!(Tally::from_junit("<testsuites tests=\"4\" failures=\"x\" errors=\"0\">"), None);
    }

    #[test]
    fn libtest_totals_are_those_of_the_closing_line() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.09s";
        assert_eq!(Tally::from_libtest(line), Tally { passed: 12, failed: 3 });
        assert_eq!(Tally::from_libtest("test crates/protocol/src/lib.rs - (line 2) ... ok"), Tally::default());
    }

    #[test]
    fn node_totals_are_those_of_the_closing_lines() {
        let lines =
            ["✔ passes 3 (7.2ms)", "ℹ tests 6", "ℹ pass 3", "ℹ fail 2", "ℹ cancelled 1", "ℹ duration_ms 40437.1"];
        let tally = lines.into_iter().map(Tally::from_node_test).reduce(|sum, tally| sum + tally);
        assert_eq!(tally, Some(Tally { passed: 3, failed: 3 }));
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(Tally { passed: 120, failed: 0 }.to_string(), "120 passed, 0 failed");
    }
}
