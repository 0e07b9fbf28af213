//! `route`: runs the frames that clients send. `send` is judged and enqueued, `ack` deletes, `sync` answers a page, and whatever else
//! arrives is told what is wrong with it.
//!
//! Answers go back as the route response, which costs no `@connections` call; the route `ack` has none, so what is wrong with an ack is
//! posted.

mod settings;

use delivery::{Address, Connections, Inbox, Invocation, Key, Queue, accept};
use lambda::HandlerError;
use lambda::websocket::{inbound, response};
use protocol::packing::pack_page;
use protocol::{Ack, ClientFrame, Code, Delivery, Nonce, Rejected, Send, ServerFrame, Sync, Timestamp};
use serde_json::Value;

pub use settings::Settings;

/// The route that answers by a post instead of a route response.
const ACK_ROUTE: &str = "ack";

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Route<I, Q, C> {
    /// Where acks delete and syncs read.
    pub inbox: I,
    /// The delivery queue.
    pub queue: Q,
    /// Where what is wrong with an ack is posted.
    pub connections: C,
}

impl<I: Inbox, Q: Queue, C: Connections> Route<I, Q, C> {
    /// Handles one frame. Whatever a client sends is answered, a good ack excepted.
    ///
    /// # Errors
    /// [`HandlerError::WrongShape`] when the event is not a message on an authorized connection of a device.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let inbound = inbound(event)?;
        let address = inbound.address.ok_or_else(|| HandlerError::WrongShape("a frame without a device".to_owned()))?;
        let answer = self.answer(&address, &inbound.body, invocation.now).await;
        if inbound.route_key != ACK_ROUTE {
            return Ok(response(200, answer));
        }
        if let Some(frame) = answer {
            // The client will find out by the redelivery if this does not arrive.
            self.connections.post(&inbound.connection.id, &frame).await;
        }
        Ok(response(200, None))
    }

    async fn answer(&self, address: &Address, frame: &str, now: Timestamp) -> Option<String> {
        match ClientFrame::parse(frame) {
            Ok(ClientFrame::Send(send)) => Some(self.send(address, send, now).await.render()),
            Ok(ClientFrame::Ack(ack)) => self.ack(address, ack).await.map(|error| error.render()),
            Ok(ClientFrame::Sync(sync)) => Some(self.sync(address, sync, now).await),
            // Usually answered by API Gateway itself, without this function.
            Ok(ClientFrame::Ping { nonce }) => Some(ServerFrame::Pong { nonce }.render()),
            Err(Rejected { nonce, code, detail }) => Some(ServerFrame::Error { code, detail, nonce }.render()),
        }
    }

    /// One call for up to ten messages: accepted is what the queue has taken.
    async fn send(&self, address: &Address, send: Send, now: Timestamp) -> ServerFrame {
        let acceptance = accept(send, &address.user, now);
        let outcomes = if acceptance.jobs.is_empty() { Vec::new() } else { self.queue.send(&acceptance.jobs).await };
        for failure in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            tracing::error!(%failure, "a message could not be accepted");
        }
        acceptance.answer(outcomes.iter().map(Result::is_ok))
    }

    /// Deletes what the refs name in this device's own inboxes; nothing else can be named.
    async fn ack(&self, address: &Address, ack: Ack) -> Option<ServerFrame> {
        let keys: Vec<Key> =
            ack.refs.iter().map(|reference| Key::of(&address.user, &address.device, reference)).collect();
        let outcomes = if keys.is_empty() { Vec::new() } else { self.inbox.delete(&keys).await };
        let failed = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).inspect(|failure| {
            tracing::error!(%failure, "an ack could not be taken");
        });
        let error = |code, detail: String| Some(ServerFrame::Error { code, detail, nonce: ack.nonce.clone() });
        match (failed.count(), ack.malformed) {
            (0, 0) => None,
            (0, malformed) => error(
                Code::InvalidRef,
                format!(
                    "{malformed} of the refs cannot be read and were ignored; send refs back as they were received"
                ),
            ),
            (failed, _) => error(
                Code::Unavailable,
                format!("{failed} of the refs could not be acked; ack them again when their messages come again"),
            ),
        }
    }

    async fn sync(&self, address: &Address, sync: Sync, now: Timestamp) -> String {
        let Sync { nonce, after, limit } = sync;
        match self.inbox.page(&address.user, Some(&address.device), after.as_ref(), limit, now).await {
            Ok(page) => {
                let deliveries: Vec<Delivery> =
                    page.rows.iter().map(|row| row.envelope.delivery(row.holder.shelf(), 0)).collect();
                pack_page(&deliveries, page.more, nonce.as_ref())
            }
            Err(failure) => {
                tracing::error!(%failure, "a sync could not be answered");
                unavailable(nonce, "the inbox could not be read; sync again").render()
            }
        }
    }
}

fn unavailable(nonce: Option<Nonce>, detail: &str) -> ServerFrame {
    ServerFrame::Error { code: Code::Unavailable, detail: detail.to_owned(), nonce }
}
