//! What a client is told when it is made: where, which device, which token, and how to ack. It opens nothing.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use protocol::DeviceId;
use url::Url;

use crate::event::BoxError;

/// When a received message is acked. An ack removes it from the device's inbox for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// When the consumer takes it out of [`Events`](crate::Events). A message that the consumer took and then lost, in a
    /// crash say, does not come again.
    #[default]
    OnTake,
    /// When the consumer calls [`Client::ack`](crate::Client::ack), after it has stored or shown the message. Until then
    /// it is kept in the inbox, and comes again to this device after a restart.
    Manual,
    /// Never, and nothing is deduplicated: every redelivery is shown. For looking on.
    Never,
}

/// Where tokens come from. It is asked anew at each connect, since tokens expire and connections do not last.
#[derive(Clone)]
pub struct TokenSource(Arc<dyn Fn() -> BoxFuture<'static, Result<String, BoxError>> + Send + Sync>);

impl TokenSource {
    /// Asks `source`. An error is a reason to try again later, like a server that does not answer.
    pub fn new<F>(source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, BoxError>> + Send + 'static,
    {
        Self(Arc::new(move || source().boxed()))
    }

    /// One token for ever. Once it has expired, the next connect ends the client.
    pub fn fixed(token: String) -> Self {
        Self::new(move || std::future::ready(Ok(token.clone())))
    }

    pub(crate) fn token(&self) -> BoxFuture<'static, Result<String, BoxError>> {
        (self.0)()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

/// A URL that no client can connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a URL of the form ws://HOST/STAGE or wss://HOST/STAGE")]
pub struct InvalidUrl(String);

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) url: Url,
    pub(crate) tokens: TokenSource,
    pub(crate) acks: Acks,
}

impl Options {
    /// Connects `device` to the stage at `url`, `wss://HOST/STAGE`, or `ws://` without TLS. The token says which user's.
    ///
    /// A device is a name that is made at random once and kept: two clients under one name ack each other's messages and
    /// displace each other's connections.
    ///
    /// # Errors
    /// [`InvalidUrl`] when the URL is not of that form.
    pub fn new(url: &str, device: &DeviceId, tokens: TokenSource) -> Result<Self, InvalidUrl> {
        let invalid = || InvalidUrl(url.to_owned());
        let mut url = Url::parse(url).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "ws" | "wss") || url.host().is_none() {
            return Err(invalid());
        }
        url.set_fragment(None);
        url.query_pairs_mut().append_pair("device", device.as_str());
        Ok(Self { url, tokens, acks: Acks::default() })
    }

    /// Acks so, instead of [`Acks::OnTake`].
    #[must_use]
    pub fn acks(self, acks: Acks) -> Self {
        Self { acks, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Result<Options, InvalidUrl> {
        let device: DeviceId = "phone-1".parse().expect("a device");
        Options::new(url, &device, TokenSource::fixed("secret".to_owned()))
    }

    #[test]
    fn the_url_names_the_device() {
        for (given, made) in [
            ("ws://127.0.0.1:8080/local", "ws://127.0.0.1:8080/local?device=phone-1"),
            ("wss://h.example/prod?x=1#y", "wss://h.example/prod?x=1&device=phone-1"),
            ("ws://[::1]:8080/local", "ws://[::1]:8080/local?device=phone-1"),
        ] {
            assert_eq!(options(given).expect(given).url.as_str(), made);
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "127.0.0.1:8080", "http://h.example/prod", "ws:", "ws://", "data:x"] {
            assert!(options(url).is_err(), "{url}");
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let shown = format!("{:?}", options("ws://h.example/prod").expect("options"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
