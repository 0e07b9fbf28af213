//! One wake, one summary, and none lost.

use std::time::Duration;

use delivery::wake::Due;
use delivery::{Directory, HandOver, Holder, Inbox, Reason, WakeState};
use protocol::{Kind, Urgency};
use testkit::queue::event;

use crate::stage::{Stage, bob, own, phone};

#[tokio::test]
async fn a_burst_is_one_wake_and_one_summary_of_all_that_is_pending() {
    for holder in [own(), Holder::Unclaimed] {
        let stage = Stage::new().await;
        let start = stage.clock.now();
        let mut ids = Vec::new();
        for n in 0..50 {
            ids.push(stage.hand_over(n, holder.clone()).await);
        }
        stage.run_for(600).await;
        let wakes = stage.wakes();
        let times: Vec<u64> = wakes.iter().map(|wake| wake.at.since(start).as_secs()).collect();
        assert_eq!(times, [0, 30], "{holder:?}");
        assert_eq!(wakes[1].ids, ids);
        assert_eq!(wakes[0].device, holder.device().cloned());
        assert!(stage.function.queue.is_empty());
    }
}

#[tokio::test]
async fn what_was_acked_meanwhile_wakes_nobody() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.ack_all().await;
    stage.run_for(60).await;
    assert!(stage.wakes().is_empty() && stage.function.queue.is_empty());
    stage.hand_over(2, own()).await;
    stage.hand_over(3, own()).await;
    stage.settle().await;
    stage.ack_all().await;
    stage.run_for(60).await;
    assert_eq!(stage.wakes().len(), 1, "no summary of nothing");
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn the_summary_outlives_the_envelope_of_the_record_that_holds_it() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.settle().await;
    stage.hand_over(2, own()).await;
    stage.settle().await;
    let covered = stage.hand_over(3, own()).await;
    stage.settle().await;
    let holder_of_the_due_wake = stage.function.inbox.rows()[1].key();
    assert!(stage.function.inbox.delete(&[holder_of_the_due_wake]).await[0].is_ok());
    stage.run_for(60).await;
    let wakes = stage.wakes();
    assert_eq!(wakes.len(), 2);
    assert!(wakes[1].ids.contains(&covered));
}

#[tokio::test]
async fn a_push_that_failed_comes_again() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.function.gateway.ledger.fail_next("push", 2);
    stage.run_for(10).await;
    assert_eq!(stage.wakes().len(), 1, "after its back-off, not after the interval");
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn a_wake_of_nothing_holds_up_no_later_one() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.function.inbox.ledger.fail_next("get", 1);
    stage.settle().await;
    stage.ack_all().await;
    stage.run_for(5).await;
    assert!(stage.wakes().is_empty());
    stage.hand_over(2, own()).await;
    stage.run_for(1).await;
    assert_eq!(stage.wakes().len(), 1);
}

#[tokio::test]
async fn a_summary_of_nothing_holds_up_no_later_wake() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.settle().await;
    stage.hand_over(2, own()).await;
    stage.settle().await;
    stage.ack_all().await;
    stage.run_for(40).await;
    assert_eq!(stage.wakes().len(), 1, "no summary of nothing");
    stage.hand_over(3, own()).await;
    stage.run_for(1).await;
    assert_eq!(stage.wakes().len(), 1, "nobody holds the due wake any more");
}

#[tokio::test]
async fn a_record_that_is_received_twice_at_once_holds_up_no_later_wake() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    let batch = stage.function.queue.receive(10);
    // Both receives run; the first one's end deletes the record.
    for _ in 0..2 {
        stage.function.handle(event(&batch), stage.clock.invocation()).await.expect("a response");
    }
    stage.function.queue.delete(&batch[0].receipt);
    let covered = stage.hand_over(2, own()).await;
    stage.run_for(60).await;
    let wakes = stage.wakes();
    assert!(wakes.last().is_some_and(|wake| wake.ids.contains(&covered)), "{wakes:?}");
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn a_holder_that_wakes_nobody_before_it_is_named_cannot_be_named_any_more() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.settle().await;
    let before = stage.wakeable().await.state;
    // A record is postponed. Its holder is sent, and what names it is slow: the interval and its life are over before that.
    stage.clock.advance(Duration::from_secs(30));
    let row = stage.put(2, own(), Kind::Message).await;
    stage.ack_all().await;
    let (device, due) = (row.holder.device().cloned(), Some("token".to_owned()));
    let holder = HandOver {
        user: bob(),
        device,
        reference: row.reference(),
        reason: Reason::Absent,
        urgency: Urgency::Urgent,
        due,
    };
    stage.function.queue.put_raw(&holder.encode());
    stage.settle().await;
    assert!(stage.function.queue.is_empty());
    let named = WakeState { due: Some(Due { at: stage.clock.now(), token: "token".to_owned() }), ..before.clone() };
    let now = stage.clock.now();
    let replaced = stage.function.directory.replace_wake_state(&bob(), &own(), &before, &named, now).await;
    assert_eq!(replaced, Ok(false), "else whoever comes next would wait for it");
    // Nobody was woken, so the interval holds up nobody either.
    stage.hand_over(3, own()).await;
    stage.settle().await;
    assert_eq!(stage.wakes().len(), 2);
}

#[tokio::test]
async fn a_long_interval_is_waited_for_in_steps_that_sqs_takes() {
    let mut stage = Stage::new().await;
    stage.function.interval = Duration::from_secs(3_000);
    stage.hand_over(1, own()).await;
    stage.settle().await;
    stage.hand_over(2, own()).await;
    stage.run_for(2_999).await;
    assert_eq!(stage.wakes().len(), 1);
    stage.run_for(2).await;
    assert_eq!(stage.wakes().len(), 1);
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn a_later_message_is_a_wake_of_its_own() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.run_for(60).await;
    stage.hand_over(2, own()).await;
    stage.run_for(1).await;
    assert_eq!(stage.wakes().len(), 2);
}

#[tokio::test]
async fn infrastructure_failures_and_races_end_no_record() {
    for call in ["get", "page"] {
        let stage = Stage::new().await;
        stage.hand_over(1, own()).await;
        stage.function.inbox.ledger.fail_next(call, 1);
        stage.run_for(60).await;
        assert_eq!(stage.wakes().len(), 1, "{call}");
    }
    for call in ["wakeable", "replace_wake_state"] {
        let stage = Stage::new().await;
        stage.hand_over(1, own()).await;
        stage.function.directory.ledger.fail_next(call, 1);
        stage.run_for(60).await;
        assert_eq!(stage.wakes().len(), 1, "{call}");
    }
}

#[tokio::test]
async fn a_forgotten_device_is_not_woken() {
    let stage = Stage::new().await;
    stage.hand_over(1, own()).await;
    stage.function.directory.forget(&phone()).await.expect("forgotten");
    stage.run_for(60).await;
    assert!(stage.wakes().is_empty() && stage.function.queue.is_empty());
}

#[tokio::test]
async fn poison_is_dead_lettered_and_the_rest_is_woken_for() {
    let stage = Stage::new().await;
    stage.function.queue.put_raw("poison");
    stage.hand_over(1, own()).await;
    stage.settle().await;
    assert_eq!(stage.function.queue.dead_letters().len(), 1);
    assert_eq!(stage.wakes().len(), 1);
    assert!(stage.function.handle(serde_json::json!({}), stage.clock.invocation()).await.is_err());
}

#[tokio::test]
async fn receipts_neither_wake_nor_count_however_many_come_first() {
    let stage = Stage::new().await;
    for n in 0..300 {
        stage.put(n, own(), Kind::Receipt).await;
    }
    let id = stage.hand_over(1_000, own()).await;
    stage.settle().await;
    let wakes = stage.wakes();
    assert_eq!(wakes.iter().map(|wake| wake.ids.clone()).collect::<Vec<_>>(), [vec![id]]);
}

#[tokio::test]
async fn behind_more_receipts_than_are_read_one_is_woken_for_what_was_handed_over() {
    let stage = Stage::new().await;
    stage.put(1, own(), Kind::Message).await;
    let id = stage.hand_over(2, own()).await;
    for n in 0..4 * 256 + 1 {
        stage.put(5_000 + n, own(), Kind::Receipt).await;
    }
    stage.settle().await;
    assert_eq!(stage.function.inbox.ledger.calls("page_back"), 4);
    let wake = stage.wakes().remove(0);
    assert_eq!((wake.ids, wake.notice.urgency, wake.notice.badge), (vec![id], Urgency::Urgent, 1));
}
