//! How a run ends: in stages that everything follows, with counts of what is still in hand. It ends nothing by itself.

use std::sync::Arc;

use tokio::sync::watch;

/// Where a run is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Everything is taken.
    Serving,
    /// No new connection, frame or record is taken; what is in hand is finished, and posts still go out.
    Draining,
    /// Connections are closed.
    Closing,
}

/// What every part of a run needs to know of its end.
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle {
    stage: watch::Receiver<Stage>,
    /// Invocations of functions.
    pub(crate) invocations: Tracker,
    /// Open connections.
    pub(crate) sockets: Tracker,
}

impl Lifecycle {
    /// A run that has just begun, and what moves it on.
    pub(crate) fn begin() -> (watch::Sender<Stage>, Self) {
        let (sender, stage) = watch::channel(Stage::Serving);
        (sender, Self { stage, invocations: Tracker::default(), sockets: Tracker::default() })
    }

    /// Whether new connections, frames and records are taken.
    pub(crate) fn is_serving(&self) -> bool {
        *self.stage.borrow() == Stage::Serving
    }

    /// Waits until the run has come to `stage`. A run whose owner is gone is over.
    pub(crate) async fn reached(&self, stage: Stage) {
        let mut watched = self.stage.clone();
        // An error says that the owner is gone.
        let _ = watched.wait_for(|now| *now >= stage).await;
    }
}

/// Counts what is in hand.
#[derive(Clone, Debug)]
pub(crate) struct Tracker(Arc<watch::Sender<usize>>);

impl Default for Tracker {
    fn default() -> Self {
        Self(Arc::new(watch::channel(0).0))
    }
}

impl Tracker {
    /// One more, until the guard is dropped.
    pub(crate) fn enter(&self) -> InHand {
        self.0.send_modify(|count| *count += 1);
        InHand(self.clone())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there are none.
    pub(crate) async fn none_left(&self) {
        self.0.subscribe().wait_for(|count| *count == 0).await.map(drop).expect("the tracker holds its own sender");
    }
}

/// One thing in hand.
#[derive(Debug)]
pub(crate) struct InHand(Tracker);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
