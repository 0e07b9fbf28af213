//! A client of Vartalap: one device's connection, kept up, with what a client owes the protocol done by itself.
//!
//! It reconnects with full jitter, sends a message again under its id until the server has answered, shows each message
//! once, acks in batches, keeps the connection alive and replaces it before the server cuts it. It stores nothing on disk
//! and never looks into a body.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use client::{Client, Event, Options, TokenSource};
//! use protocol::{Body, Recipient};
//!
//! let tokens = TokenSource::new(|| async { Ok(std::fs::read_to_string("token")?.trim().to_owned()) });
//! let options = Options::new("wss://chat.example/prod", &"phone-5f2c".parse()?, tokens)?;
//! let (client, mut events) = Client::connect(options);
//! client.send(Recipient::User("bob".parse()?), Body::text("hello"))?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => println!("{}: {}", message.from, message.body.as_json()),
//!         Event::Accepted { .. } => break,
//!         _ => {}
//!     }
//! }
//! client.close(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! | module | decides | bounds |
//! |---|---|---|
//! | `outbox` | which messages go into the next frame, what an answer means | 10,000 messages; 25 messages and 32,000 bytes a frame; answers within 10 s |
//! | `ack_buffer` | when acks go | 250 ms or 50 refs |
//! | `seen` | what is a duplicate | the latest 10,000 messages |
//! | `in_hand` | the order of what the consumer has not taken | 1,000 messages |
//! | `sync_passes` | when to fetch pages of the inbox, the heartbeat | `drained` within 10 s; every 5 to 9 min |
//! | `backoff` | when to try again | up to 1 s, doubling, up to 30 s |
//! | `core` | all of it together | |
//! | `dial`, `driver`, `network` | nothing: the socket | opens within 15 s |

mod ack_buffer;
mod backoff;
mod client;
mod clock;
mod core;
mod dial;
mod driver;
mod event;
mod in_hand;
mod message_id;
mod network;
mod options;
mod outbox;
mod seen;
mod sync_passes;
#[cfg(test)]
mod testing;

pub use ack_buffer::{ACK_DELAY, ACK_REFS};
pub use backoff::{BACKOFF_BASE, BACKOFF_CAP};
pub use client::{Client, Events, Outstanding};
pub use clock::now;
pub use event::{BoxError, Cause, Event, FatalError};
pub use in_hand::IN_HAND_CAPACITY;
pub use message_id::new_message_id;
pub use options::{Acks, InvalidUrl, Options, TokenSource};
pub use outbox::{ANSWER_TIMEOUT, OUTBOX_CAPACITY, SEND_FRAME_BYTES, SendError};
pub use seen::SEEN_CAPACITY;
pub use sync_passes::{DRAIN_TIMEOUT, HEARTBEAT_SECS, UNANSWERED_LIMIT};
