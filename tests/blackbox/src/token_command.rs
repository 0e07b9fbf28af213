//! Tokens, as a command of the operator's prints them. How they are signed, and what they say, is not known here.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Longest time for the command. It may have to ask an issuer far away.
const LIMIT: Duration = Duration::from_secs(60);

/// The command.
#[derive(Clone, Debug)]
pub(crate) struct TokenCommand(String);

/// There is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoToken {
    /// It could not be run.
    #[error("the token command did not start: {0}")]
    NotStarted(std::io::Error),
    /// It said that it failed.
    #[error("the token command failed for {user} ({status}){}", said(.errors))]
    Failed {
        /// For whom it was asked.
        user: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said about it.
        errors: String,
    },
    /// It printed no token, or more than one.
    #[error("the token command printed {words} words for {user}, and a token is one{}", said(.errors))]
    NotOne {
        /// For whom it was asked.
        user: String,
        /// How many words it printed.
        words: usize,
        /// What it said about it.
        errors: String,
    },
    /// It did not end.
    #[error("the token command did not end within {} s for {user}", LIMIT.as_secs())]
    Late {
        /// For whom it was asked.
        user: String,
    },
}

fn said(errors: &str) -> String {
    if errors.is_empty() { String::new() } else { format!(": {errors}") }
}

impl TokenCommand {
    pub(crate) fn new(command: String) -> Self {
        Self(command)
    }

    /// A token of `user`.
    ///
    /// # Errors
    /// When the command does not print one.
    pub(crate) async fn token(&self, user: &str) -> Result<String, NoToken> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &self.0, "sh", user]).stdin(Stdio::null()).kill_on_drop(true);
        let owned = || user.to_owned();
        let output = tokio::time::timeout(LIMIT, shell.output()).await.map_err(|_| NoToken::Late { user: owned() })?;
        let output = output.map_err(NoToken::NotStarted)?;
        let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !output.status.success() {
            return Err(NoToken::Failed { user: owned(), status: output.status, errors });
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        match *printed.split_whitespace().collect::<Vec<_>>() {
            [token] => Ok(token.to_owned()),
            ref words => Err(NoToken::NotOne { user: owned(), words: words.len(), errors }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(command: &str) -> Result<String, String> {
        TokenCommand::new(command.to_owned()).token("bob@x").await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn the_user_is_the_first_argument() {
        assert_eq!(answer("echo \"token-of-$1\"").await, Ok("token-of-bob@x".to_owned()));
    }

    #[tokio::test]
    async fn what_went_wrong_is_said() {
        let failed = answer("echo no key >&2; exit 3").await.expect_err("no token");
        assert!(failed.contains("exit status: 3") && failed.ends_with(": no key"), "{failed}");
        let silent = answer("true").await.expect_err("no token");
        assert!(silent.contains("printed 0 words for bob@x"), "{silent}");
        assert!(answer("echo two words").await.is_err());
    }
}
