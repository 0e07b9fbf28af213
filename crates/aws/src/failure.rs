//! SDK errors into failures, with the causes that the SDK's own text leaves out.

use std::error::Error;

use delivery::Failure;

/// A failure of `operation` with its causes.
///
/// Not by the SDK's `DisplayErrorContext`: that appends a dump of the raw response, which may hold a body.
pub(crate) fn failure(operation: &'static str, error: &dyn Error) -> Failure {
    Failure::new(operation, error)
}

/// One entry of a batch that was answered but not done.
pub(crate) fn refused(operation: &'static str, cause: impl Into<String>) -> Failure {
    Failure { operation, cause: cause.into() }
}
