//! `vartalap chat`: lines in, messages out, and the other way round. One conversation partner is written to; whoever writes
//! is shown.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Duration;

use client::{Acks, Client, Event, Events, SendError};
use protocol::{Body, MessageId, Recipient, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connection::{ConnectionArgs, Watch};
use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::listen::{FLUSH_WITHIN, until};
use crate::screen::Screen;

/// How long after the last line its answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Lines are read while no more than this many await their answer.
const MAX_UNANSWERED: usize = 1_000;

/// As much of a line, in characters, is repeated in its mark.
const MARK_CHARS: usize = 40;

/// Chat with a user, line by line.
///
/// Each line is sent as one message; empty lines are not. A line that is durable on the server is marked "(accepted)", one that is
/// not taken "(refused, CODE: ...)". What arrives, from anyone, is shown as "USER: TEXT" and acked once it is on the screen,
/// so every message that you see here counts as delivered. Whether your own were delivered is not told yet.
///
/// Changes of the connection are told on stderr; lines written without one are sent when it is back. At the end of the input, or
/// at Ctrl-C, what is still to be sent and acked is, for up to 10 s; a second Ctrl-C does not wait for answers. Exit code 1 when a
/// line was refused, 3 when one was not answered.
#[derive(Debug, clap::Args)]
pub(crate) struct ChatArgs {
    /// User to write to.
    #[arg(long, value_name = "USER")]
    to: UserId,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Chats.
pub(crate) async fn run(args: ChatArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::new().map_err(Failure::Interrupts)?;
    let (client, events, watch) = args.connection.connect(Acks::Manual)?;
    let screen = Screen::new(std::io::stdout(), args.connection.json);
    let mut chat = Chat { client, watch, screen, to: args.to, unanswered: HashMap::new(), refused: 0 };
    let talked = chat.talk(events, interrupts).await;
    talked.and(chat.end().await)
}

struct Chat<W> {
    client: Client,
    watch: Watch,
    screen: Screen<W>,
    to: UserId,
    /// Lines that were sent, by their ids, as far as their marks repeat them.
    unanswered: HashMap<MessageId, String>,
    refused: usize,
}

impl<W: Write> Chat<W> {
    /// Goes on until the input has ended and every line is answered.
    async fn talk(&mut self, mut events: Events, mut interrupts: Interrupts) -> Result<(), Failure> {
        let mut lines = Some(lines());
        let mut deadline = None;
        while lines.is_some() || !self.unanswered.is_empty() {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.event(event)?,
                    None => break,
                },
                line = next(&mut lines), if self.unanswered.len() < MAX_UNANSWERED => match line {
                    Some(line) => self.line(&line)?,
                    None => (lines, deadline) = (None, Some(Instant::now() + ANSWER_WITHIN)),
                },
                () = interrupts.next() => {
                    if lines.take().is_none() {
                        break;
                    }
                    deadline = Some(Instant::now() + ANSWER_WITHIN);
                }
                () = until(deadline) => break,
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        if line.trim().is_empty() {
            return Ok(());
        }
        match self.client.send(Recipient::User(self.to.clone()), Body::text(line)) {
            Ok(id) => {
                self.unanswered.insert(id, clipped(line));
                Ok(())
            }
            Err(error @ SendError::TooLarge { .. }) => {
                self.refused += 1;
                eprintln!("-- {error}");
                Ok(())
            }
            // The events say why.
            Err(SendError::Ended) => Ok(()),
            Err(error @ SendError::Full) => Err(error.into()),
        }
    }

    fn event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Message(message) => {
                self.screen.message(&message, "")?;
                self.client.ack(&message.reference);
                Ok(())
            }
            Event::Accepted { id, at } => {
                let text = self.unanswered.remove(&id).unwrap_or_default();
                self.screen.accepted(id, at, &text)
            }
            Event::Refused { id, code, detail } => {
                self.refused += 1;
                let text = self.unanswered.remove(&id).unwrap_or_default();
                self.screen.refused(id, code, &detail, &text)
            }
            other => self.watch.observe(other),
        }
    }

    async fn end(self) -> Result<(), Failure> {
        // What was not answered until now is not worth waiting for.
        let within = if self.unanswered.is_empty() { FLUSH_WITHIN } else { Duration::ZERO };
        let unacked = self.client.close(within).await.unacked;
        if !self.unanswered.is_empty() {
            return Err(Failure::NoAnswer { url: self.watch.url, after: ANSWER_WITHIN });
        }
        match (unacked, self.refused) {
            (0, 0) => Ok(()),
            (0, refused) => Err(Failure::SomeRefused(refused)),
            (unacked, _) => Err(Failure::NotAcked { unacked }),
        }
    }
}

/// The start of a line, to know it by.
fn clipped(line: &str) -> String {
    match line.char_indices().nth(MARK_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// The lines of stdin. A thread reads them, since nothing but the end of the process stops a read from a terminal.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line);
            if sender.blocking_send(line.trim_end_matches('\r').to_owned()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The next line, `None` at their end; none ever comes after that.
async fn next(lines: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}
