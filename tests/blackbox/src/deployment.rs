//! What a test knows of the deployment: where it is, how long it waits, where its wakes can be seen, and users of the test's own. What it
//! does there is not known here.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::device::Device;
use crate::frame::{Envelope, Frame, Messages};
use crate::http_api::{Answer, HttpApi};
use crate::latency::Latency;
use crate::options::Options;
use crate::socket::{DEADLINE, NotOpened, Socket};
use crate::target::Target;
use crate::token_command::{NoToken, TokenCommand};
use crate::waits::Waits;
use crate::wakes::{NoWakes, Pushes, Wake, Wakes};
use crate::webhook::{CannotListen, Webhook};

/// A deployment, as one test sees it.
#[derive(Clone, Debug)]
pub struct Deployment {
    known: Arc<Known>,
    /// What the ids of its users begin with.
    users: String,
}

#[derive(Debug)]
struct Known {
    url: Url,
    http: Option<HttpApi>,
    tokens: TokenCommand,
    target: Target,
    waits: Waits,
    wake_interval: Duration,
    wakes: Option<Wakes>,
    platform_endpoint: Option<String>,
    crowd: bool,
    latency: Latency,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// The webhook cannot listen.
    #[error(transparent)]
    CannotListen(#[from] CannotListen),
    /// Pushes cannot be asked for.
    #[error("--pushes {0}: {1}")]
    NoPushes(Url, NoWakes),
    /// An HTTP client cannot be set up.
    #[error("--pushes and --http cannot be asked: {0}")]
    NoClient(reqwest::Error),
    /// The HTTP API does not answer.
    #[error("--http {0}: {1}")]
    Unanswered(Url, reqwest::Error),
    /// The HTTP API does not take the token.
    #[error("--http {0}: a first request was answered {1}, with a token that opened a socket")]
    NotTaken(Url, u16),
    /// There is no token.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// Nothing answers.
    #[error("--url {0}: {1}")]
    NotOpened(Url, NotOpened),
}

impl Deployment {
    /// The deployment that the options name. Wakes are looked for from here on, unless the tests are only listed.
    ///
    /// # Errors
    /// When wakes cannot be looked for as the options say.
    pub(crate) async fn of(options: Options, listing: bool) -> Result<Self, Unusable> {
        let target = options.target();
        // Time alone would not tell two runs apart that begin together; what follows it in the id is random.
        let id = Uuid::now_v7().simple().to_string();
        let users = format!("bb-{}", &id[id.len() - 12..]);
        let wakes = match (options.pushes, options.webhook, options.webhook_secret) {
            (Some(url), ..) => Some(Wakes::Pushes(Pushes::at(url).map_err(Unusable::NoClient)?)),
            (None, Some(address), Some(secret)) if !listing => {
                Some(Wakes::Webhook(Webhook::listen(address, &secret, users.clone()).await?))
            }
            _ => None,
        };
        let known = Known {
            url: options.url,
            http: options.http.map(HttpApi::at).transpose().map_err(Unusable::NoClient)?,
            tokens: TokenCommand::new(options.token_command),
            target,
            waits: options.waits,
            wake_interval: options.wake_interval,
            wakes,
            platform_endpoint: options.platform_endpoint,
            crowd: options.crowd,
            latency: Latency::default(),
        };
        Ok(Self { known: Arc::new(known), users })
    }

    /// The same for the test with this number, whose users nobody else has.
    pub(crate) fn with_users_of(&self, test: usize) -> Self {
        Self { known: Arc::clone(&self.known), users: format!("{}-{test}", self.users) }
    }

    /// Gets a token, connects once and asks once, so that a wrong option is told once and not by every test.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) async fn try_out(&self) -> Result<(), Unusable> {
        let user = format!("{}-first", self.users);
        let token = self.known.tokens.token(&user).await?;
        let url = &self.known.url;
        let opened = Socket::open(&self.url("device=phone"), Some(&token)).await;
        drop(opened.map_err(|error| Unusable::NotOpened(url.clone(), error))?);
        if let Some(http) = &self.known.http {
            let asked = http.ask(Some(&token), "GET", "/v1/groups", &Value::Null).await;
            let answer = asked.map_err(|error| Unusable::Unanswered(http.url().clone(), error))?;
            if answer.status != 200 {
                return Err(Unusable::NotTaken(http.url().clone(), answer.status));
            }
        }
        if let Some(Wakes::Pushes(pushes)) = &self.known.wakes {
            pushes.all().await.map_err(|error| Unusable::NoPushes(pushes.url().clone(), error))?;
        }
        Ok(())
    }

    /// What kind of gateway it stands behind.
    pub fn target(&self) -> Target {
        self.known.target
    }

    /// Its waits for an ack.
    pub fn waits(&self) -> &Waits {
        &self.known.waits
    }

    /// Its shortest time between two wakes of a device.
    pub fn wake_interval(&self) -> Duration {
        self.known.wake_interval
    }

    /// Where it is noted how long messages took.
    pub fn latency(&self) -> &Latency {
        &self.known.latency
    }

    /// The URL with this query.
    pub fn url(&self, query: &str) -> Url {
        let mut url = self.known.url.clone();
        url.set_query((!query.is_empty()).then_some(query));
        url
    }

    /// Whether the options say where the HTTP API is.
    pub fn has_http(&self) -> bool {
        self.known.http.is_some()
    }

    /// The platform endpoint of SNS that the options name.
    pub fn platform_endpoint(&self) -> Option<&str> {
        self.known.platform_endpoint.as_deref()
    }

    /// Whether the options allow to fill a group.
    pub fn may_crowd(&self) -> bool {
        self.known.crowd
    }

    /// Asks the HTTP API, with a token if one is given. A body that is a string is sent as its text, anything but null as JSON.
    pub async fn ask(&self, token: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.http_api().ask(token, method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// What asks the HTTP API, for the URLs that it answers. It sends no token of its own accord.
    pub fn http_client(&self) -> &reqwest::Client {
        self.http_api().client()
    }

    fn http_api(&self) -> &HttpApi {
        self.known.http.as_ref().expect("--http says where the HTTP API is")
    }

    /// A name that no other test has, for a group or for a user who never comes.
    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.users)
    }

    /// A user of this test.
    pub async fn user(&self, name: &str) -> User {
        let id = format!("{}-{name}", self.users);
        let token = self.known.tokens.token(&id).await.unwrap_or_else(|error| panic!("{error}"));
        User { id, token, deployment: self.clone() }
    }

    // Wakes.

    /// Whether the options say where wakes can be seen.
    pub fn sees_wakes(&self) -> bool {
        self.known.wakes.is_some()
    }

    /// The wake of `user` that names this device (none while the user has none) and this message.
    pub async fn wake(&self, user: &User, device: Option<&str>, id: &str) -> Wake {
        // At first the device may seem connected, or it was woken a moment ago.
        let within = self.known.waits.until_exhausted() + self.known.wake_interval + DEADLINE;
        let what = format!("a wake of {} for {id}", device.unwrap_or("a user without a device"));
        let wanted = |wake: &Wake| wake.device.as_deref() == device && wake.ids.iter().any(|one| one == id);
        self.wakes().until(&what, &user.id, within, wanted).await
    }

    /// All wakes of `user` so far.
    pub async fn wakes_of(&self, user: &User) -> Vec<Wake> {
        self.wakes().of(&user.id).await.unwrap_or_else(|error| panic!("{error}"))
    }

    fn wakes(&self) -> &Wakes {
        self.known.wakes.as_ref().expect("--pushes or --webhook says where wakes can be seen")
    }
}

/// A user, and a token of theirs.
#[derive(Debug)]
pub struct User {
    /// Their id, which no other test and no other run has.
    pub id: String,
    /// A token that says so.
    pub token: String,
    deployment: Deployment,
}

impl User {
    /// Connects a device. What is pending will be drained.
    pub async fn connect(&self, device: &str) -> Device {
        let opened = Socket::open(&self.deployment.url(&format!("device={device}")), Some(&self.token)).await;
        Device::new(opened.unwrap_or_else(|error| panic!("{} on {device}: {error}", self.id)))
    }

    /// Connects a device for which nothing is pending, and waits until it can be posted to.
    pub async fn online(&self, device: &str) -> Device {
        let mut connected = self.connect(device).await;
        let backlog = connected.backlog().await;
        assert!(backlog.0.is_empty(), "nothing can be pending for {} on {device}, but {backlog:?}", self.id);
        connected
    }

    /// Makes a device known that is away.
    pub async fn away(&self, device: &str) {
        self.online(device).await.close().await;
    }

    /// Asks the HTTP API.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.deployment.ask(Some(&self.token), method, path, body).await
    }

    /// Asks the HTTP API for something that must be done, and answers with what.
    pub async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.body
    }

    /// A page of what is pending for a device, over HTTP, with more of a query if it begins with `&`.
    pub async fn page(&self, device: &str, more: &str) -> Messages {
        let body = self.done("GET", &format!("/v1/messages?device={device}{more}"), &Value::Null).await;
        match Frame::read(&body.to_string()) {
            Ok(Frame::Messages(page)) if page.more.is_some() && page.is_oldest_first() => page,
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    /// Acks over HTTP what a device has.
    pub async fn ack(&self, device: &str, envelopes: &[Envelope]) {
        let refs: Vec<&str> = envelopes.iter().map(|envelope| envelope.reference.as_str()).collect();
        let answer = self.ask("POST", "/v1/acks", &json!({"device": device, "refs": refs})).await;
        assert_eq!((answer.status, answer.body), (204, Value::Null));
    }

    /// Sends messages over HTTP, all of which must be accepted. Answers their ids.
    pub async fn send(&self, messages: &[Value]) -> Vec<String> {
        let body = self.done("POST", "/v1/messages", &json!({"messages": messages})).await;
        match Frame::read(&body.to_string()) {
            Ok(Frame::Accepted(accepted)) if accepted.refused.is_empty() => accepted.ids,
            other => panic!("not all were accepted: {other:?}"),
        }
    }

    /// A new message to this user.
    pub fn message(&self, body: impl Into<Value>) -> Value {
        json!({"id": new_id(), "to": {"user": self.id}, "body": body.into()})
    }
}

/// A new message id. Each is greater than those before it.
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}
