//! What a wake tells, and what it takes back.

use std::time::Duration;

use delivery::{Holder, Inbox, Notice, Reason, Row};
use protocol::{Kind, Urgency};

use crate::stage::{Stage, own};

#[tokio::test]
async fn a_burst_has_one_notice_and_one_summary_with_the_badge_of_all() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    stage.hand_over(0, own()).await;
    stage.settle().await;
    for n in 1..50 {
        stage.hand_over(n, own()).await;
    }
    stage.run_for(60).await;
    let notices: Vec<Notice> = stage.wakes().into_iter().map(|wake| wake.notice).collect();
    assert_eq!(notices.iter().map(|notice| notice.badge).collect::<Vec<_>>(), [1, 50]);
    assert_eq!(notices[0].collapse, notices[1].collapse);
    assert!(notices.iter().all(|notice| notice.urgency == Urgency::Urgent && notice.preview.is_none()));
}

#[tokio::test]
async fn what_another_device_acks_is_taken_back_in_silence() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    let laptop = stage.laptop().await;
    stage.hand_over(1, own()).await;
    let id = stage.hand_over(2, own()).await;
    stage.settle().await;
    assert_eq!(stage.wakes().len(), 1);
    // The laptop has acked the first by now, and not the second.
    let rows = stage.function.inbox.rows();
    let second = rows.iter().find(|row| row.envelope.id == id).expect("a row").clone();
    let of_laptop = Row { holder: Holder::Device(laptop.device), ..second };
    assert!(stage.function.inbox.put(&[of_laptop]).await[0].is_ok());
    stage.clock.advance(Duration::from_secs(60));
    stage.hand_over_ack(&rows[0]);
    stage.run_for(60).await;
    let wakes = stage.wakes();
    let told: Vec<(u32, Urgency, Reason)> =
        wakes.iter().map(|wake| (wake.notice.badge, wake.notice.urgency, wake.reason)).collect();
    // The summary for the second came first; then the silence.
    assert_eq!(told.last(), Some(&(1, Urgency::Silent, Reason::Acked)), "{told:?}");
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn a_summary_of_what_others_have_acked_makes_no_sound() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    stage.laptop().await;
    stage.hand_over(1, own()).await;
    stage.hand_over(2, own()).await;
    stage.run_for(60).await;
    let told: Vec<(u32, Urgency)> = stage.wakes().iter().map(|wake| (wake.notice.badge, wake.notice.urgency)).collect();
    assert_eq!(told, [(1, Urgency::Urgent), (0, Urgency::Silent)], "the laptop has neither any more");
    assert_eq!(stage.function.directory.ledger.calls("devices"), 2, "one look for each wake");
}

#[tokio::test]
async fn a_silent_wake_that_is_due_holds_up_nothing_new() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    stage.hand_over(1, own()).await;
    stage.settle().await;
    let row = stage.function.inbox.rows().remove(0);
    stage.hand_over_ack(&row);
    stage.settle().await;
    stage.hand_over(2, own()).await;
    stage.run_for(60).await;
    let told: Vec<(u32, Urgency)> = stage.wakes().iter().map(|wake| (wake.notice.badge, wake.notice.urgency)).collect();
    assert_eq!(told, [(1, Urgency::Urgent), (2, Urgency::Urgent)]);
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn who_was_never_told_is_not_told_that_it_is_acked() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    let row = stage.put(1, own(), Kind::Message).await;
    stage.hand_over_ack(&row);
    stage.run_for(60).await;
    assert!(stage.wakes().is_empty() && stage.function.queue.is_empty());
}
