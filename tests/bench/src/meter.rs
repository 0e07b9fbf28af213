//! The meter of the local cloud: what AWS would have counted between two moments. It prices nothing itself.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::Outcome;

/// What was counted: requests and dollars of each operation of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bill(BTreeMap<String, (f64, f64)>);

impl Bill {
    /// What was counted since the start.
    pub(crate) async fn of(http: &str) -> Outcome<Self> {
        let meter: Value = reqwest::get(format!("{http}/_local/meter")).await?.error_for_status()?.json().await?;
        let mut bill = Self::default();
        for line in meter["lines"].as_array().ok_or("the meter has no lines")? {
            let (service, operation) = (line["service"].as_str(), line["operation"].as_str());
            let name = format!("{} {}", service.unwrap_or_default(), operation.unwrap_or_default());
            let number = |key: &str| line[key].as_f64().ok_or("a line of the meter has no number");
            let sum = bill.0.entry(name).or_default();
            *sum = (sum.0 + number("requests")?, sum.1 + number("dollars")?);
        }
        Ok(bill)
    }

    /// What was counted after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let less = |(name, (requests, dollars)): (&String, &(f64, f64))| {
            let (requests_before, dollars_before) = before.0.get(name).copied().unwrap_or_default();
            (name.clone(), (requests - requests_before, dollars - dollars_before))
        };
        Self(self.0.iter().map(less).collect())
    }

    /// Whether a function ran.
    pub(crate) fn invokes(&self) -> bool {
        self.0.iter().any(|(name, (requests, _))| name.starts_with("lambda ") && *requests > 0.0)
    }

    pub(crate) fn dollars(&self) -> f64 {
        self.0.values().map(|(_, dollars)| dollars).sum()
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, (requests, dollars)) in self.0.iter().filter(|(_, (requests, _))| *requests > 0.0) {
            writeln!(f, "  {name:<40} {requests:>6.0} requests  ${dollars:.6}")?;
        }
        Ok(())
    }
}
