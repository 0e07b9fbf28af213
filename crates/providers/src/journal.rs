//! What outlives the process, if anything does: who is registered, the key of Web Push and the port, one JSON value a line in a file for its
//! owner alone. What a later line says of the same counts. What the lines mean is for the services to say; what was received is not kept, and
//! no key of FCM or APNs is, since nobody but this process was told.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Mutex;

use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::providers::lock;

/// Something that is so from now on.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kept", rename_all = "lowercase")]
pub(crate) enum Entry {
    /// Where the services listen, which is a part of every endpoint of Web Push.
    Port { port: u16 },
    /// The key of the application server, in base64url.
    Vapid { key: String },
    /// A registration of FCM.
    Fcm { token: String, is_there: bool },
    /// A device of APNs.
    Apns { token: String, topic: String, gone_since: Option<Timestamp> },
    /// A subscription of Web Push; keys in base64url.
    WebPush { id: String, secret: String, auth: String, application: Option<String>, gone: bool },
}

/// The file, or nothing.
pub(crate) struct Journal(Option<Mutex<File>>);

impl Journal {
    /// Nothing outlives the process.
    pub(crate) fn of_memory() -> Self {
        Self(None)
    }

    /// Opens a file, or makes it, and answers what was kept there. A line that was not written to its end, since its process was killed, was
    /// never said.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(u64::try_from(whole).expect("a file is shorter than 2^64 bytes"))?;
        }
        let entries = text[..whole].lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok((Self(Some(Mutex::new(file))), entries))
    }

    /// Keeps `entry`. Where that fails it lasts as long as the process.
    pub(crate) fn keep(&self, entry: &Entry) {
        let Some(file) = &self.0 else { return };
        let mut line = serde_json::to_vec(entry).expect("strings and numbers are always JSON");
        line.push(b'\n');
        // At one stroke, so that a kill leaves all of it or a part that has no end.
        if let Err(error) = lock(file).write_all(&line) {
            tracing::error!(%error, "what the stand-ins of the push services know cannot be kept over a restart");
        }
    }
}
