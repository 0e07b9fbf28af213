//! Why the local cloud does not start. Texts are for a person at a terminal: they say what is wrong and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use jsonwebtoken::Algorithm;

/// The local cloud could not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process listens there.
    #[error(
        "the address {address} is taken by another process: stop that one, or choose another port (0 takes any free one)"
    )]
    AddressTaken {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// It is not possible to listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Another process works on the same data.
    #[error("the data folder {folder} is in use by another local cloud: stop that one, or choose another folder", folder = .folder.display())]
    Locked {
        /// The data folder.
        folder: PathBuf,
    },
    /// The data folder cannot be made, read or written.
    #[error("the data folder {folder} cannot be used", folder = .folder.display())]
    Folder {
        /// The data folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The signing key cannot be read or made.
    #[error("{path} is not an {algorithm:?} key in PKCS#8 PEM: delete it, and a new one is made (tokens signed before are void then)", path = .path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What it is to sign by.
        algorithm: Algorithm,
    },
    /// The key of attachments cannot be read or made.
    #[error("{path} is not a key of attachments: delete it, and a new one is made (URLs signed before are void then)", path = .path.display())]
    AttachmentKey {
        /// The key's file.
        path: PathBuf,
    },
    /// The authorizer cannot fetch keys: the TLS library cannot be set up.
    #[error("the authorizer cannot be set up: {cause}")]
    Authorizer {
        /// Why not.
        cause: String,
    },
    /// The stand-ins of the push services cannot start.
    #[error(transparent)]
    PushServices(#[from] providers::StartError),
    /// The queues or the database cannot be opened.
    #[error("the {what} in {folder} cannot be opened: {cause}", folder = .folder.display())]
    Storage {
        /// Which of them.
        what: &'static str,
        /// The data folder.
        folder: PathBuf,
        /// Why not.
        cause: String,
    },
}
