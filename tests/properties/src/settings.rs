//! Settings from the environment: waits, and all that each function reads. The environment itself is not read.

use std::time::Duration;

use delivery::Waits;
use delivery::schedule::backoff;
use delivery::wake::MAX_INTERVAL;
use fastrand::Rng;
use lambda::settings::{InvalidSettings, Reader};

use crate::{MARK, assert_discreet, assert_unquoted};

/// Longest delay that SQS accepts.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Any text is waits that can be kept and are written as they mean, or is refused. Neither they nor a back-off leave their bounds.
pub fn waits(data: &[u8]) {
    let seed = data.iter().fold(0, |seed: u64, byte| seed.rotate_left(5) ^ u64::from(*byte));
    let mut rng = Rng::with_seed(seed);
    for receive_count in [0, 1, 8, 9, 31, 63, 64, 65, u32::MAX, rng.u32(..)] {
        let wait = backoff(receive_count, &mut rng);
        let shortest = 2_u64.saturating_pow(receive_count).min(300);
        assert_lengthened(wait, Duration::from_secs(shortest));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let waits = match text.parse::<Waits>() {
        Ok(waits) => waits,
        Err(error) => return assert_discreet(&error.to_string()),
    };
    let written = waits.to_string();
    assert_eq!(written.parse().as_ref(), Ok(&waits));
    let written: Vec<u64> = written.split(',').map(|secs| secs.parse().expect("whole seconds")).collect();
    assert_eq!(usize::try_from(waits.attempts()), Ok(written.len()));
    for (attempt, secs) in (1..).zip(&written) {
        let wait = waits.after(attempt, &mut rng).expect("a wait after each attempt");
        assert_lengthened(wait, Duration::from_secs(*secs));
        assert!(wait <= MAX_DELAY, "{wait:?}");
    }
    assert_eq!(waits.after(0, &mut rng).or(waits.after(waits.attempts() + 1, &mut rng)), None);
}

/// By at most a fifth, to a whole second.
fn assert_lengthened(wait: Duration, from: Duration) {
    let longest = from.mul_f64(1.2) + Duration::from_millis(500);
    assert!((from..=longest).contains(&wait) && wait.subsec_nanos() == 0, "{wait:?} from {from:?}");
}

/// Valid waits.
pub fn waits_seeds() -> Vec<String> {
    ["5,15,45,5", "750", " 1, 2 ,3", "1,1,1,1,1,1,1,1,1,750"].map(str::to_owned).to_vec()
}

/// Any settings, `NAME=VALUE` a line, are taken by a function or refused by name, without showing a value.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let reader = || {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Reader::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    check(connect::Settings::read(reader()));
    check(route::Settings::read(reader()));
    check(http::Settings::read(reader()));
    if let Some(settings) = check(deliver::Settings::read(reader())) {
        assert!(settings.waits.attempts() >= 1);
    }
    if let Some(settings) = check(notify::Settings::read(reader())) {
        assert!(settings.interval <= MAX_INTERVAL);
        assert_unquoted(&format!("{:?}", settings.webhook.map(|(_, secret)| secret)));
    }
}

fn check<T>(read: Result<T, InvalidSettings>) -> Option<T> {
    read.inspect_err(|error| {
        let text = error.to_string();
        assert!(text.len() < 1_000 && text.starts_with("settings: "), "{text}");
        assert_unquoted(&text);
    })
    .ok()
}

/// Everything that the five functions read, and half of it.
pub fn settings_seeds() -> Vec<String> {
    let all = [
        ("JWKS_URL", "https://issuer/jwks.json"),
        ("ISSUER", "https://issuer"),
        ("AUDIENCE", "chat"),
        ("DIRECTORY_TABLE", "directory"),
        ("INBOX_TABLE", "inbox"),
        ("DELIVERY_QUEUE_URL", "https://sqs/delivery"),
        ("DELIVERY_DEAD_LETTER_QUEUE_URL", "https://sqs/dead"),
        ("WAKE_QUEUE_URL", "https://sqs/wake"),
        ("WAKE_DEAD_LETTER_QUEUE_URL", "https://sqs/wake-dead"),
        ("OFFLINE_TOPIC_ARN", "arn:aws:sns:eu-west-1:1:offline"),
        ("CONNECTIONS_URL", "https://api/prod"),
        ("WAITS", "5,15,45,5"),
        ("WAKE_INTERVAL", "30"),
        ("WEBHOOK_URL", "https://push/sesame"),
        ("WEBHOOK_SECRET", "whsec_c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l"),
    ];
    let lines = all.map(|(name, value)| format!("VARTALAP_{name}={value}\n"));
    let wrong = format!("VARTALAP_WAITS={MARK}\nVARTALAP_WAKE_INTERVAL={MARK}\nVARTALAP_WEBHOOK_URL={MARK}\n");
    vec![lines.concat(), format!("{}{wrong}VARTALAP_WEBHOOK_SECRET={MARK}\n", lines[..11].concat())]
}
