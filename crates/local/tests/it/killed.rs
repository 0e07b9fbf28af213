//! A process that is killed: what it accepted is there when the next one starts.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use local::Ready;
use serde_json::{Value, json};

use crate::support::{Client, get, message_id, options, within};

/// Names the data folder to the process that is to be killed.
const VICTIM: &str = "VARTALAP_TEST_VICTIM";

/// Not a test by itself: the process that is to be killed, when the variable says so.
#[expect(clippy::disallowed_methods, reason = "a variable tells this process from a run of all tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(data) = std::env::var(VICTIM) else {
        println!("skipped: {VICTIM} is not set");
        return;
    };
    let running = local::start(options(data.as_ref())).await.expect("a start");
    let line = json!({"ws": running.ready.ws, "http": running.ready.http, "jwks": running.ready.jwks});
    println!("\n{line}");
    std::future::pending().await
}

/// Killed when it is dropped, should the test fail before.
struct Victim(Child);

impl Victim {
    fn start(data: &std::path::Path) -> (Self, Ready) {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["killed::victim", "--exact", "--nocapture"]).env(VICTIM, data).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let is_ready = |line: std::io::Result<String>| serde_json::from_str::<Value>(&line.ok()?).ok();
        let line = output.lines().filter_map(is_ready).find(Value::is_object).expect("the line that says it is ready");
        let text = |key: &str| line[key].as_str().expect("a text").to_owned();
        let ready = Ready {
            ws: text("ws"),
            http: text("http"),
            jwks: text("jwks"),
            issuer: String::new(),
            audience: String::new(),
            data: data.to_owned(),
        };
        (Self(child), ready)
    }

    /// By SIGKILL, where there is one.
    fn kill(&mut self) {
        self.0.kill().expect("a kill");
        self.0.wait().expect("its end");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Usually dead already.
        let _ = self.0.kill();
    }
}

#[tokio::test]
async fn whatever_a_killed_process_accepted_is_pending_after_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut accepted = HashSet::new();
    for round in 0..3 {
        let (mut victim, ready) = Victim::start(folder.path());
        let mut alice = Client::connect(&ready, "alice", "phone").await;
        for frame in 0..10 {
            let messages: Vec<Value> = (0..25)
                .map(|n| message_id(round * 1000 + frame * 100 + n))
                .map(|id| json!({"id": id, "to": {"user": "bob"}, "body": "hi"}))
                .collect();
            alice.send(json!({"action": "send", "messages": messages}).to_string()).await;
            let answer = alice.next_of("accepted").await;
            let ids = answer["ids"].as_array().expect("ids").iter().filter_map(Value::as_str);
            accepted.extend(ids.map(|id| format!("{id}~alice~*")));
        }
        // Some are in the inbox by now, some in the hands of an invocation, some untouched.
        victim.kill();
    }
    assert_eq!(accepted.len(), 750);
    let running = local::start(options(folder.path())).await.expect("a start");
    within("everything accepted to be pending", async {
        loop {
            let pending = get(&running, "/_local/inbox/bob/*").await;
            let pending = pending.as_array().expect("refs").iter().filter_map(Value::as_str).map(str::to_owned);
            if accepted.is_subset(&pending.collect()) {
                return;
            }
        }
    })
    .await;
}
