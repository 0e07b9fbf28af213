//! Faults that a test or a developer sets: which service or target misbehaves, how, and for how many requests. What a fault looks like on the
//! wire is said by the service.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;

use crate::providers::lock;
use crate::received::Service;

/// How a service misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The target is gone: the app was removed, or the subscription was given up. It stays so, whatever the number of requests. Set for a whole
    /// service, it befalls each target that is pushed to meanwhile.
    Unregistered,
    /// 429, with `Retry-After` in whole seconds if there is one.
    TooManyRequests {
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// 500.
    InternalError,
    /// 503, with `Retry-After` in whole seconds if there is one.
    Unavailable {
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// What the client authorizes itself with has expired, whatever its age. An access token of FCM is void from then on.
    ExpiredCredentials,
    /// The answer takes so much longer, in real time.
    Slow(Duration),
    /// There is no answer as long as the client waits.
    NeverAnswers,
}

/// Who misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A service, for whatever target.
    Service(Service),
    /// One target: a registration token, a device token, or an endpoint.
    Target(String),
    /// The endpoint that gives access tokens for FCM. [`Fault::Unregistered`] is nothing to it; [`Fault::ExpiredCredentials`] is `invalid_grant`.
    TokenEndpoint,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next so many requests.
    Next(u32),
    /// Until told otherwise.
    Always,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(Whom, Fault, Times)>>);

impl Faults {
    /// Sets one. Those that were set before for the same come first.
    pub(crate) fn set(&self, whom: Whom, fault: Fault, times: Times) {
        lock(&self.0).push((whom, fault, times));
    }

    /// Ends those of `whom`.
    pub(crate) fn end(&self, whom: &Whom) {
        lock(&self.0).retain(|(set, ..)| set != whom);
    }

    /// The fault of a push to `target`, after whatever waiting it asks for. It counts as met.
    pub(crate) async fn of_push(&self, service: Service, target: Option<&str>) -> Option<Fault> {
        let met = |whom: &Whom| match whom {
            Whom::Target(set) => target == Some(set),
            Whom::Service(set) => *set == service,
            Whom::TokenEndpoint => false,
        };
        wait(self.take(met)).await
    }

    /// The same of a request for an access token.
    pub(crate) async fn of_token_endpoint(&self) -> Option<Fault> {
        wait(self.take(|whom| *whom == Whom::TokenEndpoint)).await
    }

    fn take(&self, is_met: impl Fn(&Whom) -> bool) -> Option<Fault> {
        let mut faults = lock(&self.0);
        faults.retain(|(.., times)| *times != Times::Next(0));
        let (_, fault, times) = faults.iter_mut().find(|(whom, ..)| is_met(whom))?;
        if let Times::Next(left) = times {
            *left -= 1;
        }
        Some(fault.clone())
    }
}

async fn wait(fault: Option<Fault>) -> Option<Fault> {
    match fault {
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            None
        }
        Some(Fault::NeverAnswers) => std::future::pending().await,
        other => other,
    }
}

/// The header of RFC 9110, in seconds.
pub(crate) fn with_retry_after(mut response: Response, retry_after: Option<Duration>) -> Response {
    if let Some(retry_after) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
    }
    response
}
