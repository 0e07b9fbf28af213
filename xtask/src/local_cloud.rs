//! A local cloud of our own for the tests that want one: a `vartalap up` in memory, which ends with what started it. What is tested is not
//! known here.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::report::Failure;
use crate::{child, programs};

/// One that is ready.
#[derive(Debug)]
pub(crate) struct LocalCloud {
    process: Child,
    vartalap: PathBuf,
    data: PathBuf,
    /// Where sockets are opened.
    pub(crate) ws: String,
    /// What the paths of HTTP follow.
    pub(crate) http: String,
}

impl LocalCloud {
    /// Starts one whose key is kept in `data`.
    ///
    /// # Errors
    ///
    /// When it does not build or start.
    pub(crate) fn start(root: &Path, data: PathBuf, flags: &[&str]) -> Result<Self, Failure> {
        let vartalap = programs::built(root, "vartalap")?;
        let mut up = Command::new(&vartalap);
        up.current_dir(root).args(["up", "--memory", "--port", "0", "--json"]).args(flags);
        up.arg("--data").arg(&data).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut cloud =
            Self { process: child::spawn(&mut up)?, vartalap, data, ws: String::new(), http: String::new() };
        let mut line = String::new();
        if let Some(output) = cloud.process.stdout.take() {
            let read = BufReader::new(output).read_line(&mut line);
            read.map_err(|error| Failure::new(format!("`vartalap up`: {error}")))?;
        }
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let (Some(ws), Some(http)) = (ready["ws"].as_str(), ready["http"].as_str()) else {
            return Err(Failure::new("`vartalap up` ended before it was ready; it says why above"));
        };
        (cloud.ws, cloud.http) = (ws.to_owned(), http.to_owned());
        Ok(cloud)
    }

    /// A token for a user.
    ///
    /// # Errors
    ///
    /// When none is made.
    pub(crate) fn token(&self, user: &str) -> Result<String, Failure> {
        let token = child::output_of(Command::new(&self.vartalap).args(["token", user, "--data"]).arg(&self.data));
        let token = token.ok_or_else(|| Failure::new("`vartalap token` failed"))?;
        Ok(token.trim().to_owned())
    }
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        // What cannot be killed has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
