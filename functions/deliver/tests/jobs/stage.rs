//! The `deliver` function on in-memory ports under virtual time, and short words for what tests put on and look at.

use std::time::Duration;

use deliver::Deliver;
use delivery::{
    Address, Connection, Dialect, Directory, Drain, Envelope, Inbox, Job, Key, Queue, Row, Scheduled, Waits,
};
use protocol::{Body, Delivery, Kind, MessageId, Recipient, Ref, Shelf, Urgency, UserId};
use serde_json::Value;
use testkit::queue::{Received, event};
use testkit::{
    Clock, MemoryAttachments, MemoryConnections, MemoryDirectory, MemoryGroups, MemoryInbox, MemoryQueue, MemoryTopic,
};

pub(crate) type Function =
    Deliver<MemoryInbox, MemoryDirectory, MemoryGroups, MemoryQueue, MemoryConnections, MemoryTopic, MemoryAttachments>;

pub(crate) struct Stage {
    pub(crate) clock: Clock,
    pub(crate) function: Function,
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

pub(crate) fn address(name: &str, device: &str) -> Address {
    Address { user: user(name), device: device.parse().expect("a device") }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let clock = Clock::default();
        let function = Deliver {
            inbox: MemoryInbox::default(),
            directory: MemoryDirectory::default(),
            groups: MemoryGroups::default(),
            queue: MemoryQueue::new(clock.clone()),
            connections: MemoryConnections::default(),
            offline: MemoryTopic::default(),
            attachments: MemoryAttachments::default(),
            waits: Waits::default(),
        };
        Self { clock, function }
    }

    /// Registers a connection as of now.
    pub(crate) async fn connect(&self, name: &str, device: &str, id: &str) -> Connection {
        self.connect_as(Dialect::Current, name, device, id).await
    }

    /// Registers a connection of this dialect as of now.
    pub(crate) async fn connect_as(&self, dialect: Dialect, name: &str, device: &str, id: &str) -> Connection {
        let connection = Connection { id: id.into(), connected_at: self.clock.now(), dialect };
        self.function
            .directory
            .register(&address(name, device), &connection, self.clock.now())
            .await
            .expect("registered");
        connection
    }

    /// Registers a device that is not connected.
    pub(crate) async fn absent(&self, name: &str, device: &str) {
        self.connect(name, device, "past").await;
        self.unregister(name, device, "past").await;
    }

    /// Unregisters a connection.
    pub(crate) async fn unregister(&self, name: &str, device: &str, id: &str) {
        self.function.directory.unregister(&address(name, device), &id.into()).await.expect("unregistered");
    }

    pub(crate) fn envelope(&self, n: u64, to: &str, text: &str) -> Envelope {
        Envelope {
            id: self.clock.message_id(n),
            from: user("alice").into(),
            to: Recipient::User(user(to)),
            kind: Kind::Message,
            at: self.clock.now(),
            expires_at: self.clock.now().plus(secs(3_600)),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text(text),
        }
    }

    /// By what a device acks alice's `n`th message.
    pub(crate) fn reference(&self, n: u64) -> Ref {
        let envelope = self.envelope(n, "bob", "");
        Ref { id: envelope.id, sender: envelope.from, shelf: Shelf::Own, watched: false }
    }

    /// Enqueues alice's `n`th message to `to`.
    pub(crate) async fn send(&self, n: u64, to: &str) -> MessageId {
        let envelope = self.envelope(n, to, &format!("message {n}"));
        let id = envelope.id;
        self.enqueue(Job::Deliver(delivery::Deliver {
            envelope,
            recipient: user(to),
            ephemeral: false,
            except: None,
            attachments: Vec::new(),
        }))
        .await;
        id
    }

    pub(crate) async fn enqueue(&self, job: Job) {
        let sent = self.function.queue.send(&[Scheduled::now(job)]).await;
        assert!(sent.iter().all(Result::is_ok));
        self.function.queue.ledger.take();
    }

    pub(crate) async fn enqueue_drain(&self, name: &str, device: &str, connection: &str) {
        let Address { user, device } = address(name, device);
        self.enqueue(Job::Drain(Drain { user, device, connection: connection.into(), after: None })).await;
    }

    /// Receives one batch, handles it, and settles it. Answers the response.
    pub(crate) async fn step(&self) -> Value {
        let batch = self.function.queue.receive(10);
        self.handle(&batch).await
    }

    pub(crate) async fn handle(&self, batch: &[Received]) -> Value {
        let response = self.function.handle(event(batch), self.clock.invocation()).await.expect("a response");
        self.function.queue.settle(batch, &response);
        response
    }

    /// Handles everything that can be seen now and moves no time.
    pub(crate) async fn settle(&self) {
        loop {
            let batch = self.function.queue.receive(10);
            if batch.is_empty() {
                return;
            }
            self.handle(&batch).await;
        }
    }

    /// Moves time to whatever is seen next, again and again, until the queue is empty or `limit` has passed.
    pub(crate) async fn run_for(&self, limit: Duration) {
        let end = self.clock.now().plus(limit);
        self.settle().await;
        while let Some(next) = self.function.queue.next_visible().filter(|next| *next <= end) {
            self.clock.advance(next.since(self.clock.now()));
            self.settle().await;
        }
    }

    pub(crate) async fn ack(&self, name: &str, device: &str, delivery: &Delivery) {
        let Address { user, device } = address(name, device);
        let acked = self.function.inbox.delete(&[Key::of(&user, &device, &delivery.reference)]).await;
        assert!(acked[0].is_ok());
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.function.inbox.rows()
    }

    pub(crate) fn deliveries(&self, connection: &str) -> Vec<Delivery> {
        self.function.connections.take_deliveries(connection)
    }
}
