//! The ports between a message that nobody has acked and the app of its recipient: the offline topic, and the way to push services.

use std::time::Duration;

use delivery::{Address, Failure, HandOver, OfflineTopic, PushGateway, PushOutcome, Pushed, Reason, Wake, WakeState};
use futures::future::join_all;

use super::{ENTRIES, Port, all};
use crate::apps::Apps;
use crate::fault::{Fault, Service};
use crate::functions::{AWAIT_RECEIVES, context};
use crate::lock;
use crate::mutation::Mutation;
use crate::world::{World, failure};

impl OfflineTopic for Port {
    async fn publish(&self, hand_overs: &[HandOver]) -> Vec<Result<(), Failure>> {
        let world = &self.0;
        let mut outcomes = Vec::with_capacity(hand_overs.len());
        for batch in hand_overs.chunks(ENTRIES) {
            if let Err(failed) = world.call(Service::Topic, "publish").await {
                outcomes.extend(all(batch.len(), &failed));
                continue;
            }
            let mut taken = Vec::with_capacity(batch.len());
            for hand_over in batch {
                let refused = batch.len() > 1 && world.strikes(Fault::Throttle);
                if !refused {
                    self.published(hand_over);
                }
                taken.push(if refused { Err(failure("publish", "failed entry")) } else { Ok(()) });
            }
            match world.answer("publish").await {
                Ok(()) => outcomes.extend(taken),
                Err(failed) => outcomes.extend(all(batch.len(), &failed)),
            }
        }
        if world.mutated(Mutation::FailedPublishIsDone) {
            return outcomes.into_iter().map(|_| Ok(())).collect();
        }
        outcomes
    }
}

impl Port {
    fn published(&self, hand_over: &HandOver) {
        let world = &self.0;
        let receives = context().map_or(0, |context| context.receives);
        if hand_over.reason == Reason::Exhausted && receives < AWAIT_RECEIVES {
            world.violate(|| format!("given up on receive {receives} of its Await: {hand_over:?}"));
        }
        world.tell(|| format!("publishes {}", hand_over.encode()));
        if hand_over.reason == Reason::Acked && world.mutated(Mutation::WithdrawalIsForgotten) {
            return;
        }
        lock(&world.facts).wakes.handed_over(hand_over, world.now());
        let delay = Duration::from_secs(world.draw(0..3));
        world.wakes.put(world, hand_over.encode(), delay);
        if world.strikes(Fault::Duplicate) {
            world.wakes.put(world, hand_over.encode(), delay);
        }
    }
}

impl PushGateway for Port {
    async fn push(&self, wake: &Wake) -> Result<Pushed, Failure> {
        let outcome = self.push_to_all(wake).await;
        let is_undone = match &outcome {
            Ok(pushed) => matches!(pushed.outcome, PushOutcome::Later(_)),
            Err(_) => true,
        };
        if is_undone && self.0.mutated(Mutation::FailedPushIsDone) {
            return Ok(PushOutcome::Taken.into());
        }
        outcome
    }
}

impl Port {
    async fn push_to_all(&self, wake: &Wake) -> Result<Pushed, Failure> {
        let world = &self.0;
        let answers = join_all(wake.push.iter().map(|target| Apps::push(world, wake, target))).await;
        let pushed = notify::gateway::pushed(&wake.push, answers)?;
        self.note_dead(wake, &pushed);
        if pushed.outcome != PushOutcome::Nowhere {
            return Ok(pushed);
        }
        if !world.has_webhook {
            world.tell(|| format!("{}/{:?} can be woken nowhere", wake.user, wake.device));
            if !self.has_other_targets(wake) {
                lock(&world.facts).wakes.nowhere(wake, world.now());
            }
            return Ok(pushed);
        }
        world.call(Service::Pushes, "push").await?;
        world.tell(|| format!("wakes {}/{:?} for {:?}", wake.user, wake.device, wake.ids));
        lock(&world.facts).wakes.told(wake, world.now());
        world.ring(&wake.user, wake.device.as_ref());
        world.answer("push").await?;
        Ok(Pushed { outcome: PushOutcome::Taken, ..pushed })
    }

    fn note_dead(&self, wake: &Wake, pushed: &Pushed) {
        let Some(device) = wake.device.clone().filter(|_| !self.has_other_targets(wake)) else { return };
        let address = Address { user: wake.user.clone(), device };
        if let Some(context) = context() {
            self.0.apps.found_dead(&address, &pushed.dead, context.number());
        }
    }

    /// Whether a device with targets has said others since they were read.
    fn has_other_targets(&self, wake: &Wake) -> bool {
        let devices = self.0.directory.devices_of(&wake.user, self.0.now());
        let known = devices.iter().find(|device| Some(&device.id) == wake.device.as_ref());
        !wake.push.is_empty() && known.is_some_and(|known| known.push != wake.push)
    }
}

/// A wake state as it is written: a bug takes away what tells a due wake that makes no sound from others.
pub(super) fn written(world: &World, state: &WakeState) -> WakeState {
    let mut state = state.clone();
    if let Some(due) = state.due.as_mut().filter(|_| world.mutated(Mutation::SilentCovers)) {
        due.token = loud(&due.token);
    }
    state
}

/// The same for the record that holds it.
pub(super) fn sent(world: &World, body: &str) -> String {
    if world.mutated(Mutation::SilentCovers) { loud(body) } else { body.to_owned() }
}

fn loud(text: &str) -> String {
    text.replace("silent:", "").replace("quiet:", "")
}
