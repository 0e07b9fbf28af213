//! The server under test: a process of the local cloud on one port and one folder, that is killed and started again. Who talks to it is
//! not known here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::Outcome;

/// It starts within that, or not at all.
const START: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    program: PathBuf,
    data: PathBuf,
    pub(crate) ws: String,
    http: String,
}

impl Server {
    /// Starts it on any port.
    pub(crate) async fn start(program: &Path, data: &Path) -> Outcome<Self> {
        Self::start_at(program, data, "0").await
    }

    /// Starts it again, on the same port and folder.
    pub(crate) async fn start_again(killed: Self) -> Outcome<Self> {
        let port = killed.http.rsplit(':').next().unwrap_or_default();
        Self::start_at(&killed.program, &killed.data, port).await
    }

    async fn start_at(program: &Path, data: &Path, port: &str) -> Outcome<Self> {
        let mut up = Command::new(program);
        up.args(["up", "--json", "--port", port, "--waits", "1,2,3,2", "--wake-interval", "2", "--data"]).arg(data);
        up.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = up.spawn()?;
        let output = process.stdout.take().ok_or("it has no output")?;
        let mut line = String::new();
        timeout(START, BufReader::new(output).read_line(&mut line)).await.map_err(|_| "it did not start in time")??;
        let ready: Value = serde_json::from_str(&line).map_err(|_| "it ended before it was ready")?;
        let url = |name: &str| ready[name].as_str().map(ToOwned::to_owned).ok_or("it did not say where it listens");
        let (ws, http) = (url("ws")?, url("http")?);
        Ok(Self { process, program: program.to_owned(), data: data.to_owned(), ws, http })
    }

    /// Switches all faults on. A start switches them off.
    pub(crate) async fn misbehave(&self) -> Outcome<()> {
        let rates = json!({
            "drop_posts": 0.1,
            "delay_posts": {"rate": 0.1, "ms": 500},
            "duplicate_records": 0.1,
            "false_gone": 0.03,
            "crash": 0.03,
        });
        let switchboard = format!("{}/_local/faults", self.http);
        reqwest::Client::new().post(switchboard).body(rates.to_string()).send().await?.error_for_status()?;
        Ok(())
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) async fn kill(&mut self) -> Outcome<()> {
        Ok(self.process.kill().await?)
    }
}
