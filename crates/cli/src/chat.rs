//! `vartalap chat`: lines in, messages out, and the other way round. One conversation partner is written to; whoever writes
//! is shown.
//!
//! Each line asks for receipts, and what is on the screen counts as read.

use std::io::{BufRead, Write};
use std::time::Duration;

use client::{Acks, Cause, Client, Event, Events, SendError};
use protocol::{Body, Delivery, Kind, Outgoing, Receipt, Recipient, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connection::{ConnectionArgs, Watch};
use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::listen::{FLUSH_WITHIN, until};
use crate::screen::{self, Screen};
use crate::sent::Sent;

/// How long after the last line its answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Lines are read while no more than this many await their answer.
const MAX_UNANSWERED: usize = 1_000;

/// As much of a line, in characters, is repeated when something is told of it.
const REPEATED_CHARS: usize = 40;

/// Chat with a user, line by line.
///
/// Each line is sent as one message; empty lines are not. A line that is durable on the server is marked "(accepted)", one that is
/// not taken "(refused, CODE: ...)". What arrives, from anyone, is shown as "USER: TEXT" and acked once it is on the screen,
/// so every message that you see here counts as read.
///
/// A line of yours that a device of the other side has received, and acked, is marked "(shown)", once: chat and listen ack what is on their
/// screens.
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
    let mut chat = Chat { client, watch, screen, to: args.to, sent: Sent::default(), refused: 0 };
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
        let id = client::new_message_id(client::now());
        let (to, body) = (Recipient::User(self.to.clone()), Body::text(line));
        match self.client.enqueue(Outgoing { receipts: true, ..Outgoing::new(id, to, body) }) {
            Ok(()) => {
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
            Event::Message(message) => self.message(&message),
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

    /// What is shown is read. What is for the client and not for its user is only acked, since nobody has seen it.
    fn message(&mut self, message: &Delivery) -> Result<(), Failure> {
        match message.kind {
            Kind::Message | Kind::System => {
                self.screen.message(message, "")?;
                self.client.read(&message.reference);
            }
            Kind::Receipt => {
                self.received(message)?;
                self.client.ack(&message.reference);
            }
            Kind::Unknown => self.client.ack(&message.reference),
        }
        Ok(())
    }

    /// What a receipt says of the partner. What it says of a device of one's own is not for the screen.
    fn received(&mut self, receipt: &Delivery) -> Result<(), Failure> {
        let Some(receipt) = Receipt::of(&receipt.body).filter(|receipt| receipt.by == self.to) else { return Ok(()) };
        for name in receipt.messages {
            if let Some(text) = self.sent.shown(name.id) {
                self.screen.shown(name.id, &text)?;
            }
        }
        Ok(())
    }

    async fn end(self) -> Result<(), Failure> {
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
