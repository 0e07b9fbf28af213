//! A run of the local cloud from its start to its shutdown: everything is made, wired, started, and ended here, and nothing is
//! decided.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws::meter::{Meter, Report};
use aws::{DynamoAttachments, DynamoDirectory, DynamoGroups, DynamoInbox, Tables};
use connect::{Authorizer, Connect, TokenRules};
use deliver::Deliver;
use notify::Notify;
use route::{Answers, Route};
use rusqlite::Connection;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::connections::LocalConnections;
use crate::dead_letters::DeadLetters;
use crate::dynamo::Database;
use crate::error::LocalError;
use crate::event_source::EventSource;
use crate::events::STAGE;
use crate::faults::Faults;
use crate::files::{FileStore, LocalFiles};
use crate::functions::{Function, Functions};
use crate::gateway::Gateway;
use crate::http::{Http, Peer, router};
use crate::lifecycle::{Lifecycle, Stage};
use crate::linger::LingeringListener;
use crate::options::Options;
use crate::push_services::PushServices;
use crate::pushes::Pushes;
use crate::signing::{AUDIENCE, SigningKey};
use crate::sqs::{Clock, LocalQueue, Spec, records};
use crate::storage;
use crate::topic::LocalTopic;
use crate::worker::Worker;

/// How many invocations of `deliver`, and of `notify`, run at a time.
const DELIVER_CONCURRENCY: usize = 8;
const NOTIFY_CONCURRENCY: usize = 2;

/// How often records that have outlived their retention are deleted.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// How often files of attachments that have had their time are deleted; they have weeks.
const FILE_EXPIRY_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How long closed connections and HTTP answers may take to end, after what was in hand.
const CLOSING: Duration = Duration::from_secs(3);

/// Where a run can be reached and how tokens for it are made: what `--json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// The socket.
    pub ws: String,
    /// The base of everything over HTTP.
    pub http: String,
    /// `iss` of its tokens.
    pub issuer: String,
    /// `aud` of its tokens.
    pub audience: String,
    /// Where its tokens' key is.
    pub jwks: String,
    /// The data folder.
    pub data: PathBuf,
}

/// What a run has done, told at its end.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What it would have cost.
    pub report: Report,
    /// How many messages were accepted.
    pub accepted: u64,
    /// How many invocations had not ended when the shutdown stopped waiting. Their records come again at the next start.
    pub unfinished: usize,
}

impl Summary {
    /// Dollars for a million messages at the rate of this run; `None` if none was accepted.
    #[expect(clippy::cast_precision_loss, reason = "a run accepts far fewer than 2^52 messages")]
    pub fn dollars_per_million(&self) -> Option<f64> {
        (self.accepted > 0).then(|| self.report.dollars() / self.accepted as f64 * 1_000_000.0)
    }
}

/// A local cloud that runs. Dropping it ends it as a kill would: nothing accepted is lost, but nobody is told.
#[derive(Debug)]
pub struct Running {
    /// Where it can be reached.
    pub ready: Ready,
    stage: watch::Sender<Stage>,
    lifecycle: Lifecycle,
    gateway: Arc<Gateway>,
    server: JoinHandle<io::Result<()>>,
    chores: JoinSet<()>,
    queues: Worker<Connection>,
    database: Database,
    push_services: PushServices,
    shutdown: Duration,
    _lock: Option<File>,
}

/// Starts a local cloud. It serves when this returns.
///
/// # Errors
/// When the address or the data folder is taken or cannot be used.
pub async fn start(options: Options) -> Result<Running, LocalError> {
    let listener = listen(SocketAddr::new(options.host, options.port)).await?;
    let address = listener
        .local_addr()
        .map_err(|source| LocalError::Listen { address: SocketAddr::new(options.host, options.port), source })?;
    let lock = if options.memory { None } else { Some(storage::lock(&options.data)?) };
    let key = SigningKey::load_or_create(&options.data)?;
    let data = std::path::absolute(&options.data)
        .map_err(|source| LocalError::Folder { folder: options.data.clone(), source })?;
    let ready = ready(address, data, key.issuer());

    let (stage, lifecycle) = Lifecycle::begin();
    let parts = Parts::make(&options, &ready, lifecycle.clone()).await?;
    let http = Http {
        gateway: Arc::clone(&parts.gateway),
        inbox: parts.inbox,
        pushes: parts.pushes,
        push_services: parts.push_services.clone(),
        dead_letters: parts.dead_letters,
        faults: Arc::clone(&parts.gateway.functions.faults),
        files: parts.files,
        key: Arc::new(key),
        reach: address.into(),
    };
    let draining = lifecycle.clone();
    let service = router(http).into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(LingeringListener(listener), service)
        .with_graceful_shutdown(async move { draining.reached(Stage::Draining).await });
    Ok(Running {
        ready,
        stage,
        lifecycle,
        gateway: parts.gateway,
        server: tokio::spawn(server.into_future()),
        chores: parts.chores,
        queues: parts.queues,
        database: parts.database,
        push_services: parts.push_services,
        shutdown: options.limits.shutdown,
        _lock: lock,
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, LocalError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => LocalError::AddressTaken { address },
        _ => LocalError::Listen { address, source },
    })
}

fn ready(listening: SocketAddr, data: PathBuf, issuer: &str) -> Ready {
    // Who listens everywhere is reached on loopback.
    let host = match listening.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    let address = SocketAddr::new(host, listening.port());
    let http = format!("http://{address}");
    Ready {
        ws: format!("ws://{address}/{STAGE}"),
        issuer: issuer.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks: format!("{http}/.well-known/jwks.json"),
        http,
        data,
    }
}

/// Everything that a run is made of, but for the server.
struct Parts {
    gateway: Arc<Gateway>,
    inbox: DynamoInbox,
    pushes: Pushes,
    push_services: PushServices,
    dead_letters: DeadLetters,
    files: LocalFiles,
    queues: Worker<Connection>,
    database: Database,
    chores: JoinSet<()>,
}

impl Parts {
    async fn make(options: &Options, ready: &Ready, lifecycle: Lifecycle) -> Result<Self, LocalError> {
        let (clock, meter, faults) = (Clock::machine(), Arc::<Meter>::default(), Arc::<Faults>::default());
        let folder: Option<&Path> = (!options.memory).then_some(options.data.as_path());
        let visibility = options.limits.visibility;
        let delivery = Spec { visibility, ..Spec::new("delivery", "delivery-dead-letters") };
        let wakes = Spec { visibility, ..Spec::new("wakes", "wakes-dead-letters") };
        let queues = storage::queues(folder, &[&delivery, &wakes], &clock)?;
        let tables = Tables { directory: "directory".to_owned(), inbox: "inbox".to_owned() };
        let (database, client) = storage::tables(folder, &tables).await?;

        let queue = |spec: &Spec| LocalQueue::new(queues.clone(), spec.clone(), clock.clone(), Arc::clone(&meter));
        let (delivery_queue, wake_queue) = (queue(&delivery), queue(&wakes));
        let dead_letters = DeadLetters { delivery: delivery_queue.clone(), wakes: wake_queue.clone() };
        let inbox = DynamoInbox::new(client.clone(), tables.inbox, Arc::clone(&meter));
        let directory = DynamoDirectory::new(client.clone(), tables.directory.clone(), Arc::clone(&meter));
        let groups = DynamoGroups::new(client.clone(), tables.directory.clone(), Arc::clone(&meter));
        let attachments = DynamoAttachments::new(client, tables.directory, Arc::clone(&meter));
        let files = LocalFiles::open(folder, &ready.http)?;
        let connections = LocalConnections::new(Arc::clone(&faults), Arc::clone(&meter));
        let pushes = Pushes::new(queues.clone());
        let push_services = PushServices::start(folder, clock.clone(), pushes.clone()).await?;
        let authorizer =
            Authorizer::new(token_rules(ready)).map_err(|error| LocalError::Authorizer { cause: error.to_string() })?;
        let answers = Answers {
            inbox: inbox.clone(),
            groups: groups.clone(),
            queue: delivery_queue.clone(),
            attachments: attachments.clone(),
        };
        let functions = Arc::new(Functions {
            connect: Connect {
                authorizer,
                directory: directory.clone(),
                queue: delivery_queue.clone(),
                connections: connections.clone(),
            },
            route: Route { answers: answers.clone(), directory: directory.clone(), connections: connections.clone() },
            deliver: Deliver {
                inbox: inbox.clone(),
                directory: directory.clone(),
                groups,
                queue: delivery_queue.clone(),
                connections: connections.clone(),
                offline: LocalTopic::new(wake_queue.clone(), Arc::clone(&meter)),
                attachments,
                waits: options.waits.clone(),
            },
            notify: Notify {
                inbox: inbox.clone(),
                directory: directory.clone(),
                queue: wake_queue.clone(),
                gateway: push_services.clone(),
                previews: true,
                interval: options.wake_interval,
            },
            http: http::Http {
                answers,
                directory,
                connections: connections.clone(),
                files: files.clone(),
                attachment_rules: options.attachments.clone(),
                vapid_public_key: Some(push_services.published.clone()),
            },
            timeout: options.limits.function_timeout,
            faults,
            meter,
            lifecycle,
        });

        let mut chores = JoinSet::new();
        let source = |queue, function| EventSource { queue, function, functions: Arc::clone(&functions) };
        chores.spawn(source(delivery_queue, Function::Deliver).poll(DELIVER_CONCURRENCY));
        chores.spawn(source(wake_queue, Function::Notify).poll(NOTIFY_CONCURRENCY));
        chores.spawn(database.clone().sweep());
        chores.spawn(expire(queues.clone(), [delivery, wakes], clock.clone()));
        chores.spawn(expire_files(files.store.clone(), options.attachments.lifetime.duration(), clock.clone()));
        let gateway = Arc::new(Gateway::new(functions, connections, options.limits.clone(), clock));
        Ok(Self { gateway, inbox, pushes, push_services, dead_letters, files, queues, database, chores })
    }
}

fn token_rules(ready: &Ready) -> TokenRules {
    TokenRules { jwks_url: ready.jwks.clone(), issuer: ready.issuer.clone(), audience: ready.audience.clone() }
}

/// Deletes records that have outlived their retention, until it is dropped.
async fn expire(queues: Worker<Connection>, specs: [Spec; 2], clock: Clock) {
    loop {
        tokio::time::sleep(EXPIRY_INTERVAL).await;
        for spec in specs.clone() {
            let now = clock.now();
            match queues.call(move |store| records::expire(store, &spec, now)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "expired records could not be deleted"),
                Err(error) => tracing::warn!(%error, "expired records could not be deleted"),
            }
        }
    }
}

/// Deletes files of attachments that have had their time, as the bucket's lifecycle rule does, until it is dropped.
async fn expire_files(store: FileStore, lifetime: Duration, clock: Clock) {
    loop {
        let (store, now) = (store.clone(), clock.now());
        match tokio::task::spawn_blocking(move || store.expire(lifetime, now)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "expired attachments could not be deleted"),
            Err(error) => tracing::warn!(%error, "a sweep of expired attachments ended early"),
        }
        tokio::time::sleep(FILE_EXPIRY_INTERVAL).await;
    }
}

impl Running {
    /// The switchboard of faults, which `/_local/faults` serves as well.
    pub fn faults(&self) -> &Faults {
        &self.gateway.functions.faults
    }

    /// Ends the run: no new connection, frame or record is taken, what is in hand is finished (for at most the limit), connections are
    /// closed with 1001, files are flushed. Records that wait are there at the next start.
    pub async fn shutdown(mut self) -> Summary {
        self.stage.send_replace(Stage::Draining);
        let drained = tokio::time::timeout(self.shutdown, self.lifecycle.invocations.none_left()).await;
        let unfinished = if drained.is_ok() { 0 } else { self.lifecycle.invocations.count() };
        self.stage.send_replace(Stage::Closing);
        let closed = async {
            self.lifecycle.sockets.none_left().await;
            self.lifecycle.invocations.none_left().await;
        };
        // Who does not let himself be closed in time is cut off by the end of the process.
        let _ = tokio::time::timeout(CLOSING, closed).await;
        if tokio::time::timeout(CLOSING, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.chores.shutdown().await;
        let _ = self.queues.call(|store| records::flush(store)).await;
        self.queues.stop().await;
        self.database.stop().await;
        // So that a start right after this one finds its port free.
        self.push_services.providers.stop().await;
        Summary { report: self.gateway.meter.report(), accepted: self.gateway.accepted(), unfinished }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}
