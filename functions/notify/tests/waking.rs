//! The `notify` function on in-memory ports under virtual time: one wake, one summary, and none lost.

use std::cell::Cell;
use std::time::Duration;

use delivery::wake::Due;
use delivery::{
    Address, Connection, Dialect, Directory, Enrolment, Envelope, Failure, HandOver, Holder, Inbox, Key, Notice,
    PushGateway, PushOutcome, Pushed, Reason, Row, Wake, WakeState, Wakeable,
};
use notify::Notify;
use protocol::{Body, Kind, MessageId, PushTarget, Recipient, Urgency, UserId};
use testkit::queue::event;
use testkit::{Clock, MemoryDirectory, MemoryGateway, MemoryInbox, MemoryQueue};

struct Stage {
    clock: Clock,
    /// Whether what is put has been given to other devices as well.
    is_shared: Cell<bool>,
    function: Notify<MemoryInbox, MemoryDirectory, MemoryQueue, MemoryGateway>,
}

fn bob() -> UserId {
    "bob".parse().expect("a user")
}

fn phone() -> Address {
    Address { user: bob(), device: "phone".parse().expect("a device") }
}

impl Stage {
    async fn new() -> Self {
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
    async fn hand_over(&self, n: u64, holder: Holder) -> MessageId {
        let row = self.put(n, holder, Kind::Message).await;
        self.queue_hand_over(&row);
        row.envelope.id
    }

    fn queue_hand_over(&self, row: &Row) {
        let hand_over = HandOver {
            user: bob(),
            device: row.holder.device().cloned(),
            reference: row.reference(),
            reason: Reason::Absent,
            due: None,
        };
        self.function.queue.put_raw(&hand_over.encode());
    }

    async fn put(&self, n: u64, holder: Holder, kind: Kind) -> Row {
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

    async fn ack_all(&self) {
        let keys: Vec<Key> = self.function.inbox.rows().iter().map(Row::key).collect();
        assert!(self.function.inbox.delete(&keys).await.iter().all(Result::is_ok));
    }

    async fn settle(&self) {
        loop {
            let batch = self.function.queue.receive(10);
            if batch.is_empty() {
                return;
            }
            let response = self.function.handle(event(&batch), self.clock.invocation()).await.expect("a response");
            self.function.queue.settle(&batch, &response);
        }
    }

    async fn run_for(&self, secs: u64) {
        let end = self.clock.now().plus(Duration::from_secs(secs));
        self.settle().await;
        while let Some(next) = self.function.queue.next_visible().filter(|next| *next <= end) {
            self.clock.advance(next.since(self.clock.now()));
            self.settle().await;
        }
        self.clock.advance(end.since(self.clock.now()));
    }

    async fn wakeable(&self) -> Wakeable {
        self.function.directory.wakeable(&bob(), &own()).await.expect("read").expect("a device")
    }

    fn wakes(&self) -> Vec<Wake> {
        self.function.gateway.take()
    }
}

fn own() -> Holder {
    Holder::Device(phone().device)
}

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
    let holder = HandOver { user: bob(), device, reference: row.reference(), reason: Reason::Absent, due };
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
    for n in 0..4 * 256 {
        stage.put(n, own(), Kind::Receipt).await;
    }
    stage.put(5_000, own(), Kind::Message).await;
    let id = stage.hand_over(5_001, own()).await;
    stage.settle().await;
    assert_eq!(stage.function.inbox.ledger.calls("page"), 4);
    assert_eq!(stage.wakes().iter().map(|wake| wake.ids.clone()).collect::<Vec<_>>(), [vec![id]]);
}

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

fn target(token: &str) -> PushTarget {
    PushTarget::Fcm { token: token.to_owned() }
}

impl Stage {
    /// The phone can be pushed to there from now on.
    async fn register(&self, tokens: &[&str]) {
        let push = tokens.iter().map(|token| target(token)).collect();
        let said = Enrolment { push: Some(push), ..Enrolment::default() };
        self.function.directory.enrol(&phone(), &said, self.clock.now()).await.expect("enrolled");
    }

    async fn tokens(&self) -> Vec<PushTarget> {
        self.wakeable().await.push
    }

    /// A laptop is known from now on.
    async fn laptop(&self) -> Address {
        let laptop = Address { device: "laptop".parse().expect("a device"), ..phone() };
        self.function.directory.enrol(&laptop, &Enrolment::default(), self.clock.now()).await.expect("enrolled");
        self.clock.advance(Duration::from_millis(1));
        self.is_shared.set(true);
        laptop
    }

    /// Says that another device has acked something of the phone's.
    fn hand_over_ack(&self, row: &Row) {
        let hand_over = HandOver {
            user: bob(),
            device: row.holder.device().cloned(),
            reference: row.reference(),
            reason: Reason::Acked,
            due: None,
        };
        self.function.queue.put_raw(&hand_over.encode());
    }
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

#[tokio::test]
async fn what_is_silent_is_pushed_as_that_and_no_ack() {
    let stage = Stage::new().await;
    stage.register(&["one"]).await;
    let mut row = stage.put(1, own(), Kind::Message).await;
    row.envelope.urgency = Urgency::Silent;
    assert!(stage.function.inbox.put(std::slice::from_ref(&row)).await[0].is_ok());
    stage.queue_hand_over(&row);
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
