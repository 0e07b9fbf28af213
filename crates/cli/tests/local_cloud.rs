//! Every command against a local cloud that `vartalap up` runs: do they fit together? What each prints in detail is tested in
//! `commands.rs`, what the local cloud does in its own crate.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

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
