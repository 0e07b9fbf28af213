//! All services behind one listener, and what a test or a local cloud asks of them. What a request is answered is decided by each service.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use protocol::Timestamp;

use crate::apns::{self, Apns};
use crate::faults::{Fault, Faults, Times, Whom};
use crate::fcm::{self, Fcm};
use crate::received::{Log, Received, Service};
use crate::tls::{self, TlsError};
use crate::web_push::{self, Subscription, WebPush};

/// The stand-ins of all push services. They serve until this is dropped.
#[derive(Debug)]
pub struct Providers {
    shared: Arc<Shared>,
    root_certificate: String,
    server: Handle<SocketAddr>,
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
    /// Serves on 127.0.0.1 at `port`, or at any free one if it is 0. It needs a Tokio runtime.
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
        let listen = |source| StartError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let origin = format!("https://localhost:{}", listener.local_addr().map_err(listen)?.port());
        let (tls, root_certificate) = tls::make(system_time())?;
        let shared = Arc::new(Shared {
            origin,
            clock: Box::new(clock),
            faults: Faults::default(),
            received: Log::new(),
            apns: Apns::new(),
            fcm: Fcm::default(),
            web_push: WebPush::new(),
        });
        let routes = Router::new()
            .merge(apns::routes())
            .merge(fcm::routes())
            .merge(web_push::routes())
            .with_state(Arc::clone(&shared));
        let server = Handle::new();
        let serving = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(Arc::new(tls)))
            .map_err(listen)?
            .handle(server.clone())
            .serve(routes.into_make_service());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(error = &error as &dyn std::error::Error, "the stand-ins of the push services ended");
            }
        });
        Ok(Self { shared, root_certificate, server })
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

#[expect(clippy::disallowed_methods, reason = "the edge: whoever starts the stand-ins may give another clock")]
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(0).plus(since)
}
