//! The offline topic and a push gateway in memory: they keep what they are given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use delivery::{Failure, HandOver, Notice, OfflineTopic, PushGateway, PushOutcome, Pushed, Reason, Wake};
use protocol::{MessageId, Timestamp, Urgency, UserId};

use crate::ledger::{Ledger, planned};
use crate::lock;

/// A topic that its clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryTopic {
    published: Arc<Mutex<Vec<HandOver>>>,
    /// Calls: `publish`.
    pub ledger: Ledger,
}

impl MemoryTopic {
    /// What was published since this was last asked.
    pub fn take(&self) -> Vec<HandOver> {
        std::mem::take(&mut *lock(&self.published))
    }
}

impl OfflineTopic for MemoryTopic {
    async fn publish(&self, hand_overs: &[HandOver]) -> Vec<Result<(), Failure>> {
        if self.ledger.enter("publish").is_err() {
            return hand_overs.iter().map(|_| Err(planned())).collect();
        }
        lock(&self.published).extend_from_slice(hand_overs);
        hand_overs.iter().map(|_| Ok(())).collect()
    }
}

/// A wake of bob's phone for one message.
pub fn wake() -> Wake {
    let user: UserId = "bob".parse().expect("a user");
    let id: MessageId = "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id");
    Wake {
        user: user.clone(),
        device: Some("phone".parse().expect("a device")),
        ids: vec![id],
        reason: Reason::Exhausted,
        at: Timestamp::from_millis(1_800_000_000_123),
        push: Vec::new(),
        notice: Notice {
            user,
            id,
            conversation: None,
            badge: 1,
            preview: None,
            urgency: Urgency::Urgent,
            takes_back: false,
            collapse: "summary".to_owned(),
            expires_at: Timestamp::from_secs(1_800_000_600),
        },
    }
}

/// A push gateway that its clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryGateway {
    pushed: Arc<Mutex<Vec<Wake>>>,
    answers: Arc<Mutex<VecDeque<Pushed>>>,
    /// Calls: `push`.
    pub ledger: Ledger,
}

impl MemoryGateway {
    /// What was pushed and taken since this was last asked.
    pub fn take(&self) -> Vec<Wake> {
        std::mem::take(&mut *lock(&self.pushed))
    }

    /// A push that comes after those that have an answer gets this one. All others are taken.
    pub fn answer(&self, answer: Pushed) {
        lock(&self.answers).push_back(answer);
    }
}

impl PushGateway for MemoryGateway {
    async fn push(&self, wake: &Wake) -> Result<Pushed, Failure> {
        self.ledger.enter("push")?;
        let answer = lock(&self.answers).pop_front().unwrap_or(PushOutcome::Taken.into());
        if answer.outcome == PushOutcome::Taken {
            lock(&self.pushed).push(wake.clone());
        }
        Ok(answer)
    }
}
