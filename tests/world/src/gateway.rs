//! API Gateway: sockets that open late, go dead, are cut and closed, requests that are lost, and the events that follow. What a frame says is not known here,
//! but for its route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery::{Address, Connection, ConnectionId, Dialect, PostOutcome};
use protocol::UserId;
use protocol::limits::{CONNECTION_LIFETIME, IDLE_TIMEOUT};
use serde_json::Value;
use testkit::events::{http, websocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::fault::{Fault, Service};
use crate::functions::{Function, Functions};
use crate::lock;
use crate::old_client::{self, Told};
use crate::world::World;

/// How often it is looked for sockets that are idle or at the end of their life.
const SWEEP: Duration = Duration::from_secs(15);

/// A connection that is older has been drained, if anything could go wrong no more.
const SETTLED: Duration = Duration::from_secs(15);

/// What a client gets from its socket.
#[derive(Debug)]
pub(crate) enum FromServer {
    Frame(String),
    /// The other side closed it.
    Closed,
    /// The network is gone; the other side may not know.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Closed,
}

#[derive(Debug)]
struct Socket {
    address: Address,
    connection: Connection,
    phase: Phase,
    /// Nobody is at the other end any more.
    dead: bool,
    used_at: Duration,
    client: UnboundedSender<FromServer>,
}

#[derive(Debug, Default)]
pub(crate) struct Sockets {
    all: Mutex<BTreeMap<ConnectionId, Socket>>,
    count: Mutex<u32>,
    closed: Mutex<Vec<(Address, Connection)>>,
    /// That there is something in `closed`.
    closing: tokio::sync::Notify,
}

impl Sockets {
    /// Opens a socket, if `connect` lets it in.
    pub(crate) async fn open(
        world: &World,
        functions: &Functions,
        address: &Address,
        dialect: Dialect,
    ) -> Option<(ConnectionId, UnboundedReceiver<FromServer>)> {
        world.pause(5..100).await;
        if world.is_down(Service::Gateway) || world.strikes(Fault::Throttle) {
            return None;
        }
        let sockets = &world.sockets;
        let (client, received) = unbounded_channel();
        let id: ConnectionId = {
            let mut count = lock(&sockets.count);
            *count += 1;
            format!("c{}", *count).as_str().into()
        };
        let connection = Connection { id: id.clone(), connected_at: world.now(), dialect };
        let (phase, used_at) = (Phase::Opening, world.elapsed());
        let socket =
            Socket { address: address.clone(), connection: connection.clone(), phase, dead: false, used_at, client };
        lock(&sockets.all).insert(id.clone(), socket);
        let event = event("$connect", address, &connection, None);
        let answer = functions.invoke(Function::Connect, event, 0).await.answer;
        let welcome = answer.is_some_and(|answer| answer["statusCode"] == 200);
        world.pause(1..60).await;
        let mut all = lock(&sockets.all);
        let socket = all.get_mut(&id)?;
        socket.phase = if welcome && socket.phase == Phase::Opening { Phase::Open } else { Phase::Closed };
        let open = socket.phase == Phase::Open;
        world.tell(|| format!("{address:?} {} {id}", if open { "is connected by" } else { "is refused on" }));
        open.then_some((id, received))
    }

    /// Takes a frame of a client, and sends back what its route answers.
    pub(crate) async fn frame(world: Arc<World>, functions: Arc<Functions>, id: ConnectionId, frame: String) {
        world.pause(5..80).await;
        if world.is_down(Service::Gateway) {
            return;
        }
        if world.strikes(Fault::LostFrame) {
            if world.draw(0..2) == 0 {
                world.sockets.lose(&world, &id);
            }
            return;
        }
        let Some((address, connection)) = world.sockets.take(&world, &id) else { return };
        let action = serde_json::from_str::<Value>(&frame).unwrap_or_default()["action"].clone();
        let route = action
            .as_str()
            .filter(|action| ["send", "ack", "read", "sync", "device", "ping"].contains(action))
            .unwrap_or("$default");
        if route == "ping" {
            return;
        }
        let event = event(route, &address, &connection, Some(&frame));
        let answer = functions.invoke(Function::Route, event, 0).await.answer.unwrap_or_default();
        if let Some(body) = answer["body"].as_str().filter(|_| !["ack", "read"].contains(&route)) {
            world.pause(1..30).await;
            world.sockets.deliver(&id, body);
        }
    }

    /// The connection of a frame that has arrived.
    fn take(&self, world: &World, id: &ConnectionId) -> Option<(Address, Connection)> {
        let mut all = lock(&self.all);
        let socket = all.get_mut(id).filter(|socket| socket.phase == Phase::Open && !socket.dead)?;
        socket.used_at = world.elapsed();
        Some((socket.address.clone(), socket.connection.clone()))
    }

    fn deliver(&self, id: &ConnectionId, frame: &str) {
        if let Some(socket) = lock(&self.all).get(id).filter(|socket| socket.phase == Phase::Open && !socket.dead) {
            // A client that has gone does not read any more.
            drop(socket.client.send(FromServer::Frame(frame.to_owned())));
        }
    }

    pub(crate) fn post(&self, world: &World, id: &ConnectionId, frame: &str) -> PostOutcome {
        if self.is_open(id) && world.strikes(Fault::DeadSocket) {
            self.lose(world, id);
        }
        let mut all = lock(&self.all);
        let Some(socket) = all.get_mut(id).filter(|socket| socket.phase == Phase::Open) else {
            world.tell(|| format!("finds {id} gone"));
            return PostOutcome::Gone;
        };
        socket.used_at = world.elapsed();
        if socket.connection.dialect != Dialect::Current {
            note_posted_once(world, &socket.address, frame);
        }
        world.tell(|| format!("posts to {id}{}: {frame}", if socket.dead { ", which is dead" } else { "" }));
        if !socket.dead {
            drop(socket.client.send(FromServer::Frame(frame.to_owned())));
        }
        PostOutcome::Posted
    }

    /// The network of a socket goes; the client notices some time later, the gateway does not.
    pub(crate) fn lose(&self, world: &World, id: &ConnectionId) {
        let mut all = lock(&self.all);
        let Some(socket) = all.get_mut(id).filter(|socket| !socket.dead) else { return };
        socket.dead = true;
        world.tell(|| format!("{id} goes dead"));
        let (client, notices) = (socket.client.clone(), Duration::from_secs(world.draw(1..90)));
        tokio::spawn(async move {
            sleep(notices).await;
            drop(client.send(FromServer::Lost));
        });
    }

    /// Nobody is at the client's end any more, and nobody tells the gateway.
    pub(crate) fn abandon(&self, id: &ConnectionId) {
        if let Some(socket) = lock(&self.all).get_mut(id) {
            socket.dead = true;
        }
    }

    /// Closes a socket, whoever wants it closed.
    pub(crate) fn close(&self, world: &World, id: &ConnectionId) {
        let mut all = lock(&self.all);
        let Some(socket) = all.get_mut(id).filter(|socket| socket.phase != Phase::Closed) else { return };
        world.tell(|| format!("{id} is closed"));
        // One that was not let in yet had no connection to lose.
        let was_open = socket.phase == Phase::Open;
        socket.phase = Phase::Closed;
        if !socket.dead {
            drop(socket.client.send(FromServer::Closed));
        }
        if was_open {
            lock(&self.closed).push((socket.address.clone(), socket.connection.clone()));
            self.closing.notify_one();
        }
    }

    /// Whose connection it is.
    pub(crate) fn user(&self, id: &ConnectionId) -> Option<UserId> {
        lock(&self.all).get(id).map(|socket| socket.address.user.clone())
    }

    pub(crate) fn is_open(&self, id: &ConnectionId) -> bool {
        lock(&self.all).get(id).is_some_and(|socket| socket.phase == Phase::Open)
    }

    /// Whether all of these are connected, and nobody is just coming or going.
    pub(crate) fn at_rest(&self, world: &World, present: &BTreeSet<Address>) -> bool {
        let all = lock(&self.all);
        let mut live = all.values().filter(|socket| socket.phase != Phase::Closed);
        let connected: BTreeSet<&Address> = live.clone().map(|socket| &socket.address).collect();
        present.iter().all(|address| connected.contains(address))
            && live.all(|socket| {
                let age = world.now().since(socket.connection.connected_at);
                socket.phase == Phase::Open && !socket.dead && age > SETTLED && age < CONNECTION_LIFETIME - SWEEP * 2
            })
    }

    /// Runs `$disconnect` for what was closed, sooner, later or never.
    pub(crate) async fn serve(world: Arc<World>, functions: Arc<Functions>) {
        loop {
            world.sockets.closing.notified().await;
            let closed = std::mem::take(&mut *lock(&world.sockets.closed));
            for (address, connection) in closed {
                if world.strikes(Fault::LostDisconnect) {
                    continue;
                }
                let late = world.strikes(Fault::LateDisconnect);
                let (world, functions) = (Arc::clone(&world), Arc::clone(&functions));
                tokio::spawn(async move {
                    world.pause(if late { 1_000..600_000 } else { 10..500 }).await;
                    let event = event("$disconnect", &address, &connection, None);
                    functions.invoke(Function::Connect, event, 0).await;
                });
            }
        }
    }

    /// Cuts what is idle or at the end of its life.
    pub(crate) async fn sweep(world: Arc<World>) {
        loop {
            sleep(SWEEP).await;
            let (now, time) = (world.elapsed(), world.now());
            let over: Vec<ConnectionId> = lock(&world.sockets.all)
                .values()
                .filter(|socket| socket.phase == Phase::Open)
                .filter(|socket| {
                    now.saturating_sub(socket.used_at) > IDLE_TIMEOUT
                        || time.since(socket.connection.connected_at) >= CONNECTION_LIFETIME
                })
                .map(|socket| socket.connection.id.clone())
                .collect();
            for id in over {
                world.sockets.close(&world, &id);
            }
        }
    }
}

/// Asks the HTTP API on behalf of a device: the body of a good answer, as text; `None` if there was none. Nothing that a device asks is refused.
pub(crate) async fn ask(
    world: &World,
    functions: &Functions,
    address: &Address,
    method: &str,
    path: &str,
    query: &str,
    body: Option<Value>,
) -> Option<Value> {
    world.pause(5..80).await;
    if world.is_down(Service::Gateway) || world.strikes(Fault::LostFrame) {
        return None;
    }
    let event = http(&address.user, method, path, query, body.as_ref());
    let answer = functions.invoke(Function::Http, event, 0).await.answer?;
    if world.strikes(Fault::LostFrame) {
        return None;
    }
    world.pause(1..30).await;
    match answer["statusCode"].as_u64() {
        Some(200..300) => Some(answer["body"].clone()),
        Some(500..) => None,
        _ => {
            world.violate(|| format!("{method} {path} of {address:?} was refused: {answer}"));
            None
        }
    }
}

/// An event of the API. Every old client wants to know what is accepted.
fn event(route: &str, address: &Address, connection: &Connection, body: Option<&str>) -> Value {
    let mut event = websocket(route, address, connection, body);
    if connection.dialect != Dialect::Current {
        event["requestContext"]["authorizer"]["acks"] = "true".into();
    }
    event
}

/// A notification that is posted to an old client counts as acked.
fn note_posted_once(world: &World, address: &Address, frame: &str) {
    if let Some(Told::Delivery(told)) = old_client::read(frame)
        && told.is_notification
    {
        let mut facts = lock(&world.facts);
        if let Some(id) = facts.named_by_old(&told.from, &told.id) {
            facts.posted_once.insert((address.clone(), (told.from, id)));
        }
    }
}
