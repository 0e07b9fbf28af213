//! `route`: runs the frames that clients send. What `send`, `ack`, `read` and `sync` are answered is in [`Answers`], which serves HTTP as well;
//! whatever else arrives is told what is wrong with it.
//!
//! Answers go back as the route response, which costs no `@connections` call; the routes `ack` and `read` have none, so what is
//! wrong with those is posted.

mod answers;
mod settings;

use delivery::{Address, Attachments, Connections, Groups, Inbox, Invocation, Queue};
use lambda::HandlerError;
use lambda::websocket::{inbound, response};
use protocol::{ClientFrame, ReceiptEvent, Rejected, ServerFrame};
use serde_json::Value;

pub use answers::Answers;
pub use settings::Settings;

/// The routes that answer by a post instead of a route response.
const UNANSWERED: [&str; 2] = ["ack", "read"];

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Route<I, G, Q, A, C> {
    /// What is answered, however it was asked.
    pub answers: Answers<I, G, Q, A>,
    /// Where what is wrong with an ack is posted.
    pub connections: C,
}

impl<I: Inbox, G: Groups, Q: Queue, A: Attachments, C: Connections> Route<I, G, Q, A, C> {
    /// Handles one frame. Whatever a client sends is answered, a good ack or read excepted.
    ///
    /// # Errors
    /// [`HandlerError::WrongShape`] when the event is not a message on an authorized connection of a device.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let inbound = inbound(event)?;
        let address = inbound.address.ok_or_else(|| HandlerError::WrongShape("a frame without a device".to_owned()))?;
        let answer = self.answer(&address, &inbound.body, invocation).await;
        if !UNANSWERED.contains(&inbound.route_key.as_str()) {
            return Ok(response(200, answer));
        }
        if let Some(frame) = answer {
            // The client will find out by the redelivery if this does not arrive.
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
            // Usually answered by API Gateway itself, without this function.
            Ok(ClientFrame::Ping { nonce }) => Some(ServerFrame::Pong { nonce }.render()),
            Err(Rejected { nonce, code, detail }) => Some(ServerFrame::Error { code, detail, nonce }.render()),
        }
    }
}
