//! The members of a group, each a real client that acks what it shows. The first of them writes.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use client::{Client, Event, Events, Options, TokenSource};
use local::SigningKey;
use protocol::limits::MAX_USERS_PER_CHANGE;
use protocol::{Body, Kind, MessageId, Recipient};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};

use crate::Outcome;

/// Everybody is there by then, and has shown a message, or never.
const PATIENCE: Duration = Duration::from_secs(240);

/// Clients that connect at a time: a crowd that comes at once is another measurement.
const AT_A_TIME: usize = 32;

const GROUP: &str = "everybody";

/// When a message was where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) accepted: Duration,
    /// By half of the recipients.
    pub(crate) half: Duration,
    pub(crate) last: Duration,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, half, last } = self;
        let millis = |time: &Duration| time.as_millis();
        write!(f, "accepted {} ms, half {} ms, last {} ms", millis(accepted), millis(half), millis(last))
    }
}

/// What a member has seen.
enum Seen {
    Drained,
    Accepted(MessageId),
    Message(MessageId),
}

pub(crate) struct Members {
    clients: Vec<Client>,
    seen: UnboundedReceiver<(Instant, Seen)>,
}

impl Members {
    /// Makes a group of so many and waits until all of them are connected and drained.
    pub(crate) async fn connect(ws: &str, http: &str, data: &Path, count: usize) -> Outcome<Self> {
        let key = SigningKey::load_or_create(data)?;
        let users: Vec<String> = (0..count).map(|number| format!("user{number}")).collect();
        let token = |user: &str| -> Outcome<String> {
            Ok(key.token(&user.parse()?, Duration::from_secs(86_400), client::now())?)
        };
        make_group(http, &token(&users[0])?, &users).await?;
        let (tell, seen) = unbounded_channel();
        let mut members = Self { clients: Vec::with_capacity(count), seen };
        for users in users.chunks(AT_A_TIME) {
            for user in users {
                let options = Options::new(ws, &"phone".parse()?, TokenSource::fixed(token(user)?))?;
                let (client, events) = Client::connect(options);
                members.clients.push(client);
                tokio::spawn(live(events, tell.clone()));
            }
            for _ in users {
                members.until(|seen| matches!(seen, Seen::Drained)).await?;
            }
        }
        Ok(members)
    }

    /// Sends a message to the group and waits until every other member has shown it.
    pub(crate) async fn send(&mut self) -> Outcome<Shown> {
        let recipients = self.clients.len() - 1;
        let sent = Instant::now();
        let message = self.clients[0].send(Recipient::Group(GROUP.parse()?), Body::text(&"x".repeat(200)))?;
        let mut accepted = None;
        let mut times = Vec::with_capacity(recipients);
        while times.len() < recipients || accepted.is_none() {
            let of_this = |seen: &Seen| matches!(seen, Seen::Accepted(id) | Seen::Message(id) if *id == message);
            match self.until(of_this).await? {
                (at, Seen::Message(_)) => times.push(at - sent),
                (at, _) => accepted = Some(at - sent),
            }
        }
        times.sort_unstable();
        let (half, last) = (times[recipients / 2], times[recipients - 1]);
        Ok(Shown { accepted: accepted.ok_or("it was never accepted")?, half, last })
    }

    /// The next thing like this that a member sees.
    async fn until(&mut self, is_it: impl Fn(&Seen) -> bool) -> Outcome<(Instant, Seen)> {
        let found = async {
            loop {
                let (at, seen) = self.seen.recv().await?;
                if is_it(&seen) {
                    return Some((at, seen));
                }
            }
        };
        let found = timeout(PATIENCE, found).await.map_err(|_| "a member has waited for four minutes")?;
        found.ok_or_else(|| "every member has ended".into())
    }
}

/// Acks by showing.
async fn live(mut events: Events, tell: UnboundedSender<(Instant, Seen)>) {
    while let Some(event) = events.next().await {
        let seen = match event {
            Event::Drained => Seen::Drained,
            Event::Accepted { id, .. } => Seen::Accepted(id),
            Event::Message(message) if message.kind == Kind::Message => Seen::Message(message.id),
            Event::Message(_)
            | Event::Connected
            | Event::Disconnected { .. }
            | Event::Stale { .. }
            | Event::Refused { .. }
            | Event::Displaced
            | Event::Fatal(_) => continue,
        };
        if tell.send((Instant::now(), seen)).is_err() {
            return;
        }
    }
}

async fn make_group(http: &str, token: &str, users: &[String]) -> Outcome<()> {
    let group = format!("{http}/v1/groups/{GROUP}");
    let http = reqwest::Client::new();
    let ask = async |method: reqwest::Method, url: &str, body: Value| -> Outcome<()> {
        let request = http.request(method, url).bearer_auth(token).body(body.to_string());
        request.send().await?.error_for_status()?;
        Ok(())
    };
    ask(reqwest::Method::PUT, &group, json!({"name": "Everybody", "users": []})).await?;
    for users in users[1..].chunks(MAX_USERS_PER_CHANGE) {
        ask(reqwest::Method::POST, &format!("{group}/members"), json!({"users": users})).await?;
    }
    Ok(())
}
