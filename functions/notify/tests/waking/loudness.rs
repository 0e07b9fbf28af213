//! How loud a wake is, by what its messages say.

use std::time::Duration;

use delivery::{Envelope, Inbox, Reason, Row};
use protocol::{Kind, Urgency};

use crate::stage::{Stage, own};

#[tokio::test]
async fn no_number_of_silent_messages_hides_one_that_is_not() {
    let stage = Stage::new().await;
    let mut silent = stage.put(0, own(), Kind::Message).await;
    silent.envelope.urgency = Urgency::Silent;
    let id = stage.hand_over(2_000, own()).await;
    let flood = |ids: std::ops::Range<u64>| -> Vec<Row> {
        let row = |n| Row {
            envelope: Envelope { id: stage.clock.message_id(n), ..silent.envelope.clone() },
            ..silent.clone()
        };
        ids.map(row).collect()
    };
    for rows in [flood(0..600), flood(2_001..2_600)] {
        assert!(stage.function.inbox.put(&rows).await.iter().all(Result::is_ok));
    }
    stage.settle().await;
    let wake = stage.wakes().remove(0);
    assert_eq!((wake.notice.urgency, wake.notice.badge, wake.notice.id), (Urgency::Urgent, 1, id));
    assert!(wake.ids.len() == 256 && wake.ids.contains(&id));
}

#[tokio::test]
async fn a_badge_is_256_at_most_whatever_else_is_pending() {
    let stage = Stage::new().await;
    let mut silent = stage.put(0, own(), Kind::Message).await;
    silent.envelope.urgency = Urgency::Silent;
    let of = |n: u64| {
        let urgency = if n.is_multiple_of(4) { Urgency::Silent } else { Urgency::Quiet };
        let envelope = Envelope { id: stage.clock.message_id(n), urgency, ..silent.envelope.clone() };
        Row { envelope, ..silent.clone() }
    };
    let rows: Vec<Row> = (1..600).map(of).collect();
    assert!(stage.function.inbox.put(&rows).await.iter().all(Result::is_ok));
    let id = stage.hand_over(2_000, own()).await;
    stage.settle().await;
    let wake = stage.wakes().remove(0);
    assert_eq!((wake.notice.badge, wake.notice.id, wake.ids.len()), (256, id, 256));
    assert_eq!(wake.ids.last(), Some(&id));
}

#[tokio::test]
async fn what_was_told_makes_no_sound_again() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    stage.hand_over(1, own()).await;
    stage.settle().await;
    for urgency in [Silent, Quiet, Silent] {
        stage.clock.advance(Duration::from_secs(60));
        stage.hand_over_of(stage.clock.now().as_secs(), urgency).await;
        stage.settle().await;
    }
    let told: Vec<(Urgency, u32)> = stage.wakes().iter().map(|wake| (wake.notice.urgency, wake.notice.badge)).collect();
    use Urgency::{Quiet, Silent, Urgent};
    assert_eq!(told, [(Urgent, 1), (Silent, 1), (Quiet, 2), (Silent, 2)]);
}

#[tokio::test]
async fn a_summary_is_as_loud_as_the_loudest_that_it_covers() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    for (n, urgency) in (0..).zip([Urgency::Quiet, Urgency::Silent, Urgency::Quiet, Urgency::Urgent, Urgency::Silent]) {
        stage.hand_over_of(n, urgency).await;
        stage.settle().await;
    }
    stage.run_for(120).await;
    let told: Vec<(Urgency, u32)> = stage.wakes().iter().map(|wake| (wake.notice.urgency, wake.notice.badge)).collect();
    assert_eq!(told, [(Urgency::Quiet, 1), (Urgency::Urgent, 3)]);
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn what_is_silent_is_pushed_as_that_and_no_ack() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    stage.hand_over_of(1, Urgency::Silent).await;
    stage.settle().await;
    let wake = stage.wakes().remove(0);
    assert_eq!((wake.notice.urgency, wake.notice.badge, wake.reason), (Urgency::Silent, 0, Reason::Absent));
    assert_eq!(serde_json::to_value(&wake).expect("JSON")["urgency"], "silent");
    // With something to show it is a wake like any other.
    stage.hand_over(2, own()).await;
    stage.run_for(60).await;
    let wake = stage.wakes().remove(0);
    assert_eq!((wake.notice.urgency, wake.notice.badge, wake.ids.len()), (Urgency::Urgent, 1, 2));
    assert!(serde_json::to_value(&wake).expect("JSON").get("urgency").is_none());
}

#[tokio::test]
async fn what_is_urgent_is_so_behind_256_that_are_not() {
    let stage = Stage::new().await;
    stage.hand_over_of(0, Urgency::Urgent).await;
    let mut quiet = stage.put(1, own(), Kind::Message).await;
    quiet.envelope.urgency = Urgency::Quiet;
    let of = |n: u64| Row {
        envelope: Envelope { id: stage.clock.message_id(n), ..quiet.envelope.clone() },
        ..quiet.clone()
    };
    let rows: Vec<Row> = (1..400).map(of).collect();
    assert!(stage.function.inbox.put(&rows).await.iter().all(Result::is_ok));
    stage.settle().await;
    let wake = stage.wakes().remove(0);
    assert_eq!((wake.notice.urgency, wake.notice.badge, wake.ids.len()), (Urgency::Urgent, 256, 256));
}
