//! Runs other programs: shows each command before it starts and lets its output through.
//!
//! It does not interpret that output; a caller that has to reads the lines it is handed.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::Failure;

/// How often a child with a limit is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How a child with a limit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    Failed,
    /// It was still running at the limit and has been killed.
    Late,
}

/// Runs a program to its end; `true` when it succeeded.
///
/// # Errors
///
/// When it cannot be started or waited for.
pub(crate) fn run(command: &mut Command) -> Result<bool, Failure> {
    announce(command);
    let status = command.stdin(Stdio::null()).status();
    status.map(|status| status.success()).map_err(|error| cannot_run(command, &error))
}

/// Like [`run`], and hands over each line of its standard output after printing it.
///
/// # Errors
///
/// When it cannot be started, read from or waited for.
pub(crate) fn run_and_read(command: &mut Command, mut line_read: impl FnMut(&str)) -> Result<bool, Failure> {
    announce(command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| cannot_run(command, &error))?;
    let status = pass_lines(&mut child, &mut line_read);
    status.map(|status| status.success()).map_err(|error| cannot_run(command, &error))
}

/// Like [`run`], but kills the program, and whatever it has started, when it is not done within `limit`.
///
/// # Errors
///
/// When it cannot be started or waited for.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<Ended, Failure> {
    announce(command);
    // A group of its own, so that it can be killed as a whole: git leaves the connecting to a child, which would outlive
    // it and keep our output open.
    let child = command.stdin(Stdio::null()).process_group(0).spawn();
    let mut child = child.map_err(|error| cannot_run(command, &error))?;
    wait_within(&mut child, limit).map_err(|error| cannot_run(command, &error))
}

/// Starts a program and lets it run; the caller ends it.
///
/// # Errors
///
/// When it cannot be started.
pub(crate) fn spawn(command: &mut Command) -> Result<Child, Failure> {
    announce(command);
    command.spawn().map_err(|error| cannot_run(command, &error))
}

/// Like [`spawn`], in a process group of its own: it outlives us, and Ctrl-C.
///
/// # Errors
///
/// When it cannot be started.
pub(crate) fn spawn_apart(command: &mut Command) -> Result<Child, Failure> {
    spawn(command.process_group(0))
}

/// Runs a program unannounced and returns what it wrote to standard output, or nothing when that failed.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn pass_lines(child: &mut Child, line_read: &mut impl FnMut(&str)) -> io::Result<ExitStatus> {
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            println!("{line}");
            line_read(&line);
        }
    }
    child.wait()
}

fn wait_within(child: &mut Child, limit: Duration) -> io::Result<Ended> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ended::Passed } else { Ended::Failed });
        }
        if Instant::now() >= deadline {
            kill_group(child)?;
            child.wait()?;
            return Ok(Ended::Late);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn kill_group(child: &mut Child) -> io::Result<()> {
    let group = format!("-{}", child.id());
    let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
    if killed.is_ok_and(|status| status.success()) { Ok(()) } else { child.kill() }
}

fn announce(command: &Command) {
    println!("$ {}", command_line(command));
}

/// The command as one would type it at the root of the workspace.
fn command_line(command: &Command) -> String {
    let root = command.get_current_dir();
    let typed = |word: &OsStr| {
        let path = root.and_then(|root| Path::new(word).strip_prefix(root).ok());
        quoted(&path.map_or_else(|| word.to_string_lossy(), |path| path.to_string_lossy()))
    };
    let settings =
        command.get_envs().filter_map(|(key, value)| Some(format!("{}={}", key.to_string_lossy(), typed(value?))));
    let words = [command.get_program()].into_iter().chain(command.get_args());
    settings.chain(words.map(typed)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(|symbol: char| symbol.is_whitespace() || "'\"$".contains(symbol)) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    word.to_owned()
}

fn cannot_run(command: &Command, error: &io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    if error.kind() == ErrorKind::NotFound {
        return Failure::new(format!("`{program}` was not found: install it, or put it on PATH"));
    }
    Failure::new(format!("`{program}` did not run: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/project/target/tools/typos");
        command.current_dir("/project").args(["--words", "two words"]).env("FLAGS", "-D warnings");
        assert_eq!(command_line(&command), "FLAGS='-D warnings' target/tools/typos --words 'two words'");
        let mut command = Command::new("sh");
        command.args(["-c", "echo '$1'"]);
        assert_eq!(command_line(&command), r"sh -c 'echo '\''$1'\'''");
    }

    #[test]
    fn a_child_that_outlives_its_limit_is_killed_with_its_own() {
        let (alive, held_open) = io::pipe().unwrap();
        let mut parent = Command::new("sh");
        parent.args(["-c", "sleep 600 & wait"]).stdout(held_open);
        assert_eq!(run_within(&mut parent, Duration::from_millis(50)).unwrap(), Ended::Late);
        drop(parent);
        // Reads to the end only when nobody holds the other end any more.
        assert_eq!(io::read_to_string(alive).unwrap(), "");
    }

    #[test]
    fn a_child_within_its_limit_tells_how_it_ended() {
        let limit = Duration::from_secs(60);
        assert_eq!(run_within(&mut Command::new("true"), limit).unwrap(), Ended::Passed);
        assert_eq!(run_within(&mut Command::new("false"), limit).unwrap(), Ended::Failed);
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run(&mut Command::new("vartalap-no-such-program")).unwrap_err();
        assert_eq!(failure.to_string(), "`vartalap-no-such-program` was not found: install it, or put it on PATH");
    }

    #[test]
    fn every_line_is_handed_over() {
        let mut lines = Vec::new();
        let passed = run_and_read(Command::new("printf").arg("one\\ntwo\\n"), |line| lines.push(line.to_owned()));
        assert!(passed.unwrap());
        assert_eq!(lines, ["one", "two"]);
    }
}
