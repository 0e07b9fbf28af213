//! The clients: each writes to others, shows what it gets, and acks by showing. It is counted what was accepted and shown; why something
//! did not arrive is not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Client, Event, Options, TokenSource};
use fastrand::Rng;
use local::SigningKey;
use protocol::{Body, MessageId, Recipient, Sender, UserId};
use tokio::time::{Instant, sleep_until};

use crate::server::Server;
use crate::{Cli, Outcome};

/// A message is known by its sender and the sender's id for it.
type Name = (Sender, MessageId);

#[derive(Debug, Default)]
struct Counts {
    /// What was written, to whom, and whether it was accepted.
    written: BTreeMap<Name, (UserId, bool)>,
    shown: BTreeSet<(UserId, Name)>,
    shown_twice: usize,
    connects: usize,
}

/// How things stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    written: usize,
    shown: usize,
    connects: usize,
    /// Accepted and not shown.
    pub(crate) lost: usize,
    /// Written and neither accepted nor refused.
    pub(crate) unanswered: usize,
    pub(crate) shown_twice: usize,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} written, {} shown, {} not yet accepted, {} accepted and not shown, {} shown twice, {} connects",
            self.written, self.shown, self.unanswered, self.lost, self.shown_twice, self.connects
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    counts: Arc<Mutex<Counts>>,
    writing: Arc<AtomicBool>,
}

impl Crowd {
    /// Starts a client for each device.
    pub(crate) fn start(server: &Server, data: &Path, cli: &Cli, rng: &mut Rng) -> Outcome<Self> {
        let crowd = Self { counts: Arc::default(), writing: Arc::new(AtomicBool::new(true)) };
        let key = Arc::new(SigningKey::load_or_create(data)?);
        let users: Vec<UserId> = (0..cli.devices).map(|n| format!("user{n}").parse()).collect::<Result<_, _>>()?;
        let users = Arc::new(users);
        for user in users.iter() {
            let token = key.token(user, Duration::from_secs(86_400), client::now())?;
            let options = Options::new(&server.ws, &"phone".parse()?, TokenSource::fixed(token))?;
            let device = Device {
                user: user.clone(),
                users: Arc::clone(&users),
                crowd: crowd.clone(),
                pause: cli.pause,
                rng: rng.fork(),
            };
            tokio::spawn(device.live(options));
        }
        Ok(crowd)
    }

    /// Nobody writes any more; what was written is still sent.
    pub(crate) fn stop_writing(&self) {
        self.writing.store(false, Ordering::SeqCst);
    }

    pub(crate) fn standing(&self) -> Standing {
        let counts = self.counts();
        Standing {
            written: counts.written.len(),
            shown: counts.shown.len(),
            connects: counts.connects,
            lost: counts.missing().count(),
            unanswered: counts.written.values().filter(|(_, accepted)| !accepted).count(),
            shown_twice: counts.shown_twice,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        let standing = self.standing();
        standing.lost == 0 && standing.unanswered == 0
    }

    /// What was accepted and not shown.
    pub(crate) fn lost(&self) -> Vec<String> {
        self.counts().missing().map(|(name, to)| format!("{} from {} to {to}", name.1, name.0)).collect()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn missing(&self) -> impl Iterator<Item = (&Name, &UserId)> {
        let accepted = self.written.iter().filter(|(_, (_, accepted))| *accepted);
        accepted
            .filter(|(name, (to, _))| !self.shown.contains(&(to.clone(), (*name).clone())))
            .map(|(name, (to, _))| (name, to))
    }
}

struct Device {
    user: UserId,
    users: Arc<Vec<UserId>>,
    crowd: Crowd,
    pause: u64,
    rng: Rng,
}

impl Device {
    async fn live(mut self, options: Options) {
        let (client, mut events) = Client::connect(options);
        let mut writes_at = Instant::now();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.note(&event),
                    // It has ended, so what it owes will be found missing.
                    None => return,
                },
                () = sleep_until(writes_at) => {
                    self.write(&client);
                    writes_at = Instant::now() + Duration::from_millis(self.rng.u64(0..self.pause * 2));
                }
            }
        }
    }

    fn write(&mut self, client: &Client) {
        if !self.crowd.writing.load(Ordering::SeqCst) {
            return;
        }
        let to = self.users[self.rng.usize(0..self.users.len())].clone();
        // A full outbox takes nothing: then nothing was written.
        if let Ok(id) = client.send(Recipient::User(to.clone()), Body::text("hello")) {
            self.crowd.counts().written.insert((self.user.clone().into(), id), (to, false));
        }
    }

    fn note(&self, event: &Event) {
        let mut counts = self.crowd.counts();
        match event {
            Event::Connected => counts.connects += 1,
            Event::Message(message) => {
                let name = (message.from.clone(), message.id);
                if !counts.shown.insert((self.user.clone(), name)) {
                    counts.shown_twice += 1;
                }
            }
            Event::Accepted { id, .. } => {
                if let Some((_, accepted)) = counts.written.get_mut(&(self.user.clone().into(), *id)) {
                    *accepted = true;
                }
            }
            Event::Refused { id, code, detail } => println!("refused: {id} of {}: {code:?}, {detail}", self.user),
            Event::Displaced | Event::Fatal(_) => println!("{} has ended: {event:?}", self.user),
            Event::Disconnected { .. } | Event::Stale { .. } | Event::Drained => {}
        }
    }
}
