//! Who may ask for what is inside: programs, and no web page. A page may send a request anywhere, and read the answer of whatever its
//! own name leads to; what it cannot do is to leave out the `Origin` of a write or the `Host` of its own name. It authenticates nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Whether only this machine can reach the server, and so by which names it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It listens on loopback.
    Machine,
    /// It listens elsewhere, under names that it does not know.
    Network,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It is a page's.
    #[error("/_local is closed to web pages: the request bears an Origin that is not this server's own\n")]
    Origin,
    /// It came by a name that somebody else may have given to this machine.
    #[error(
        "/_local is closed to other names: call this server localhost, 127.0.0.1 or [::1]; it listens on loopback, and the Host of \
         the request is none of these\n"
    )]
    Host,
}

impl From<SocketAddr> for Reach {
    fn from(listening: SocketAddr) -> Self {
        if listening.ip().to_canonical().is_loopback() { Self::Machine } else { Self::Network }
    }
}

/// Answers 403 to who may not ask.
pub(crate) async fn refuse_pages(State(reach): State<Reach>, request: Request, next: Next) -> Response {
    match judge(reach, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => (StatusCode::FORBIDDEN, refused.to_string()).into_response(),
    }
}

fn judge(reach: Reach, headers: &HeaderMap) -> Result<(), Refused> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if reach == Reach::Machine && !host.is_some_and(is_loopback) {
        return Err(Refused::Host);
    }
    let own = host.map(|host| format!("http://{host}"));
    let is_own = |origin: &[u8]| own.as_ref().is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(origin));
    if headers.get_all(ORIGIN).iter().all(|origin| is_own(origin.as_bytes())) { Ok(()) } else { Err(Refused::Origin) }
}

/// Whether a `Host`, with a port or without, is a name of this machine that nobody can give to another.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => name.parse::<Ipv6Addr>().map(IpAddr::from),
        None => name.parse::<Ipv4Addr>().map(IpAddr::from),
    };
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: Option<&'static str>, origins: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.extend(host.map(|host| (HOST, host.parse().expect("a header"))));
        for origin in origins {
            headers.append(ORIGIN, origin.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn the_names_of_loopback() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8080"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in [
            "",
            ":8080",
            "::1",
            "[::2]",
            "[127.0.0.1]",
            "10.0.0.1",
            "0.0.0.0:8080",
            "localhost.evil.example",
            "127.1",
            "a b",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn a_request_is_judged_by_origin_and_on_loopback_by_host() {
        use Reach::{Machine, Network};
        let (local, lan, evil) = ("localhost:8080", "pi.lan:8080", "http://evil.example");
        for (reach, host, origins, expected) in [
            (Machine, Some(local), &[][..], Ok(())),
            (Machine, Some(local), &["http://localhost:8080"], Ok(())),
            (Machine, Some(local), &["http://localhost"], Err(Refused::Origin)),
            (Machine, Some(local), &["https://localhost:8080"], Err(Refused::Origin)),
            (Machine, Some(local), &["http://localhost:8080", evil], Err(Refused::Origin)),
            (Machine, Some(local), &["null"], Err(Refused::Origin)),
            (Machine, Some(lan), &[], Err(Refused::Host)),
            (Machine, None, &[], Err(Refused::Host)),
            (Network, Some(lan), &[], Ok(())),
            (Network, Some(lan), &["http://pi.lan:8080"], Ok(())),
            (Network, Some(lan), &[evil], Err(Refused::Origin)),
            (Network, None, &[evil], Err(Refused::Origin)),
            (Network, None, &[], Ok(())),
        ] {
            assert_eq!(judge(reach, &headers(host, origins)), expected, "{reach:?} {host:?} {origins:?}");
        }
    }

    #[test]
    fn only_loopback_is_this_machine_alone() {
        for (address, reach) in [
            ("127.0.0.1:1", Reach::Machine),
            ("[::1]:1", Reach::Machine),
            ("[::ffff:127.0.0.1]:1", Reach::Machine),
            ("0.0.0.0:1", Reach::Network),
            ("[::]:1", Reach::Network),
            ("192.168.0.2:1", Reach::Network),
        ] {
            assert_eq!(Reach::from(address.parse::<SocketAddr>().expect("an address")), reach, "{address}");
        }
    }
}
