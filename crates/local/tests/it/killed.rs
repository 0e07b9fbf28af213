//! A process that is killed between accepted and delivered: what it accepted is there when the next one starts, and is delivered.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use local::{Ready, Running};
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
    fn start(data: &Path) -> (Self, Ready) {
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

/// Sends ten frames of 25 messages to bob and answers the ids that were accepted: all of them.
async fn send_many(ready: &Ready, first: u64) -> Vec<String> {
    let mut alice = Client::connect(ready, "alice", "phone").await;
    let mut accepted = Vec::new();
    for frame in 0..10 {
        let messages: Vec<Value> = (0..25)
            .map(|n| message_id(first + frame * 100 + n))
            .map(|id| json!({"id": id, "to": {"user": "bob"}, "body": "hi"}))
            .collect();
        alice.send(json!({"action": "send", "messages": messages}).to_string()).await;
        let answer = alice.next_of("accepted").await;
        accepted.extend(answer["ids"].as_array().expect("ids").iter().filter_map(Value::as_str).map(str::to_owned));
    }
    assert_eq!(accepted.len(), 250);
    accepted
}

/// The next messages of a device, which acks them: their ids.
async fn take(device: &mut Client) -> Vec<String> {
    let frame = device.next_of("messages").await;
    let messages = frame["messages"].as_array().expect("messages");
    let texts = |key| messages.iter().filter_map(move |message: &Value| message[key].as_str()).map(str::to_owned);
    let refs: Vec<String> = texts("ref").collect();
    for refs in refs.chunks(100) {
        device.send(json!({"action": "ack", "refs": refs}).to_string()).await;
    }
    texts("id").collect()
}

/// Bob's phone acks whatever comes, until all of `owed` has come and nothing is left in an inbox. Answers what came, after dedupe.
async fn take_all(running: &Running, owed: &HashSet<String>) -> HashSet<String> {
    let mut bob = Client::connect(&running.ready, "bob", "phone").await;
    let mut taken = HashSet::new();
    within("everything owed to be taken, and an empty inbox", async {
        while !owed.is_subset(&taken) {
            taken.extend(take(&mut bob).await);
        }
        // A record that was in hand at the kill may bring back what was acked meanwhile.
        while !(is_empty(running, "phone").await && is_empty(running, "*").await) {
            if let Ok(again) = tokio::time::timeout(Duration::from_millis(50), take(&mut bob)).await {
                taken.extend(again);
            }
        }
    })
    .await;
    taken
}

async fn is_empty(running: &Running, device: &str) -> bool {
    get(running, &format!("/_local/inbox/bob/{device}")).await == json!([])
}

#[tokio::test]
async fn whatever_a_killed_process_accepted_is_pending_after_the_next_start_and_delivered_to_who_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut accepted = HashSet::new();
    for round in 0..3 {
        let (mut victim, ready) = Victim::start(folder.path());
        accepted.extend(send_many(&ready, round * 1000).await);
        // Some are in the inbox by now, some in the hands of an invocation, some untouched.
        victim.kill();
    }
    assert_eq!(accepted.len(), 750);
    let running = local::start(options(folder.path())).await.expect("a start");
    let refs: HashSet<String> = accepted.iter().map(|id| format!("{id}~alice~*")).collect();
    within("everything accepted to be pending", async {
        loop {
            let pending = get(&running, "/_local/inbox/bob/*").await;
            let pending = pending.as_array().expect("refs").iter().filter_map(Value::as_str).map(str::to_owned);
            if refs.is_subset(&pending.collect()) {
                return;
            }
        }
    })
    .await;
    assert_eq!(take_all(&running, &accepted).await, accepted);
}

#[tokio::test]
async fn who_was_connected_to_a_killed_process_is_delivered_to_once_reconnected() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut victim, ready) = Victim::start(folder.path());
    let mut bob = Client::connect(&ready, "bob", "phone").await;
    bob.next_of("drained").await;
    let accepted: HashSet<String> = send_many(&ready, 0).await.into_iter().collect();
    // Whether the kill is before or after this ack, nobody knows; the rest was posted at most.
    let acked: HashSet<String> = take(&mut bob).await.into_iter().collect();
    victim.kill();
    assert!(acked.len() < accepted.len(), "something is left to deliver");

    let running = local::start(options(folder.path())).await.expect("a start");
    let owed = &accepted - &acked;
    let taken = take_all(&running, &owed).await;
    assert_eq!(&taken | &acked, accepted);
}
