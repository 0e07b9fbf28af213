//! `vartalap chat`: lines in, messages out, and the other way round. One conversation partner is written to; whoever writes
//! is shown.
//!
//! Once messages of the partner are on the screen, it is told so with a mark ([`marks`]) in an ephemeral message, which is
//! posted once or not at all, never stored and never answered. A mark means that the partner's chat has shown a line; that there
//! is none means nothing.

use std::io::{BufRead, Write};
use std::time::Duration;

use client::{Acks, Cause, Client, Event, Events, SendError};
use protocol::{Body, Delivery, MessageId, Outgoing, Recipient, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connection::{ConnectionArgs, Watch};
use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::listen::{FLUSH_WITHIN, until};
use crate::marks;
use crate::screen::{self, Screen};
use crate::sent::Sent;

/// How long after the last line its answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Lines are read while no more than this many await their answer.
const MAX_UNANSWERED: usize = 1_000;

/// As much of a line, in characters, is repeated when something is told of it.
const REPEATED_CHARS: usize = 40;

/// Longest that a message which was shown waits for others, to share one mark with them.
const MARK_DELAY: Duration = Duration::from_millis(250);

/// Chat with a user, line by line.
///
/// Each line is sent as one message; empty lines are not. A line that is durable on the server is marked "(accepted)", one that is
/// not taken "(refused, CODE: ...)". What arrives, from anyone, is shown as "USER: TEXT" and acked once it is on the screen,
/// so every message that you see here counts as delivered.
///
/// A line of yours that the other side's chat has put on its screen is marked "(shown)", once. Chats tell each other so, as far as
/// they chat with one another, in ephemeral messages: one may get lost, and other clients send none, so a line without this mark
/// may have been seen all the same. A client other than chat and listen receives them as messages with the body
/// {"vartalap":"shown","ids":[...]}.
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
    let mut chat = Chat {
        client,
        watch,
        screen,
        to: args.to,
        sent: Sent::default(),
        refused: 0,
        to_mark: Vec::new(),
        mark_at: None,
    };
    let talked = chat.talk(events, interrupts).await;
    talked.and(chat.end().await)
}

struct Chat<W> {
    client: Client,
    watch: Watch,
    screen: Screen<W>,
    to: UserId,
    sent: Sent,
    refused: usize,
    /// Messages of the partner that were shown, which it has not been told.
    to_mark: Vec<MessageId>,
    /// When it is to be told.
    mark_at: Option<Instant>,
}

impl<W: Write> Chat<W> {
    /// Goes on until the input has ended, every line is answered, and there has been a connection.
    async fn talk(&mut self, mut events: Events, mut interrupts: Interrupts) -> Result<(), Failure> {
        let mut lines = Some(lines());
        let mut deadline = None;
        while lines.is_some() || self.sent.unanswered() > 0 || !self.watch.has_connected() {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.event(event)?,
                    None => break,
                },
                line = next(&mut lines), if self.sent.unanswered() < MAX_UNANSWERED => match line {
                    Some(line) => self.line(&line)?,
                    None => (lines, deadline) = (None, Some(Instant::now() + ANSWER_WITHIN)),
                },
                () = interrupts.next() => {
                    if lines.take().is_none() || self.sent.unanswered() == 0 {
                        break;
                    }
                    deadline = Some(Instant::now() + ANSWER_WITHIN);
                }
                () = until(self.mark_at) => self.mark(),
                () = until(deadline) => match self.watch.has_connected() {
                    true => break,
                    false => return Err(self.watch.unreachable(Cause::TimedOut)),
                },
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
                self.sent.add(id, clipped(line));
                Ok(())
            }
            Err(error @ SendError::TooLarge { .. }) => {
                self.refused += 1;
                screen::tell(&format!("-- {error}"));
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
                match marks::ids(&message.body) {
                    Some(ids) => self.marked(&message, ids)?,
                    None => self.message(&message)?,
                }
                self.client.ack(&message.reference);
                Ok(())
            }
            // What becomes of a mark is not told: only lines are known.
            Event::Accepted { id, at } => {
                let Some(line) = self.sent.accepted(id) else { return Ok(()) };
                self.screen.accepted(id, at, &line.text)?;
                if line.shown { self.screen.shown(id, &line.text) } else { Ok(()) }
            }
            Event::Refused { id, code, detail } => {
                let Some(line) = self.sent.refused(id) else { return Ok(()) };
                self.refused += 1;
                self.screen.refused(id, code, &detail, &line.text)
            }
            other => self.watch.observe(other),
        }
    }

    fn message(&mut self, message: &Delivery) -> Result<(), Failure> {
        self.screen.message(message, "")?;
        if message.from.user() == Some(&self.to) && matches!(message.to, Recipient::User(_)) {
            self.to_mark.push(message.id);
            self.mark_at.get_or_insert(Instant::now() + MARK_DELAY);
            if self.to_mark.len() >= marks::MAX_IDS {
                self.mark();
            }
        }
        Ok(())
    }

    /// The sender of the mark has shown these. Whoever else claims it of a line is not its recipient.
    fn marked(&mut self, mark: &Delivery, ids: Vec<MessageId>) -> Result<(), Failure> {
        if mark.from.user() != Some(&self.to) {
            return Ok(());
        }
        for id in ids {
            if let Some(text) = self.sent.shown(id) {
                self.screen.shown(id, &text)?;
            }
        }
        Ok(())
    }

    /// Tells the partner what was shown since it was last told. One that cannot be told now is not told.
    fn mark(&mut self) {
        self.mark_at = None;
        let shown = std::mem::take(&mut self.to_mark);
        if shown.is_empty() {
            return;
        }
        let (id, to) = (client::new_message_id(client::now()), Recipient::User(self.to.clone()));
        let body = marks::body(&shown);
        let _untold =
            self.client.enqueue(Outgoing { id, to, body, ephemeral: true, receipts: false, expires_in: None });
    }

    async fn end(mut self) -> Result<(), Failure> {
        self.mark();
        // What was not answered until now is not worth waiting for.
        let within = if self.sent.unanswered() == 0 { FLUSH_WITHIN } else { Duration::ZERO };
        let unacked = self.client.close(within).await.unacked;
        if self.sent.unanswered() > 0 {
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
    match line.char_indices().nth(REPEATED_CHARS) {
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
