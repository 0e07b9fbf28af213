//! `cargo xtask emulator`: MiniStack on this machine, and the functions deployed to it by the template. What it answers wrongly is
//! in `localstack/README.md`; how the template gets there is in `localstack/deploy.py`.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::blackbox;
use crate::report::{Failure, Outcome};
use crate::{child, functions, programs, tools};

/// What signs the wakes of this deployment. It protects nothing: both ends are on this machine.
const WEBHOOK_SECRET: &str = "whsec_YW4gZW11bGF0b3IgaGFzIG5vIHNlY3JldHM=";

/// Where its S3 keeps the functions' code, and the key set of the issuer, whose address this is.
const BUCKET: &str = "vartalap-artifacts";

/// How long it may take to start, and to end.
const LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked at meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What can be done with it, in any order that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Install the pinned emulator, unless it is, and start it on loopback, unless it runs.
    Up,
    /// Build the functions with cargo lambda, deploy the template, and say how to chat through it.
    Deploy,
    /// Run the black-box tests against what is deployed.
    Test,
    /// End it. It keeps everything in memory, so what was deployed is gone.
    Down,
}

/// Does what is asked, one after the other. After a failure only `down` is still done.
pub(crate) fn run(root: &Path, actions: &[Action], port: u16) -> ExitCode {
    let emulator = Emulator::of(root);
    let mut code = ExitCode::SUCCESS;
    for action in actions {
        if code != ExitCode::SUCCESS && *action != Action::Down {
            continue;
        }
        let done = match action {
            Action::Up => emulator.up(port),
            Action::Deploy => emulator.deploy(),
            Action::Test => emulator.test().map(drop),
            Action::Down => emulator.down(),
        };
        if let Err(failure) = done {
            eprintln!("error: {failure}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// All of it, for CI. One that runs already is used as it is and goes on running.
pub(crate) fn tests(root: &Path) -> Result<Outcome, Failure> {
    let emulator = Emulator::of(root);
    let was_up = emulator.running().is_some();
    emulator.up(0)?;
    let tested = emulator.deploy().and_then(|()| emulator.test());
    if !was_up {
        emulator.down()?;
    }
    tested
}

/// An emulator of this checkout; there is at most one.
#[derive(Debug)]
struct Emulator<'a> {
    root: &'a Path,
    folder: PathBuf,
}

/// One that has been started.
#[derive(Debug, Clone, Copy)]
struct Process {
    /// Of the process and of its group, in which the functions are as well.
    id: u32,
    port: u16,
    /// Where the deployment posts its wakes, on loopback.
    webhook: u16,
}

impl<'a> Emulator<'a> {
    fn of(root: &'a Path) -> Self {
        Self { root, folder: root.join("target/emulator") }
    }

    fn up(&self, port: u16) -> Result<(), Failure> {
        if let Some(process) = self.running() {
            println!("the emulator is up at {}", endpoint(process.port));
            return Ok(());
        }
        let programs = tools::programs_of(self.root, &tools::EMULATOR)?;
        let free =
            |error| Failure::new(format!("cannot listen at 127.0.0.1:{port}: {error}; is it in use? Try --port"));
        let port = free_port(port).map_err(free)?;
        let webhook = free_port(0).map_err(free)?;
        let log = self.log();
        let mut ministack = Command::new(programs.join("ministack"));
        self.write(&self.folder.join("tmp/.keep"), "")?;
        let output = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = output.map_err(|error| Failure::new(format!("cannot write {}: {error}", log.display())))?;
        ministack.current_dir(&self.folder).stdin(Stdio::null()).stdout(out).stderr(err);
        // Otherwise it listens on every interface.
        ministack.env("BIND_HOST", "127.0.0.1").env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0");
        ministack.env("GATEWAY_PORT", port.to_string());
        // It hands these to the functions, which would ask AWS without them.
        ministack.env("AWS_ENDPOINT_URL", endpoint(port)).env("AWS_DEFAULT_REGION", "us-east-1");
        ministack.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        ministack.env("TMPDIR", self.folder.join("tmp")).env("STATE_DIR", self.folder.join("state"));
        let mut started = child::spawn_apart(&mut ministack)?;
        let process = Process { id: started.id(), port, webhook };
        self.remember(process)?;
        let mut ended = || started.try_wait().ok().flatten().is_some();
        if !within_limit(|| answers(port) || ended()) || ended() {
            self.down()?;
            return Err(Failure::new(format!("the emulator did not start; {} says why", log.display())));
        }
        println!("the emulator is up at {}; its log is {}", endpoint(port), log.display());
        Ok(())
    }

    fn deploy(&self) -> Result<(), Failure> {
        let process = self.expect_running()?;
        functions::build(self.root)?;
        let issuer = self.issuer();
        let vartalap = programs::built(self.root, "vartalap")?;
        let issuer_url = format!("{}/{BUCKET}", endpoint(process.port));
        let mut print = Command::new(&vartalap);
        print.arg("jwks").arg("--data").arg(&issuer).args(["--issuer", &issuer_url]);
        let jwks = child::output_of(&mut print);
        let jwks = jwks.ok_or_else(|| Failure::new(format!("`vartalap jwks --data {}` failed", issuer.display())))?;
        let key_set = self.folder.join("jwks.json");
        self.write(&key_set, &jwks)?;

        let mut deploy = Command::new(tools::programs_of(self.root, &tools::EMULATOR)?.join("python"));
        deploy.current_dir(self.root).arg("localstack/deploy.py").args(["--endpoint", &endpoint(process.port)]);
        deploy.args(["--bucket", BUCKET, "--platform-endpoint"]).arg("--jwks").arg(&key_set);
        let webhook = format!("WebhookUrl=http://127.0.0.1:{}/", process.webhook);
        let secret = format!("WebhookSecret={WEBHOOK_SECRET}");
        let waits = format!("Waits={}", blackbox::WAITS);
        let interval = format!("WakeInterval={}", blackbox::WAKE_INTERVAL);
        let issued_by = format!("Issuer={issuer_url}");
        for parameter in [&issued_by, "Audience=vartalap", &webhook, &secret, &waits, &interval] {
            deploy.args(["--parameter", parameter]);
        }
        let mut outputs = String::new();
        if !child::run_and_read(&mut deploy, |line| line.clone_into(&mut outputs))? {
            return Err(Failure::new("the template was not deployed; see above"));
        }
        self.write(&self.outputs(), &outputs)?;
        let (url, http) = (self.output("WebSocketUrl")?, self.output("HttpUrl")?);
        println!("\nWebSocket URL: {url}\nHTTP URL: {http}\nTo chat through it, in two terminals:");
        for (user, other) in [("alice", "bob"), ("bob", "alice")] {
            let (vartalap, issuer) = (self.shown(&vartalap), self.shown(&issuer));
            println!("  {vartalap} chat --url {url} --data {issuer} --as {user} --to {other}");
        }
        Ok(())
    }

    fn test(&self) -> Result<Outcome, Failure> {
        let process = self.expect_running()?;
        let webhook = format!("127.0.0.1:{}", process.webhook);
        let wakes = ["--webhook", &webhook, "--webhook-secret", WEBHOOK_SECRET];
        let (url, http) = (self.output("WebSocketUrl")?, self.output("HttpUrl")?);
        let where_it_is = ["--emulator", "--url", &url, "--http", &http];
        let endpoint = self.output("PlatformEndpoint")?;
        let flags = [&where_it_is[..], &wakes, &["--platform-endpoint", &endpoint]].concat();
        let before = self.read_log()?.len();
        let outcome = blackbox::run(self.root, &self.issuer(), &flags)?;
        self.expect_published_to(&endpoint, before)?;
        Ok(outcome)
    }

    /// Tests can see that what is for an endpoint of SNS is told to nobody else, and only the log, from where it was `before`, that it is told at all.
    fn expect_published_to(&self, endpoint: &str, before: usize) -> Result<(), Failure> {
        let text = self.read_log()?;
        let published = format!("platform-endpoint publish stub to {endpoint}");
        if String::from_utf8_lossy(text.get(before..).unwrap_or_default()).contains(&published) {
            return Ok(());
        }
        Err(Failure::new(format!("nothing was published to {endpoint}: {} does not say so", self.log().display())))
    }

    fn read_log(&self) -> Result<Vec<u8>, Failure> {
        let log = self.log();
        fs::read(&log).map_err(|error| Failure::new(format!("cannot read {}: {error}", log.display())))
    }

    fn down(&self) -> Result<(), Failure> {
        let Some(process) = self.remembered() else {
            println!("no emulator is up");
            return Ok(());
        };
        signal(process, "TERM");
        let ended = within_limit(|| !answers(process.port));
        // The functions, should they still be there.
        signal(process, "KILL");
        // Its log and the key of its users stay.
        for gone in [self.process_file(), self.outputs(), self.folder.join("state"), self.folder.join("tmp")] {
            let removed = if gone.is_dir() { fs::remove_dir_all(&gone) } else { fs::remove_file(&gone) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::new(format!("cannot remove {}: {error}", gone.display())));
                }
                _ => {}
            }
        }
        println!("the emulator is down{}", if ended { "" } else { ", killed" });
        Ok(())
    }

    /// Where the key is that signs the tokens for it.
    fn issuer(&self) -> PathBuf {
        self.folder.join("issuer")
    }

    /// What the stack says about itself.
    fn outputs(&self) -> PathBuf {
        self.folder.join("outputs.json")
    }

    /// What the emulator and the functions in it say.
    fn log(&self) -> PathBuf {
        self.folder.join("ministack.log")
    }

    fn process_file(&self) -> PathBuf {
        self.folder.join("process.json")
    }

    fn output(&self, name: &str) -> Result<String, Failure> {
        let outputs = read_json(&self.outputs());
        let value = outputs[name].as_str().map(ToOwned::to_owned);
        value.ok_or_else(|| Failure::new("nothing is deployed: `cargo xtask emulator deploy`"))
    }

    fn remember(&self, process: Process) -> Result<(), Failure> {
        let process = json!({"id": process.id, "port": process.port, "webhook": process.webhook});
        self.write(&self.process_file(), &process.to_string())
    }

    fn remembered(&self) -> Option<Process> {
        let process = read_json(&self.process_file());
        let number = |name| process[name].as_u64();
        let port = |name| number(name).and_then(|number| u16::try_from(number).ok());
        let id = u32::try_from(number("id")?).ok()?;
        Some(Process { id, port: port("port")?, webhook: port("webhook")? })
    }

    fn running(&self) -> Option<Process> {
        self.remembered().filter(|process| signal(*process, "0") && answers(process.port))
    }

    fn expect_running(&self) -> Result<Process, Failure> {
        self.running().ok_or_else(|| Failure::new("no emulator is up: `cargo xtask emulator up`"))
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        let folder = path.parent().unwrap_or(&self.folder);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
        written.map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
    }

    /// A path as one would type it at the root of the workspace.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).display().to_string()
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), POLL_INTERVAL).is_ok()
}

/// `port`, or one that is free for 0.
fn free_port(port: u16) -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr()?.port())
}

/// Signals the process and the functions that it runs; `true` if there was anybody.
fn signal(process: Process, name: &str) -> bool {
    // The shell's own `kill`: not every machine has a program of that name.
    let script = format!("kill -s {name} -- -{}", process.id);
    child::output_of(Command::new("sh").args(["-c", &script])).is_some()
}

fn within_limit(mut happened: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT;
    while !happened() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}

/// What a file holds; null when it is not there or is not JSON, which is what an interrupted run may leave.
fn read_json(path: &Path) -> Value {
    fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
