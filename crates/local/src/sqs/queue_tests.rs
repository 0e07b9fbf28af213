//! The port on top of the records: batches, meter, and that a waiting poller is told.

use std::sync::Mutex;

use delivery::Drain;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

/// A queue in memory, and the hands of its clock.
fn queue() -> (LocalQueue, Arc<Mutex<Timestamp>>) {
    let time = Arc::new(Mutex::new(Timestamp::from_secs(1_800_000_000)));
    let hands = Arc::clone(&time);
    let clock = Clock::new(move || *hands.lock().expect("a clock"));
    let store = Worker::start("queues", records::open(None).expect("a store")).expect("a thread");
    let spec = Spec::new("delivery", "delivery-dead");
    (LocalQueue::new(store, spec, clock, Arc::default()), time)
}

fn drain(delay: u64) -> Scheduled {
    let job = Job::Drain(Drain {
        user: "bob".parse().expect("a user"),
        device: "phone".parse().expect("a device"),
        connection: "c".into(),
        after: None,
    });
    Scheduled { job, delay: Duration::from_secs(delay) }
}

#[tokio::test]
async fn sends_are_cut_into_batches_and_metered() {
    let (queue, _) = queue();
    let outcomes = queue.send(&vec![drain(0); 25]).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 25);
    let mut received = 0;
    while let records @ [_, ..] = queue.receive().await.expect("a receive").as_slice() {
        assert!(Job::decode(&records[0].body).is_ok());
        received += records.len();
        queue.delete(records.iter().map(|record| record.receipt.clone()).collect()).await.expect("a delete");
    }
    assert_eq!(received, 25);
    let report = queue.meter.report();
    let requests = ["SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"].map(|name| report.requests(name));
    assert_eq!(requests, [3, 3, 3]);
}

#[tokio::test]
async fn a_body_that_sqs_refuses_fails_alone_and_is_not_quoted() {
    let (queue, _) = queue();
    let bodies = ["good", "secret\u{ffff}", "good"].map(|body| (body.to_owned(), Duration::ZERO));
    let outcomes = queue.send_bodies(bodies.to_vec()).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    let failure = outcomes[1].as_ref().expect_err("refused").to_string();
    assert!(failure.contains("InvalidMessageContents") && !failure.contains("secret"), "{failure}");
}

#[tokio::test]
async fn visibility_is_set_ten_records_at_a_time() {
    let (queue, time) = queue();
    for outcome in queue.send(&vec![drain(0); 15]).await {
        outcome.expect("a send");
    }
    let mut records = queue.receive().await.expect("a receive");
    records.extend(queue.receive().await.expect("a receive"));
    let mut waits: Vec<_> =
        records.into_iter().map(|record| (Receipt(record.receipt), Duration::from_secs(5))).collect();
    waits.push((Receipt("unknown".to_owned()), Duration::from_secs(5)));
    let outcomes = queue.set_visibility(&waits).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [vec![true; 15], vec![false]].concat());
    assert_eq!(queue.meter.report().requests("ChangeMessageVisibilityBatch"), 2);
    *time.lock().expect("a clock") = Timestamp::from_secs(1_800_000_005);
    assert_eq!(queue.receive().await.expect("a receive").len(), 10);
}

#[tokio::test]
async fn a_waiting_poller_is_told_of_a_record() {
    let (queue, time) = queue();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move {
            while queue.receive().await.expect("a receive").is_empty() {
                queue.may_have_visible().await;
            }
        }
    });
    queue.send(&[drain(10)]).await.remove(0).expect("a send");
    *time.lock().expect("a clock") = Timestamp::from_secs(1_800_000_010);
    queue.send(&[drain(900)]).await.remove(0).expect("a send");
    tokio::time::timeout(PATIENCE, waiting).await.expect("the poller to receive the record").expect("no panic");
}

#[tokio::test]
async fn a_stopped_store_is_a_failure_of_each_record() {
    let (queue, _) = queue();
    queue.store.stop().await;
    let outcomes = queue.send(&vec![drain(0); 2]).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 2);
    assert!(queue.receive().await.is_err());
}
