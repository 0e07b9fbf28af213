//! Settings from the environment, parsed once at start into types. Everything wrong is reported together and by name, so
//! that a bad deployment fails before traffic, and once.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Reads settings and collects what is wrong with them.
#[derive(Debug)]
pub struct Reader {
    variables: HashMap<String, String>,
    problems: Vec<String>,
}

/// Settings that are missing or cannot be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("settings: {}", .0.join("; "))]
pub struct InvalidSettings(Vec<String>);

impl Reader {
    /// Reads from the process's environment.
    pub fn from_env() -> Self {
        Self::new(std::env::vars())
    }

    /// Reads from `variables`.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), problems: Vec::new() }
    }

    /// A setting that must be there.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let value = self.optional(name);
        if value.is_none() && self.text(name).is_none() {
            self.problems.push(format!("{name} is missing"));
        }
        value
    }

    /// A setting that may be left out. An empty one counts as left out: a template cannot leave a variable unset.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                // The value is not shown: it may be a secret in the wrong place.
                self.problems.push(format!("{name} cannot be read: {error}"));
                None
            }
        }
    }

    /// A duration in whole seconds, at most `longest`, that may be left out.
    pub fn optional_secs(&mut self, name: &str, longest: Duration) -> Option<Duration> {
        let duration = self.optional(name).map(Duration::from_secs)?;
        if duration > longest {
            self.problems.push(format!("{name} is more than {} seconds", longest.as_secs()));
        }
        Some(duration)
    }

    /// The settings that `build` makes, unless something was wrong.
    ///
    /// # Errors
    /// Everything that is missing or cannot be parsed.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, InvalidSettings> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(InvalidSettings(self.problems)),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(variables: &[(&str, &str)]) -> Reader {
        Reader::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn everything_wrong_is_reported_together_and_by_name() {
        let mut reader = reader(&[("A", "x"), ("EMPTY", "")]);
        let (a, b, empty) = (reader.required::<u8>("A"), reader.required::<u8>("B"), reader.required::<u8>("EMPTY"));
        let error = reader.finish(a.zip(b).zip(empty)).expect_err("wrong").to_string();
        assert_eq!(error, "settings: A cannot be read: invalid digit found in string; B is missing; EMPTY is missing");
    }

    #[test]
    fn what_may_be_left_out_is() {
        let mut reader = reader(&[("WAIT", "30"), ("EMPTY", "")]);
        assert_eq!(reader.optional_secs("WAIT", Duration::from_secs(30)), Some(Duration::from_secs(30)));
        assert_eq!(reader.optional::<u8>("EMPTY"), None);
        assert_eq!(reader.finish(Some(())), Ok(()));
    }

    #[test]
    fn a_duration_has_a_limit() {
        let mut reader = reader(&[("WAIT", "31")]);
        let wait = reader.optional_secs("WAIT", Duration::from_secs(30));
        assert_eq!(reader.finish(wait).expect_err("too long").to_string(), "settings: WAIT is more than 30 seconds");
    }
}
