//! Drain: a backlog to a device that came online, oldest first, page by page, and `drained` after all of it.

use crate::stage::{Stage, address, secs, user};
use delivery::{Holder, Job, Key, PostOutcome};
use protocol::ServerFrame;

fn drained(frames: &[ServerFrame]) -> usize {
    frames.iter().filter(|frame| matches!(frame, ServerFrame::Drained { .. })).count()
}

/// bob's phone, connected again as `c1` after it missed a message.
async fn back_after_one_message() -> Stage {
    let stage = Stage::new();
    stage.absent("bob", "phone").await;
    stage.send(1, "bob").await;
    stage.settle().await;
    stage.connect("bob", "phone", "c1").await;
    stage
}

#[tokio::test]
async fn a_thousand_messages_are_drained_oldest_first_and_then_drained_is_said() {
    let stage = Stage::new();
    stage.absent("bob", "phone").await;
    for n in 0..1_000 {
        stage.send(n, "bob").await;
    }
    stage.settle().await;
    stage.clock.advance(secs(5));
    let connection = stage.connect("bob", "phone", "c1").await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.settle().await;
    let frames = stage.function.connections.take_frames("c1");
    assert_eq!(frames.last(), Some(&ServerFrame::Drained { reconnect_by: connection.ends_at() }));
    assert_eq!(drained(&frames), 1);
    let mut ids = Vec::new();
    for frame in &frames {
        assert!(frame.render().len() <= protocol::limits::MAX_SERVER_FRAME_BYTES);
        if let ServerFrame::Messages { messages, .. } = frame {
            assert!(messages.iter().all(|one| one.attempt == 0));
            ids.extend(messages.iter().map(|one| one.id));
        }
    }
    assert_eq!(ids.len(), 1_000);
    assert!(ids.is_sorted());
    assert!(stage.function.queue.jobs().iter().all(|job| matches!(job, Job::Await(_))));
}

#[tokio::test]
async fn an_empty_inbox_is_drained_at_once() {
    let stage = Stage::new();
    let connection = stage.connect("bob", "phone", "c1").await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.settle().await;
    let frames = stage.function.connections.take_frames("c1");
    assert_eq!(frames, [ServerFrame::Drained { reconnect_by: connection.ends_at() }]);
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn what_is_drained_is_awaited() {
    let stage = back_after_one_message().await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.run_for(secs(6)).await;
    let attempts: Vec<u32> = stage.deliveries("c1").iter().map(|one| one.attempt).collect();
    assert_eq!(attempts, [0, 2]);
}

#[tokio::test]
async fn a_drain_of_a_displaced_connection_is_done() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "c1").await;
    stage.clock.advance(secs(1));
    stage.connect("bob", "phone", "c2").await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.settle().await;
    assert!(stage.function.connections.take_frames("c1").is_empty());
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn two_first_devices_both_get_what_nobody_has_claimed_and_one_ack_ends_it() {
    let stage = Stage::new();
    stage.send(1, "bob").await;
    stage.settle().await;
    stage.connect("bob", "phone", "c1").await;
    stage.connect("bob", "tablet", "c2").await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.enqueue_drain("bob", "tablet", "c2").await;
    stage.settle().await;
    let (phone, tablet) = (stage.deliveries("c1"), stage.deliveries("c2"));
    assert_eq!((phone.len(), tablet.len()), (1, 1));
    assert!(phone[0].reference.to_string().ends_with("~*"));
    stage.ack("bob", "tablet", &tablet[0]).await;
    stage.run_for(secs(600)).await;
    assert!(stage.rows().is_empty() && stage.function.queue.is_empty());
    assert!(stage.deliveries("c1").is_empty());
}

#[tokio::test]
async fn a_drain_waits_for_a_connection_that_is_opening() {
    let stage = back_after_one_message().await;
    stage.function.connections.answer("c1", PostOutcome::Gone);
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.settle().await;
    assert!(stage.function.directory.connection(&address("bob", "phone")).is_some());
    stage.function.connections.answer("c1", PostOutcome::Posted);
    stage.run_for(secs(2)).await;
    assert_eq!(stage.function.connections.take_frames("c1").len(), 2);
}

#[tokio::test]
async fn a_drain_of_a_dead_connection_ends_and_closes_it() {
    let stage = back_after_one_message().await;
    stage.clock.advance(secs(10));
    stage.function.connections.answer("c1", PostOutcome::Gone);
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.settle().await;
    assert_eq!(stage.function.directory.connection(&address("bob", "phone")), None);
    assert!(stage.function.queue.is_empty());
    assert_eq!(stage.rows().len(), 1);
}

#[tokio::test]
async fn drained_is_not_said_before_the_awaits_are_queued() {
    let stage = back_after_one_message().await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.function.queue.ledger.fail_next("send", 1);
    stage.step().await;
    assert_eq!(drained(&stage.function.connections.take_frames("c1")), 0);
    stage.run_for(secs(3)).await;
    assert_eq!(drained(&stage.function.connections.take_frames("c1")), 1);
}

#[tokio::test]
async fn an_unreadable_row_blocks_nobody() {
    let stage = Stage::new();
    stage.absent("bob", "phone").await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(stage.send(n, "bob").await);
    }
    stage.settle().await;
    let holder = Holder::Device(address("bob", "phone").device);
    stage.function.inbox.spoil(Key { user: user("bob"), holder, id: ids[1], sender: user("alice").into() });
    stage.connect("bob", "phone", "c1").await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.settle().await;
    assert_eq!(stage.deliveries("c1").iter().map(|one| one.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
}

#[tokio::test]
async fn when_only_the_end_could_not_be_said_only_the_end_comes_again() {
    let stage = back_after_one_message().await;
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.function.connections.fail_after("c1", 1);
    stage.step().await;
    let frames = stage.function.connections.take_frames("c1");
    assert_eq!((frames.len(), drained(&frames)), (1, 0));
    stage.function.connections.answer("c1", PostOutcome::Posted);
    stage.run_for(secs(2)).await;
    let frames = stage.function.connections.take_frames("c1");
    assert_eq!((frames.len(), drained(&frames)), (1, 1));
    assert_eq!(stage.function.queue.len(), 1, "one Await, not two");
}

#[tokio::test]
async fn a_connection_that_does_not_answer_is_not_asked_again_for_the_same_page() {
    let stage = Stage::new();
    stage.absent("bob", "phone").await;
    for n in 0..10 {
        let envelope = stage.envelope(n, "bob", &"x".repeat(20_000));
        stage
            .enqueue(Job::Deliver(delivery::Deliver {
                envelope,
                recipient: user("bob"),
                ephemeral: false,
                except: None,
                attachments: Vec::new(),
            }))
            .await;
    }
    stage.settle().await;
    stage.connect("bob", "phone", "c1").await;
    stage.function.connections.answer("c1", PostOutcome::Unknown);
    stage.enqueue_drain("bob", "phone", "c1").await;
    stage.step().await;
    assert_eq!(stage.function.connections.ledger.calls("post"), 2, "one frame, and the end");
    assert!(stage.function.queue.jobs().iter().any(|job| matches!(job, Job::Await(_))), "it may have arrived");
}
