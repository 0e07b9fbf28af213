//! What a client tells its consumer. No event carries a token.

use std::error::Error;
use std::time::Duration;

use protocol::{Code, Delivery, MessageId, Timestamp};

/// An error of any kind, with its causes.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What happened. Events come in the order in which it happened, but for messages: see [`Event::Message`].
#[derive(Debug)]
pub enum Event {
    /// A connection is open. What was queued is being sent.
    Connected,
    /// There is no connection. The next try comes by itself.
    Disconnected {
        /// In how long.
        retry_in: Duration,
        /// Why there is none.
        cause: Cause,
    },
    /// A message for this device, shown once per (`from`, `id`) unless acks are off. Of the messages in hand, those of one
    /// sender come in the order of their ids. Of kind `receipt` are those that say what became of others: see
    /// [`protocol::Receipt`].
    Message(Delivery),
    /// A message of this client's is durable.
    Accepted {
        /// Which.
        id: MessageId,
        /// Server time.
        at: Timestamp,
    },
    /// A message of this client's was refused for good and is out of the outbox.
    Refused {
        /// Which.
        id: MessageId,
        /// Why; it says what to do about it.
        code: Code,
        /// Why, for a person.
        detail: String,
    },
    /// An ephemeral message of this client's was not accepted within its lifetime and is out of the outbox.
    Stale {
        /// Which.
        id: MessageId,
    },
    /// What was pending when this connection opened has been received.
    Drained,
    /// Another connection of the same device took over. This client has ended and does not reconnect.
    Displaced,
    /// This client has ended and does not reconnect.
    Fatal(FatalError),
}

/// Why there is no connection. The client tries again.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Nothing answers at the URL's host and port.
    #[error("nothing answers there")]
    Unreachable(#[source] std::io::Error),
    /// The connection did not open within 15 s.
    #[error("the connection did not open in time")]
    TimedOut,
    /// The server answered the handshake with an HTTP status other than 101, 401 and 403.
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
    /// The TLS or WebSocket handshake failed.
    #[error("the handshake failed")]
    Handshake(#[source] BoxError),
    /// The token source failed.
    #[error("there is no token")]
    Token(#[source] BoxError),
    /// The server closed the connection.
    #[error("the server closed the connection{}", .0.map(|code| format!(" with code {code}")).unwrap_or_default())]
    Closed(Option<u16>),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] BoxError),
    /// The server did not answer on an open connection.
    #[error("the server did not answer")]
    Unanswered,
    /// The connection had nearly reached the age at which the server cuts it; a new one follows at once.
    #[error("the connection reached its age")]
    Aged,
}

/// Why a client has ended.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// HTTP status 401.
    #[error(
        "the server refused the token (401): it is missing, expired, or not signed by a key that the server knows; get a \
         new one and connect again"
    )]
    TokenRefused,
    /// HTTP status 403.
    #[error(
        "the server forbids the connection (403): check the stage in the URL, which API Gateway answers so when it is \
         wrong, and what the token allows"
    )]
    Forbidden,
    /// The token has characters that no HTTP header may have.
    #[error("the token is not one: it has spaces, line breaks or other characters that no token has")]
    InvalidToken,
}
