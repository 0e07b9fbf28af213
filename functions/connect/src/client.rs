//! Which of a user's devices a client is, and how it speaks, by the query of its URL. Who it speaks for is the token's to say alone.

use delivery::{Dialect, old_device};
use protocol::DeviceId;

/// The parameters that matter, unread. A client chooses them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// `device`.
    pub device: Option<String>,
    /// `client`.
    pub client: Option<String>,
    /// `ack`.
    pub ack: Option<String>,
    /// `format`.
    pub format: Option<String>,
}

/// What a client is to everything behind the authorizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The device that it is.
    pub device: DeviceId,
    /// How it speaks.
    pub dialect: Dialect,
    /// Whether it is an old one that wants to be told what was accepted.
    pub wants_acks: bool,
}

impl Client {
    /// What the client is; `None` if it is a current one and names no valid device, or an old one and names an invalid one.
    ///
    /// An old client says `client=legacy`, which whoever rewrites its URL can add; or it names no device and says `ack` or `format`,
    /// which only old ones have. One that says nothing at all may be a current one that forgot its device, and is told so.
    pub fn admit(&self) -> Option<Admitted> {
        let says_so = self.client.as_deref() == Some("legacy");
        let speaks_so = self.device.is_none() && (self.ack.is_some() || self.format.is_some());
        let device = match &self.device {
            None if says_so || speaks_so => old_device(),
            None => return None,
            Some(device) => device.parse().ok()?,
        };
        let dialect = match self.format.as_deref() {
            _ if !(says_so || speaks_so) => Dialect::Current,
            Some("binary") => Dialect::OldBase64,
            _ => Dialect::OldJson,
        };
        let wants_acks = dialect != Dialect::Current && self.ack.as_deref() == Some("true");
        Some(Admitted { device, dialect, wants_acks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Device, dialect and whether it wants acks, of a client with this query.
    fn admitted(query: &str) -> Option<(String, Dialect, bool)> {
        let mut client = Client::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let place = match name {
                "device" => &mut client.device,
                "client" => &mut client.client,
                "ack" => &mut client.ack,
                "format" => &mut client.format,
                _ => continue,
            };
            *place = Some(value.to_owned());
        }
        client.admit().map(|one| (one.device.to_string(), one.dialect, one.wants_acks))
    }

    #[test]
    fn who_names_a_device_is_a_current_client() {
        for query in ["device=phone", "device=phone&ack=true&format=binary", "device=phone&client=web"] {
            assert_eq!(admitted(query), Some(("phone".to_owned(), Dialect::Current, false)), "{query}");
        }
        for query in ["", "x=1", "client=web", "device=", "device=a.b", "device=a.b&ack=true"] {
            assert_eq!(admitted(query), None, "{query}");
        }
    }

    #[test]
    fn who_names_none_and_speaks_like_an_old_client_is_one() {
        use Dialect::{OldBase64, OldJson};
        for (query, dialect, wants_acks) in [
            ("ack=true", OldJson, true),
            ("ack=false", OldJson, false),
            ("ack=", OldJson, false),
            ("format=binary", OldBase64, false),
            ("format=text&ack=true", OldJson, true),
            ("ack=true&format=binary", OldBase64, true),
            ("client=legacy", OldJson, false),
            ("client=legacy&ack=true", OldJson, true),
        ] {
            assert_eq!(admitted(query), Some(("legacy".to_owned(), dialect, wants_acks)), "{query}");
        }
        assert_eq!(admitted("client=legacy&device=tablet"), Some(("tablet".to_owned(), OldJson, false)));
        assert_eq!(admitted("client=legacy&device=a.b"), None);
    }
}
