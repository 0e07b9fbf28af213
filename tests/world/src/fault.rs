//! What can go wrong, and how often in one run. When it does is decided where it happens.

use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// A service refuses a call, or one entry of it, without having done anything.
    Throttle,
    /// A service does what it was asked, and the answer is lost.
    LostAnswer,
    /// A call takes seconds.
    Slow,
    /// A function ends between two awaits; what it has done so far stays.
    Kill,
    /// A record is received again although it was deleted.
    Duplicate,
    /// A record is seen again while a function still works on it.
    Lapse,
    /// A record is seen later than it could be.
    Late,
    /// A post that arrives is answered 410.
    FalseGone,
    /// A socket goes dead: posts are taken, nobody receives them.
    DeadSocket,
    /// A frame of a client is lost with its socket, or refused by the gateway.
    LostFrame,
    /// A `$disconnect` never comes.
    LostDisconnect,
    /// A `$disconnect` comes minutes late.
    LateDisconnect,
    /// One service is down for up to an hour.
    Outage,
    /// Clients ack late.
    LateAck,
    /// Clients ack twice.
    DoubleAck,
    /// Clients send what they have sent before.
    Resend,
    /// Clients go and come.
    Absence,
    /// Clients open a connection while the one before is still there.
    Reconnect,
    /// All clients leave and come back at once.
    Storm,
    /// A push service gives an app another token, and the one before is dead.
    Renewal,
    /// The user of an app signs out, and that of another device signs in.
    Takeover,
    /// Members of the group change it.
    Regroup,
    /// Records that nobody can read.
    Poison,
    /// Expired rows stay for hours, instead of being deleted when they expire.
    LateTtl,
}

/// How likely each fault is, each time that it could happen.
#[derive(Clone, Debug)]
pub struct Rates(Vec<f64>);

impl Rates {
    /// Each kind is absent from a third of the runs, seldom in another, frequent in the last: runs with few kinds get far, runs with
    /// many find what needs a coincidence.
    pub(crate) fn draw(rng: &mut Rng, without: &[Fault]) -> Self {
        let draw = |fault: &Fault| {
            let rate = [0.0, fault.seldom(), fault.often()][rng.usize(0..3)];
            if without.contains(fault) { 0.0 } else { rate }
        };
        Self(Fault::all().iter().map(draw).collect())
    }

    /// The rate of one kind.
    pub(crate) fn of(&self, fault: Fault) -> f64 {
        self.0[fault as usize]
    }
}

impl Fault {
    /// Every kind, in the order in which they are declared.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    fn seldom(self) -> f64 {
        self.often() / 10.0
    }

    fn often(self) -> f64 {
        match self {
            Self::Throttle | Self::Kill | Self::Late | Self::DeadSocket | Self::LostFrame => 0.1,
            Self::LostAnswer | Self::Duplicate | Self::Lapse | Self::FalseGone | Self::Takeover => 0.05,
            Self::Slow => 0.2,
            Self::LostDisconnect | Self::LateDisconnect | Self::DoubleAck | Self::Resend | Self::Renewal => 0.3,
            Self::Outage | Self::LateAck | Self::Absence | Self::Reconnect | Self::LateTtl => 0.7,
            Self::Storm | Self::Regroup | Self::Poison => 1.0,
        }
    }
}

/// A service that can be down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Tables,
    Queues,
    Topic,
    Gateway,
    Pushes,
}

/// A time during which a service answers nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) service: Service,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Outage {
    /// An outage that begins within `active`.
    pub(crate) fn draw(rng: &mut Rng, active: Duration) -> Self {
        let services = [Service::Tables, Service::Queues, Service::Topic, Service::Gateway, Service::Pushes];
        let from = active.mul_f64(rng.f64());
        let length = Duration::from_secs([rng.u64(10..120), rng.u64(120..3_600)][rng.usize(0..2)]);
        Self { service: services[rng.usize(0..services.len())], from, to: from + length }
    }
}
