//! Wakes, wherever they can be seen: asked of the local cloud, or received by the webhook.

use std::time::{Duration, Instant};

use serde::Deserialize;
use url::Url;

use crate::poll::POLL_INTERVAL;
use crate::webhook::Webhook;

/// Longest time for one answer about pushes.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A nudge for a device: that something is pending, and what.
#[derive(Clone, Debug, Deserialize)]
pub struct Wake {
    /// Whose.
    pub user: String,
    /// None while the user has none.
    pub device: Option<String>,
    /// The ids of the messages that are pending.
    pub ids: Vec<String>,
    /// `absent` or `exhausted`.
    pub reason: String,
    /// When it was made, in milliseconds.
    pub at: u64,
}

/// Where wakes can be seen.
#[derive(Debug)]
pub(crate) enum Wakes {
    Pushes(Pushes),
    Webhook(Webhook),
}

/// Wakes cannot be seen after all, or not trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWakes {
    /// The local cloud does not answer as it should.
    #[error("pushes cannot be read: {0}")]
    Unanswered(reqwest::Error),
    /// A wake came that the deployment cannot have signed with the secret.
    #[error("a wake came to the webhook with a bad signature: {0}")]
    BadSignature(String),
}

impl Wakes {
    /// All wakes of `user` so far.
    ///
    /// # Errors
    /// When they cannot be seen, or when any wake of this run was not signed as it must be.
    pub(crate) async fn of(&self, user: &str) -> Result<Vec<Wake>, NoWakes> {
        let mut all = match self {
            Self::Pushes(pushes) => pushes.all().await?,
            Self::Webhook(webhook) => webhook.received()?,
        };
        all.retain(|wake| wake.user == user);
        Ok(all)
    }

    /// The first wake of `user` that is wanted.
    pub(crate) async fn until(&self, what: &str, user: &str, within: Duration, wanted: impl Fn(&Wake) -> bool) -> Wake {
        let by = Instant::now() + within;
        loop {
            let wakes = self.of(user).await.unwrap_or_else(|error| panic!("{error}; before {what}"));
            if let Some(wake) = wakes.iter().find(|wake| wanted(wake)) {
                return wake.clone();
            }
            assert!(Instant::now() < by, "waited {within:?} in vain for {what}; what else came: {wakes:?}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// The pushes of a local cloud.
#[derive(Debug)]
pub(crate) struct Pushes {
    http: reqwest::Client,
    url: Url,
}

impl Pushes {
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub(crate) fn at(url: Url) -> Result<Self, reqwest::Error> {
        // A local cloud is behind no proxy, whatever the environment says.
        let http = reqwest::Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?;
        Ok(Self { http, url })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// All of them, of any run.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn all(&self) -> Result<Vec<Wake>, NoWakes> {
        let answer = self.http.get(self.url.clone()).send().await.and_then(reqwest::Response::error_for_status);
        answer.map_err(NoWakes::Unanswered)?.json().await.map_err(NoWakes::Unanswered)
    }
}
