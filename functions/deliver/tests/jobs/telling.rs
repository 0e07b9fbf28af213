//! Acked: who is told what, once, and what it costs.

use delivery::{Acked, AckedMessage, AckedRow, Deliver, Directory, Enrolment, Holder, Job, Reason, WakeState};
use protocol::{Delivery, Kind, MessageName, PushTarget, Receipt, ReceiptEvent, Sender, Urgency};

use crate::stage::{Stage, address, secs, user};

const ASKED: (bool, bool) = (true, false);

/// Bob's phone has acked or read alice's first message.
fn acked(stage: &Stage, device: &str, event: ReceiptEvent, (receipts, shared): (bool, bool)) -> Job {
    let expires_at = stage.envelope(1, "bob", "").expires_at;
    job(stage, device, event, Some(AckedRow { receipts, expires_at, shared, urgency: Urgency::Urgent }))
}

fn job(stage: &Stage, device: &str, event: ReceiptEvent, row: Option<AckedRow>) -> Job {
    let envelope = stage.envelope(1, "bob", "");
    let name = MessageName { id: envelope.id, from: envelope.from };
    Job::Acked(Acked {
        id: stage.clock.message_id(100),
        user: user("bob"),
        device: address("bob", device).device,
        event,
        messages: vec![AckedMessage { name, row }],
        round: 0,
    })
}

fn receipts(deliveries: &[Delivery]) -> Vec<(ReceiptEvent, String)> {
    let receipts = deliveries.iter().map(|one| {
        assert_eq!((one.kind, &one.from, one.reference.watched), (Kind::Receipt, &Sender::System, false));
        let receipt = Receipt::of(&one.body).expect("a receipt");
        (receipt.event, receipt.by.to_string())
    });
    receipts.collect()
}

use ReceiptEvent::{Delivered, Read};

#[tokio::test]
async fn the_sender_is_told_once_by_whichever_device_is_first() {
    let stage = Stage::new();
    stage.connect("alice", "phone", "a1").await;
    for device in ["phone", "tablet"] {
        stage.absent("bob", device).await;
    }
    stage.enqueue(acked(&stage, "phone", Delivered, ASKED)).await;
    stage.function.directory.ledger.take();
    stage.function.inbox.ledger.take();
    stage.step().await;
    let calls = |ledger: &testkit::Ledger| ledger.take().into_iter().collect::<Vec<_>>();
    assert_eq!(calls(&stage.function.directory.ledger), [("devices", 1)]);
    assert_eq!(calls(&stage.function.inbox.ledger), [("keep_told", 1), ("told", 1)]);
    assert_eq!(calls(&stage.function.queue.ledger), [("send", 1)]);
    stage.settle().await;
    assert_eq!(receipts(&stage.deliveries("a1")), [(Delivered, "bob".to_owned())]);
    let row = &stage.rows()[0].envelope;
    assert_eq!(row.expires_at.as_secs(), row.at.as_secs() + 86_400, "never stored longer than a day");
    stage.enqueue(acked(&stage, "tablet", Delivered, ASKED)).await;
    stage.settle().await;
    assert!(stage.deliveries("a1").is_empty());
    stage.enqueue(acked(&stage, "tablet", Read, ASKED)).await;
    stage.settle().await;
    assert_eq!(receipts(&stage.deliveries("a1")), [(Read, "bob".to_owned())]);
}

#[tokio::test]
async fn a_read_that_overtakes_its_ack_is_told_all_the_same_and_to_the_other_devices_once() {
    let stage = Stage::new();
    stage.connect("alice", "phone", "a1").await;
    stage.connect("bob", "phone", "b1").await;
    stage.connect("bob", "tablet", "b2").await;
    stage.enqueue(job(&stage, "phone", Read, None)).await;
    stage.settle().await;
    assert!(stage.deliveries("a1").is_empty());
    stage.enqueue(acked(&stage, "phone", Delivered, ASKED)).await;
    stage.function.directory.ledger.take();
    stage.function.inbox.ledger.take();
    stage.run_for(secs(4)).await;
    let told = receipts(&stage.deliveries("a1"));
    assert_eq!(told, [(Delivered, "bob".to_owned()), (Read, "bob".to_owned())]);
    assert_eq!(receipts(&stage.deliveries("b2")), [(Read, "bob".to_owned())]);
}

#[tokio::test]
async fn a_read_of_what_nobody_was_told_of_is_asked_about_twice_more() {
    let stage = Stage::new();
    stage.enqueue(job(&stage, "phone", Read, None)).await;
    stage.run_for(secs(60)).await;
    let calls = stage.function.directory.ledger.take().into_iter().collect::<Vec<_>>();
    assert_eq!(calls, [("devices", 1)]);
    assert_eq!(stage.function.inbox.ledger.calls("told"), 3);
    assert_eq!(stage.function.queue.ledger.calls("send"), 2);
}

#[tokio::test]
async fn nobody_is_woken_for_a_receipt() {
    let stage = Stage::new();
    stage.absent("alice", "phone").await;
    stage.connect("alice", "tablet", "a2").await;
    stage.enqueue(acked(&stage, "phone", Delivered, ASKED)).await;
    stage.run_for(secs(300)).await;
    assert_eq!(receipts(&stage.deliveries("a2")[..1]), [(Delivered, "bob".to_owned())]);
    assert!(stage.function.offline.take().is_empty(), "neither as absent nor as exhausted");
    assert_eq!(stage.rows().len(), 2, "it is there when they come");
}

#[tokio::test]
async fn other_devices_are_told_of_an_ack_when_they_are_there_and_of_a_read_when_they_come() {
    for (event, rows) in [(Delivered, 0), (Read, 2)] {
        let stage = Stage::new();
        stage.connect("bob", "phone", "b1").await;
        stage.connect("bob", "tablet", "b2").await;
        stage.absent("bob", "laptop").await;
        stage.clock.advance(secs(1));
        stage.enqueue(acked(&stage, "phone", event, (false, true))).await;
        stage.settle().await;
        assert!(stage.deliveries("b1").is_empty(), "it knows");
        assert_eq!(receipts(&stage.deliveries("b2")), [(event, "bob".to_owned())]);
        assert_eq!(stage.rows().len(), rows, "{event:?}");
        assert!(stage.function.offline.take().is_empty());
    }
}

#[tokio::test]
async fn what_was_pushed_to_a_device_that_is_away_is_handed_over_as_acked() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "b1").await;
    stage.absent("bob", "tablet").await;
    let target = PushTarget::Fcm { token: "t".to_owned() };
    let said = Enrolment { push: Some(vec![target]), ..Enrolment::default() };
    let (tablet, now) = (address("bob", "tablet"), stage.clock.now());
    stage.function.directory.enrol(&tablet, &said, now).await.expect("enrolled");
    let shared = (false, true);
    stage.enqueue(acked(&stage, "phone", Delivered, shared)).await;
    stage.settle().await;
    assert!(stage.function.offline.take().is_empty(), "it was never woken");
    let woken = WakeState { last: Some(now.plus(secs(1))), due: None };
    let (user, holder) = (user("bob"), Holder::Device(tablet.device.clone()));
    let replaced =
        stage.function.directory.replace_wake_state(&user, &holder, &WakeState::default(), &woken, now).await;
    assert_eq!(replaced, Ok(true));
    stage.function.offline.ledger.fail_next("publish", 1);
    stage.enqueue(acked(&stage, "phone", Delivered, shared)).await;
    stage.run_for(secs(30)).await;
    let handed_over: Vec<_> = stage.function.offline.take().into_iter().map(|one| (one.device, one.reason)).collect();
    assert_eq!(handed_over, [(Some(tablet.device), Reason::Acked)], "once it could be");
}

#[tokio::test]
async fn a_user_with_one_device_costs_no_telling() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "b1").await;
    stage.enqueue(acked(&stage, "phone", Delivered, (false, true))).await;
    stage.settle().await;
    assert!(stage.function.queue.ledger.calls("send") == 0 && stage.rows().is_empty());
}

#[tokio::test]
async fn what_failed_is_told_later_and_under_the_same_id() {
    for call in ["devices", "told", "send", "keep_told"] {
        let stage = Stage::new();
        stage.connect("alice", "phone", "a1").await;
        stage.enqueue(acked(&stage, "phone", Delivered, ASKED)).await;
        let function = &stage.function;
        match call {
            "devices" => function.directory.ledger.fail_next(call, 1),
            "send" => function.queue.ledger.fail_next(call, 1),
            _ => function.inbox.ledger.fail_next(call, 1),
        }
        stage.run_for(secs(4)).await;
        let deliveries = stage.deliveries("a1");
        assert!(!deliveries.is_empty() && deliveries.iter().all(|one| one.id == deliveries[0].id), "{call}");
        assert_eq!(stage.rows().len(), 1, "{call}");
    }
}

#[tokio::test]
async fn a_device_that_is_excepted_is_owed_nothing() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "b1").await;
    let except = Some(address("bob", "phone").device);
    let envelope = stage.envelope(1, "bob", "");
    stage
        .enqueue(Job::Deliver(Deliver {
            envelope,
            recipient: user("bob"),
            ephemeral: false,
            except,
            attachments: vec![],
        }))
        .await;
    stage.settle().await;
    assert!(stage.deliveries("b1").is_empty() && stage.rows().is_empty());
    assert!(stage.function.offline.take().is_empty());
}
