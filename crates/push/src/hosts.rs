//! Where the services are, and which hosts a browser's subscription may name. It connects to none.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// Where the services are. The default are the real ones; the local cloud and tests have others.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Firebase Cloud Messaging. Where its access tokens come from is in the service account.
    pub fcm: Url,
    /// Apple's push service.
    pub apns: Url,
    /// The same for builds of developers.
    pub apns_sandbox: Url,
    /// The push services of browsers. The URL of a subscription comes from a client, so nothing else is posted to.
    pub web_push: Vec<HostPattern>,
}

impl Default for Hosts {
    fn default() -> Self {
        let url = |text| Url::parse(text).expect("a constant that is a URL");
        let pattern = |text: &str| text.parse().expect("a constant that is a host");
        Self {
            fcm: url("https://fcm.googleapis.com"),
            apns: url("https://api.push.apple.com"),
            apns_sandbox: url("https://api.sandbox.push.apple.com"),
            web_push: [
                "fcm.googleapis.com",
                "updates.push.services.mozilla.com",
                "*.push.services.mozilla.com",
                "*.push.apple.com",
                "*.notify.windows.com",
            ]
            .map(pattern)
            .to_vec(),
        }
    }
}

/// A host, such as `push.example.com`, or every host below one, such as `*.push.example.com`. With a port, such as
/// `localhost:8443`, that port alone, otherwise 443 alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    below: bool,
    port: u16,
}

/// What is no pattern of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host of a push service is such as push.example.com, *.push.example.com or localhost:8443")]
pub struct InvalidHostPattern;

impl HostPattern {
    pub(crate) fn matches(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let named = if self.below {
            host.strip_suffix(&self.host).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.host
        };
        let bare = url.username().is_empty() && url.password().is_none();
        url.scheme() == "https" && named && url.port_or_known_default() == Some(self.port) && bare
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (below, host) = text.strip_prefix("*.").map_or((false, text), |host| (true, host));
        // A dot or a digit more is another host; a slash, a question mark or an @ would not end up in the host.
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) {
            return Err(InvalidHostPattern);
        }
        let url = Url::parse(&format!("https://{host}/")).map_err(|_| InvalidHostPattern)?;
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or(InvalidHostPattern)?;
        Ok(Self { host: host.to_owned(), below, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{below}{}", self.host)?;
        if self.port == 443 { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(url: &str) -> bool {
        let url = Url::parse(url).expect("a URL");
        Hosts::default().web_push.iter().any(|host| host.matches(&url))
    }

    #[test]
    fn browsers_have_known_push_services() {
        for url in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://FCM.googleapis.com:443/wp/x",
            "https://updates.push.services.mozilla.com/wpush/v2/x",
            "https://web.push.apple.com/x",
            "https://db5p.notify.windows.com/w/?token=x",
        ] {
            assert!(allowed(url), "{url}");
        }
    }

    #[test]
    fn nothing_else_is_posted_to() {
        for url in [
            "http://fcm.googleapis.com/x",
            "https://fcm.googleapis.com:8443/x",
            "https://fcm.googleapis.com.evil.example/x",
            "https://evilpush.apple.com/x",
            "https://push.apple.com/x",
            "https://.push.apple.com/x",
            "https://user@web.push.apple.com/x",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/x",
        ] {
            assert!(!allowed(url), "{url}");
        }
    }

    #[test]
    fn a_pattern_reads_as_it_is_written() {
        for text in ["push.example.com", "*.push.example.com", "127.0.0.1:8443", "*.localhost:9", "[::1]:8443"] {
            assert_eq!(text.parse::<HostPattern>().expect(text).to_string(), text);
        }
        for bad in ["", "*.", "*", "a/b", "a@b", "https://a", "a b", "a.*.b", "a:port"] {
            assert_eq!(bad.parse::<HostPattern>(), Err(InvalidHostPattern), "{bad}");
        }
    }
}
