//! The in-memory ports keep the contracts that the real ones keep.

use std::time::Duration;

use delivery::{Queue, Receipt};
use testkit::contract::{self, Consumable};
use testkit::queue::Received;
use testkit::{Clock, MemoryAttachments, MemoryDirectory, MemoryFiles, MemoryGroups, MemoryInbox, MemoryQueue};

struct Timed {
    clock: Clock,
    queue: MemoryQueue,
}

impl Consumable for Timed {
    fn port(&self) -> &impl Queue {
        &self.queue
    }

    async fn receive(&self) -> Vec<Received> {
        self.queue.receive(10)
    }

    async fn delete(&self, receipt: &Receipt) {
        self.queue.delete(receipt);
    }

    async fn dead_letters(&self) -> Vec<String> {
        self.queue.dead_letters().into_iter().map(|(body, _)| body).collect()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

#[tokio::test]
async fn the_inbox() {
    contract::inbox(MemoryInbox::default()).await;
}

#[tokio::test]
async fn the_directory() {
    contract::directory(MemoryDirectory::default()).await;
}

#[tokio::test]
async fn the_groups() {
    contract::groups(MemoryGroups::default()).await;
}

#[tokio::test]
async fn the_attachments() {
    contract::attachments(MemoryAttachments::default()).await;
}

#[tokio::test]
async fn the_files() {
    contract::files(MemoryFiles::default()).await;
}

#[tokio::test]
async fn the_queue() {
    let clock = Clock::default();
    let queue = MemoryQueue::new(clock.clone());
    contract::queue(Timed { clock, queue }).await;
}
