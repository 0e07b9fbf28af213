//! Connections in memory: what was posted to each, and how each answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use delivery::{ConnectionId, Connections, Failure, PostOutcome};
use protocol::{Delivery, ServerFrame};

use crate::ledger::Ledger;
use crate::lock;

#[derive(Debug, Default)]
struct State {
    frames: BTreeMap<ConnectionId, Vec<String>>,
    outcomes: BTreeMap<ConnectionId, PostOutcome>,
    left: BTreeMap<ConnectionId, usize>,
    closed: Vec<ConnectionId>,
}

/// Connections that their clones share. Every id is open until a test says otherwise.
#[derive(Clone, Debug, Default)]
pub struct MemoryConnections {
    state: Arc<Mutex<State>>,
    /// Calls: `post`, `disconnect`.
    pub ledger: Ledger,
}

impl MemoryConnections {
    /// From now on, posts to `connection` answer `outcome`, and arrive only if that is `Posted`.
    pub fn answer(&self, connection: impl Into<ConnectionId>, outcome: PostOutcome) {
        let (mut state, connection) = (lock(&self.state), connection.into());
        state.left.remove(&connection);
        state.outcomes.insert(connection, outcome);
    }

    /// The next `frames` posts to `connection` arrive; those after them answer `Unknown`.
    pub fn fail_after(&self, connection: impl Into<ConnectionId>, frames: usize) {
        lock(&self.state).left.insert(connection.into(), frames);
    }

    /// What has arrived since this was last asked.
    pub fn take_frames(&self, connection: impl Into<ConnectionId>) -> Vec<ServerFrame> {
        self.take_texts(connection)
            .iter()
            .map(|text| ServerFrame::parse(text).expect("a frame of the protocol"))
            .collect()
    }

    /// The same, as text: what an old client is told is no frame of the protocol.
    pub fn take_texts(&self, connection: impl Into<ConnectionId>) -> Vec<String> {
        lock(&self.state).frames.remove(&connection.into()).unwrap_or_default()
    }

    /// The envelopes that have arrived since this or [`Self::take_frames`] was last asked.
    pub fn take_deliveries(&self, connection: impl Into<ConnectionId>) -> Vec<Delivery> {
        let deliveries = |frame| match frame {
            ServerFrame::Messages { messages, .. } => messages,
            _ => Vec::new(),
        };
        self.take_frames(connection).into_iter().flat_map(deliveries).collect()
    }

    /// Which connections were closed.
    pub fn closed(&self) -> Vec<ConnectionId> {
        lock(&self.state).closed.clone()
    }
}

impl Connections for MemoryConnections {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> PostOutcome {
        if self.ledger.enter("post").is_err() {
            return PostOutcome::Unknown;
        }
        let mut state = lock(&self.state);
        match state.left.get_mut(connection) {
            Some(0) => return PostOutcome::Unknown,
            Some(left) => *left -= 1,
            None => {}
        }
        let outcome = state.outcomes.get(connection).copied().unwrap_or(PostOutcome::Posted);
        if outcome == PostOutcome::Posted {
            state.frames.entry(connection.clone()).or_default().push(frame.to_owned());
        }
        outcome
    }

    async fn disconnect(&self, connection: &ConnectionId) -> Result<(), Failure> {
        self.ledger.enter("disconnect")?;
        let mut state = lock(&self.state);
        state.closed.push(connection.clone());
        state.outcomes.insert(connection.clone(), PostOutcome::Gone);
        Ok(())
    }
}
