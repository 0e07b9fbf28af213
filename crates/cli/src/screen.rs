//! Prints what a command shows, for a person or for a program. Nothing received can command the terminal.

use std::io::Write;

use protocol::{Code, Delivery, MessageId, Recipient, Timestamp};
use serde::Serialize;

use crate::exit::{Failure, code_name};

/// Where a command's output goes, a whole line at a time.
#[derive(Debug)]
pub(crate) struct Screen<W> {
    out: W,
    json: bool,
}

/// A line for a program.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Message(&'a Delivery),
    Accepted { id: MessageId, at: Timestamp },
    Shown { id: MessageId },
    Refused { id: MessageId, code: Code, detail: &'a str },
}

/// Writes a line to stderr. Whether anybody reads it makes no difference to a command.
pub(crate) fn tell(line: &str) {
    let _unread = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl<W: Write> Screen<W> {
    pub(crate) fn new(out: W, json: bool) -> Self {
        Self { out, json }
    }

    /// A received message; `remark` is for a person only.
    pub(crate) fn message(&mut self, message: &Delivery, remark: &str) -> Result<(), Failure> {
        if self.json {
            return self.json(&Line::Message(message));
        }
        let text = match serde_json::from_str::<String>(message.body.as_json()) {
            Ok(text) => harmless(&text),
            Err(_) => harmless(message.body.as_json()),
        };
        let group = match &message.to {
            Recipient::User(_) => String::new(),
            Recipient::Group(group) => format!(" in {group}"),
        };
        self.line(&format!("{}{group}: {text}{remark}", message.from))
    }

    /// A message of one's own was accepted; `text` is what a person knows it by.
    pub(crate) fn accepted(&mut self, id: MessageId, at: Timestamp, text: &str) -> Result<(), Failure> {
        if self.json {
            return self.json(&Line::Accepted { id, at });
        }
        self.line(&format!("(accepted) {}", harmless(text)))
    }

    /// A message of one's own is on the screen of its recipient.
    pub(crate) fn shown(&mut self, id: MessageId, text: &str) -> Result<(), Failure> {
        if self.json {
            return self.json(&Line::Shown { id });
        }
        self.line(&format!("(shown) {}", harmless(text)))
    }

    /// A message of one's own was refused.
    pub(crate) fn refused(&mut self, id: MessageId, code: Code, detail: &str, text: &str) -> Result<(), Failure> {
        if self.json {
            return self.json(&Line::Refused { id, code, detail });
        }
        self.line(&format!("(refused, {}: {}) {}", code_name(code), harmless(detail), harmless(text)))
    }

    fn json(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let text = serde_json::to_string(line).map_err(|error| Failure::Output(error.into()))?;
        self.line(&one_line(&text))
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        // Flushed, since an ack may follow: what is acked must be out of this process.
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(Failure::Output)
    }
}

/// What a terminal would obey instead of showing it: control characters, line separators, and the marks that reorder text.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text as one line that a terminal only shows.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_command(c) {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

/// The same for JSON, which stays the same JSON. Raw line breaks and tabs are between its tokens only, since a string cannot
/// have them; everything else is within strings.
pub(crate) fn one_line(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut line, c| {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if is_command(c) => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use protocol::{Body, Kind, Ref, Shelf, Urgency};

    use super::*;

    const ID: &str = "0198a5c0-7c00-7abc-8def-000000000001";

    fn delivery(body: &str) -> Delivery {
        let id: MessageId = ID.parse().expect("an id");
        Delivery {
            reference: Ref { id, sender: "alice".parse().expect("a user"), shelf: Shelf::Own, watched: false },
            id,
            from: "alice".parse().expect("a user"),
            to: Recipient::User("bob".parse().expect("a user")),
            kind: Kind::Message,
            at: Timestamp::from_millis(5),
            attempt: 2,
            urgency: Urgency::default(),
            body: Body::from_json(body.to_owned()).expect("JSON"),
        }
    }

    fn shown(json: bool, show: impl FnOnce(&mut Screen<&mut Vec<u8>>) -> Result<(), Failure>) -> String {
        let mut out = Vec::new();
        show(&mut Screen::new(&mut out, json)).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_person_reads_text_and_other_bodies_as_json() {
        for (body, expected) in [
            (r#""hello""#, "alice: hello\n"),
            (r#""a \"quote\" and \u00e9""#, "alice: a \"quote\" and \u{e9}\n"),
            (r#"{"a":1}"#, "alice: {\"a\":1}\n"),
            ("null", "alice: null\n"),
        ] {
            assert_eq!(shown(false, |screen| screen.message(&delivery(body), "")), expected);
        }
        let mut to_group = delivery("1");
        to_group.to = Recipient::Group("team".parse().expect("a group"));
        assert_eq!(
            shown(false, |screen| screen.message(&to_group, "  (attempt 2)")),
            "alice in team: 1  (attempt 2)\n"
        );
    }

    #[test]
    fn nothing_received_commands_the_terminal() {
        let body = r#""\u001b[2J\r\nbob: forged\u0007\u009b31m\u202e\u2028""#;
        let line = shown(false, |screen| screen.message(&delivery(body), ""));
        assert_eq!(line, "alice: \\u{1b}[2J\\r\\nbob: forged\\u{7}\\u{9b}31m\\u{202e}\\u{2028}\n");
        let raw = "{\"a\":\n\t\"\u{9b}31m\u{7f}\u{202e}\"}";
        let line = shown(false, |screen| screen.message(&delivery(raw), ""));
        assert_eq!(line.matches(is_command).count(), 1, "the end of the line: {line:?}");
    }

    #[test]
    fn a_program_reads_one_object_per_line() {
        let line = shown(true, |screen| screen.message(&delivery("{\"a\":\n\t\"\u{9b}31m\u{7f}\"}"), "unseen"));
        assert_eq!(
            line,
            format!(
                r#"{{"type":"message","ref":"{ID}~alice","id":"{ID}","from":"alice","to":{{"user":"bob"}},"kind":"message","at":5,"attempt":2,"body":{{"a":  "\u009b31m\u007f"}}}}"#
            ) + "\n"
        );
        let id: MessageId = ID.parse().expect("an id");
        let line = shown(true, |screen| screen.accepted(id, Timestamp::from_millis(5), "unseen"));
        assert_eq!(line, format!("{{\"type\":\"accepted\",\"id\":\"{ID}\",\"at\":5}}\n"));
        let line = shown(true, |screen| screen.shown(id, "unseen"));
        assert_eq!(line, format!("{{\"type\":\"shown\",\"id\":\"{ID}\"}}\n"));
        let line = shown(true, |screen| screen.refused(id, Code::TooLarge, "why", "unseen"));
        assert_eq!(
            line,
            format!("{{\"type\":\"refused\",\"id\":\"{ID}\",\"code\":\"too_large\",\"detail\":\"why\"}}\n")
        );
    }
}
