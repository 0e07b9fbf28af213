//! Where a device is woken, and what push services answer.

use std::time::Duration;

use delivery::{Directory, Enrolment, Failure, Holder, PushGateway, PushOutcome, Pushed, Wake};
use notify::Notify;
use protocol::PushTarget;
use testkit::queue::event;
use testkit::{MemoryDirectory, MemoryGateway};

use crate::stage::{Stage, own, phone, target};

#[tokio::test]
async fn a_wake_says_where_its_device_can_be_woken() {
    let stage = Stage::new().await;
    let target = PushTarget::Fcm { token: "t".to_owned() };
    let said = Enrolment { push: Some(vec![target.clone()]), ..Enrolment::default() };
    stage.function.directory.enrol(&phone(), &said, stage.clock.now()).await.expect("enrolled");
    stage.function.directory.ledger.take();
    stage.hand_over(1, own()).await;
    stage.hand_over(2, Holder::Unclaimed).await;
    stage.settle().await;
    assert_eq!(stage.function.directory.ledger.calls("devices"), 0, "nothing was given to another device");
    let push: Vec<(bool, Vec<PushTarget>)> =
        stage.wakes().into_iter().map(|wake| (wake.device.is_some(), wake.push)).collect();
    assert!(push.contains(&(true, vec![target])) && push.contains(&(false, vec![])), "{push:?}");
}

#[tokio::test]
async fn a_service_that_asks_for_time_is_given_it() {
    let stage = Stage::new().await;
    stage.function.gateway.answer(PushOutcome::Later(Some(Duration::from_secs(100))).into());
    stage.hand_over(1, own()).await;
    stage.run_for(99).await;
    assert_eq!((stage.wakes().len(), stage.function.gateway.ledger.calls("push")), (0, 1));
    stage.run_for(12).await;
    assert_eq!(stage.wakes().len(), 1);
    stage.function.gateway.answer(PushOutcome::Later(None).into());
    stage.clock.advance(Duration::from_secs(60));
    stage.hand_over(2, own()).await;
    stage.run_for(60).await;
    assert_eq!(stage.wakes().len(), 1, "by a back-off of its own");
    // What has expired meanwhile is not pushed any more.
    stage.clock.advance(Duration::from_secs(60));
    stage.function.gateway.answer(PushOutcome::Later(Some(Duration::from_secs(4_000))).into());
    stage.hand_over(3, own()).await;
    stage.run_for(5_000).await;
    assert!(stage.wakes().is_empty() && stage.function.queue.is_empty());
}

#[tokio::test]
async fn dead_targets_are_dropped_unless_one_was_renewed() {
    let stage = Stage::new().await;
    let dead = |tokens: &[&str]| Pushed {
        outcome: PushOutcome::Taken,
        dead: tokens.iter().map(|token| target(token)).collect(),
    };
    stage.register(&["one", "two"]).await;
    stage.function.gateway.answer(dead(&["two"]));
    stage.hand_over(1, own()).await;
    stage.settle().await;
    assert_eq!(stage.tokens().await, [target("one")]);
    let before = stage.tokens().await;
    stage.register(&["three"]).await;
    stage.function.directory.drop_push(&phone(), &before, &before).await.expect("done");
    assert_eq!(stage.tokens().await, [target("three")]);
    // Nobody is told any more; the message stays, and the record ends.
    stage.clock.advance(Duration::from_secs(60));
    stage.function.gateway.answer(Pushed { outcome: PushOutcome::Nowhere, ..dead(&["three"]) });
    stage.hand_over(2, own()).await;
    stage.settle().await;
    assert!(stage.tokens().await.is_empty() && stage.function.queue.is_empty());
    // Where it fails, the wake is done all the same.
    stage.clock.advance(Duration::from_secs(60));
    stage.register(&["four"]).await;
    stage.function.gateway.answer(dead(&["four"]));
    stage.function.directory.ledger.fail_next("drop_push", 1);
    stage.wakes();
    stage.hand_over(3, own()).await;
    stage.settle().await;
    assert_eq!((stage.wakes().len(), stage.tokens().await.len()), (1, 1));
}

/// A service that calls a target dead in the moment in which its device registers another.
struct Renewing<'a> {
    directory: &'a MemoryDirectory,
    gateway: &'a MemoryGateway,
}

impl PushGateway for Renewing<'_> {
    async fn push(&self, wake: &Wake) -> Result<Pushed, Failure> {
        let dead = vec![target("old")];
        if wake.push != dead {
            return self.gateway.push(wake).await;
        }
        let said = Enrolment { push: Some(vec![target("new")]), ..Enrolment::default() };
        self.directory.enrol(&phone(), &said, wake.at).await?;
        Ok(Pushed { outcome: PushOutcome::Nowhere, dead })
    }
}

#[tokio::test]
async fn who_renews_its_only_target_while_it_is_found_dead_is_woken_at_the_new_one() {
    let stage = Stage::new().await;
    stage.register(&["old"]).await;
    stage.hand_over(1, own()).await;
    let Notify { inbox, directory, queue, gateway, interval, previews } = &stage.function;
    let function = Notify {
        inbox: inbox.clone(),
        directory: directory.clone(),
        queue: queue.clone(),
        gateway: Renewing { directory, gateway },
        interval: *interval,
        previews: *previews,
    };
    let batch = queue.receive(10);
    let response = function.handle(event(&batch), stage.clock.invocation()).await.expect("a response");
    queue.settle(&batch, &response);
    stage.run_for(60).await;
    let woken: Vec<Vec<PushTarget>> = stage.wakes().into_iter().map(|wake| wake.push).collect();
    assert_eq!(woken, [[target("new")]]);
    assert!(stage.function.queue.is_empty());
}
