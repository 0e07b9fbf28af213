//! A local cloud of a test's own, with waits of a second, and what can be seen of it from outside.

use std::time::Duration;

use local::{Limits, Options, Running, SigningKey, Summary};
use protocol::{MessageId, UserId};
use serde_json::Value;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::socket::Socket;

/// Longest wait for anything that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Deployment {
    running: Running,
    options: Options,
    key: SigningKey,
    data: TempDir,
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut options = Options {
            port: 0,
            data: data.path().to_owned(),
            memory: true,
            waits: "1,1,1,1".parse().expect("waits"),
            wake_interval: Duration::from_secs(2),
            limits: Limits::default(),
            ..Options::default()
        };
        change(&mut options);
        let running = local::start(options.clone()).await.expect("a local cloud");
        let key = SigningKey::load_or_create(data.path()).expect("a key");
        Self { running, options, key, data }
    }

    /// The same again, after a shutdown.
    pub(crate) async fn restarted(self) -> Self {
        self.running.shutdown().await;
        let running = local::start(self.options.clone()).await.expect("a local cloud");
        Self { running, ..self }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.ready.http)
    }

    pub(crate) fn ws(&self) -> &str {
        &self.running.ready.ws
    }

    pub(crate) fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    pub(crate) fn token(&self, user: &str) -> String {
        let user: UserId = user.parse().expect("a user");
        let now = lambda::start::invocation().now;
        self.key.token(&user, Duration::from_secs(3_600), now).expect("a token")
    }

    pub(crate) async fn connect(&self, user: &str, device: &str) -> Socket {
        Socket::open(self.ws(), &format!("device={device}"), Some(&self.token(user))).await.expect("a connection")
    }

    /// The HTTP status that refuses a connection.
    pub(crate) async fn refusal(&self, query: &str, token: Option<&str>) -> StatusCode {
        match Socket::open(self.ws(), query, token).await {
            Err(Error::Http(response)) => response.status(),
            Err(other) => panic!("refused without a status: {other}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    /// Makes a group of these, its maker among them.
    pub(crate) async fn create_group(&self, maker: &str, group: &str, others: &[&str]) {
        let request = reqwest::Client::new().put(self.url(&format!("/v1/groups/{group}")));
        let body = serde_json::json!({"name": group, "users": others}).to_string();
        let response = request.bearer_auth(self.token(maker)).body(body).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 201);
    }

    pub(crate) async fn shutdown(self) -> Summary {
        self.running.shutdown().await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = reqwest::get(self.url(path)).await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> String {
        let request = reqwest::Client::new().post(self.url(path)).body(body.to_string());
        let response = request.send().await.expect("an answer");
        assert!(response.status().is_success(), "{body}: {}", response.status());
        response.text().await.expect("a body")
    }

    /// Makes the local cloud misbehave as AWS may.
    pub(crate) async fn change_faults(&self, change: &Value) {
        self.post("/_local/faults", change).await;
    }

    /// The refs that are pending for a device, or unclaimed under `*`.
    pub(crate) async fn inbox(&self, user: &str, device: &str) -> Vec<String> {
        let refs = self.get(&format!("/_local/inbox/{user}/{device}")).await;
        refs.as_array().expect("a list").iter().map(|one| one.as_str().expect("a ref").to_owned()).collect()
    }

    /// The wakes of a user.
    pub(crate) async fn pushes(&self, user: &str) -> Vec<Value> {
        let pushes = self.get("/_local/pushes").await;
        pushes.as_array().expect("a list").iter().filter(|push| push["user"] == user).cloned().collect()
    }

    /// Asks again and again until the answer satisfies, or the deadline names what was waited for.
    pub(crate) async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> T, satisfies: impl Fn(&T) -> bool) -> T {
        let poll = async {
            loop {
                let answer = ask().await;
                if satisfies(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, poll).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    pub(crate) async fn until_pending(&self, user: &str, device: &str, count: usize) -> Vec<String> {
        let what = format!("{count} pending envelopes of {user}/{device}");
        self.until(&what, async || self.inbox(user, device).await, |refs| refs.len() == count).await
    }
}

/// A new message id.
pub(crate) fn new_id() -> MessageId {
    MessageId::new(uuid::Uuid::now_v7()).expect("version 7")
}
