//! `@connections` of the local cloud: which connections are open, and how a frame gets to one. What travels over a socket, and when
//! it is closed, is in `socket`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws::connections::METERED_BYTES;
use aws::meter::{Meter, Unit, steps};
use delivery::{ConnectionId, Connections, Failure, PostOutcome};
use protocol::limits::MAX_CLIENT_MESSAGE_BYTES;
use tokio::sync::{mpsc, watch};

use crate::faults::Faults;

/// Largest frame that can be posted, in bytes: what API Gateway carries in either direction.
const MAX_POSTED_BYTES: usize = MAX_CLIENT_MESSAGE_BYTES;

/// How many frames wait for a slow client before further posts are refused.
const BUFFERED_FRAMES: usize = 256;

/// The open connections. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct LocalConnections {
    open: Arc<Mutex<HashMap<ConnectionId, Handle>>>,
    faults: Arc<Faults>,
    meter: Arc<Meter>,
}

#[derive(Clone, Debug)]
struct Handle {
    outgoing: mpsc::Sender<String>,
    disconnect: watch::Sender<bool>,
}

/// The socket's side of an open connection. Dropping it makes the connection gone.
#[derive(Debug)]
pub(crate) struct Opened {
    id: ConnectionId,
    connections: LocalConnections,
    /// Where the socket itself puts answers.
    pub(crate) answers: mpsc::Sender<String>,
    /// What is to be sent, in order.
    pub(crate) outgoing: Option<mpsc::Receiver<String>>,
    /// Becomes true when the connection is to be closed.
    pub(crate) disconnected: watch::Receiver<bool>,
}

impl LocalConnections {
    /// No connection is open yet.
    pub(crate) fn new(faults: Arc<Faults>, meter: Arc<Meter>) -> Self {
        Self { open: Arc::default(), faults, meter }
    }

    /// Opens a connection: from here on it can be posted to.
    pub(crate) fn open(&self, id: ConnectionId) -> Opened {
        let (outgoing, queued) = mpsc::channel(BUFFERED_FRAMES);
        let (disconnect, disconnected) = watch::channel(false);
        let answers = outgoing.clone();
        self.handles().insert(id.clone(), Handle { outgoing, disconnect });
        Opened { id, connections: self.clone(), answers, outgoing: Some(queued), disconnected }
    }

    fn handle(&self, connection: &ConnectionId) -> Option<Handle> {
        self.handles().get(connection).cloned()
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<ConnectionId, Handle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, connection: &ConnectionId, frame: &str) -> PostOutcome {
        let Some(handle) = self.handle(connection) else { return PostOutcome::Gone };
        if frame.len() > MAX_POSTED_BYTES {
            return PostOutcome::TooLarge;
        }
        if self.faults.drops_post() {
            return PostOutcome::Posted;
        }
        match handle.outgoing.try_send(frame.to_owned()) {
            Ok(()) => PostOutcome::Posted,
            Err(mpsc::error::TrySendError::Full(_)) => PostOutcome::Unknown,
            Err(mpsc::error::TrySendError::Closed(_)) => PostOutcome::Gone,
        }
    }
}

impl Connections for LocalConnections {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> PostOutcome {
        if let Some(delay) = self.faults.delays_post() {
            tokio::time::sleep(delay).await;
        }
        let outcome = self.queue(connection, frame);
        // Only what is taken is metered as a message.
        let (unit, quantity) = match outcome {
            PostOutcome::Posted => (Unit::WebSocketMessage, steps(frame.len(), METERED_BYTES)),
            _ => (Unit::Free, 1.0),
        };
        self.meter.count("apigateway", "PostToConnection", unit, quantity);
        if outcome == PostOutcome::Posted && self.faults.denies_post() { PostOutcome::Gone } else { outcome }
    }

    /// Frames that were posted before still go out.
    async fn disconnect(&self, connection: &ConnectionId) -> Result<(), Failure> {
        self.meter.count("apigateway", "DeleteConnection", Unit::Free, 1.0);
        if let Some(handle) = self.handle(connection) {
            handle.disconnect.send_replace(true);
        }
        Ok(())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.connections.handles().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections() -> (LocalConnections, Arc<Faults>) {
        let faults = Arc::<Faults>::default();
        (LocalConnections::new(Arc::clone(&faults), Arc::default()), faults)
    }

    fn next(opened: &mut Opened) -> Option<String> {
        opened.outgoing.as_mut().expect("the receiver").try_recv().ok()
    }

    #[tokio::test]
    async fn a_post_reaches_an_open_connection_and_no_other() {
        let (connections, _) = connections();
        let id = ConnectionId::from("c1");
        assert_eq!(connections.post(&id, "early").await, PostOutcome::Gone);
        let mut opened = connections.open(id.clone());
        assert_eq!(connections.post(&id, "hello").await, PostOutcome::Posted);
        assert_eq!(next(&mut opened).as_deref(), Some("hello"));
        drop(opened);
        assert_eq!(connections.post(&id, "late").await, PostOutcome::Gone);
    }

    #[tokio::test]
    async fn what_is_too_large_or_too_much_is_not_posted() {
        let (connections, _) = connections();
        let id = ConnectionId::from("c1");
        let _opened = connections.open(id.clone());
        assert_eq!(connections.post(&id, &"x".repeat(MAX_POSTED_BYTES + 1)).await, PostOutcome::TooLarge);
        for _ in 0..BUFFERED_FRAMES {
            assert_eq!(connections.post(&id, "x").await, PostOutcome::Posted);
        }
        assert_eq!(connections.post(&id, "x").await, PostOutcome::Unknown);
    }

    #[tokio::test]
    async fn a_disconnect_tells_the_socket_and_may_be_repeated() {
        let (connections, _) = connections();
        let id = ConnectionId::from("c1");
        connections.disconnect(&id).await.expect("gone already");
        let opened = connections.open(id.clone());
        connections.disconnect(&id).await.expect("told");
        connections.disconnect(&id).await.expect("told");
        assert!(*opened.disconnected.borrow());
    }

    #[tokio::test]
    async fn faults_drop_and_deny_posts() {
        let (connections, faults) = connections();
        let id = ConnectionId::from("c1");
        let mut opened = connections.open(id.clone());
        faults.change(br#"{"drop_posts":1}"#).expect("a change");
        assert_eq!(connections.post(&id, "dropped").await, PostOutcome::Posted);
        assert_eq!(next(&mut opened), None);
        faults.change(br#"{"drop_posts":0,"false_gone":1}"#).expect("a change");
        assert_eq!(connections.post(&id, "denied").await, PostOutcome::Gone);
        assert_eq!(next(&mut opened).as_deref(), Some("denied"));
    }
}
