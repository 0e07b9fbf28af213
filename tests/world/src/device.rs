//! A client as the protocol asks for: it keeps a connection, sends again what was not answered, shows each message once, acks what it gets,
//! and syncs when its drain does not end. When it is there, and how it acks, is its habits'.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use delivery::{Address, Attachment, ConnectionId};
use protocol::{AttachmentId, Code, Delivery, MessageId, ReceiptEvent, Recipient, Ref, ServerFrame, Timestamp, UserId};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use crate::fault::Fault;
use crate::functions::Functions;
use crate::gateway::{FromServer, Sockets};
use crate::lock;
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
    pub(crate) expires_in: Option<u64>,
}

/// What a device is like.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) address: Address,
    /// When it first comes.
    pub(crate) comes_at: Duration,
    /// It never acks.
    pub(crate) mute: bool,
    /// Whether it is there at the end.
    pub(crate) stays: bool,
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
    unanswered: BTreeMap<MessageId, (Value, Duration)>,
}

/// The attachment that a message names, if it names one: every fourth does, by its id, so that whoever sees the message knows as well.
fn attachment_of(id: MessageId) -> Option<AttachmentId> {
    let digits = id.to_string().replace('-', "");
    digits.ends_with(['0', '4', '8', 'c']).then(|| digits.parse().expect("as many digits as an attachment id has"))
}

fn attachment(id: AttachmentId, uploader: &UserId) -> Attachment {
    Attachment {
        id,
        uploader: uploader.clone(),
        media_type: "image/jpeg".parse().expect("a type"),
        bytes: 7,
        expires_at: Timestamp::from_millis(u64::MAX),
    }
}

/// What is to happen on a connection, and when.
struct Session {
    id: ConnectionId,
    acks: Vec<(Duration, &'static str, Vec<Ref>)>,
    ends: Option<(Duration, Option<Duration>)>,
    ping_at: Duration,
    sync_at: Option<Duration>,
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
            let opened = Sockets::open(&self.world, &self.functions, &self.habits.address).await;
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

    /// Away for a while; half of the wakes bring it back at once.
    async fn away(&self, time: Duration) {
        let bell = self.world.bell(&self.habits.address.user);
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
            sync_at: self.habits.syncs.then_some(now + DRAIN),
        };
        for (_, again_at) in self.unanswered.values_mut() {
            *again_at = now;
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
        let again = self.unanswered.values().map(|(_, again_at)| *again_at);
        let acks = session.acks.iter().map(|(at, ..)| *at);
        let times = [planned, session.ends.map(|(at, _)| at), session.sync_at, Some(session.ping_at)];
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
        let (due, later) = std::mem::take(&mut session.acks).into_iter().partition(|(at, ..)| *at <= now);
        session.acks = later;
        for (_, action, refs) in due {
            let event = if action == "read" { ReceiptEvent::Read } else { ReceiptEvent::Delivered };
            lock(&self.world.facts).acked(&self.habits.address.user, event, &refs);
            self.write(session, &json!({"action": action, "refs": refs}));
        }
        self.send(session, now);
        if session.sync_at.is_some_and(|at| at <= now) {
            session.sync_at = Some(now + DRAIN);
            self.write(session, &json!({"action": "sync"}));
        }
        if session.ping_at <= now {
            session.ping_at = now + PING;
            self.write(session, &json!({"action": "ping"}));
        }
        None
    }

    /// Sends what was written meanwhile and what is to be sent again.
    fn send(&mut self, session: &mut Session, now: Duration) {
        while let Some(planned) = self.planned.pop_front_if(|planned| planned.at <= now) {
            let (from, body) = (self.habits.address.user.clone(), json!(planned.id.to_string()));
            let name = (from.into(), planned.id);
            lock(&self.world.facts).sent(name, &planned, body.to_string());
            let mut message = json!({"id": planned.id, "to": planned.to, "body": body});
            if planned.ephemeral {
                message["ephemeral"] = true.into();
            }
            if planned.receipts {
                message["receipts"] = true.into();
            }
            if let Some(secs) = planned.expires_in {
                message["expires_in"] = secs.into();
            }
            if let Some(id) = attachment_of(planned.id).filter(|_| !planned.ephemeral) {
                self.world.attachments.insert(attachment(id, &self.habits.address.user));
                message["attachments"] = json!([id]);
            }
            self.unanswered.insert(planned.id, (message, now));
        }
        let mut messages = Vec::new();
        for (message, again_at) in self.unanswered.values_mut().filter(|(_, again_at)| *again_at <= now) {
            *again_at = now + ANSWER;
            messages.push(message.clone());
        }
        for batch in messages.chunks(5) {
            self.write(session, &json!({"action": "send", "messages": batch}));
            if self.world.strikes(Fault::Resend) {
                self.write(session, &json!({"action": "send", "messages": batch}));
            }
        }
    }

    /// Reads a frame. Answers whether the connection was displaced.
    fn read(&mut self, session: &mut Session, frame: &str) -> bool {
        match ServerFrame::parse(frame) {
            Some(ServerFrame::Accepted { ids, refused, .. }) => {
                lock(&self.world.facts).accepted(&self.habits.address.user, &ids);
                for id in ids {
                    self.unanswered.remove(&id);
                }
                for refusal in refused.iter().filter(|refusal| refusal.code != Code::Unavailable) {
                    let id = refusal.id.as_deref().and_then(|id| id.parse::<MessageId>().ok());
                    let sent = id.and_then(|id| self.unanswered.remove(&id));
                    // Who was removed from the group meanwhile may not write to it any more.
                    let is_removed = refusal.code == Code::NotAMember
                        && sent.is_none_or(|(message, _)| message["to"]["group"].is_string());
                    if !is_removed {
                        self.world.violate(|| format!("a good message was refused: {refusal:?}"));
                    }
                }
            }
            Some(ServerFrame::Messages { messages, more, .. }) => {
                if more == Some(true)
                    && let Some(last) = messages.last()
                {
                    self.write(session, &json!({"action": "sync", "after": last.reference}));
                } else if more == Some(false) {
                    session.sync_at = None;
                }
                self.show(session, &messages);
            }
            Some(ServerFrame::Drained { .. }) => session.sync_at = None,
            Some(ServerFrame::Error { code: Code::Displaced, .. }) => return true,
            // Its acks are sent again when their messages come again.
            Some(ServerFrame::Error { code: Code::Unavailable, .. } | ServerFrame::Pong { .. }) | None => {}
            Some(ServerFrame::Error { code, detail, .. }) => {
                self.world.violate(|| format!("a good frame was refused: {code:?}, {detail}"));
            }
        }
        false
    }

    fn show(&self, session: &mut Session, messages: &[Delivery]) {
        let (world, address) = (&self.world, &self.habits.address);
        for message in messages {
            let shown = lock(&world.facts).show(address, message);
            match shown {
                Ok(news) => world
                    .tell(|| format!("{address:?} {} {}", if news { "shows" } else { "has shown" }, message.reference)),
                Err(wrong) => world.violate(|| wrong),
            }
            if let Some(id) = attachment_of(message.reference.id)
                && !world.attachments.is_open(id, &address.user)
            {
                world.violate(|| format!("{address:?} may not have what {} names", message.reference));
            }
        }
        if self.habits.mute || messages.is_empty() {
            return;
        }
        let refs: Vec<Ref> = messages.iter().map(|message| message.reference.clone()).collect();
        let late = world.strikes(Fault::LateAck);
        let delay = Duration::from_millis(world.draw(if late { 5_000..180_000 } else { 10..500 }));
        // Sometimes it is read as well, later or at once. Each telling is a message more, so that this costs seeds.
        let (first, second) = match world.draw(0..12) {
            0 => ("ack", Some("read")),
            1 => ("read", None),
            _ => ("ack", None),
        };
        session.acks.push((world.elapsed() + delay, first, refs.clone()));
        if let Some(second) = second {
            session.acks.push((world.elapsed() + delay * 3, second, refs.clone()));
        }
        if world.strikes(Fault::DoubleAck) {
            session.acks.push((world.elapsed() + delay * 2, first, refs));
        }
    }

    fn write(&self, session: &mut Session, frame: &Value) {
        session.ping_at = self.world.elapsed() + PING;
        let (world, functions) = (Arc::clone(&self.world), Arc::clone(&self.functions));
        tokio::spawn(Sockets::frame(world, functions, session.id.clone(), frame.to_string()));
    }
}
