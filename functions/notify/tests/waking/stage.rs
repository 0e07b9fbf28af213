//! What every test has: a phone of bob's, and what is put into its inbox and handed over.

use std::cell::Cell;
use std::time::Duration;

use delivery::{
    Address, Connection, Dialect, Directory, Enrolment, Envelope, HandOver, Holder, Inbox, Key, Reason, Row, Wake,
    Wakeable,
};
use notify::Notify;
use protocol::{Body, Kind, MessageId, PushTarget, Recipient, Urgency, UserId};
use testkit::queue::event;
use testkit::{Clock, MemoryDirectory, MemoryGateway, MemoryInbox, MemoryQueue};

pub(crate) struct Stage {
    pub(crate) clock: Clock,
    /// Whether what is put has been given to other devices as well.
    pub(crate) is_shared: Cell<bool>,
    pub(crate) function: Notify<MemoryInbox, MemoryDirectory, MemoryQueue, MemoryGateway>,
}

pub(crate) fn bob() -> UserId {
    "bob".parse().expect("a user")
}

pub(crate) fn phone() -> Address {
    Address { user: bob(), device: "phone".parse().expect("a device") }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let clock = Clock::default();
        let function = Notify {
            inbox: MemoryInbox::default(),
            directory: MemoryDirectory::default(),
            queue: MemoryQueue::new(clock.clone()),
            gateway: MemoryGateway::default(),
            interval: Duration::from_secs(30),
            previews: true,
        };
        let connection = Connection { id: "past".into(), connected_at: clock.now(), dialect: Dialect::Current };
        function.directory.register(&phone(), &connection, clock.now()).await.expect("registered");
        function.directory.unregister(&phone(), &connection.id).await.expect("unregistered");
        Self { clock, is_shared: Cell::new(false), function }
    }

    /// Puts the `n`th message and hands it over.
    pub(crate) async fn hand_over(&self, n: u64, holder: Holder) -> MessageId {
        let row = self.put(n, holder, Kind::Message).await;
        self.queue_hand_over(&row);
        row.envelope.id
    }

    /// The same of a message that is so urgent.
    pub(crate) async fn hand_over_of(&self, n: u64, urgency: Urgency) {
        let mut row = self.put(n, own(), Kind::Message).await;
        row.envelope.urgency = urgency;
        assert!(self.function.inbox.put(std::slice::from_ref(&row)).await[0].is_ok());
        self.queue_hand_over(&row);
    }

    pub(crate) fn queue_hand_over(&self, row: &Row) {
        let hand_over = HandOver {
            user: bob(),
            device: row.holder.device().cloned(),
            reference: row.reference(),
            reason: Reason::Absent,
            urgency: row.envelope.loudness(),
            due: None,
        };
        self.function.queue.put_raw(&hand_over.encode());
    }

    pub(crate) async fn put(&self, n: u64, holder: Holder, kind: Kind) -> Row {
        let row = Row {
            user: bob(),
            holder,
            envelope: Envelope {
                id: self.clock.message_id(n),
                from: "alice".parse().expect("a user"),
                to: Recipient::User(bob()),
                kind,
                at: self.clock.now(),
                expires_at: self.clock.now().plus(Duration::from_secs(3_600)),
                receipts: false,
                urgency: Urgency::default(),
                body: Body::text("secret"),
            },
            undelivered: true,
            shared: self.is_shared.get(),
        };
        assert!(self.function.inbox.put(std::slice::from_ref(&row)).await[0].is_ok());
        row
    }

    pub(crate) async fn ack_all(&self) {
        let keys: Vec<Key> = self.function.inbox.rows().iter().map(Row::key).collect();
        assert!(self.function.inbox.delete(&keys).await.iter().all(Result::is_ok));
    }

    pub(crate) async fn settle(&self) {
        loop {
            let batch = self.function.queue.receive(10);
            if batch.is_empty() {
                return;
            }
            let response = self.function.handle(event(&batch), self.clock.invocation()).await.expect("a response");
            self.function.queue.settle(&batch, &response);
        }
    }

    pub(crate) async fn run_for(&self, secs: u64) {
        let end = self.clock.now().plus(Duration::from_secs(secs));
        self.settle().await;
        while let Some(next) = self.function.queue.next_visible().filter(|next| *next <= end) {
            self.clock.advance(next.since(self.clock.now()));
            self.settle().await;
        }
        self.clock.advance(end.since(self.clock.now()));
    }

    pub(crate) async fn wakeable(&self) -> Wakeable {
        self.function.directory.wakeable(&bob(), &own()).await.expect("read").expect("a device")
    }

    pub(crate) fn wakes(&self) -> Vec<Wake> {
        self.function.gateway.take()
    }
}

pub(crate) fn own() -> Holder {
    Holder::Device(phone().device)
}

pub(crate) fn target(token: &str) -> PushTarget {
    PushTarget::Fcm { token: token.to_owned() }
}

impl Stage {
    /// The phone can be pushed to there from now on.
    pub(crate) async fn register(&self, tokens: &[&str]) {
        let push = tokens.iter().map(|token| target(token)).collect();
        let said = Enrolment { push: Some(push), ..Enrolment::default() };
        self.function.directory.enrol(&phone(), &said, self.clock.now()).await.expect("enrolled");
    }

    pub(crate) async fn tokens(&self) -> Vec<PushTarget> {
        self.wakeable().await.push
    }

    /// A laptop is known from now on.
    pub(crate) async fn laptop(&self) -> Address {
        let laptop = Address { device: "laptop".parse().expect("a device"), ..phone() };
        self.function.directory.enrol(&laptop, &Enrolment::default(), self.clock.now()).await.expect("enrolled");
        self.clock.advance(Duration::from_millis(1));
        self.is_shared.set(true);
        laptop
    }

    /// Says that another device has acked something of the phone's.
    pub(crate) fn hand_over_ack(&self, row: &Row) {
        let hand_over = HandOver {
            user: bob(),
            device: row.holder.device().cloned(),
            reference: row.reference(),
            reason: Reason::Acked,
            urgency: Urgency::Silent,
            due: None,
        };
        self.function.queue.put_raw(&hand_over.encode());
    }
}
