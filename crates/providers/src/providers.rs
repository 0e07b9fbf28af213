//! All services behind one listener, and what a test or a local cloud asks of them. What a request is answered is decided by each service.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::Timestamp;
use tokio::task::JoinHandle;

use crate::apns::{self, Apns};
use crate::faults::{Fault, Faults, Times, Whom};
use crate::fcm::{self, Fcm};
use crate::journal::{Entry, Journal};
use crate::received::{Log, Received, Service};
use crate::tls::{self, TlsError};
use crate::web_push::{self, Subscription, WebPush};

/// The stand-ins of all push services. They serve until this is dropped.
#[derive(Debug)]
pub struct Providers {
    shared: Arc<Shared>,
    root_certificate: String,
    server: Handle<SocketAddr>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

/// The stand-ins could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not possible to listen there.
    #[error(
        "cannot listen on 127.0.0.1:{port}: stop what listens there, or choose another port (0 takes any free one)"
    )]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// What is kept over a restart cannot be read or written.
    #[error(
        "{path} cannot be used: delete it, and the stand-ins of the push services know nobody who was registered before",
        path = .path.display()
    )]
    Kept {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate for the push services: {cause}")]
    Certificate {
        /// Why not.
        cause: String,
    },
}

/// What every request needs.
pub(crate) struct Shared {
    /// `https://localhost:PORT`.
    pub(crate) origin: String,
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) faults: Faults,
    pub(crate) received: Log,
    pub(crate) apns: Apns,
    pub(crate) fcm: Fcm,
    pub(crate) web_push: WebPush,
}

impl Providers {
    /// Serves on 127.0.0.1 at `port`, or at any free one if it is 0. Nothing is kept. It needs a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError::Listen`] when the port is taken, [`StartError::Certificate`] when no key can be made.
    pub async fn start(port: u16) -> Result<Self, StartError> {
        Self::start_at(port, system_time).await
    }

    /// The same with a clock of the caller's, by which everything is judged but the certificate.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_at(
        port: u16,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let listener = listen(port).map_err(|source| StartError::Listen { port, source })?;
        let journal = Arc::new(Journal::of_memory());
        let web_push = WebPush::new(&journal, &[]).expect("what was not kept are no bad keys");
        Self::serve(listener, clock, Apns::new(&journal, &[]), Fcm::new(&journal, &[]), web_push)
    }

    /// The same at the port where it was last, if that is free, and otherwise at any free one. Who is registered stays so over restarts, and
    /// the key of Web Push is the same; the file at `path`, which is made if need be, holds both. Endpoints of Web Push name the port, so
    /// where it is another one they lead nowhere.
    ///
    /// # Errors
    /// As [`Self::start`], and [`StartError::Kept`] when the file cannot be used.
    pub async fn start_kept(
        path: &Path,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let unusable = |source| StartError::Kept { path: path.to_owned(), source };
        let (journal, kept) = Journal::open(path).map_err(unusable)?;
        let before =
            kept.iter().rev().find_map(|entry| if let Entry::Port { port } = entry { Some(*port) } else { None });
        let listener = match before.map(|port| (port, listen(port))) {
            Some((_, Ok(listener))) => listener,
            Some((port, Err(error))) => {
                tracing::warn!(port, %error, "the stand-ins of the push services need another port: endpoints of Web Push lead nowhere");
                listen(0).map_err(|source| StartError::Listen { port: 0, source })?
            }
            None => listen(0).map_err(|source| StartError::Listen { port: 0, source })?,
        };
        let port = listener.local_addr().map_err(|source| StartError::Listen { port: 0, source })?.port();
        if before != Some(port) {
            journal.keep(&Entry::Port { port });
        }
        let journal = Arc::new(journal);
        let no_keys = || unusable(io::Error::new(io::ErrorKind::InvalidData, "a key in it is none"));
        let web_push = WebPush::new(&journal, &kept).ok_or_else(no_keys)?;
        Self::serve(listener, clock, Apns::new(&journal, &kept), Fcm::new(&journal, &kept), web_push)
    }

    fn serve(
        listener: TcpListener,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        apns: Apns,
        fcm: Fcm,
        web_push: WebPush,
    ) -> Result<Self, StartError> {
        let unusable = |source| StartError::Listen { port: 0, source };
        let origin = format!("https://localhost:{}", listener.local_addr().map_err(unusable)?.port());
        let (tls, root_certificate) = tls::make(system_time())?;
        let shared = Arc::new(Shared {
            origin,
            clock: Box::new(clock),
            faults: Faults::default(),
            received: Log::new(),
            apns,
            fcm,
            web_push,
        });
        let routes = Router::new()
            .merge(apns::routes())
            .merge(fcm::routes())
            .merge(web_push::routes())
            .with_state(Arc::clone(&shared));
        let server = Handle::new();
        let serving = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(Arc::new(tls)))
            .map_err(unusable)?
            .handle(server.clone())
            .serve(routes.into_make_service());
        let serving = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(error = &error as &dyn std::error::Error, "the stand-ins of the push services ended");
            }
        });
        Ok(Self { shared, root_certificate, server, serving: Mutex::new(Some(serving)) })
    }

    /// Stops serving. The port is free when this returns.
    pub async fn stop(&self) {
        self.server.shutdown();
        let serving = lock(&self.serving).take();
        if let Some(serving) = serving {
            // It only ends.
            let _ = serving.await;
        }
    }

    /// Where they are: `https://localhost:PORT`, the base of FCM's and APNs' paths.
    pub fn url(&self) -> String {
        self.shared.origin.clone()
    }

    /// The certificate of the authority that signed theirs, in PEM.
    pub fn root_certificate(&self) -> &str {
        &self.root_certificate
    }

    /// The secret for FCM: a service account as Google gives it, whose `token_uri` is here. The first time takes a while, for an RSA key.
    pub fn fcm_credentials(&self) -> String {
        self.shared.fcm.credentials(&self.shared.origin)
    }

    /// The secret for APNs: `{"key_id","team_id","key","sandbox"}`, `key` being a P-256 key in PKCS#8 PEM.
    pub fn apns_credentials(&self) -> String {
        self.shared.apns.credentials()
    }

    /// The secret of an application server for Web Push: `{"private_key","subject"}`.
    pub fn vapid_credentials(&self) -> String {
        self.shared.web_push.credentials()
    }

    /// The public key of the application server, an uncompressed point in base64url: what a page gives to the browser as
    /// `applicationServerKey`.
    pub fn vapid_public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.shared.web_push.public_key())
    }

    /// Makes new credentials for a service. Of FCM and APNs the old ones, and what was had by them, are good for nothing from now on. A
    /// subscription of Web Push goes on to take the key that it was made for, and that one alone, as in a browser.
    pub fn rotate(&self, service: Service) {
        match service {
            Service::Fcm => self.shared.fcm.rotate(),
            Service::Apns => self.shared.apns.rotate(),
            Service::WebPush => self.shared.web_push.rotate(),
        }
    }

    /// An app with the bundle id `topic` that registers with APNs: its device token, in hexadecimal digits.
    pub fn register_apns(&self, topic: &str) -> String {
        self.shared.apns.register(topic)
    }

    /// An app that registers with FCM: its registration token.
    pub fn register_fcm(&self) -> String {
        self.shared.fcm.register()
    }

    /// A browser that subscribes for the key of [`Self::vapid_credentials`], as browsers do.
    pub fn subscribe(&self) -> Subscription {
        self.shared.web_push.subscribe(&self.shared.origin, Some(self.shared.web_push.public_key()))
    }

    /// A browser that subscribes without a key, so that anybody may push.
    pub fn subscribe_for_anybody(&self) -> Subscription {
        self.shared.web_push.subscribe(&self.shared.origin, None)
    }

    /// Every push that was taken, oldest first; of more than 10,000 the newest.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.all()
    }

    /// The same, once there are `count`, at most 10,000. It waits for them without an end.
    pub async fn received_at_least(&self, count: usize) -> Vec<Received> {
        self.shared.received.at_least(count).await
    }

    /// Makes a service or a target misbehave. Faults of the same are met in the order in which they were set.
    pub fn misbehave(&self, whom: Whom, fault: Fault, times: Times) {
        match whom {
            Whom::Target(target) if fault == Fault::Unregistered => self.unregister(&target),
            whom => self.shared.faults.set(whom, fault, times),
        }
    }

    /// Ends all faults of `whom`. A target that is gone stays so.
    pub fn behave(&self, whom: &Whom) {
        self.shared.faults.end(whom);
    }

    fn unregister(&self, target: &str) {
        self.shared.fcm.unregister(target);
        self.shared.apns.unregister(target, (self.shared.clock)());
        self.shared.web_push.unsubscribe(&self.shared.origin, target);
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.server.shutdown();
    }
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> Self {
        Self::Certificate { cause: error.to_string() }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.origin)
    }
}

/// What `mutex` guards. It is good even after a panic: each change is one statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[expect(clippy::disallowed_methods, reason = "the edge: whoever starts the stand-ins may give another clock")]
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(0).plus(since)
}
