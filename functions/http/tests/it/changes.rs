//! A change of a group when something is in its way: a crash, a failure, somebody faster. Whatever happens, no change goes untold, and sending
//! the request again is safe.

use std::sync::Mutex;

use delivery::{Failure, Group, GroupPage, Groups, Job, MembershipPage, News, Transition};
use protocol::{GroupId, MessageId, UserId};
use serde_json::{Value, json};
use testkit::{Clock, MemoryGroups};

use crate::stage::{Stage, event, id, team};

/// What happens to the next changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The function ends while it asks for the change.
    Crash,
    /// The change is made, and the answer is lost.
    LostAnswer,
    /// Somebody renames the group just before, this many times.
    Overtaken(usize),
}

/// Groups whose changes meet trouble.
#[derive(Debug)]
struct Troubled {
    groups: MemoryGroups,
    trouble: Mutex<Option<Trouble>>,
    asked: Mutex<Vec<MessageId>>,
}

impl Troubled {
    fn stage(trouble: Trouble) -> Stage<Self> {
        let groups = MemoryGroups::default();
        groups.insert(team(&Clock::default(), &["alice", "bob"]));
        Stage::on(Self { groups, trouble: Mutex::new(Some(trouble)), asked: Mutex::default() })
    }

    fn next_trouble(&self) -> Option<Trouble> {
        let mut trouble = self.trouble.lock().expect("no panic");
        let next = *trouble;
        *trouble = match next {
            Some(Trouble::Overtaken(times)) if times > 1 => Some(Trouble::Overtaken(times - 1)),
            _ => None,
        };
        next
    }

    fn rename(&self) {
        let group = self.groups.all().pop().expect("a group");
        let name = format!("Name {}", group.version).try_into().expect("a name");
        self.groups.insert(Group { name, version: group.version + 1, ..group });
    }
}

impl Groups for Troubled {
    async fn group(&self, id: &GroupId) -> Result<Option<Group>, Failure> {
        self.groups.group(id).await
    }

    async fn change(&self, transition: &Transition, id: MessageId) -> Result<bool, Failure> {
        self.asked.lock().expect("no panic").push(id);
        match self.next_trouble() {
            None => self.groups.change(transition, id).await,
            Some(Trouble::Crash) => std::future::pending().await,
            Some(Trouble::LostAnswer) => {
                self.groups.change(transition, id).await?;
                Err(Failure { operation: "change a group", cause: "timed out".to_owned() })
            }
            Some(Trouble::Overtaken(_)) => {
                self.rename();
                self.groups.change(transition, id).await
            }
        }
    }

    async fn news(&self, group: &GroupId, id: MessageId) -> Result<Option<News>, Failure> {
        self.groups.news(group, id).await
    }

    async fn groups_of(&self, user: &UserId, after: Option<&GroupId>, limit: usize) -> Result<GroupPage, Failure> {
        self.groups.groups_of(user, after, limit).await
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<&GroupId>,
        limit: usize,
    ) -> Result<MembershipPage, Failure> {
        self.groups.memberships(user, after, limit).await
    }
}

/// The ids of the changes that are queued to be told.
fn announced<G: Groups>(stage: &Stage<G>) -> Vec<MessageId> {
    let id_of = |job: Job| match job {
        Job::Announce(announce) => announce.id,
        other => panic!("{other:?}"),
    };
    stage.function.answers.queue.jobs().into_iter().map(id_of).collect()
}

fn add() -> (&'static str, &'static str, Value) {
    ("POST", "/v1/groups/team/members", json!({"users": ["carol"]}))
}

fn is_added(groups: &MemoryGroups) -> bool {
    groups.all()[0].members.len() == 3
}

#[tokio::test]
async fn a_crash_between_record_and_change_leaves_nothing_untold() {
    let stage = Troubled::stage(Trouble::Crash);
    let groups = &stage.function.answers.groups;
    let (method, target, body) = add();
    let crashed = stage.function.handle(event("alice", method, target, &body), stage.clock.invocation());
    // No port waits but the one that never ends.
    tokio::select! {
        biased;
        _ = crashed => panic!("it did not crash"),
        () = std::future::ready(()) => {}
    }
    let [first] = announced(&stage)[..] else { panic!("the record comes first") };
    assert!(!is_added(&groups.groups) && groups.news(&id("team"), first).await.expect("read").is_none());
    // The client asks again, a moment later.
    stage.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(stage.ask("alice", method, target, &body).await.status, 200);
    let [_, second] = announced(&stage)[..] else { panic!("each try of a client has its record") };
    assert_ne!(first, second);
    assert!(is_added(&groups.groups) && groups.news(&id("team"), second).await.expect("read").is_some());
    assert_eq!((second.timestamp(), first.timestamp() < second.timestamp()), (stage.clock.now(), true));
}

#[tokio::test]
async fn what_cannot_be_told_is_not_done() {
    let stage = Stage::new();
    let (method, target, body) = add();
    stage.function.answers.queue.ledger.fail_next("send", 1);
    let answer = stage.ask("alice", method, target, &body).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("unavailable")));
    assert!(!is_added(&stage.function.answers.groups));
    assert_eq!(stage.function.answers.groups.ledger.calls("change"), 0);
    assert_eq!(stage.ask("alice", method, target, &body).await.status, 200);
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_found_done_and_told_once() {
    let stage = Troubled::stage(Trouble::LostAnswer);
    let (method, target, body) = add();
    assert_eq!(stage.ask("alice", method, target, &body).await.body["code"], "unavailable");
    let [told] = announced(&stage)[..] else { panic!("one record") };
    let groups = &stage.function.answers.groups;
    assert!(groups.news(&id("team"), told).await.expect("read").is_some(), "the record has its news");
    let again = stage.ask("alice", method, target, &body).await;
    assert_eq!((again.status, again.body["members"].as_array().map(Vec::len)), (200, Some(3)));
    assert_eq!(announced(&stage), [told]);
}

#[tokio::test]
async fn who_is_overtaken_decides_anew_under_the_same_name() {
    let stage = Troubled::stage(Trouble::Overtaken(4));
    let (method, target, body) = add();
    let answer = stage.ask("alice", method, target, &body).await;
    assert_eq!((answer.status, &answer.body["name"]), (200, &json!("Name 10")), "the other's change stands");
    let groups = &stage.function.answers.groups;
    assert!(is_added(&groups.groups));
    let [told] = announced(&stage)[..] else { panic!("told once") };
    assert_eq!(*groups.asked.lock().expect("no panic"), vec![told; 5]);
}

#[tokio::test]
async fn who_is_overtaken_five_times_gives_up() {
    let stage = Troubled::stage(Trouble::Overtaken(5));
    let (method, target, body) = add();
    let answer = stage.ask("alice", method, target, &body).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("unavailable")));
    assert!(!is_added(&stage.function.answers.groups.groups));
    assert_eq!(announced(&stage).len(), 1);
}

#[tokio::test]
async fn who_may_not_do_it_tells_nobody() {
    let stage = Stage::new();
    let (method, target, body) = add();
    for (actor, code) in [("bob", "not_an_admin"), ("mallory", "not_a_member")] {
        assert_eq!(stage.ask(actor, method, target, &body).await.body["code"], code);
    }
    assert!(stage.function.answers.queue.is_empty() && !is_added(&stage.function.answers.groups));
}

#[tokio::test]
async fn two_changes_of_one_moment_have_two_names() {
    let stage = Stage::new();
    let ask = |seed| {
        let (method, target, body) = add();
        let invocation = delivery::Invocation { seed, ..stage.clock.invocation() };
        stage.function.handle(event("alice", method, target, &body), invocation)
    };
    ask(1).await.expect("an answer");
    stage.function.answers.groups.insert(team(&stage.clock, &["alice", "bob"]));
    ask(2).await.expect("an answer");
    let [one, other] = announced(&stage)[..] else { panic!("two records") };
    assert_ne!(one, other);
}
