//! `vartalap listen`: shows what arrives, and acks it once it is shown.

use std::time::Duration;

use client::{Acks, Client, Event};
use protocol::{Delivery, Kind};
use tokio::time::Instant;

use crate::connection::ConnectionArgs;
use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::screen::Screen;

/// How long the last acks may take to leave.
pub(crate) const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Show the messages that arrive, and ack each once it is shown.
///
/// Goes on until Ctrl-C, reconnecting by itself. Once there was a connection, a lost one is not the end; when none can be made
/// at the start, the exit code is 3. Receipts are acked, but neither shown nor counted.
#[derive(Debug, clap::Args)]
pub(crate) struct ListenArgs {
    /// Never ack: messages stay in the inbox, and every redelivery is shown with its attempt (0 when it comes from the inbox).
    #[arg(long)]
    no_ack: bool,
    /// End after this many messages, with exit code 0, their acks sent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this many seconds: with exit code 1 when --count is not reached, else with 0.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Listens.
pub(crate) async fn run(args: ListenArgs) -> Result<(), Failure> {
    let acks = if args.no_ack { Acks::Never } else { Acks::Manual };
    let mut interrupts = Interrupts::new().map_err(Failure::Interrupts)?;
    let (client, mut events, mut watch) = args.connection.connect(acks)?;
    let mut screen = Screen::new(std::io::stdout(), args.connection.json);
    let mut shown = 0;
    let limit = args.timeout.map(Duration::from_secs);
    let deadline = limit.map(|limit| Instant::now() + limit);
    let outcome = loop {
        tokio::select! {
            // In this order, so that a message which is here already counts before the time is up.
            biased;
            event = events.next() => match event {
                // For the client, not for its user.
                Some(Event::Message(message)) if matches!(message.kind, Kind::Receipt | Kind::Unknown) => {
                    client.ack(&message.reference);
                }
                Some(Event::Message(message)) => {
                    if let Err(failure) = screen.message(&message, &remark(&message, args.no_ack)) {
                        break Err(failure);
                    }
                    client.ack(&message.reference);
                    shown += 1;
                    if args.count == Some(shown) {
                        break Ok(());
                    }
                }
                Some(other) => if let Err(failure) = watch.observe(other) {
                    break Err(failure);
                },
                None => break Ok(()),
            },
            () = until(deadline) => break match (limit, args.count) {
                (Some(after), Some(wanted)) => Err(Failure::TimedOut { after, shown, wanted }),
                _ => Ok(()),
            },
            () = interrupts.next() => break Ok(()),
        }
    };
    outcome.and(finish(&client).await)
}

/// Sends the acks that wait, and closes.
async fn finish(client: &Client) -> Result<(), Failure> {
    match client.close(FLUSH_WITHIN).await.unacked {
        0 => Ok(()),
        unacked => Err(Failure::NotAcked { unacked }),
    }
}

fn remark(message: &Delivery, no_ack: bool) -> String {
    if no_ack { format!("  (attempt {}, not acked)", message.attempt) } else { String::new() }
}

/// Waits until the moment, or for ever when there is none.
pub(crate) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
