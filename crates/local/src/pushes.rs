//! The record of wakes: keeps every wake that was taken or had nowhere to go, for whoever asks what a device was nudged with. It pushes to
//! nobody.

use delivery::{Failure, Wake};
use rusqlite::Connection;
use serde_json::value::RawValue;

use crate::worker::Worker;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS pushes (seq INTEGER PRIMARY KEY, wake TEXT NOT NULL) STRICT;";

/// The record. What it keeps lies beside the queues and lasts as long as they do.
#[derive(Clone, Debug)]
pub(crate) struct Pushes {
    store: Worker<Connection>,
}

impl Pushes {
    /// A record that keeps its wakes in `store`, which has the schema of [`prepare`].
    pub(crate) fn new(store: Worker<Connection>) -> Self {
        Self { store }
    }

    /// Every wake that was pushed, oldest first, each as JSON of `user`, `device`, `ids`, `reason` and `at`, and of `push` if the device has
    /// registered targets.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn pushes(&self) -> Result<Vec<Box<RawValue>>, Failure> {
        let read = |store: &mut Connection| -> rusqlite::Result<Vec<String>> {
            let mut statement = store.prepare_cached("SELECT wake FROM pushes ORDER BY seq")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        let failed = |cause: String| Failure { operation: "read the pushes", cause };
        let texts = self.store.call(read).await.map_err(|error| failed(error.to_string()))?;
        let texts = texts.map_err(|error| failed(error.to_string()))?;
        texts
            .into_iter()
            .map(RawValue::from_string)
            .collect::<Result<_, _>>()
            .map_err(|error| failed(error.to_string()))
    }

    /// Keeps a wake.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn record(&self, wake: &Wake) -> Result<(), Failure> {
        let failed = |cause: String| Failure { operation: "record a push", cause };
        let text = serde_json::to_string(wake).map_err(|error| failed(error.to_string()))?;
        let write =
            move |store: &mut Connection| store.execute("INSERT INTO pushes (wake) VALUES (?1)", [text]).map(drop);
        let written = self.store.call(write).await.map_err(|error| failed(error.to_string()))?;
        written.map_err(|error| failed(error.to_string()))
    }
}

/// Makes room for wakes in `store`.
pub(crate) fn prepare(store: &Connection) -> rusqlite::Result<()> {
    store.execute_batch(SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_push_is_kept_across_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let store = Connection::open(folder.path().join("queues.sqlite")).expect("a store");
            prepare(&store).expect("a schema");
            Worker::start("queues", store).expect("a thread")
        };
        let wake = Wake { device: None, ..testkit::wake() };
        let store = open();
        Pushes::new(store.clone()).record(&wake).await.expect("a push");
        store.stop().await;
        let pushes = Pushes::new(open()).pushes().await.expect("pushes");
        let expected = r#"{"user":"bob","device":null,"ids":["0198a5c0-7c00-7abc-8def-0123456789ab"],"reason":"exhausted","at":1800000000123}"#;
        assert_eq!(pushes.iter().map(|push| push.get()).collect::<Vec<_>>(), [expected]);
    }
}
