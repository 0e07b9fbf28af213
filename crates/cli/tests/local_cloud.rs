//! Every command against a local cloud that `vartalap up` runs: do they fit together? What each prints in detail is tested in
//! `commands.rs`, what the local cloud does in its own crate.

use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What a process left.
#[derive(Debug)]
struct Left {
    code: Option<i32>,
    out: String,
    err: String,
}

fn start(args: &[&str], data: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vartalap"));
    command.args(args).arg("--data").arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("it starts")
}

async fn end(child: Child) -> Left {
    let output = child.wait_with_output().await.expect("it ran");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Left { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

struct Cloud {
    up: Child,
    url: String,
    data: TempDir,
}

impl Cloud {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut up = start(&["up", "--port", "0", "--json", "--memory"], data.path());
        let mut line = String::new();
        BufReader::new(up.stdout.as_mut().expect("a pipe")).read_line(&mut line).await.expect("it prints");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        Self { up, url: ready["ws"].as_str().expect("a URL").to_owned(), data }
    }

    async fn run(&self, args: &[&str]) -> Left {
        self.run_with(self.data.path(), args).await
    }

    async fn run_with(&self, data: &Path, args: &[&str]) -> Left {
        end(start(&[args, &["--url", &self.url]].concat(), data)).await
    }
}

#[tokio::test]
async fn a_message_goes_from_one_command_to_the_other() {
    let cloud = Cloud::start().await;
    let sent = cloud.run(&["send", "--as", "alice", "--to", "bob", "hello"]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let heard = cloud.run(&["listen", "--as", "bob", "--count", "1"]).await;
    assert_eq!((heard.code, heard.out.as_str()), (Some(0), "alice: hello\n"), "{heard:?}");

    let id = cloud.up.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill").success());
    let left = end(cloud.up).await;
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.err.contains("accepted messages: 1; on AWS"), "{left:?}");
}

/// A chat whose stdin is open.
struct Chat {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Chat {
    fn start(cloud: &Cloud, user: &str, to: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vartalap"));
        command.args(["chat", "--as", user, "--to", to, "--url", &cloud.url, "--data"]).arg(cloud.data.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { input: child.stdin.take().expect("a pipe"), output, _child: child }
    }

    async fn write(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        self.input.flush().await.expect("it reads");
    }

    async fn line(&mut self) -> String {
        self.output.next_line().await.expect("text").expect("it goes on")
    }
}

#[tokio::test]
async fn two_chats_mark_what_the_other_has() {
    let cloud = Cloud::start().await;
    let mut alice = Chat::start(&cloud, "alice", "bob");
    alice.write("hi").await;
    assert_eq!(alice.line().await, "(accepted) hi");
    // He comes later, and has it from the inbox.
    let mut bob = Chat::start(&cloud, "bob", "alice");
    assert_eq!(bob.line().await, "alice: hi");
    assert_eq!(alice.line().await, "(shown) hi");
    bob.write("hello").await;
    assert_eq!((bob.line().await.as_str(), alice.line().await.as_str()), ("(accepted) hello", "bob: hello"));
    assert_eq!(bob.line().await, "(shown) hello");
}

#[tokio::test]
async fn the_environment_sets_the_flags_of_up() {
    for (memory, json, expected) in
        [("1", "", "everything is in memory"), ("", "0", "what was accepted is kept in"), ("yes", "1", r#"{"ws":"#)]
    {
        let data = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vartalap"));
        command.args(["up", "--port", "0", "--data"]).arg(data.path());
        command.env("VARTALAP_MEMORY", memory).env("VARTALAP_JSON", json);
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut up = command.spawn().expect("it starts");
        let mut lines = BufReader::new(up.stdout.take().expect("a pipe")).lines();
        loop {
            let line = lines.next_line().await.expect("text").expect("it is said");
            if line.contains(expected) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_printed_key_set_is_that_of_the_printed_tokens() {
    let data = tempfile::tempdir().expect("a folder");
    let jwks = end(start(&["jwks"], data.path())).await;
    assert_eq!((jwks.code, jwks.out.lines().count(), jwks.err.as_str()), (Some(0), 1, ""));
    let token = end(start(&["token", "carol"], data.path())).await.out;
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64");
    let json = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).expect("JSON");
    let (keys, header) = (json(jwks.out.as_bytes()), json(&header));
    assert_eq!((&keys["keys"][0]["kid"], keys["keys"][0].get("d")), (&header["kid"], None), "the public half alone");
}

#[tokio::test]
async fn a_printed_token_is_accepted_and_one_of_another_folder_is_not() {
    let cloud = Cloud::start().await;
    let token = end(start(&["token", "carol"], cloud.data.path())).await;
    assert_eq!((token.code, token.out.lines().count(), token.err.as_str()), (Some(0), 1, ""));
    let sent = cloud.run(&["send", "--token", token.out.trim(), "--to", "bob", "hello"]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");

    let other = tempfile::tempdir().expect("a folder");
    let refused = cloud.run_with(other.path(), &["send", "--as", "alice", "--to", "bob", "hello"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("pass the same --data as `vartalap up`"), "{refused:?}");
}

#[tokio::test]
async fn up_that_cannot_start_says_why() {
    let cloud = Cloud::start().await;
    let other = tempfile::tempdir().expect("a folder");
    let port = cloud.url.split([':', '/']).nth(4).expect("a port");
    let taken = end(start(&["up", "--port", port], other.path())).await;
    assert_eq!(taken.code, Some(1), "{taken:?}");
    assert!(taken.err.contains("taken by another process"), "{taken:?}");
    let wrong = end(start(&["up", "--waits", "0"], other.path())).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
