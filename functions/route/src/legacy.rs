//! What old clients say and are told: their frames as what [`Answers`] does, and what it answers as theirs. What the frames look like is in
//! the crate `legacy`; how they arrive, and how an answer travels, is not known here.

use std::collections::BTreeSet;

use delivery::drain::PAGE;
use delivery::{Address, Attachments, Failure, Groups, Inbox, Invocation, Queue, Row};
use legacy::{Ack, ClientId, Incoming, LegacyMessage, incoming, message_id, names, server_ack, visible_id};
use protocol::limits::{MAX_MESSAGES_PER_SEND, MAX_REFS_PER_ACK};
use protocol::{Code, MessageId, ReceiptEvent, Ref, Send, ServerFrame, Timestamp};

use crate::Answers;

pub use legacy::PONG;

/// Most pages of an inbox in which the message of an ack is looked for. What lies behind them is acked when it comes again: by then there is
/// less before it, or it has expired.
const MAX_PAGES: usize = 4;

/// What became of a frame of an old client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It asked whether anybody is there; the answer is [`PONG`].
    Pong,
    /// It was a message, and is durable now.
    Accepted {
        /// The frame that says so to a client that wants to be told, written as its message was.
        ack: String,
    },
    /// It was an ack, which was taken, or is nobody's concern here. Nothing is to be said.
    Done,
    /// It was not taken. The original says nothing then.
    Refused {
        /// What the client calls what it sent, if that much could be read.
        id: Option<String>,
        /// Why.
        code: Code,
        /// Why, for a person. Never quotes the frame.
        detail: String,
    },
}

impl<I: Inbox, G: Groups, Q: Queue, A: Attachments> Answers<I, G, Q, A> {
    /// Does what an old client says in `frames`, whose user and device are `address`, and answers for each in order what became of it.
    ///
    /// Acks are taken first: a receipt is a message as well, and once it is accepted its client may never say again what it has. A message
    /// that says when it was made has the same id whenever it is sent; any other is made now.
    pub async fn old_frames(&self, address: &Address, frames: &[String], invocation: Invocation) -> Vec<Outcome> {
        let read: Vec<_> = frames.iter().map(|frame| incoming(frame)).collect();
        let acks: Vec<Ack> = read.iter().flatten().flat_map(acks_in).collect();
        let acked = if acks.is_empty() { Ok(()) } else { self.ack_named(address, acks, invocation).await };
        if let Err(failure) = &acked {
            tracing::error!(%failure, "an ack of an old client could not be taken");
        }
        let mut messages = Vec::new();
        let mut outcomes = Vec::with_capacity(read.len());
        for (index, read) in read.iter().enumerate() {
            outcomes.push(match read {
                Ok(Incoming::Ping) => Outcome::Pong,
                Ok(Incoming::Ignored(_)) => Outcome::Done,
                Ok(Incoming::Ack(ack)) if acked.is_err() => unavailable(&ack.id),
                Ok(Incoming::Ack(_)) => Outcome::Done,
                Ok(Incoming::Message(message)) => {
                    if acked.is_ok() || message.receipt().is_empty() {
                        messages.push((index, message));
                    }
                    unavailable(&message.id)
                }
                Err(refused) => Outcome::Refused {
                    id: refused.id.as_ref().map(ToString::to_string),
                    code: refused.code,
                    detail: refused.detail.to_owned(),
                },
            });
        }
        for messages in messages.chunks(MAX_MESSAGES_PER_SEND) {
            self.send_old(address, messages, &mut outcomes, invocation.now).await;
        }
        outcomes
    }

    /// Accepts messages, each with its place in `outcomes`, as those of a `send` are.
    async fn send_old(
        &self,
        address: &Address,
        messages: &[(usize, &LegacyMessage)],
        outcomes: &mut [Outcome],
        now: Timestamp,
    ) {
        let sender = &address.user;
        let id_of = |message: &LegacyMessage| -> MessageId {
            message_id(sender, &message.id, message.made_at(sender, now).unwrap_or(now))
        };
        let outgoing = messages.iter().map(|(_, message)| Ok(message.outgoing(id_of(message)))).collect();
        let answer = self.send(sender, Send { nonce: None, messages: outgoing }, now).await;
        let ServerFrame::Accepted { refused, at, .. } = answer else { return };
        for (index, message) in messages {
            let ack = server_ack(&message.id, sender, id_of(message), at, message.format);
            outcomes[*index] = Outcome::Accepted { ack };
        }
        for refusal in refused {
            if let Some((index, message)) = messages.get(refusal.index) {
                let id = Some(message.id.to_string());
                outcomes[*index] = Outcome::Refused { id, code: refusal.code, detail: refusal.detail };
            }
        }
    }

    /// Acks what the acks name, in this device's own inboxes alone: nothing else is looked at.
    async fn ack_named(&self, address: &Address, mut acks: Vec<Ack>, invocation: Invocation) -> Result<(), Failure> {
        let now = invocation.now;
        let mut after: Option<Ref> = None;
        for _ in 0..MAX_PAGES {
            let page = self.inbox.page(&address.user, Some(&address.device), after.as_ref(), PAGE, now).await?;
            for refs in take_named(&mut acks, &page.rows).chunks(MAX_REFS_PER_ACK) {
                let failed = self.take_acks(address, ReceiptEvent::Delivered, refs, invocation).await;
                failed.into_iter().next().map_or(Ok(()), Err)?;
            }
            after = page.rows.last().map(|row| row.key().reference());
            if acks.is_empty() || !page.more || after.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// What a frame acks: what it is for, or what it is a receipt of.
fn acks_in(incoming: &Incoming) -> Vec<Ack> {
    match incoming {
        Incoming::Ack(ack) => vec![ack.clone()],
        Incoming::Message(message) => message.receipt(),
        Incoming::Ping | Incoming::Ignored(_) => Vec::new(),
    }
}

/// Takes out of `acks` those that name some of `rows`, which are in order, and answers the refs of these, each once.
fn take_named(acks: &mut Vec<Ack>, rows: &[Row]) -> Vec<Ref> {
    // A body is read once, however many acks there are.
    let seen: Vec<(ClientId, &Row)> =
        rows.iter().map(|row| (visible_id(row.envelope.id, row.envelope.kind, &row.envelope.body), row)).collect();
    let mut refs = BTreeSet::new();
    acks.retain(|ack| {
        let candidates = seen.iter().filter(|(id, _)| id.as_str().eq_ignore_ascii_case(ack.id.as_str()));
        let mut named = candidates.map(|(_, row)| *row).filter(|row| {
            let envelope = &row.envelope;
            names(ack, envelope.id, &envelope.from, envelope.kind, &envelope.body)
        });
        let Some(oldest) = named.next() else { return true };
        // Senders choose their ids. An ack that names no sender is for one message, and that is the one which was posted first.
        let rest = named.filter(|row| ack.sender.is_some() || is_same_message(row, oldest));
        refs.extend(std::iter::once(oldest).chain(rest).map(Row::reference));
        false
    });
    refs.into_iter().collect()
}

fn is_same_message(one: &Row, other: &Row) -> bool {
    one.envelope.id == other.envelope.id && one.envelope.from == other.envelope.from
}

fn unavailable(id: &ClientId) -> Outcome {
    let detail = "the server could not take it now; send it again";
    Outcome::Refused { id: Some(id.to_string()), code: Code::Unavailable, detail: detail.to_owned() }
}
