//! Credentials of one service: read when first needed, kept for a while, and read again when the service rejects them.
//! What they are made of is in the service's module.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protocol::Timestamp;
use tokio::sync::Mutex;

use crate::answer::Answer;
use crate::secret::Secret;

/// How long credentials are used without a look at the secret: so long an old one may be in use after a new one was
/// written.
const KEPT: Duration = Duration::from_secs(300);

/// How long what cannot be read, or not used, is taken for so. Somebody may be mending it.
const UNUSABLE: Duration = Duration::from_secs(60);

/// A secret whose text cannot be what the service needs. It says what the text should be and quotes none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCredentials(pub(crate) &'static str);

/// Credentials of type `T`, made from the text of a secret. What a `T` holds of tokens lives as long as the text is the
/// same.
pub(crate) struct Credentials<T> {
    secret: Secret,
    parse: fn(&str) -> Result<T, InvalidCredentials>,
    known: Mutex<Option<Known<T>>>,
}

/// What the last read gave.
struct Known<T> {
    text: Option<String>,
    value: Result<Arc<T>, Answer>,
    read_at: Timestamp,
    until: Timestamp,
}

impl<T> Credentials<T> {
    pub(crate) fn new(secret: Secret, parse: fn(&str) -> Result<T, InvalidCredentials>) -> Self {
        Self { secret, parse, known: Mutex::new(None) }
    }

    /// The credentials, or the answer to a push that needs them.
    pub(crate) async fn get(&self, now: Timestamp) -> Result<Arc<T>, Answer> {
        let mut known = self.known.lock().await;
        match &*known {
            Some(known) if now < known.until => known.value.clone(),
            _ => self.read(&mut known, now).await,
        }
    }

    /// Others than these, which the service rejected, if there are any by now.
    pub(crate) async fn instead_of(&self, rejected: &Arc<T>, now: Timestamp) -> Option<Arc<T>> {
        let is_other = |value: &Arc<T>| !Arc::ptr_eq(value, rejected);
        let mut known = self.known.lock().await;
        let current = known.as_ref().and_then(|known| known.value.clone().ok()).filter(is_other);
        let paused = known.as_ref().is_some_and(|known| now.since(known.read_at) < self.secret.pause());
        if current.is_some() || paused {
            return current;
        }
        self.read(&mut known, now).await.ok().filter(is_other)
    }

    async fn read(&self, known: &mut Option<Known<T>>, now: Timestamp) -> Result<Arc<T>, Answer> {
        let read = self.secret.read().await;
        // Not before: whoever waits may stop waiting, and then what was known is to stay.
        let before = known.take();
        let (text, value, kept) = match (read, before) {
            (Ok(text), Some(before)) if before.text.as_ref() == Some(&text) => (Some(text), before.value, KEPT),
            (Ok(text), _) => {
                let value = (self.parse)(&text).map(Arc::new);
                let value = value.map_err(|invalid| Answer::Refused(format!("{:?}: {invalid}", self.secret)));
                (Some(text), value, KEPT)
            }
            // Better credentials that may be old than none.
            (Err(_), Some(before)) if before.value.is_ok() => {
                tracing::warn!(secret = ?self.secret, "credentials of a push service could not be read again");
                (before.text, before.value, UNUSABLE)
            }
            (Err(later @ Answer::Later(_)), _) => return Err(later),
            (Err(answer), _) => (None, Err(answer), UNUSABLE),
        };
        // What cannot be used is not asked for with every push.
        let until = now.plus(if value.is_ok() { kept } else { UNUSABLE });
        *known = Some(Known { text, value: value.clone(), read_at: now, until });
        value
    }
}

impl<T> fmt::Debug for Credentials<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.secret.fmt(f)
    }
}
