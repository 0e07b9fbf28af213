//! SDK errors into failures, with the causes that the SDK's own text leaves out.

use std::error::Error;

use delivery::Failure;

/// A failure of `operation` with the text of `error` and of every error behind it.
///
/// Not by the SDK's `DisplayErrorContext`: that appends a dump of the raw response, which may hold a body.
pub(crate) fn failure(operation: &'static str, error: &dyn Error) -> Failure {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        // Wrappers often repeat what they wrap.
        if !cause.ends_with(&text) {
            cause = format!("{cause}: {text}");
        }
        source = error.source();
    }
    Failure { operation, cause }
}

/// One entry of a batch that was answered but not done.
pub(crate) fn refused(operation: &'static str, cause: impl Into<String>) -> Failure {
    Failure { operation, cause: cause.into() }
}
