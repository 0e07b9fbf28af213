//! One run: people and devices are drawn, things go wrong for a while, then all is let come to rest and checked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use connect::{Authorizer, TokenRules};
use delivery::group::Role;
use delivery::job::MAX_FANOUT;
use delivery::{Address, Group, Member};
use fastrand::Rng;
use protocol::limits::CONNECTION_LIFETIME;
use protocol::{GroupId, Recipient, Urgency, UserId};
use testkit::clock::message_id;
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::apps::Apps;
use crate::check::{check, check_ghosts};
use crate::device::{Client, DeviceTask, Habits, Planned};
use crate::fault::Fault;
use crate::functions::{Function, Functions};
use crate::gateway::Sockets;
use crate::lock;
use crate::plan::{ACTIVE, Plan, QUIET_LIMIT};
use crate::queue::SimQueue;
use crate::socketless::{LOOKS, SocketlessTask};
use crate::steward;
use crate::world::World;

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// What is not as it must be.
    pub findings: Vec<Finding>,
    /// What happened, if it was recorded.
    pub history: Vec<String>,
    /// Messages that were sent.
    pub messages: usize,
    /// Messages that some device has shown.
    pub shown: usize,
    /// Wakes that an app or the webhook was told of.
    pub wakes: usize,
    /// Wakes that had nowhere to go: no target, or none that was not dead, and no webhook.
    pub nowhere: usize,
}

/// Something that is not as it must be.
pub type Finding = String;

/// Runs plans one after the other, on one thread.
#[derive(Debug, Default)]
pub struct Simulator {
    /// Costly to make, and never asked: the world's clients are authorized already.
    authorizer: Option<Authorizer>,
}

impl Simulator {
    /// Runs a plan; with `recording`, tells its history.
    ///
    /// # Panics
    /// When a handler does, or when no runtime can be had.
    pub fn run(&mut self, plan: &Plan, recording: bool) -> Report {
        let authorizer = self.authorizer.take().unwrap_or_else(|| {
            let rules = TokenRules { jwks_url: String::new(), issuer: String::new(), audience: String::new() };
            Authorizer::new(rules).expect("an authorizer")
        });
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let (report, functions) = runtime.block_on(async {
            let world = Arc::new(World::new(plan, recording));
            let functions = Arc::new(Functions::new(&world, authorizer));
            (play(plan, &world, &functions).await, functions)
        });
        // Ends every task, so that the functions are ours alone again.
        drop(runtime);
        self.authorizer = Arc::into_inner(functions).map(Functions::into_authorizer);
        report
    }
}

async fn play(plan: &Plan, world: &Arc<World>, functions: &Arc<Functions>) -> Report {
    let shared = || (Arc::clone(world), Arc::clone(functions));
    for function in [Function::Deliver, Function::Notify] {
        let (world, functions) = shared();
        tokio::spawn(SimQueue::serve(world, functions, function));
    }
    let (served, serving) = shared();
    tokio::spawn(Sockets::serve(served, serving));
    let (served, serving) = shared();
    tokio::spawn(Apps::serve(served, serving));
    tokio::spawn(Sockets::sweep(Arc::clone(world)));
    tokio::spawn(expire(Arc::clone(world)));
    tokio::spawn(poison(Arc::clone(world)));

    let mut rng = Rng::with_seed(plan.seed ^ 0x5eed);
    let habits = draw_devices(&mut rng, world);
    let mut planned = draw_messages(&mut rng, plan, world, &habits);
    let (steered, steering) = shared();
    let users = habits.iter().map(|one| one.address.user.clone()).collect();
    tokio::spawn(steward::serve(steered, steering, crew_id(), users));
    let staying = |client: &[Client]| -> BTreeSet<Address> {
        let stay = habits.iter().filter(|one| one.stays && client.contains(&one.client));
        stay.map(|one| one.address.clone()).collect()
    };
    let connected = staying(&[Client::Current, Client::Old]);
    let prompt = staying(&[Client::Current]);
    let all = staying(&[Client::Current, Client::Old, Client::Socketless]);
    for (index, habits) in habits.into_iter().enumerate() {
        let planned = std::mem::take(&mut planned[index]);
        if habits.client == Client::Socketless {
            tokio::spawn(SocketlessTask::new(world, functions, habits, planned).live());
        } else {
            tokio::spawn(DeviceTask::new(world, functions, habits, planned).live());
        }
    }

    sleep(world.trouble_ends()).await;
    world.tell(|| "all faults end".to_owned());
    world.calm_down();
    // Once soon, before anybody reconnects, which would mend much; and once when every registration of before has ended, and whoever acks
    // has had everything: an old client is told again when it reconnects, one without a socket looks now and then.
    let mut findings = come_to_rest(world, &connected).await;
    if findings.is_empty() {
        findings = check(world, &connected, &prompt);
    }
    if findings.is_empty() {
        sleep(CONNECTION_LIFETIME + LOOKS).await;
        findings = come_to_rest(world, &connected).await;
    }
    if findings.is_empty() {
        findings = [check(world, &connected, &all), check_ghosts(world)].concat();
    }
    let facts = lock(&world.facts);
    let shown: BTreeSet<_> = facts.shown.values().flatten().collect();
    Report {
        plan: plan.clone(),
        findings,
        history: world.history(),
        messages: facts.messages.len(),
        shown: shown.len(),
        wakes: facts.wakes.count(),
        nowhere: facts.wakes.nowhere_count(),
    }
}

/// Waits until no record is left and every connection is at rest.
async fn come_to_rest(world: &World, connected: &BTreeSet<Address>) -> Vec<String> {
    let limit = world.elapsed() + QUIET_LIMIT;
    while world.elapsed() < limit {
        sleep(Duration::from_secs(20)).await;
        if world.deliveries.is_empty() && world.wakes.is_empty() && world.sockets.at_rest(world, connected) {
            return Vec::new();
        }
    }
    let left = world.deliveries.left().into_iter().chain(world.wakes.left());
    left.map(|record| format!("still in flight: {record}")).collect()
}

/// Deletes expired rows, as the tables do: some time after they expire.
async fn expire(world: Arc<World>) {
    loop {
        sleep(Duration::from_secs(30)).await;
        for row in world.inbox.rows() {
            if row.envelope.is_expired(world.now()) && !world.strikes(Fault::LateTtl) {
                delivery::Inbox::delete(&world.inbox, &[row.key()]).await;
            }
        }
    }
}

/// Puts records into the queues that nobody can read.
async fn poison(world: Arc<World>) {
    if !world.strikes(Fault::Poison) {
        return;
    }
    for (index, body) in ["", "{}", r#"{"deliver":{}}"#, r#"{"user":"bob"}"#].into_iter().enumerate() {
        sleep(ACTIVE.mul_f64(0.2)).await;
        lock(&world.facts).poison.insert(body.to_owned());
        let queue = if index % 2 == 0 { &world.deliveries } else { &world.wakes };
        queue.put(&world, body.to_owned(), Duration::ZERO);
    }
}

fn draw_devices(rng: &mut Rng, world: &World) -> Vec<Habits> {
    let stormy = world.strikes(Fault::Storm);
    let mut storms: Vec<Duration> = (0..if stormy { 3 } else { 0 }).map(|_| ACTIVE.mul_f64(rng.f64())).collect();
    storms.sort_unstable();
    let mut habits = Vec::new();
    for user in 0..rng.usize(2..5) {
        for device in 0..[1, 1, 2, 3][rng.usize(0..4)] {
            let stays = rng.f64() < 0.7;
            let client = match rng.usize(0..10) {
                0 => Client::Old,
                1 => Client::Socketless,
                _ => Client::Current,
            };
            habits.push(Habits {
                address: Address {
                    user: format!("user{user}").parse().expect("a user"),
                    device: format!("device{device}").parse().expect("a device"),
                },
                client,
                comes_at: ACTIVE.mul_f64([0.0, 0.0, 0.3, 0.9][rng.usize(0..4)] * rng.f64()),
                mute: !stays && rng.f64() < 0.5,
                stays,
                has_app: client != Client::Old && rng.f64() < 0.7,
                syncs: rng.bool(),
                storms: storms.clone(),
            });
        }
    }
    habits
}

fn crew_id() -> GroupId {
    "crew".parse().expect("a group")
}

/// A group of most of the users; answers who is in it.
fn draw_group(rng: &mut Rng, world: &World, users: &[UserId]) -> Vec<UserId> {
    let mut crew: Vec<UserId> = users.iter().filter(|_| rng.f64() < 0.8).cloned().collect();
    if rng.f64() < 0.05 {
        // More than one record delivers to; few runs have it, since each of them costs a wake.
        crew.extend((0..MAX_FANOUT).map(|n| format!("idle{n}").parse().expect("a user")));
    }
    let member = |user: &UserId| Member { user: user.clone(), role: Role::Admin, joined_at: world.now() };
    let name = "Crew".to_owned().try_into().expect("a name");
    world.groups.insert(Group::new(crew_id(), name, 1, crew.iter().map(member).collect()));
    crew
}

/// What each of the devices will send.
fn draw_messages(rng: &mut Rng, plan: &Plan, world: &World, habits: &[Habits]) -> Vec<Vec<Planned>> {
    let mut users: Vec<UserId> = habits.iter().map(|one| one.address.user.clone()).collect();
    // Somebody who never comes.
    users.push("nobody".parse().expect("a user"));
    users.dedup();
    let crew = draw_group(rng, world, &users);
    let mut planned: Vec<Vec<Planned>> = habits.iter().map(|_| Vec::new()).collect();
    let began = world.now();
    // Half of the bursts meet a storm, if there is one: then devices come while messages do.
    let storms = habits[0].storms.clone();
    let moment = |rng: &mut Rng| match storms.get(rng.usize(0..storms.len().max(1))) {
        Some(storm) if rng.bool() => *storm + Duration::from_millis(rng.u64(0..4_000)),
        _ => ACTIVE.mul_f64(rng.f64()),
    };
    let mut burst = moment(rng);
    let mut sender = 0;
    for number in 0..plan.messages {
        // In bursts: what comes alone meets nobody.
        if rng.f64() < 0.4 {
            burst = moment(rng);
            sender = rng.usize(0..habits.len());
        }
        let at = burst + Duration::from_millis(rng.u64(0..8_000));
        let is_old = habits[sender].client == Client::Old;
        let ephemeral = rng.f64() < 0.1;
        let plain = Planned::plain(
            at,
            message_id(began.plus(at), number as u64),
            match rng.f64() < 0.2 && crew.contains(&habits[sender].address.user) {
                true => Recipient::Group(crew_id()),
                false => Recipient::User(users[rng.usize(0..users.len())].clone()),
            },
        );
        planned[sender].push(if is_old {
            plain
        } else {
            Planned {
                ephemeral,
                receipts: !ephemeral && rng.f64() < 0.2,
                urgency: [Urgency::Urgent, Urgency::Urgent, Urgency::Urgent, Urgency::Quiet, Urgency::Silent]
                    [rng.usize(0..5)],
                expires_in: (rng.f64() < 0.2).then(|| [rng.u64(1..60), rng.u64(60..86_400)][rng.usize(0..2)]),
                ..plain
            }
        });
    }
    for messages in &mut planned {
        messages.sort_by_key(|one| one.at);
    }
    planned
}
