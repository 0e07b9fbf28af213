//! Dead letters, and what became of them, as lines for a person or for a program. What users wrote is printed only where it is handed
//! over as the raw record.

use std::fmt::Display;
use std::io::Write;

use delivery::{DeadLetter, Origin};
use serde::Serialize;

use super::moment::written;
use crate::exit::Failure;
use crate::screen::{harmless, one_line};

/// How many users or messages of one record are listed; an Await may be about a hundred.
const LISTED: usize = 3;

/// What became of a dead letter that was to be sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was sent back.
    Redriven,
    /// It would be.
    WouldRedrive,
    /// It was not there any more.
    Gone,
    /// It is unreadable.
    Skipped,
    /// It is still there, for this reason.
    Failed(String),
}

/// A line for a program.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    DeadLetter {
        #[serde(flatten)]
        letter: &'a DeadLetter,
        #[serde(skip_serializing_if = "Option::is_none")]
        raw: Option<&'a str>,
    },
    Redriven {
        id: &'a str,
        queue: Origin,
    },
    WouldRedrive {
        id: &'a str,
        queue: Origin,
    },
    Gone {
        id: &'a str,
        queue: Origin,
    },
    Skipped {
        id: &'a str,
        queue: Origin,
        reason: &'a str,
    },
    Failed {
        id: &'a str,
        queue: Origin,
        reason: &'a str,
    },
}

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Report<W> {
    out: W,
    json: bool,
}

impl<W: Write> Report<W> {
    pub(crate) fn new(out: W, json: bool) -> Self {
        Self { out, json }
    }

    /// One line.
    pub(crate) fn listed(&mut self, letter: &DeadLetter) -> Result<(), Failure> {
        if self.json {
            return self.json(&Line::DeadLetter { letter, raw: None });
        }
        let mut line = format!("{}  {}  {}  {}", letter.id, written(letter.sent_at), letter.queue, letter.kind);
        for (name, values) in [("users", some(&letter.users)), ("messages", some(&letter.messages))] {
            if !values.is_empty() {
                line.push_str(&format!("  {name} {values}"));
            }
        }
        line.push_str(&format!("  {} bytes  received {}", letter.bytes, letter.receive_count));
        if let Some(reason) = &letter.reason {
            line.push_str(&format!("  reason: {reason}"));
        }
        self.line(&line)
    }

    /// Everything that is known of it, and the raw record if there is one.
    pub(crate) fn shown(&mut self, letter: &DeadLetter, raw: Option<&str>) -> Result<(), Failure> {
        if self.json {
            return self.json(&Line::DeadLetter { letter, raw });
        }
        self.line(&letter.id)?;
        let fields = [
            ("queue", Some(letter.queue.to_string())),
            ("sent", Some(written(letter.sent_at))),
            ("kind", Some(letter.kind.to_string())),
            ("users", Some(all(&letter.users)).filter(|users| !users.is_empty())),
            ("messages", Some(all(&letter.messages)).filter(|messages| !messages.is_empty())),
            ("received", Some(letter.receive_count.to_string())),
            ("reason", letter.reason.clone()),
            ("length", Some(format!("{} bytes", letter.bytes))),
            ("record", letter.record.as_ref().map(ToString::to_string)),
            ("raw", raw.map(str::to_owned)),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .try_for_each(|(name, value)| self.line(&format!("  {name:<9} {value}")))
    }

    /// What became of it.
    pub(crate) fn fate(&mut self, letter: &DeadLetter, fate: &Fate) -> Result<(), Failure> {
        let (id, queue) = (letter.id.as_str(), letter.queue);
        if self.json {
            return self.json(&match fate {
                Fate::Redriven => Line::Redriven { id, queue },
                Fate::WouldRedrive => Line::WouldRedrive { id, queue },
                Fate::Gone => Line::Gone { id, queue },
                Fate::Skipped => Line::Skipped { id, queue, reason: "unreadable" },
                Fate::Failed(reason) => Line::Failed { id, queue, reason },
            });
        }
        let what = match fate {
            Fate::Redriven => "(redriven)".to_owned(),
            Fate::WouldRedrive => "(would redrive)".to_owned(),
            Fate::Gone => "(gone already)".to_owned(),
            Fate::Skipped => "(skipped, unreadable)".to_owned(),
            Fate::Failed(why) => format!("({why})"),
        };
        self.line(&format!("{what} {id}  {queue}  {}", letter.kind))
    }

    fn json(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let text = serde_json::to_string(line).map_err(|error| Failure::Output(error.into()))?;
        writeln!(self.out, "{}", one_line(&text)).and_then(|()| self.out.flush()).map_err(Failure::Output)
    }

    /// Reasons and raw records come from outside.
    fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", harmless(line)).and_then(|()| self.out.flush()).map_err(Failure::Output)
    }
}

fn all(values: &[impl Display]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn some(values: &[impl Display]) -> String {
    match values.len().checked_sub(LISTED) {
        Some(left @ 1..) => format!("{} and {left} more", all(&values[..LISTED])),
        Some(0) | None => all(values),
    }
}

#[cfg(test)]
mod tests {
    use delivery::Stamp;
    use protocol::Timestamp;

    use super::*;

    const ID: &str = "0198a5c0-7c00-7abc-8def-000000000001";

    fn letter(raw: &str, reason: Option<&str>) -> DeadLetter {
        let stamp = Stamp {
            id: "r1".to_owned(),
            queue: Origin::Delivery,
            sent_at: Timestamp::from_secs(1_795_600_000),
            receive_count: 2,
            reason: reason.map(str::to_owned),
        };
        DeadLetter::describe(stamp, raw)
    }

    fn printed(json: bool, print: impl FnOnce(&mut Report<&mut Vec<u8>>) -> Result<(), Failure>) -> String {
        let mut out = Vec::new();
        print(&mut Report::new(&mut out, json)).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    fn awaiting(users: usize) -> String {
        let pending = |n| format!(r#"{{"user":"u{n}","device":"d","ref":"{ID}~alice"}}"#);
        format!(r#"{{"await":{{"pending":[{}]}}}}"#, (1..=users).map(pending).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn a_person_reads_a_line_each() {
        let line = printed(false, |report| report.listed(&letter(&awaiting(5), None)));
        let expected = format!(
            "r1  2026-11-25T09:46:40Z  delivery  await  users u1,u2,u3 and 3 more  messages {ID}  413 bytes  received 2\n"
        );
        assert_eq!(line, expected);
        let line = printed(false, |report| report.listed(&letter("secret", Some("no\u{1b}[2J\njob"))));
        let expected =
            "r1  2026-11-25T09:46:40Z  delivery  unreadable  6 bytes  received 2  reason: no\\u{1b}[2J\\njob\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn the_raw_record_is_shown_only_where_it_is_handed_over() {
        let unreadable = letter("secret\n", None);
        for json in [false, true] {
            assert!(!printed(json, |report| report.shown(&unreadable, None)).contains("secret"));
            assert!(printed(json, |report| report.shown(&unreadable, Some("secret\n"))).contains("secret\\n"));
        }
        let text = printed(false, |report| report.shown(&letter(&awaiting(1), None), None));
        assert!(text.contains("\n  users     u1,alice\n") && text.contains("\n  record    {\"await\":"), "{text}");
    }

    #[test]
    fn a_program_reads_an_object_each() {
        let line = printed(true, |report| report.listed(&letter("secret", None)));
        assert_eq!(
            line,
            "{\"type\":\"dead_letter\",\"id\":\"r1\",\"queue\":\"delivery\",\"sent_at\":1795600000000,\"receive_count\":2,\
             \"reason\":null,\"bytes\":6,\"kind\":\"unreadable\",\"users\":[],\"messages\":[],\"record\":null}\n"
        );
        let fates = [
            (Fate::Redriven, "redriven", ""),
            (Fate::WouldRedrive, "would_redrive", ""),
            (Fate::Gone, "gone", ""),
            (Fate::Skipped, "skipped", ",\"reason\":\"unreadable\""),
            (Fate::Failed("why".to_owned()), "failed", ",\"reason\":\"why\""),
        ];
        for (fate, name, rest) in fates {
            let line = printed(true, |report| report.fate(&letter("secret", None), &fate));
            assert_eq!(line, format!("{{\"type\":\"{name}\",\"id\":\"r1\",\"queue\":\"delivery\"{rest}}}\n"));
        }
    }
}
