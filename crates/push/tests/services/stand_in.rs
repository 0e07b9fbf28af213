//! A server on loopback, over TLS with HTTP/2 or 1.1, that answers what it was told to and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use push::Setup;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server that stands in for a service.
pub(crate) struct StandIn {
    /// Where it is.
    pub(crate) url: Url,
    /// What to trust it by.
    pub(crate) root: String,
    seen: Arc<Seen>,
}

/// What a server was asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    answers: Mutex<VecDeque<Response<String>>>,
    asked: Mutex<Vec<Asked>>,
}

impl StandIn {
    /// One that gives these answers, in this order: status and body.
    pub(crate) async fn answering<const N: usize>(answers: [(u16, &str); N]) -> Self {
        let server = Self::start().await;
        answers.into_iter().for_each(|(status, body)| server.will_answer(status, &[], body));
        server
    }

    async fn start() -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the defaults")
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let seen = Arc::<Seen>::default();
        let service = TowerToHyperService::new(Router::new().fallback(answer).with_state(Arc::clone(&seen)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), service.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let connection = auto::Builder::new(TokioExecutor::new());
                    connection.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self { url: Url::parse(&url).expect("a URL"), root: certified.cert.pem(), seen }
    }

    pub(crate) fn will_answer(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        self.seen.answers.lock().expect("not poisoned").push_back(response.body(body.to_owned()).expect("a response"));
    }

    /// What it was asked, since this was asked last.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.seen.asked.lock().expect("not poisoned"))
    }

    /// A setup that trusts it and nothing more.
    pub(crate) fn setup(&self) -> Setup {
        Setup { root_certificate: Some(self.root.clone()), ..Setup::default() }
    }
}

async fn answer(State(seen): State<Arc<Seen>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 64 * 1024).await.expect("a body").to_vec();
    let asked = Asked { path: parts.uri.path().to_owned(), version: parts.version, headers: parts.headers, body };
    seen.asked.lock().expect("not poisoned").push(asked);
    let answer = seen.answers.lock().expect("not poisoned").pop_front();
    // A status that nobody waits for shows up in the test.
    answer.unwrap_or_else(|| Response::builder().status(418).body(String::new()).expect("a response")).map(Body::from)
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}
