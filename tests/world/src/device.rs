//! A client as the protocol asks for: it keeps a connection, sends again what was not answered, shows each message once, acks what it gets,
//! and syncs when its drain does not end. When it is there, how it acks, and whether it is an old one, is its habits'. A client without a
//! socket is in `socketless`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use delivery::{Address, ConnectionId, Dialect};
use protocol::{Code, Delivery, MessageId, ReceiptEvent, Recipient, Ref, Sender, ServerFrame, Urgency};
use serde_json::{Value, json};
use testkit::clock::message_id;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use crate::apps::Apps;
use crate::facts::{Heard, Name};
use crate::fault::Fault;
use crate::functions::Functions;
use crate::gateway::{FromServer, Sockets};
use crate::lock;
use crate::messages;
use crate::old_client::{self, Delivered, Told};
use crate::world::World;

/// What was not answered by then is sent again.
const ANSWER: Duration = Duration::from_secs(10);

/// A drain that has not ended by then is helped along by syncs.
const DRAIN: Duration = Duration::from_secs(10);

/// How often an idle connection is used.
const PING: Duration = Duration::from_secs(5 * 60);

/// Until then a displaced client leaves the device to whoever took over.
const DISPLACED: Duration = Duration::from_secs(60);

/// How long a client waits at most before it tries to connect again, in milliseconds: from the first try to the last.
const BACKOFF: std::ops::Range<u64> = 1_000..30_000;

/// A message that a user will write.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) id: MessageId,
    pub(crate) to: Recipient,
    pub(crate) ephemeral: bool,
    pub(crate) receipts: bool,
    pub(crate) urgency: Urgency,
    pub(crate) expires_in: Option<u64>,
}

impl Planned {
    /// One that asks for nothing.
    pub(crate) fn plain(at: Duration, id: MessageId, to: Recipient) -> Self {
        Self { at, id, to, ephemeral: false, receipts: false, urgency: Urgency::default(), expires_in: None }
    }
}

/// What a device speaks, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Current,
    Old,
    Socketless,
}

/// What a device is like.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) address: Address,
    /// How it speaks.
    pub(crate) client: Client,
    /// When it first comes.
    pub(crate) comes_at: Duration,
    /// It never acks.
    pub(crate) mute: bool,
    /// Whether it is there at the end.
    pub(crate) stays: bool,
    /// Whether it has an app that can be woken by a push.
    pub(crate) has_app: bool,
    /// Whether it syncs when its drain does not end.
    pub(crate) syncs: bool,
    /// When the network goes, for everybody.
    pub(crate) storms: Vec<Duration>,
}

/// Why a connection ended.
enum Ended {
    /// The device goes away for a while.
    Away(Duration),
    /// It will connect again at once.
    Lost,
    Displaced,
    /// It goes away for good.
    Over,
}

pub(crate) struct DeviceTask {
    world: Arc<World>,
    functions: Arc<Functions>,
    habits: Habits,
    planned: VecDeque<Planned>,
    /// What was sent and not answered, and when it is sent again.
    unanswered: BTreeMap<MessageId, Unanswered>,
}

/// What is said until it is answered.
struct Unanswered {
    message: Value,
    again_at: Duration,
    tries: u32,
}

/// What is to happen on a connection, and when.
struct Session {
    id: ConnectionId,
    acks: Vec<Acking>,
    ends: Option<(Duration, Option<Duration>)>,
    ping_at: Duration,
    sync_at: Option<Duration>,
    /// When it says, or says again, where its app can be woken.
    enrol_at: Option<Duration>,
}

/// What will be said of what was shown.
struct Acking {
    at: Duration,
    event: ReceiptEvent,
    names: Vec<Name>,
    says: Says,
}

/// In which words.
#[derive(Clone)]
enum Says {
    /// In frames of their own.
    Frames(Vec<String>),
    /// In a message to a user, as old clients do, that names these.
    State(Sender, Vec<String>),
}

impl DeviceTask {
    pub(crate) fn new(world: &Arc<World>, functions: &Arc<Functions>, habits: Habits, planned: Vec<Planned>) -> Self {
        let (world, functions, planned) = (Arc::clone(world), Arc::clone(functions), planned.into());
        Self { world, functions, habits, planned, unanswered: BTreeMap::new() }
    }

    /// Lives until it goes for good.
    pub(crate) async fn live(mut self) {
        sleep(self.habits.comes_at).await;
        let mut backoff = BACKOFF.start;
        while self.habits.stays || !self.world.is_quiet() {
            let dialect = if self.is_old() { Dialect::OldJson } else { Dialect::Current };
            let opened = Sockets::open(&self.world, &self.functions, &self.habits.address, dialect).await;
            let Some((id, received)) = opened else {
                self.world.pause(0..backoff).await;
                backoff = (backoff * 2).min(BACKOFF.end);
                continue;
            };
            backoff = BACKOFF.start;
            match self.session(id, received).await {
                Ended::Away(time) => self.away(time).await,
                Ended::Lost => self.world.pause(0..3_000).await,
                Ended::Displaced => sleep(DISPLACED).await,
                Ended::Over => return,
            }
        }
    }

    fn is_old(&self) -> bool {
        self.habits.client == Client::Old
    }

    /// Away for a while; half of the wakes bring it back at once.
    async fn away(&self, time: Duration) {
        if self.habits.has_app && self.world.strikes(Fault::Renewal) {
            let (world, functions) = (Arc::clone(&self.world), Arc::clone(&self.functions));
            tokio::spawn(Apps::in_background(world, functions, self.habits.address.clone()));
        }
        let bell = self.world.bell(&self.habits.address);
        if timeout(time, bell.notified()).await.is_ok() {
            let soon = self.world.draw(0..2) == 0;
            self.world.pause(0..if soon { 2_000 } else { 120_000 }).await;
        }
    }

    async fn session(&mut self, id: ConnectionId, mut received: UnboundedReceiver<FromServer>) -> Ended {
        let now = self.world.elapsed();
        let mut session = Session {
            id,
            acks: Vec::new(),
            ends: self.end(now),
            ping_at: now + PING,
            sync_at: (self.habits.syncs && !self.is_old()).then_some(now + DRAIN),
            enrol_at: self.habits.has_app.then_some(now + Duration::from_millis(self.world.draw(0..5_000))),
        };
        for unanswered in self.unanswered.values_mut() {
            unanswered.again_at = now;
        }
        loop {
            if self.world.is_quiet() && !self.habits.stays {
                self.world.sockets.close(&self.world, &session.id);
                return Ended::Over;
            }
            let wait = self.next(&session).saturating_sub(self.world.elapsed());
            match timeout(wait, received.recv()).await {
                Ok(Some(FromServer::Frame(frame))) => {
                    if self.read(&mut session, &frame) {
                        self.world.sockets.abandon(&session.id);
                        return Ended::Displaced;
                    }
                }
                Ok(Some(FromServer::Closed | FromServer::Lost) | None) => {
                    self.world.sockets.abandon(&session.id);
                    return Ended::Lost;
                }
                Err(_) => {
                    if let Some(ended) = self.due(&mut session) {
                        return ended;
                    }
                }
            }
        }
    }

    /// When and how the connection that begins now will end, by the client's doing.
    fn end(&self, now: Duration) -> Option<(Duration, Option<Duration>)> {
        let world = &self.world;
        let secs = |from, to| Duration::from_secs(world.draw(from..to));
        let storm = self.habits.storms.iter().copied().find(|storm| *storm > now).map(|storm| (storm, None));
        let own = if world.strikes(Fault::Absence) {
            Some((now + secs(5, 600), Some(secs(5, 900))))
        } else if world.strikes(Fault::Reconnect) {
            Some((now + secs(1, 300), None))
        } else {
            None
        };
        [storm, own].into_iter().flatten().min()
    }

    fn next(&self, session: &Session) -> Duration {
        let planned = self.planned.front().map(|planned| planned.at);
        let again = self.unanswered.values().map(|unanswered| unanswered.again_at);
        let acks = session.acks.iter().map(|acking| acking.at);
        let times = [planned, session.ends.map(|(at, _)| at), session.sync_at, session.enrol_at, Some(session.ping_at)];
        // Once in a while, to see whether all is quiet.
        let look = self.world.elapsed() + PING;
        times.into_iter().flatten().chain(again).chain(acks).min().unwrap_or(look).min(look)
    }

    /// Does what is due.
    fn due(&mut self, session: &mut Session) -> Option<Ended> {
        let now = self.world.elapsed();
        if let Some((_, away)) = session.ends.filter(|(at, _)| *at <= now) {
            match away {
                Some(time) if self.world.draw(0..2) == 0 => {
                    self.world.sockets.close(&self.world, &session.id);
                    return Some(Ended::Away(time));
                }
                Some(time) => {
                    self.world.sockets.abandon(&session.id);
                    return Some(Ended::Away(time));
                }
                None => {
                    self.world.sockets.abandon(&session.id);
                    return Some(Ended::Lost);
                }
            }
        }
        let (due, later) = std::mem::take(&mut session.acks).into_iter().partition(|acking| acking.at <= now);
        session.acks = later;
        for acking in due {
            self.ack(session, acking, now);
        }
        self.send(session, now);
        if session.sync_at.is_some_and(|at| at <= now) {
            session.sync_at = Some(now + DRAIN);
            self.write(session, json!({"action": "sync"}).to_string());
        }
        if session.enrol_at.is_some_and(|at| at <= now) {
            session.enrol_at = Some(now + ANSWER);
            self.enrol(session);
        }
        if session.ping_at <= now {
            let ping = if self.is_old() { old_client::PING.to_owned() } else { json!({"action": "ping"}).to_string() };
            self.write(session, ping);
        }
        None
    }

    fn ack(&mut self, session: &mut Session, acking: Acking, now: Duration) {
        let user = self.habits.address.user.clone();
        lock(&self.world.facts).acked(&user, acking.event, &acking.names);
        match acking.says {
            Says::Frames(frames) => frames.into_iter().for_each(|frame| self.write(session, frame)),
            Says::State(sender, ids) => {
                let Some(to) = sender.user().cloned() else { return };
                let (at, number) = (self.world.now(), 1_000_000 + self.world.draw(0..1_000_000_000));
                let planned = Planned::plain(now, message_id(at, number), Recipient::User(to));
                let id = old_client::message_id(&user, &planned, at);
                lock(&self.world.facts).sent_by_old(&user, id, &planned);
                lock(&self.world.facts).is_notification(&user, id);
                let message = old_client::state(&planned, &ids, at);
                self.unanswered.insert(planned.id, Unanswered { message, again_at: now, tries: 0 });
            }
        }
    }

    /// Sends what was written meanwhile and what is to be sent again.
    fn send(&mut self, session: &mut Session, now: Duration) {
        let user = self.habits.address.user.clone();
        while let Some(planned) = self.planned.pop_front_if(|planned| planned.at <= now) {
            let message = if self.is_old() {
                let at = self.world.now();
                let id = old_client::message_id(&user, &planned, at);
                lock(&self.world.facts).sent_by_old(&user, id, &planned);
                old_client::message(&planned, at)
            } else {
                messages::write(&self.world, &user, &planned)
            };
            self.unanswered.insert(planned.id, Unanswered { message, again_at: now, tries: 0 });
        }
        if self.is_old() {
            let is_given_up =
                |one: &Unanswered| one.tries >= old_client::TRIES && one.message["head"]["type"] == "group";
            self.unanswered.retain(|_, unanswered| !is_given_up(unanswered));
        }
        let mut messages = Vec::new();
        for unanswered in self.unanswered.values_mut().filter(|unanswered| unanswered.again_at <= now) {
            unanswered.again_at = now + ANSWER;
            unanswered.tries += 1;
            messages.push(unanswered.message.clone());
        }
        let frames: Vec<String> = if self.is_old() {
            messages.iter().map(Value::to_string).collect()
        } else {
            messages.chunks(5).map(|batch| json!({"action": "send", "messages": batch}).to_string()).collect()
        };
        for frame in frames {
            if self.world.strikes(Fault::Resend) {
                self.write(session, frame.clone());
            }
            self.write(session, frame);
        }
    }

    /// Reads a frame. Answers whether the connection was displaced.
    fn read(&mut self, session: &mut Session, frame: &str) -> bool {
        if self.is_old() {
            self.read_old(session, frame);
            return false;
        }
        match ServerFrame::parse(frame) {
            Some(ServerFrame::Accepted { ids, refused, .. }) => {
                let unanswered = &mut self.unanswered;
                let answered = |id| Some(unanswered.remove(&id)?.message);
                messages::accepted(&self.world, &self.habits.address.user, &ids, &refused, answered);
            }
            Some(ServerFrame::Messages { messages, more, .. }) => {
                if more == Some(true)
                    && let Some(last) = messages.last()
                {
                    self.write(session, json!({"action": "sync", "after": last.reference}).to_string());
                } else if more == Some(false) {
                    session.sync_at = None;
                }
                self.show(session, &messages);
            }
            Some(ServerFrame::Drained { .. }) => session.sync_at = None,
            Some(ServerFrame::Device { nonce }) => {
                session.enrol_at = None;
                if let Some(number) = nonce.and_then(|nonce| nonce.as_str().parse().ok()) {
                    self.world.apps.answered(&self.world, &self.habits.address, number);
                }
            }
            Some(ServerFrame::Error { code: Code::Displaced, .. }) => return true,
            // Its acks are sent again when their messages come again.
            Some(ServerFrame::Error { code: Code::Unavailable, .. } | ServerFrame::Pong { .. }) | None => {}
            Some(ServerFrame::Error { code, detail, .. }) => {
                self.world.violate(|| format!("a good frame was refused: {code:?}, {detail}"));
            }
        }
        false
    }

    fn read_old(&mut self, session: &mut Session, frame: &str) {
        match old_client::read(frame) {
            Some(Told::Accepted(planned)) => {
                let user = &self.habits.address.user;
                let mut facts = lock(&self.world.facts);
                let id = facts.named_by_old(&user.clone().into(), &planned.to_string());
                facts.accepted(user, id.as_slice());
                self.unanswered.remove(&planned);
            }
            Some(Told::Delivery(delivered)) => self.show_old(session, delivered),
            Some(Told::Pong) => {}
            None => self.world.violate(|| format!("an old client was told {frame}")),
        }
    }

    fn show(&self, session: &mut Session, deliveries: &[Delivery]) {
        for delivery in deliveries {
            messages::show(&self.world, &self.habits.address, delivery);
        }
        if deliveries.is_empty() {
            return;
        }
        let refs: Vec<&Ref> = deliveries.iter().map(|delivery| &delivery.reference).collect();
        let names: Vec<Name> = deliveries.iter().map(|delivery| Heard::of(delivery).name).collect();
        let says = |event| {
            let action = if event == ReceiptEvent::Read { "read" } else { "ack" };
            Says::Frames(vec![json!({"action": action, "refs": refs}).to_string()])
        };
        // Sometimes it is read as well, later or at once. Each telling is a message more, so that this costs seeds.
        let events: &[ReceiptEvent] = match self.world.draw(0..12) {
            0 => &[ReceiptEvent::Delivered, ReceiptEvent::Read],
            1 => &[ReceiptEvent::Read],
            _ => &[ReceiptEvent::Delivered],
        };
        self.plan_acks(session, &names, events, says);
    }

    /// Shows what it has never shown, and acks what the original's app acks: no notification.
    fn show_old(&self, session: &mut Session, delivered: Delivered) {
        let (world, address) = (&self.world, &self.habits.address);
        let Delivered { from, id, to, text, is_notification } = delivered;
        if is_notification {
            return;
        }
        let named = lock(&world.facts).named_by_old(&from, &id);
        let Some(name) = named.map(|message| (from.clone(), message)) else {
            return world.violate(|| format!("{address:?} was told {id} of {from}, which nobody sent"));
        };
        let shown = lock(&world.facts).hear(address, Heard { name: name.clone(), to, text, urgency: None });
        match shown {
            Ok(news) => world.tell(|| format!("{address:?} {} {name:?}", if news { "shows" } else { "has shown" })),
            Err(wrong) => world.violate(|| wrong),
        }
        let Sender::User(sender) = &from else { return };
        let says = match world.draw(0..3) {
            0 => Says::State(from.clone(), vec![id]),
            _ => Says::Frames(vec![old_client::ack(&id, sender).to_string()]),
        };
        self.plan_acks(session, &[name], &[ReceiptEvent::Delivered], |_| says.clone());
    }

    /// Plans to say what becomes of these: at once, late, or twice.
    fn plan_acks(
        &self,
        session: &mut Session,
        names: &[Name],
        events: &[ReceiptEvent],
        says: impl Fn(ReceiptEvent) -> Says,
    ) {
        let world = &self.world;
        if self.habits.mute {
            return;
        }
        let late = world.strikes(Fault::LateAck);
        let range = if !late {
            10..500
        } else if world.draw(0..2) == 0 {
            2_000..8_000
        } else {
            5_000..180_000
        };
        let delay = Duration::from_millis(world.draw(range));
        let now = world.elapsed();
        let acking = |wait, event| Acking { at: now + wait, event, names: names.to_vec(), says: says(event) };
        for (event, times) in events.iter().zip([1, 3]) {
            session.acks.push(acking(delay * times, *event));
        }
        if world.strikes(Fault::DoubleAck) {
            session.acks.extend(events.first().map(|event| acking(delay * 2, *event)));
        }
    }

    /// Says where its app can be woken, once what it said before has come or is lost.
    fn enrol(&self, session: &mut Session) {
        session.ping_at = self.world.elapsed() + PING;
        let (world, functions) = (Arc::clone(&self.world), Arc::clone(&self.functions));
        let (id, address) = (session.id.clone(), self.habits.address.clone());
        tokio::spawn(async move {
            let turn = world.apps.turn(&address);
            let _turn = turn.lock().await;
            let (number, push) = world.apps.say(&world, &address);
            let frame = json!({"action": "device", "push": push, "nonce": number.to_string()}).to_string();
            Sockets::frame(Arc::clone(&world), functions, id, frame).await;
        });
    }

    fn write(&self, session: &mut Session, frame: String) {
        session.ping_at = self.world.elapsed() + PING;
        let (world, functions) = (Arc::clone(&self.world), Arc::clone(&self.functions));
        tokio::spawn(Sockets::frame(world, functions, session.id.clone(), frame));
    }
}
