//! `route`: runs the frames that clients send. What `send`, `ack`, `read` and `sync` are answered is in [`Answers`], which serves HTTP as well;
//! of `device` is kept what a device says of itself, and whatever else arrives is told what is wrong with it. What an old client says is
//! translated in [`mod@legacy`].
//!
//! Answers go back as the route response, which costs no `@connections` call; the routes `ack` and `read` have none, so what is
//! wrong with those is posted.

mod answers;
pub mod legacy;
mod settings;

use delivery::{Address, Attachments, Connections, Dialect, Directory, Groups, Inbox, Invocation, Queue};
use lambda::HandlerError;
use lambda::websocket::{inbound, response};
use protocol::{ClientFrame, Code, Enrolment, Nonce, ReceiptEvent, Rejected, ServerFrame, Timestamp};
use serde_json::Value;

use crate::legacy::{Outcome, PONG};

pub use answers::Answers;
pub use settings::Settings;

/// The routes that answer by a post instead of a route response.
const UNANSWERED: [&str; 2] = ["ack", "read"];

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Route<I, G, Q, A, D, C> {
    /// What is answered, however it was asked.
    pub answers: Answers<I, G, Q, A>,
    /// What devices say of themselves.
    pub directory: D,
    /// Where what is wrong with an ack is posted.
    pub connections: C,
}

impl<I: Inbox, G: Groups, Q: Queue, A: Attachments, D: Directory, C: Connections> Route<I, G, Q, A, D, C> {
    /// Handles one frame. Whatever a client sends is answered, a good ack or read excepted.
    ///
    /// # Errors
    /// [`HandlerError::WrongShape`] when the event is not a message on an authorized connection of a device.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let inbound = inbound(event)?;
        let address = inbound.address.ok_or_else(|| HandlerError::WrongShape("a frame without a device".to_owned()))?;
        let answer = match inbound.connection.dialect {
            Dialect::Current => self.answer(&address, &inbound.body, invocation).await,
            Dialect::OldJson | Dialect::OldBase64 => {
                self.old_answer(&address, inbound.body, inbound.wants_acks, invocation).await
            }
        };
        if !UNANSWERED.contains(&inbound.route_key.as_str()) {
            return Ok(response(200, answer));
        }
        if let Some(frame) = answer {
            // The client will find out by the redelivery if this does not arrive. One of an old client is here because it has an `action` too.
            self.connections.post(&inbound.connection.id, &frame).await;
        }
        Ok(response(200, None))
    }

    async fn answer(&self, address: &Address, frame: &str, invocation: Invocation) -> Option<String> {
        let now = invocation.now;
        let error = |answer: Option<ServerFrame>| answer.map(|error| error.render());
        match ClientFrame::parse(frame) {
            Ok(ClientFrame::Send(send)) => Some(self.answers.send(&address.user, send, now).await.render()),
            Ok(ClientFrame::Ack(ack)) => {
                error(self.answers.ack(address, ReceiptEvent::Delivered, ack, invocation).await)
            }
            Ok(ClientFrame::Read(ack)) => error(self.answers.ack(address, ReceiptEvent::Read, ack, invocation).await),
            Ok(ClientFrame::Sync(sync)) => {
                let page = self.answers.sync(address, sync, now).await;
                Some(page.unwrap_or_else(|error| error.render()))
            }
            Ok(ClientFrame::Device { nonce, said }) => Some(self.describe(address, &said, nonce, now).await.render()),
            // Usually answered by API Gateway itself, without this function.
            Ok(ClientFrame::Ping { nonce }) => Some(ServerFrame::Pong { nonce }.render()),
            Err(Rejected { nonce, code, detail }) => Some(ServerFrame::Error { code, detail, nonce }.render()),
        }
    }

    /// What `PUT /v1/devices/{device}` does, for the device that says it.
    async fn describe(&self, address: &Address, said: &Enrolment, nonce: Option<Nonce>, now: Timestamp) -> ServerFrame {
        // Boxed: on the SDK's clients this is nested too deeply for the compiler to lay out in its caller.
        match Box::pin(self.directory.enrol(address, said, now)).await {
            Ok(()) => ServerFrame::Device { nonce },
            Err(failure) => {
                tracing::error!(%failure, "what a device said of itself could not be kept");
                let detail = "it could not be kept now; say it again".to_owned();
                ServerFrame::Error { code: Code::Unavailable, detail, nonce }
            }
        }
    }

    /// What the original says: `pong`, what was accepted if its client wants to be told, and nothing about anything else.
    async fn old_answer(
        &self,
        address: &Address,
        frame: String,
        wants_acks: bool,
        invocation: Invocation,
    ) -> Option<String> {
        match self.answers.old_frames(address, &[frame], invocation).await.pop()? {
            Outcome::Pong => Some(PONG.to_owned()),
            Outcome::Accepted { ack } => wants_acks.then_some(ack),
            Outcome::Done => None,
            Outcome::Refused { code, .. } => {
                tracing::info!(?code, "a frame of an old client was refused, and it was not told");
                None
            }
        }
    }
}
