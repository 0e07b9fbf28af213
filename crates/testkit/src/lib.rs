//! In-memory ports, faults, event builders and contract suites, for tests only.
//!
//! Every port counts its calls and can be told to fail, so that budgets and crashes are placed exactly. Time is a [`Clock`] that moves only
//! when a test moves it.

pub mod attachments;
pub mod clock;
pub mod connections;
pub mod contract;
pub mod directory;
pub mod events;
pub mod groups;
pub mod inbox;
pub mod ledger;
pub mod queue;
pub mod topic;

pub use attachments::{MemoryAttachments, MemoryFiles};
pub use clock::Clock;
pub use connections::MemoryConnections;
pub use directory::MemoryDirectory;
pub use groups::MemoryGroups;
pub use inbox::MemoryInbox;
pub use ledger::Ledger;
pub use queue::MemoryQueue;
pub use topic::{MemoryGateway, MemoryTopic, wake};

/// Locks a mutex whose holders never panic but in a failing test.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
