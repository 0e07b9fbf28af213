//! Counts every request that a run makes, or would have made, of AWS, and prices it. It knows prices, not discounts: no free
//! tier, no volume tiers.
//!
//! Adapters count their own calls. The local cloud, which answers without AWS, counts what its stand-ins would have cost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// What a request is charged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// One WebSocket message of at most 32 KB, in either direction.
    WebSocketMessage,
    /// One minute of one open connection.
    ConnectionMinute,
    /// One request of at most 512 KB to an HTTP API.
    HttpRequest,
    /// One Lambda invocation.
    Invocation,
    /// One second of Lambda with 1 GB of memory, on arm64.
    GigabyteSecond,
    /// One SQS request of at most 64 KB.
    QueueRequest,
    /// One SNS publish of at most 64 KB.
    Publish,
    /// One DynamoDB write request unit (1 KB).
    WriteUnit,
    /// One DynamoDB read request unit (4 KB, consistent).
    ReadUnit,
    /// One PUT to S3.
    FilePut,
    /// One GET from S3. What travels is charged by the gigabyte, and is not counted.
    FileGet,
    /// A request that costs nothing.
    Free,
}

impl Unit {
    /// Dollars per million, on demand, us-east-1, first volume tier, November 2026 (sources: the AWS price pages of API
    /// Gateway, Lambda, SQS, SNS, DynamoDB and S3).
    pub const fn dollars_per_million(self) -> f64 {
        match self {
            Self::WebSocketMessage => 1.00,
            Self::ConnectionMinute => 0.25,
            Self::HttpRequest => 1.00,
            Self::Invocation => 0.20,
            Self::GigabyteSecond => 13.333_4,
            Self::QueueRequest => 0.40,
            Self::Publish => 0.50,
            Self::WriteUnit => 0.625,
            Self::ReadUnit => 0.125,
            Self::FilePut => 5.00,
            Self::FileGet => 0.40,
            Self::Free => 0.0,
        }
    }
}

/// The sum over one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// How many requests were made.
    pub requests: u64,
    /// How many units they are charged.
    pub quantity: f64,
}

type Tallies = BTreeMap<(&'static str, &'static str, Unit), Tally>;

/// A counter that clones of every adapter share. Counting never fails and never waits for I/O.
#[derive(Debug, Default)]
pub struct Meter {
    tallies: Mutex<Tallies>,
}

impl Meter {
    /// Counts one request of `operation`, charged `quantity` of `unit`.
    pub fn count(&self, service: &'static str, operation: &'static str, unit: Unit, quantity: f64) {
        let mut tallies = self.tallies.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tally = tallies.entry((service, operation, unit)).or_default();
        tally.requests += 1;
        tally.quantity += quantity;
    }

    /// What was counted so far.
    pub fn report(&self) -> Report {
        Report { tallies: self.tallies.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone() }
    }
}

/// What a run has used, by service and operation.
#[derive(Clone, Debug, Default)]
pub struct Report {
    tallies: Tallies,
}

impl Report {
    /// Each operation, in order of service and name.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, &'static str, Unit, Tally)> {
        self.tallies.iter().map(|((service, operation, unit), tally)| (*service, *operation, *unit, *tally))
    }

    /// How many requests of `operation` were made.
    pub fn requests(&self, operation: &str) -> u64 {
        self.lines().filter(|(_, name, ..)| *name == operation).map(|(.., tally)| tally.requests).sum()
    }

    /// Dollars for everything.
    pub fn dollars(&self) -> f64 {
        self.lines().map(|(_, _, unit, tally)| dollars(unit, tally)).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (service, operation, unit, tally) in self.lines() {
            let (requests, cost) = (tally.requests, dollars(unit, tally));
            writeln!(f, "{service:<12} {operation:<28} {requests:>9} requests  ${cost:.6}")?;
        }
        Ok(())
    }
}

fn dollars(unit: Unit, tally: Tally) -> f64 {
    tally.quantity * unit.dollars_per_million() / 1_000_000.0
}

/// How many units of `step` bytes a payload of `bytes` is charged: at least one.
#[expect(clippy::cast_precision_loss, reason = "payloads are far below 2^52 bytes")]
pub fn steps(bytes: usize, step: usize) -> f64 {
    bytes.div_ceil(step).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_and_priced() {
        let meter = Meter::default();
        meter.count("sqs", "SendMessageBatch", Unit::QueueRequest, steps(70_000, 64 * 1024));
        meter.count("sqs", "SendMessageBatch", Unit::QueueRequest, steps(0, 64 * 1024));
        let report = meter.report();
        assert_eq!(report.requests("SendMessageBatch"), 2);
        assert!((report.dollars() - 3.0 * 0.40 / 1_000_000.0).abs() < 1e-15);
    }
}
