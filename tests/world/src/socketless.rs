//! A device that never opens a socket: it is made known over HTTP, looks for what is pending now and then and when it is woken, and
//! acks and sends with requests. Any of them may be lost, or its answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use protocol::{Delivery, MessageId, ReceiptEvent, Ref, ServerFrame};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::apps::Apps;
use crate::device::{Habits, Planned};
use crate::facts::Heard;
use crate::fault::Fault;
use crate::functions::Functions;
use crate::gateway;
use crate::lock;
use crate::messages;
use crate::world::World;

/// How long such a device waits at most before it looks again, unless it is woken.
pub(crate) const LOOKS: Duration = Duration::from_secs(5 * 60);

/// Most messages in one request.
const SENDS: usize = 5;

pub(crate) struct SocketlessTask {
    world: Arc<World>,
    functions: Arc<Functions>,
    habits: Habits,
    planned: VecDeque<Planned>,
    unanswered: BTreeMap<MessageId, Value>,
}

impl SocketlessTask {
    pub(crate) fn new(world: &Arc<World>, functions: &Arc<Functions>, habits: Habits, planned: Vec<Planned>) -> Self {
        let (world, functions, planned) = (Arc::clone(world), Arc::clone(functions), planned.into());
        Self { world, functions, habits, planned, unanswered: BTreeMap::new() }
    }

    /// Lives until it goes for good.
    pub(crate) async fn live(mut self) {
        sleep(self.habits.comes_at).await;
        while self.is_there() && !self.enrol().await {
            self.world.pause(500..20_000).await;
        }
        while self.is_there() {
            if self.habits.has_app && self.world.draw(0..20) == 0 {
                self.enrol().await;
            }
            self.send().await;
            self.drain().await;
            self.wait().await;
        }
    }

    fn is_there(&self) -> bool {
        self.habits.stays || !self.world.is_quiet()
    }

    async fn enrol(&self) -> bool {
        let address = &self.habits.address;
        if self.habits.has_app {
            return Apps::enrol(&self.world, &self.functions, address, 1).await;
        }
        self.ask("PUT", &format!("/v1/devices/{}", address.device), "", Some(json!({}))).await.is_some()
    }

    /// Until something is to be sent, it is woken, or it is time to look.
    async fn wait(&self) {
        let (world, now) = (&self.world, self.world.elapsed());
        let look = now + Duration::from_millis(world.draw(30_000..300_000));
        let again = if self.unanswered.is_empty() { look } else { now + Duration::from_secs(10) };
        let until = self.planned.front().map_or(look, |planned| planned.at.max(now)).min(again).min(look);
        let bell = world.bell(&self.habits.address);
        if timeout(until - now, bell.notified()).await.is_ok() {
            world.pause(0..20_000).await;
        }
    }

    async fn send(&mut self) {
        let now = self.world.elapsed();
        while let Some(planned) = self.planned.pop_front_if(|planned| planned.at <= now) {
            let message = messages::write(&self.world, &self.habits.address.user, &planned);
            self.unanswered.insert(planned.id, message);
        }
        let messages: Vec<Value> = self.unanswered.values().take(SENDS).cloned().collect();
        if messages.is_empty() {
            return;
        }
        let times = if self.world.strikes(Fault::Resend) { 2 } else { 1 };
        for _ in 0..times {
            let answer = self.ask("POST", "/v1/messages", "", Some(json!({"messages": messages}))).await;
            if let Some(ServerFrame::Accepted { ids, refused, .. }) =
                answer.as_ref().and_then(Value::as_str).and_then(ServerFrame::parse)
            {
                let unanswered = &mut self.unanswered;
                let answered = |id| unanswered.remove(&id);
                messages::accepted(&self.world, &self.habits.address.user, &ids, &refused, answered);
            }
        }
    }

    /// Reads all that is pending, and acks it page by page.
    async fn drain(&self) {
        let mut after: Option<Ref> = None;
        loop {
            let mut query = format!("device={}&limit={}", self.habits.address.device, self.world.draw(1..20));
            if let Some(after) = &after {
                query += &format!("&after={}", after.to_string().replace('~', "%7E"));
            }
            let answer = self.ask("GET", "/v1/messages", &query, None).await;
            let Some(ServerFrame::Messages { messages, more, .. }) =
                answer.as_ref().and_then(Value::as_str).and_then(ServerFrame::parse)
            else {
                return;
            };
            self.show(&messages).await;
            after = messages.last().map(|message| message.reference.clone());
            if more != Some(true) || after.is_none() {
                return;
            }
        }
    }

    async fn show(&self, messages: &[Delivery]) {
        let (world, address) = (&self.world, &self.habits.address);
        messages.iter().for_each(|message| messages::show(world, address, message));
        if self.habits.mute || messages.is_empty() {
            return;
        }
        let refs: Vec<&Ref> = messages.iter().map(|message| &message.reference).collect();
        let names: Vec<_> = messages.iter().map(|message| Heard::of(message).name).collect();
        let (event, path) = match world.draw(0..12) {
            0 => (ReceiptEvent::Read, "/v1/reads"),
            _ => (ReceiptEvent::Delivered, "/v1/acks"),
        };
        let times = if world.strikes(Fault::DoubleAck) { 2 } else { 1 };
        for _ in 0..times {
            lock(&world.facts).acked(&address.user, event, &names);
            self.ask("POST", path, "", Some(json!({"device": address.device, "refs": refs}))).await;
        }
    }

    async fn ask(&self, method: &str, path: &str, query: &str, body: Option<Value>) -> Option<Value> {
        gateway::ask(&self.world, &self.functions, &self.habits.address, method, path, query, body).await
    }
}
