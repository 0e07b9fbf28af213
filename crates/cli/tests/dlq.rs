//! `dlq` as a process, against a local cloud whose dead letters the test made: what it prints, what it never prints, what it sends back,
//! and its exit codes. SQS itself is not here; how it is spoken to is tested in `crates/aws`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a process left.
#[derive(Debug)]
struct Left {
    code: Option<i32>,
    out: String,
    err: String,
}

fn vartalap(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vartalap"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(command: &mut Command) -> Left {
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("an end").expect("it ran");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Left { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

struct Cloud {
    up: Child,
    http: String,
    ws: String,
    data: TempDir,
}

impl Cloud {
    async fn on(data: TempDir) -> Self {
        let mut up =
            vartalap(&["up", "--port", "0", "--json"]).arg("--data").arg(data.path()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(up.stdout.as_mut().expect("a pipe")).read_line(&mut line).await.expect("it prints");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let text = |key: &str| ready[key].as_str().expect("a URL").to_owned();
        Self { http: text("http"), ws: text("ws"), up, data }
    }

    async fn stop(mut self) -> TempDir {
        let id = self.up.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill").success());
        tokio::time::timeout(PATIENCE, self.up.wait()).await.expect("an end").expect("it ran");
        self.data
    }

    /// A local cloud with the records of `fill` in its queues.
    async fn holding(fill: impl FnOnce(&Queues)) -> Self {
        let data = Self::on(tempfile::tempdir().expect("a folder")).await.stop().await;
        fill(&Queues(rusqlite::Connection::open(data.path().join("queues.sqlite")).expect("the queues")));
        Self::on(data).await
    }

    async fn dlq(&self, args: &[&str]) -> Left {
        run(vartalap(&["dlq"]).args(args).args(["--url", &self.http])).await
    }

    /// The dead letters once there are `count`.
    async fn letters(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.dlq(&["list", "--json"]).await;
            assert_eq!(left.code, Some(0), "{left:?}");
            let letters: Vec<Value> = left.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            if letters.len() == count {
                return letters;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {count} dead letters: {letters:?}");
        }
    }
}

/// The queues of a local cloud that does not run.
struct Queues(rusqlite::Connection);

impl Queues {
    fn put(&self, queue: &str, id: &str, body: &str, sent_at: u64, receive_count: u32) {
        self.0
            .execute(
                "INSERT INTO records (queue, id, body, sent_at, visible_at, receive_count) VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
                (queue, id, body, sent_at, receive_count),
            )
            .expect("a row");
    }
}

fn now() -> u64 {
    client::now().as_millis()
}

/// The id of the `n`th message.
fn id(n: u64) -> String {
    format!("0198a5c0-7c00-7abc-8def-{n:012x}")
}

/// A record that delivers the `n`th message of alice to `user`.
fn deliver(n: u64, user: &str) -> String {
    let (id, now) = (id(n), now());
    format!(
        r#"{{"deliver":{{"envelope":{{"id":"{id}","from":"alice","to":{{"user":"{user}"}},"kind":"message","at":{now},"expires_at":{},"body":"secret {n}"}},"recipient":"{user}"}}}}"#,
        now + 3_600_000
    )
}

const HOUR: u64 = 3_600_000;

/// Two worn-out records, one of them of three hours ago, and one that the function will find unreadable.
fn fill(queues: &Queues) {
    queues.put("delivery-dead-letters", "old", &deliver(1, "bob"), now() - 3 * HOUR, 200);
    queues.put("delivery-dead-letters", "new", &deliver(2, "carol"), now() - HOUR, 200);
    queues.put("delivery", "poison", "secret poison", now(), 0);
}

#[tokio::test]
async fn dead_letters_are_listed_and_shown_without_what_users_wrote() {
    let cloud = Cloud::holding(fill).await;
    let letters = cloud.letters(3).await;
    let kinds: Vec<&str> = letters.iter().filter_map(|letter| letter["kind"].as_str()).collect();
    assert_eq!(kinds, ["deliver", "deliver", "unreadable"]);
    assert!(letters[2]["reason"].as_str().is_some_and(|reason| reason.starts_with("the record is not a job")));
    let poison = letters[2]["id"].as_str().expect("an id");

    let list = cloud.dlq(&["list"]).await;
    assert_eq!(
        (list.code, list.out.lines().count(), list.err.as_str()),
        (Some(0), 3, "-- dead letters: 3\n"),
        "{list:?}"
    );
    assert!(list.out.starts_with("old  ") && list.out.contains(&format!("  users bob,alice  messages {}  ", id(1))));
    assert!(list.out.contains(&format!("\n{poison}  ")) && list.out.contains("  unreadable  13 bytes  received "));
    let show = cloud.dlq(&["show", "old", poison]).await;
    assert_eq!(show.code, Some(0), "{show:?}");
    assert!(
        show.out.contains(r#""body_bytes":10"#) && show.out.contains("reason    the record is not a job"),
        "{show:?}"
    );
    for left in [&list, &show, &cloud.dlq(&["show", "old", poison, "--json"]).await] {
        assert!(!format!("{left:?} {letters:?}").contains("secret"), "{left:?}");
    }

    let raw = cloud.dlq(&["show", "--body", "old", poison]).await;
    assert!(raw.err.contains("may hold what users wrote"), "{raw:?}");
    assert!(raw.out.contains(r#""body":"secret 1""#) && raw.out.contains("raw       secret poison"), "{raw:?}");
}

#[tokio::test]
async fn every_filter_must_apply() {
    let cloud = Cloud::holding(fill).await;
    cloud.letters(3).await;
    let (first, second) = (id(1), id(2));
    for (args, found) in [
        (&["--user", "bob"][..], &["old"][..]),
        (&["--user", "alice"], &["old", "new"]),
        (&["--user", "dave"], &[]),
        (&["--message", &second], &["new"]),
        (&["--since", "2h", "--until", "10m"], &["new"]),
        (&["--until", "2h"], &["old"]),
        (&["--until", "2020-01-01"], &[]),
        (&["--user", "alice", "--message", &first, "--since", "2h"], &[]),
    ] {
        let left = cloud.dlq(&[&["list"], args].concat()).await;
        let ids: Vec<&str> = left.out.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!((left.code, ids.as_slice()), (Some(0), found), "{args:?}: {left:?}");
    }
}

#[tokio::test]
async fn what_is_redriven_arrives_and_the_same_again_changes_nothing() {
    let cloud = Cloud::holding(fill).await;
    cloud.letters(3).await;
    let dry = cloud.dlq(&["redrive", "--all", "--dry-run"]).await;
    assert_eq!((dry.code, dry.out.matches("(would redrive)").count()), (Some(0), 2), "{dry:?}");
    cloud.letters(3).await;

    let redriven = cloud.dlq(&["redrive", "--user", "bob"]).await;
    assert_eq!(
        (redriven.code, redriven.out.as_str()),
        (Some(0), "(redriven) old  delivery  deliver\n"),
        "{redriven:?}"
    );
    assert_eq!(redriven.err, "-- redriven: 1; skipped: 0; failed: 0\n");
    let listen = ["listen", "--as", "bob", "--count", "1", "--timeout", "15", "--url", &cloud.ws];
    let heard = run(vartalap(&listen).arg("--data").arg(cloud.data.path())).await;
    assert_eq!((heard.code, heard.out.as_str()), (Some(0), "alice: secret 1\n"), "{heard:?}");
    for again in [&["redrive", "--user", "bob"][..], &["redrive", "old"]] {
        let left = cloud.dlq(again).await;
        assert_eq!((left.code, left.out.as_str()), (Some(0), ""), "{left:?}");
    }

    let rest = cloud.dlq(&["redrive", "--all"]).await;
    assert_eq!(
        (rest.code, rest.err.lines().next()),
        (Some(0), Some("-- redriven: 1; skipped: 1; failed: 0")),
        "{rest:?}"
    );
    assert!(rest.out.contains("(skipped, unreadable)") && rest.err.contains("--unreadable"), "{rest:?}");
    let before = cloud.letters(1).await.remove(0);

    // It is sent back once, however soon it comes back.
    let forced = cloud.dlq(&["redrive", "--all", "--unreadable", "--json"]).await;
    assert_eq!((forced.code, forced.out.lines().count()), (Some(0), 1), "{forced:?}");
    assert!(forced.out.starts_with(r#"{"type":"redriven","#), "{forced:?}");
    let after = cloud.letters(1).await.remove(0);
    assert_ne!(before["id"], after["id"]);
}

#[tokio::test]
async fn a_dead_letter_that_is_not_there_is_exit_code_1() {
    let cloud = Cloud::on(tempfile::tempdir().expect("a folder")).await;
    let left = cloud.dlq(&["show", "none"]).await;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("no dead letter for none"), "{left:?}");
    let empty = cloud.dlq(&["list"]).await;
    assert_eq!((empty.code, empty.out.as_str(), empty.err.as_str()), (Some(0), "", "-- no such dead letters\n"));
    let by_socket = run(&mut vartalap(&["dlq", "list", "--url", &cloud.ws])).await;
    assert_eq!(by_socket.code, Some(0), "{by_socket:?}");
}

#[tokio::test]
async fn where_nothing_listens_is_exit_code_3() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{free}");
    let left = run(&mut vartalap(&["dlq", "list", "--url", &url])).await;
    assert_eq!(left.code, Some(3), "{left:?}");
    assert!(left.err.contains("start it with `vartalap up`") && left.err.contains("--outputs"), "{left:?}");

    let outputs = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(
        outputs.path(),
        r#"{"DeliveryQueueUrl":"http://h/1/d","DeliveryDeadLetterQueueUrl":"http://h/1/dd","WakeQueueUrl":"http://h/1/w","WakeDeadLetterQueueUrl":"http://h/1/wd"}"#,
    )
    .expect("written");
    let mut command = vartalap(&["dlq", "redrive", "--all", "--outputs"]);
    command.arg(outputs.path()).envs([
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ]);
    let left = run(&mut command).await;
    assert_eq!(left.code, Some(3), "{left:?}");
    assert!(left.err.contains("SQS does not answer") && left.err.contains("AWS_ENDPOINT_URL"), "{left:?}");
}

#[tokio::test]
async fn what_is_no_local_cloud_is_exit_code_1() {
    let cloud = Cloud::on(tempfile::tempdir().expect("a folder")).await;
    // It asks for another name than its own, which is refused.
    let port = cloud.http.rsplit(':').next().expect("a port");
    let left = run(&mut vartalap(&["dlq", "list", "--url", &format!("http://0.0.0.0:{port}")])).await;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("pass another --url"), "{left:?}");
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    for args in [
        &["list", "--since", "soon"][..],
        &["list", "--since", "1h", "--until", "2h"],
        &["list", "--user", "a#b"],
        &["list", "--message", "1"],
        &["list", "--url", "ftp://h"],
        &["list", "--outputs", "/nowhere/outputs.json"],
        &["list", "--delivery-queue", "http://h/q"],
        &["show"],
        &["redrive"],
        &["redrive", "--dry-run"],
        &["redrive", "--all", "--user", "bob"],
    ] {
        let left = run(&mut vartalap(&[&["dlq"], args].concat())).await;
        assert_eq!(left.code, Some(2), "{args:?}: {left:?}");
    }
}
