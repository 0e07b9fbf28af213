//! The ports as the local cloud has them keep the contracts that the in-memory ones keep: the tables through the real SDK adapters, the
//! queue on SQLite.

use std::sync::Arc;
use std::time::Duration;

use aws::{DynamoAttachments, DynamoDirectory, DynamoGroups, DynamoInbox, Tables};
use delivery::{Queue, Receipt};
use rusqlite::Connection;
use testkit::contract::{self, Consumable};
use testkit::queue::Received;

use crate::files::LocalFiles;
use crate::sqs::{Clock, LocalQueue, Spec, records};
use crate::storage;
use crate::worker::Worker;

async fn tables() -> (aws::dynamo::Client, Tables) {
    let names = Tables { directory: "directory".to_owned(), inbox: "inbox".to_owned() };
    let (_, client) = storage::tables(None, &names).await.expect("tables");
    aws::tables::create(&client, &names).await.expect("twice is the same as once");
    (client, names)
}

#[tokio::test]
async fn the_inbox() {
    let (client, names) = tables().await;
    contract::inbox(DynamoInbox::new(client, names.inbox, Arc::default())).await;
}

#[tokio::test]
async fn the_directory() {
    let (client, names) = tables().await;
    contract::directory(DynamoDirectory::new(client, names.directory, Arc::default())).await;
}

#[tokio::test]
async fn the_groups() {
    let (client, names) = tables().await;
    contract::groups(DynamoGroups::new(client, names.directory, Arc::default())).await;
}

#[tokio::test]
async fn the_attachments() {
    let (client, names) = tables().await;
    contract::attachments(DynamoAttachments::new(client, names.directory, Arc::default())).await;
}

#[tokio::test]
async fn the_files() {
    contract::files(LocalFiles::open(None, "http://127.0.0.1:8080").expect("files")).await;
}

#[tokio::test]
async fn the_queue() {
    let time = testkit::Clock::default();
    let hands = time.clone();
    let store = Worker::start("queues", records::open(None).expect("a store")).expect("a thread");
    let spec = Spec::new("delivery", "delivery-dead");
    let queue = LocalQueue::new(store.clone(), spec, Clock::new(move || hands.now()), Arc::default());
    contract::queue(Timed { time, store, queue }).await;
}

struct Timed {
    time: testkit::Clock,
    store: Worker<Connection>,
    queue: LocalQueue,
}

impl Consumable for Timed {
    fn port(&self) -> &impl Queue {
        &self.queue
    }

    async fn receive(&self) -> Vec<Received> {
        let received = self.queue.receive().await.expect("a receive");
        let record = |record: records::Received| Received {
            id: record.id,
            receipt: Receipt(record.receipt),
            receive_count: record.receive_count,
            body: record.body,
        };
        received.into_iter().map(record).collect()
    }

    async fn delete(&self, receipt: &Receipt) {
        self.queue.delete(vec![receipt.0.clone()]).await.expect("a delete");
    }

    async fn dead_letters(&self) -> Vec<String> {
        let select = |store: &mut Connection| -> rusqlite::Result<Vec<String>> {
            let mut statement = store.prepare("SELECT body FROM records WHERE queue = 'delivery-dead'")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        self.store.call(select).await.expect("an answer").expect("dead letters")
    }

    fn advance(&self, by: Duration) {
        self.time.advance(by);
    }
}
