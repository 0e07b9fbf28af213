//! The apps that can be woken by a push: which token leads to which, what each has said last of where that is, and what a push service answers.
//! What was pushed is remembered in `wakes`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery::{Address, Wake};
use protocol::{PushTarget, Timestamp};
use push::Answer;
use serde_json::{Value, json};

use crate::fault::{Fault, Service};
use crate::functions::Functions;
use crate::gateway;
use crate::lock;
use crate::mutation::Mutation;
use crate::world::World;

/// Longest time that an app is in the background before it says another token.
const IN_BACKGROUND: u64 = 90_000;

/// How often an app in the background asks until it is answered.
const TRIES: usize = 5;

/// What an app has said last of where it can be woken.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) number: u64,
    pub(crate) token: String,
    /// When it was told that this is known.
    pub(crate) answered_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    said: u64,
    tokens: u64,
    /// Whose app each token leads to. One that is dead leads nowhere.
    live: BTreeMap<String, Address>,
    last: BTreeMap<Address, Said>,
    /// Dead targets that a device had, in an invocation that nothing else went wrong in.
    found_dead: BTreeMap<(Address, String), u32>,
    turns: BTreeMap<Address, Arc<tokio::sync::Mutex<()>>>,
}

/// All apps.
#[derive(Debug, Default)]
pub(crate) struct Apps {
    state: Mutex<State>,
    renewed: Mutex<Vec<Address>>,
    /// That there is something in `renewed`.
    renewing: tokio::sync::Notify,
}

impl Apps {
    /// An app says one thing after the other: whoever has the turn.
    pub(crate) fn turn(&self, address: &Address) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.state).turns.entry(address.clone()).or_default())
    }

    /// What the app of a device says now, and the number by which it will know the answer. Its token may be another than before, or one that was
    /// another device's until its user signed out.
    pub(crate) fn say(&self, world: &World, address: &Address) -> (u64, Value) {
        let is_renewed = world.strikes(Fault::Renewal);
        let is_taken_over = world.strikes(Fault::Takeover);
        let mut state = lock(&self.state);
        let own = state.live.iter().find(|(_, owner)| *owner == address).map(|(token, _)| token.clone());
        // An app that has yet to be answered may still be saying where it is.
        let is_answered = |owner| state.last.get(owner).is_some_and(|said: &Said| said.answered_at.is_some());
        let others = state.live.iter().filter(|(_, owner)| *owner != address && is_answered(owner));
        let others: Vec<String> = others.map(|(token, _)| token.clone()).collect();
        let token = match own.filter(|_| !is_renewed && !is_taken_over) {
            Some(token) => token,
            None => {
                // Whatever the app had before is dead.
                state.live.retain(|_, owner| owner != address);
                if is_taken_over && !others.is_empty() {
                    others[world.pick(others.len())].clone()
                } else {
                    state.tokens += 1;
                    format!("token{}", state.tokens)
                }
            }
        };
        state.live.insert(token.clone(), address.clone());
        state.said += 1;
        let number = state.said;
        state.last.insert(address.clone(), Said { number, token: token.clone(), answered_at: None });
        state.found_dead.retain(|(owner, _), _| owner != address);
        world.tell(|| format!("{address:?} can be woken at {token}"));
        (number, json!([target(&token)]))
    }

    /// The app was told that what it said is known.
    pub(crate) fn answered(&self, world: &World, address: &Address, number: u64) {
        if let Some(said) = lock(&self.state).last.get_mut(address).filter(|said| said.number == number) {
            said.answered_at.get_or_insert(world.now());
        }
    }

    /// Says it over HTTP, once or until it is answered.
    pub(crate) async fn enrol(world: &Arc<World>, functions: &Functions, address: &Address, tries: usize) -> bool {
        let turn = world.apps.turn(address);
        let _turn = turn.lock().await;
        for _ in 0..tries {
            let (number, push) = world.apps.say(world, address);
            let path = format!("/v1/devices/{}", address.device);
            let body = json!({"push": push});
            if gateway::ask(world, functions, address, "PUT", &path, "", Some(body)).await.is_some() {
                world.apps.answered(world, address, number);
                return true;
            }
            world.pause(500..5_000).await;
        }
        false
    }

    /// In the background, an app may be given another token, and says so.
    pub(crate) async fn in_background(world: Arc<World>, functions: Arc<Functions>, address: Address) {
        world.pause(0..IN_BACKGROUND).await;
        Self::enrol(&world, &functions, &address, TRIES).await;
    }

    /// Pushes to one target, as the client of a service does: what it is not answered in time is to come again.
    pub(crate) async fn push(world: &World, wake: &Wake, target: &PushTarget) -> Answer {
        let (_, token) = target.place();
        if world.call(Service::Pushes, "push").await.is_err() {
            return match world.draw(0..3) {
                0 => Answer::Later(None),
                1 => Answer::Later(Some(Duration::from_secs(world.draw(1..120)))),
                _ => Answer::Refused("the credentials are bad".to_owned()),
            };
        }
        world.apps.renew(world, &token);
        let Some(owner) = lock(&world.apps.state).live.get(token.as_ref()).cloned() else {
            world.tell(|| format!("{token} is dead"));
            return Answer::Dead;
        };
        world.tell(|| format!("pushes {:?} to {owner:?} at {token}: {:?}", wake.notice.urgency, wake.ids));
        world.apps.check_owner(world, wake, &owner);
        if wake.user == owner.user && wake.device.as_ref() == Some(&owner.device) {
            lock(&world.facts).wakes.told(wake, world.now());
        } else {
            // Its app has been taken over meanwhile.
            lock(&world.facts).wakes.nowhere(wake, world.now());
        }
        world.bell(&owner).notify_waiters();
        if world.answer("push").await.is_err() { Answer::Later(None) } else { Answer::Taken }
    }

    /// The app of this token may be given another just now, and says so.
    fn renew(&self, world: &World, token: &str) {
        let owner = lock(&self.state).live.get(token).cloned();
        if let Some(owner) = owner.filter(|_| world.strikes(Fault::Renewal)) {
            lock(&self.state).live.remove(token);
            lock(&self.renewed).push(owner);
            self.renewing.notify_one();
        }
    }

    /// Lets apps say where they are that were given another token.
    pub(crate) async fn serve(world: Arc<World>, functions: Arc<Functions>) {
        loop {
            world.apps.renewing.notified().await;
            for address in std::mem::take(&mut *lock(&world.apps.renewed)) {
                let (world, functions) = (Arc::clone(&world), Arc::clone(&functions));
                tokio::spawn(async move { Self::enrol(&world, &functions, &address, TRIES).await });
            }
        }
    }

    /// Who has said where his app is, and was answered, is pushed nothing of whoever had it before by what is decided from then on.
    fn check_owner(&self, world: &World, wake: &Wake, owner: &Address) {
        let is_his = wake.user == owner.user && wake.device.as_ref() == Some(&owner.device);
        let said = lock(&self.state).last.get(owner).and_then(|said| said.answered_at);
        if !is_his && said.is_some_and(|answered_at| answered_at < wake.at) {
            world.violate(|| format!("{owner:?} was pushed what is pending for {}/{:?}", wake.user, wake.device));
        }
    }

    /// These targets of a device were found dead, and it has said no other. Unless something goes wrong they are to be gone.
    pub(crate) fn found_dead(&self, address: &Address, dead: &[PushTarget], invocation: u32) {
        let mut state = lock(&self.state);
        if state.last.get(address).is_some_and(|said| said.answered_at.is_some()) {
            let tokens = dead.iter().map(|target| target.place().1.into_owned());
            state.found_dead.extend(tokens.map(|token| ((address.clone(), token), invocation)));
        }
    }

    /// Where every app can be woken must be known: that of no other, and nothing that was found dead.
    pub(crate) fn check(&self, world: &World, unclean: impl Fn(u32) -> bool) -> Vec<String> {
        let state = lock(&self.state);
        let mut wrong = Vec::new();
        let mut owners: BTreeMap<String, Vec<&Address>> = BTreeMap::new();
        for (address, said) in &state.last {
            let devices = world.directory.devices_of(&address.user, world.now());
            let known = devices.iter().filter(|device| device.id == address.device).flat_map(|device| &device.push);
            let known: Vec<String> = known.map(|target| target.place().1.into_owned()).collect();
            let is_live = state.live.get(&said.token) == Some(address);
            if said.answered_at.is_some() && is_live && !known.contains(&said.token) {
                wrong.push(format!("{address:?} can be woken at {}, and only {known:?} is known", said.token));
            }
            for token in known {
                let found = state.found_dead.get(&(address.clone(), token.clone()));
                if found.is_some_and(|invocation| !unclean(*invocation)) {
                    wrong.push(format!("{token} of {address:?} was found dead, and is kept"));
                }
                owners.entry(token).or_default().push(address);
            }
        }
        let shared = owners.into_iter().filter(|(_, owners)| owners.len() > 1);
        wrong.extend(shared.map(|(token, owners)| format!("{token} is at once that of {owners:?}")));
        wrong
    }

    /// Whether it was known at this time, and has been ever since, where the app of a device can be woken.
    pub(crate) fn could_be_woken(&self, world: &World, address: &Address, at: Timestamp) -> bool {
        let devices = world.directory.devices_of(&address.user, world.now());
        let is_known = devices.iter().any(|device| device.id == address.device && !device.push.is_empty());
        let said = lock(&self.state).last.get(address).and_then(|said| said.answered_at);
        is_known && said.is_some_and(|answered_at| answered_at < at)
    }

    /// Where a device could be woken before another took its app over, for the bug that still wakes it there.
    pub(crate) fn taken_over(&self, world: &World, address: &Address) -> Option<PushTarget> {
        let state = lock(&self.state);
        let said = state.last.get(address).filter(|_| world.mutated(Mutation::TakenOverIsKept))?;
        state.live.get(&said.token).is_some_and(|owner| owner != address).then(|| target(&said.token))
    }
}

fn target(token: &str) -> PushTarget {
    PushTarget::Fcm { token: token.to_owned() }
}
