//! What a run of the local cloud is told, with the defaults of the command line. Reading flags and variables is the command's.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use delivery::{AttachmentRules, Waits};
use protocol::limits::{CONNECTION_LIFETIME, IDLE_TIMEOUT};

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub host: IpAddr,
    /// Where to listen; 0 takes any free port.
    pub port: u16,
    /// The data folder. The signing key lies there in any case.
    pub data: PathBuf,
    /// Keep queues and tables in memory: faster, and gone with the process.
    pub memory: bool,
    /// The waits between attempts.
    pub waits: Waits,
    /// The shortest time between two wakes of one device.
    pub wake_interval: Duration,
    /// Which attachments are taken, and how long they are kept.
    pub attachments: AttachmentRules,
    /// What AWS fixes and tests shorten.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            data: PathBuf::from(".vartalap"),
            memory: false,
            waits: Waits::default(),
            wake_interval: Duration::from_secs(30),
            attachments: AttachmentRules::default(),
            limits: Limits::default(),
        }
    }
}

/// What AWS or the template fixes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A connection on which no message travels for this long is closed.
    pub idle: Duration,
    /// A connection is closed after this long.
    pub connection_lifetime: Duration,
    /// An invocation that takes longer is dropped.
    pub function_timeout: Duration,
    /// How long a received record is hidden; whole seconds, at least 1.
    pub visibility: Duration,
    /// How long a shutdown waits for what is in hand.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: IDLE_TIMEOUT,
            connection_lifetime: CONNECTION_LIFETIME,
            function_timeout: Duration::from_secs(10),
            visibility: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}
