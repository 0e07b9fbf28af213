//! `cargo xtask coldstart`: how long each function takes from the start of its process until it asks Lambda for work. Reported,
//! never asserted: a number of this machine, on this day. No event is ever handed out.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::functions;
use crate::report::Failure;

/// Starts per function.
const RUNS: usize = 20;

/// A function that has not asked by then does not start.
const LIMIT: Duration = Duration::from_secs(10);

/// The first thing that Lambda's runtime interface client asks for.
const NEXT: &str = "GET /2018-06-01/runtime/invocation/next ";

/// What the functions find in their environment: the settings of all of them, since each reads only its own, and what Lambda
/// sets. Nothing is reached under these addresses, as nothing is done.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("VARTALAP_JWKS_URL", "https://issuer.example/jwks.json"),
    ("VARTALAP_ISSUER", "https://issuer.example/"),
    ("VARTALAP_AUDIENCE", "vartalap"),
    ("VARTALAP_DIRECTORY_TABLE", "directory"),
    ("VARTALAP_INBOX_TABLE", "inbox"),
    ("VARTALAP_DELIVERY_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/delivery"),
    ("VARTALAP_DELIVERY_DEAD_LETTER_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/delivery-dead"),
    ("VARTALAP_WAKE_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/wakes"),
    ("VARTALAP_WAKE_DEAD_LETTER_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/wakes-dead"),
    ("VARTALAP_OFFLINE_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:offline"),
    ("VARTALAP_CONNECTIONS_URL", "https://api.execute-api.us-east-1.amazonaws.com/v1"),
    ("VARTALAP_ATTACHMENTS_BUCKET", "attachments"),
    ("VARTALAP_MAX_ATTACHMENT_BYTES", "104857600"),
    ("VARTALAP_ATTACHMENT_TYPES", "image/*,video/*"),
    ("VARTALAP_ATTACHMENT_DAYS", "60"),
    (
        "VARTALAP_VAPID_PUBLIC_KEY",
        "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs",
    ),
    ("VARTALAP_WAITS", "5,15,45,5"),
    ("VARTALAP_WAKE_INTERVAL", "30"),
    ("VARTALAP_WEBHOOK_URL", "https://push.example/"),
    ("VARTALAP_WEBHOOK_SECRET", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ("VARTALAP_FCM_SECRET", "arn:aws:secretsmanager:us-east-1:123456789012:secret:fcm-a1b2c3"),
    ("VARTALAP_APNS_SECRET", "arn:aws:secretsmanager:us-east-1:123456789012:secret:apns-a1b2c3"),
    ("VARTALAP_VAPID_SECRET", "arn:aws:ssm:us-east-1:123456789012:parameter/vapid"),
    ("VARTALAP_WEB_PUSH_HOSTS", "push.example"),
    ("VARTALAP_PLATFORM_ENDPOINTS", "arn:aws:sns:us-east-1:111122223333:endpoint/GCM/app/*"),
    ("VARTALAP_PUSH_PREVIEWS", "true"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_LAMBDA_FUNCTION_NAME", "coldstart"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
];

/// Builds, measures, and prints a line for each function.
pub(crate) fn run(root: &Path) -> ExitCode {
    match measure(root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cold starts were not measured: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(root: &Path) -> Result<(), Failure> {
    functions::build(root)?;
    println!("from process start to the first request for work, {RUNS} runs each");
    for name in functions::names(root)? {
        let log = root.join(format!("target/coldstart-{name}.log"));
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let time = start_to_next(&functions::bootstrap(root, &name), &log);
            times.push(
                time.map_err(|error| Failure::new(format!("{name}: {error}; its output is in {}", log.display())))?,
            );
        }
        times.sort_unstable();
        println!("{name:<10}median {:>6.1} ms  max {:>6.1} ms", millis(times[RUNS / 2]), millis(times[RUNS - 1]));
    }
    Ok(())
}

fn start_to_next(bootstrap: &Path, log: &Path) -> io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut function = Command::new(bootstrap);
    function.env_clear().envs(ENVIRONMENT.iter().copied()).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    let output = File::create(log)?;
    function.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);

    let (asked, first_request) = mpsc::channel();
    // Left behind when nothing ever connects; the process then ends with that failure.
    thread::spawn(move || asked.send(accept_next(&listener).map(|()| Instant::now())));
    let started = Instant::now();
    let mut process = function.spawn()?;
    let asked = first_request.recv_timeout(LIMIT);
    process.kill()?;
    process.wait()?;
    let asked =
        asked.map_err(|_| io::Error::other(format!("it did not ask for work within {} s", LIMIT.as_secs())))??;
    Ok(asked - started)
}

/// The runtime API, as far as a function sees it that gets nothing to do.
fn accept_next(listener: &TcpListener) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    let mut request = String::new();
    BufReader::new(&stream).read_line(&mut request)?;
    if request.starts_with(NEXT) {
        return Ok(());
    }
    (&stream).write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
    Err(io::Error::other(format!("it asked for something else: {}", request.trim_end())))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_find_every_setting_that_the_template_gives_them() {
        let template = include_str!("../../infra/template.yaml");
        let settings =
            template.split(|c: char| !c.is_ascii_uppercase() && c != '_').filter(|word| word.starts_with("VARTALAP_"));
        let missing: Vec<&str> = settings.filter(|name| ENVIRONMENT.iter().all(|(known, _)| known != name)).collect();
        assert!(!template.is_empty() && missing.is_empty(), "{missing:?}");
    }
}
