//! What a run is: everything that is decided before it begins. The same plan gives the same run.

use std::time::Duration;

use crate::fault::Fault;
use crate::mutation::Mutation;

/// Most messages of a run unless a plan says otherwise.
pub const MESSAGES: usize = 40;

/// What one run is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Of all randomness.
    pub seed: u64,
    /// Most messages that are sent.
    pub messages: usize,
    /// Kinds of faults that do not happen, whatever the seed says.
    pub without: Vec<Fault>,
    /// The bug that is switched on.
    pub mutation: Option<Mutation>,
}

impl Plan {
    /// The full run of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, messages: MESSAGES, without: Vec::new(), mutation: None }
    }

    /// The command that runs it again and tells its history.
    pub fn command(&self) -> String {
        use clap::ValueEnum;
        let mut command = format!("cargo xtask world --seed {}", self.seed);
        if self.messages != MESSAGES {
            command += &format!(" --messages {}", self.messages);
        }
        for fault in &self.without {
            if let Some(value) = fault.to_possible_value() {
                command += &format!(" --without {}", value.get_name());
            }
        }
        if let Some(mutation) = self.mutation {
            command += &format!(" --mutation {}", mutation.name());
        }
        command
    }
}

/// How long things go wrong.
pub(crate) const ACTIVE: Duration = Duration::from_secs(20 * 60);

/// How long it may take afterwards until no record is left. Back-offs are up to 6 min.
pub(crate) const QUIET_LIMIT: Duration = Duration::from_secs(6 * 60 * 60);
