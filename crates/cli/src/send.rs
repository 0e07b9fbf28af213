//! `vartalap send`: one message, and whether it was accepted. It neither shows nor acks what arrives meanwhile.

use std::time::Duration;

use client::{Acks, Event, Events, SendError};
use protocol::{Body, Code, MessageId, Recipient, Timestamp, UserId};

use crate::connection::{ConnectionArgs, Watch};
use crate::exit::Failure;
use crate::screen::Screen;

/// How long to wait for the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Send one message and wait until it is accepted.
///
/// Accepted means durable: it will reach every device of the user, or expire unread after 30 days. What is pending for the
/// sender's own device stays where it is.
#[derive(Debug, clap::Args)]
pub(crate) struct SendArgs {
    /// User to send to.
    #[arg(long, value_name = "USER")]
    to: UserId,
    /// What to say; its body is this text as a JSON string.
    text: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Sends it.
pub(crate) async fn run(args: SendArgs) -> Result<(), Failure> {
    let (client, mut events, watch) = args.connection.connect(Acks::Manual)?;
    let mut watch = watch.quiet();
    let mut screen = Screen::new(std::io::stdout(), args.connection.json);
    let sent = client.send(Recipient::User(args.to), Body::text(&args.text));
    let answered = tokio::time::timeout(ANSWER_WITHIN, answer(&mut events, &mut watch, sent)).await;
    client.close(Duration::ZERO).await;
    match answered.unwrap_or(Err(Failure::NoAnswer { url: watch.url, after: ANSWER_WITHIN }))? {
        Answer::Accepted(id, at) => screen.accepted(id, at, &id.to_string()),
        Answer::Refused(id, code, detail) => {
            if args.connection.json {
                screen.refused(id, code, &detail, "")?;
            }
            Err(Failure::Refused { code, detail })
        }
    }
}

enum Answer {
    Accepted(MessageId, Timestamp),
    Refused(MessageId, Code, String),
}

/// What became of the message. A connection that is lost after it was open is waited for.
async fn answer(events: &mut Events, watch: &mut Watch, sent: Result<MessageId, SendError>) -> Result<Answer, Failure> {
    if let Err(error @ (SendError::TooLarge { .. } | SendError::Full)) = sent {
        return Err(error.into());
    }
    // A client that has ended already says why in its events.
    while let Some(event) = events.next().await {
        match event {
            Event::Accepted { id, at } if sent == Ok(id) => return Ok(Answer::Accepted(id, at)),
            Event::Refused { id, code, detail } if sent == Ok(id) => return Ok(Answer::Refused(id, code, detail)),
            other => watch.observe(other)?,
        }
    }
    Err(SendError::Ended.into())
}
