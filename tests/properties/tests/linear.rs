//! Large hostile input costs time and memory in proportion to its size. One test in a process of its own, since it measures the
//! whole process; what the input means is tested in `bounded`.

use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use properties::TARGETS;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Twice the largest message that API Gateway lets through, and as large as an SQS batch used to be.
const SIZE: usize = 256 * 1024;

/// Most memory in use at a time for each byte of input. A property holds the input, what was read, and what it renders for
/// comparison; the dearest is one small JSON object after the other, with a tree for each.
const MAX_BYTES_PER_BYTE: usize = 400;

/// Unoptimised and on a loaded machine it takes a tenth of this. What is quadratic takes minutes.
const MAX_TIME: Duration = Duration::from_secs(5);

/// `head`, then as many of `piece` as fit, then `tail`.
fn flood(head: &str, piece: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_owned();
    for n in 0.. {
        let piece = piece(n);
        if text.len() + piece.len() + tail.len() > SIZE {
            break;
        }
        text += &piece;
    }
    text.truncate(text.trim_end_matches(',').len());
    text + tail
}

/// Each is named for what it has too much of.
fn floods() -> Vec<(&'static str, String)> {
    let id = |n: usize| format!("0198a5c0-7c00-7abc-8def-{n:012x}");
    let member = |head: &str, tail: &str| flood(&format!("{{{head}"), |n| format!("\"{n}\":0,"), tail);
    vec![
        ("open brackets", "[".repeat(SIZE)),
        ("open braces", flood("", |_| "{\"a\":".to_owned(), "")),
        ("nested arrays", format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))),
        ("nested arrays in a body", {
            let nested = format!("{}{}", "[".repeat(120_000), "]".repeat(120_000));
            format!(r#"{{"action":"send","messages":[{{"id":"{}","to":{{"user":"b"}},"body":{nested}}}]}}"#, id(0))
        }),
        ("nested arrays in a job", {
            let nested = format!("{}{}", "[".repeat(120_000), "]".repeat(120_000));
            let (id, to) = (id(0), r#"{"user":"b"}"#);
            format!(
                r#"{{"deliver":{{"envelope":{{"id":"{id}","from":"a","to":{to},"at":1,"expires_at":1,"body":{nested}}},"recipient":"b"}}}}"#
            )
        }),
        ("messages", flood(r#"{"action":"send","messages":["#, |_| "{},".to_owned(), "]}")),
        ("numbers as messages", flood(r#"{"action":"send","messages":["#, |_| "0,".to_owned(), "]}")),
        ("refs", flood(r#"{"action":"ack","refs":["#, |n| format!("\"{}~a\",", id(n)), "]}")),
        ("numbers as refs", flood(r#"{"action":"ack","refs":["#, |_| "0,".to_owned(), "]}")),
        ("members", member("", "}")),
        ("members of a ping", member(r#""action":"ping","#, "}")),
        ("a key twice after many", member("", r#","0":0}"#)),
        ("the same key", flood("{", |_| "\"a\":0,".to_owned(), "}")),
        ("colliding keys", flood("{", |n| format!("\"{}\":0,", "\\u0061".repeat(n % 7) + &n.to_string()), "}")),
        ("small objects", flood("[", |_| "{\"\":0},".to_owned(), "]")),
        ("small arrays", flood("[", |_| "[0],".to_owned(), "]")),
        (
            "envelopes",
            flood(
                r#"{"type":"messages","messages":["#,
                |n| {
                    let (id, to) = (id(n), r#"{"user":"b"}"#);
                    format!(
                        r#"{{"ref":"{id}~a","id":"{id}","from":"a","to":{to},"kind":"message","at":1,"attempt":1,"body":0}},"#
                    )
                },
                "]}",
            ),
        ),
        ("ids", flood(r#"{"type":"accepted","refused":[],"at":1,"ids":["#, |n| format!("\"{}\",", id(n)), "]}")),
        (
            "pending",
            flood(
                r#"{"await":{"pending":["#,
                |n| format!(r#"{{"user":"b","device":"d","ref":"{}~a"}},"#, id(n)),
                "]}}",
            ),
        ),
        (
            "records",
            flood(
                r#"{"Records":["#,
                |n| {
                    format!(
                        r#"{{"messageId":"{n}","receiptHandle":"r","attributes":{{"ApproximateReceiveCount":"1"}}}},"#
                    )
                },
                "]}",
            ),
        ),
        (
            "headers",
            flood(r#"{"methodArn":"arn:a/b/c","requestContext":{},"headers":{"#, |n| format!("\"{n}\":\"\","), "}}"),
        ),
        (
            "headers of a socket",
            flood(
                r#"{"requestContext":{"routeKey":"r","connectionId":"c","connectedAt":1,"authorizer":{"user":"b"}},"headers":{"#,
                |n| format!("\"{n}\":\"\","),
                "}}",
            ),
        ),
        (
            "parameters",
            flood(
                r#"{"methodArn":"arn:a/b/c","requestContext":{},"queryStringParameters":{"#,
                |n| format!("\"{n}\":\"\","),
                "}}",
            ),
        ),
        ("attributes", flood("{", |n| format!("\"{n}\":{{\"N\":\"{n}\"}},"), "}")),
        ("digits", "9".repeat(SIZE)),
        ("one string", format!("\"{}\"", "x".repeat(SIZE - 2))),
        ("escapes", format!("\"{}\"", "\\u0001".repeat(SIZE / 6 - 2))),
        ("backslashes", format!("\"{}", "\\".repeat(SIZE))),
        ("noncharacters", format!("\"{}\"", "\u{ffff}".repeat(SIZE / 3 - 2))),
        ("a nonce", format!(r#"{{"action":"ping","nonce":"{}"}}"#, "n".repeat(SIZE - 40))),
        ("commas", ",".repeat(SIZE)),
        ("waits", "1,".repeat(SIZE / 2)),
        ("dots", ".".repeat(SIZE)),
        ("lines", "a=b\n".repeat(SIZE / 4)),
        ("refs in lines", flood("", |n| format!("{}~a\n", id(n)), "")),
        ("nothing", String::new()),
    ]
}

#[test]
fn large_input_costs_in_proportion() {
    let floods = floods();
    let mut broken = Vec::new();
    for target in TARGETS {
        // What is made once and kept, such as an issuer, is not the input's.
        for seed in (target.seeds)() {
            (target.check)(seed.as_bytes());
        }
        for (name, flood) in &floods {
            assert!(flood.len() <= SIZE + 1, "{name}: {} bytes", flood.len());
            MEMORY.reset_peak_usage();
            let (before, started) = (MEMORY.current_usage(), Instant::now());
            (target.check)(flood.as_bytes());
            let (bytes, took) = (MEMORY.peak_usage().saturating_sub(before), started.elapsed());
            if std::env::args().any(|argument| argument == "--nocapture") {
                println!("{:>8} bytes {:>6} ms {} {name}", bytes, took.as_millis(), target.name);
            }
            if bytes > MAX_BYTES_PER_BYTE * flood.len() + 1024 * 1024 || took > MAX_TIME {
                broken.push(format!("{} given {name}: {bytes} bytes of memory, {took:?}", target.name));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
