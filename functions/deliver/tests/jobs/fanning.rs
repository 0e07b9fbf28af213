//! Fanout and Announce: a message to many, what it costs, and news of a group.

use std::collections::BTreeMap;

use delivery::group::{Change, NEWS_LIFETIME, decide};
use delivery::{Announce, Fanout, Groups, Holder, Job, Key};
use protocol::{GroupId, Kind, MessageId, Recipient, Sender, UserId};
use serde_json::Value;

use crate::stage::{Stage, secs, user};

fn team() -> GroupId {
    "team".parse().expect("a group")
}

fn crowd(count: usize) -> Vec<UserId> {
    (0..count).map(|n| user(&format!("u{n:04}"))).collect()
}

/// Alice's message to a group of these.
fn fanout(stage: &Stage, members: &[UserId]) -> Job {
    let mut envelope = stage.envelope(1, "nobody", "hello, all");
    envelope.to = Recipient::Group(team());
    Job::Fanout(Fanout { envelope, members: members.to_vec(), ephemeral: false, attachments: Vec::new() })
}

impl Stage {
    /// Decides and makes a change of the group; answers under which id its news are kept.
    async fn change(&self, actor: &str, change: Change) -> MessageId {
        let groups = &self.function.groups;
        let before = groups.group(&team()).await.expect("an answer");
        let now = self.clock.now();
        let transition =
            decide(&team(), before.as_ref(), &user(actor), &change, now).expect("allowed").expect("a change");
        let id = self.clock.message_id(7);
        assert!(groups.change(&transition, id).await.expect("an answer"));
        id
    }

    async fn announce(&self, id: MessageId) {
        self.enqueue(Job::Announce(Announce { group: team(), id })).await;
    }

    /// The bodies of what a connection was posted, of Vartalap's.
    fn news(&self, connection: &str) -> Vec<String> {
        let deliveries = self.deliveries(connection);
        let system = deliveries.iter().filter(|one| one.kind == Kind::System && one.from == Sender::System);
        system.map(|one| one.body.as_json().to_owned()).collect()
    }
}

fn create(others: &[&str]) -> Change {
    Change::Create {
        name: "Team".to_owned().try_into().expect("a name"),
        users: others.iter().map(|name| user(name)).collect(),
    }
}

#[tokio::test]
async fn each_member_gets_it_as_from_its_sender_to_the_group() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "c1").await;
    stage.connect("bob", "tablet", "c2").await;
    stage.connect("carol", "phone", "c3").await;
    stage.enqueue(fanout(&stage, &[user("bob"), user("carol"), user("dave")])).await;
    stage.step().await;
    for connection in ["c1", "c2", "c3"] {
        let [one] = &stage.deliveries(connection)[..] else { panic!("{connection} has not one") };
        assert_eq!((&one.from, &one.to), (&user("alice").into(), &Recipient::Group(team())), "{connection}");
    }
    assert_eq!(stage.rows().len(), 4, "one for each device, and dave's");
    assert_eq!(stage.function.offline.take().len(), 1, "dave is absent");
    assert_eq!(stage.function.queue.len(), 1, "one Await for all that the batch posted");
}

#[tokio::test]
async fn a_group_of_1024_keeps_to_the_budget() {
    let stage = Stage::new();
    let members = crowd(1_023);
    for member in &members {
        stage.connect(member.as_str(), "phone", member.as_str()).await;
    }
    stage.enqueue(fanout(&stage, &members)).await;
    let function = &stage.function;
    function.directory.ledger.take();
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    let mut invocations = 0;
    loop {
        let batch = function.queue.receive(10);
        if batch.is_empty() {
            break;
        }
        stage.handle(&batch).await;
        invocations += 1;
        let ledgers = [&function.directory.ledger, &function.inbox.ledger, &function.queue.ledger];
        for (call, count) in ledgers.into_iter().flat_map(testkit::Ledger::take) {
            *calls.entry(call.to_owned()).or_default() += count;
        }
    }
    assert_eq!(stage.rows().len(), 1_023, "one row for each device");
    // 41 records of 25, which is five requests of ten entries; in five batches, each of which puts at once and sends its Awaits
    // in one request.
    assert_eq!(invocations, 1 + 5);
    let expected = [("devices", 1_023), ("put", 5), ("send", 5 + 5)].map(|(call, count)| (call.to_owned(), count));
    assert_eq!(calls, BTreeMap::from(expected));
    let with_the_first = 1 + 5 + 5;
    assert!(f64::from(with_the_first) <= 0.1 * 1_023.0);
}

#[tokio::test]
async fn a_step_that_was_not_taken_brings_all_again_and_each_is_owed_once() {
    let stage = Stage::new();
    let members = crowd(300);
    stage.enqueue(fanout(&stage, &members)).await;
    stage.function.queue.ledger.fail_next("send", 1);
    stage.step().await;
    stage.run_for(secs(600)).await;
    assert_eq!(stage.rows().len(), 300);
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn a_record_whose_recipient_failed_comes_again_alone() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "c1").await;
    stage.connect("carol", "phone", "c2").await;
    stage.enqueue(fanout(&stage, &[user("bob")])).await;
    stage.send(2, "carol").await;
    stage.function.directory.ledger.fail_next("devices", 1);
    let response = stage.step().await;
    assert_eq!(response["batchItemFailures"].as_array().map(Vec::len), Some(1), "its neighbour is done");
    stage.run_for(secs(60)).await;
    assert_eq!(stage.rows().len(), 2);
}

#[tokio::test]
async fn the_verdict_of_a_record_is_that_of_its_own_recipients() {
    let stage = Stage::new();
    for name in ["bob", "carol", "dave", "erin"] {
        stage.connect(name, "phone", name).await;
    }
    stage.enqueue(fanout(&stage, &[user("bob"), user("carol")])).await;
    stage.send(2, "dave").await;
    let unprocessed = stage.send(3, "erin").await;
    let holder = Holder::Device("phone".parse().expect("a device"));
    let key = Key { user: user("erin"), holder, id: unprocessed, sender: user("alice").into() };
    stage.function.inbox.leave_unprocessed(key);
    // The first of the four who are looked for.
    stage.function.directory.ledger.fail_next("devices", 1);
    let batch = stage.function.queue.receive(10);
    let response = stage.handle(&batch).await;
    let kept: Vec<&Value> = response["batchItemFailures"].as_array().expect("a list").iter().collect();
    let ids: Vec<&str> = kept.iter().filter_map(|one| one["itemIdentifier"].as_str()).collect();
    assert_eq!(ids, [batch[0].id.as_str(), batch[2].id.as_str()], "bob's and erin's");
}

#[tokio::test]
async fn a_fanout_to_nobody_is_done() {
    let stage = Stage::new();
    stage.enqueue(fanout(&stage, &[])).await;
    stage.step().await;
    assert!(stage.function.queue.is_empty() && stage.rows().is_empty());
}

#[tokio::test]
async fn everybody_hears_of_a_change() {
    let stage = Stage::new();
    for name in ["alice", "bob", "carol"] {
        stage.connect(name, "phone", name).await;
    }
    let id = stage.change("alice", create(&["bob"])).await;
    stage.announce(id).await;
    stage.settle().await;
    let made = r#"{"event":"created","by":"alice","name":"Team","users":["bob"]}"#.to_owned();
    for (name, heard) in [("alice", vec![made.clone()]), ("bob", vec![made]), ("carol", vec![])] {
        assert_eq!(stage.news(name), heard, "{name}");
    }
    let expiry = stage.rows()[0].envelope.expires_at;
    assert!(expiry <= stage.clock.now().plus(NEWS_LIFETIME) && expiry > stage.clock.now());

    let id = stage.change("alice", Change::Remove { user: user("bob") }).await;
    stage.announce(id).await;
    stage.settle().await;
    let removed = r#"{"event":"removed","by":"alice","name":"Team","users":["bob"]}"#.to_owned();
    assert_eq!((stage.news("alice"), stage.news("bob")), (vec![removed.clone()], vec![removed]));
}

#[tokio::test]
async fn news_wait_for_their_change() {
    let stage = Stage::new();
    stage.connect("alice", "phone", "alice").await;
    stage.announce(stage.clock.message_id(7)).await;
    stage.run_for(secs(8)).await;
    assert_eq!(stage.function.queue.len(), 1, "the function that makes the change may still be at it");
    // Its id was made when its record was sent, so the change of now has the id of then.
    let groups = &stage.function.groups;
    let made = decide(&team(), None, &user("alice"), &create(&[]), stage.clock.now()).expect("allowed").expect("new");
    let id = match &stage.function.queue.jobs()[..] {
        [Job::Announce(announce)] => announce.id,
        other => panic!("{other:?}"),
    };
    assert!(groups.change(&made, id).await.expect("an answer"));
    stage.run_for(secs(4)).await;
    assert_eq!(stage.news("alice").len(), 1);
}

#[tokio::test]
async fn news_of_a_change_that_was_never_made_end() {
    let stage = Stage::new();
    stage.announce(stage.clock.message_id(7)).await;
    stage.run_for(secs(60)).await;
    assert!(stage.function.queue.is_empty() && stage.rows().is_empty());
    assert!(stage.function.queue.dead_letters().is_empty());
}
