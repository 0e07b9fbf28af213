//! How a handler fails as a whole, and how the runtime reports it. A record or a frame that fails alone is no such error.

use delivery::Failure;
use lambda_runtime::Diagnostic;

/// The invocation failed. Whoever invoked will see the `error_type` below, which alarms may match on.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The token is missing or bad. API Gateway answers 401 to exactly this text.
    #[error("Unauthorized")]
    Unauthorized,
    /// The event is not one that this function handles: it is wired to the wrong source.
    #[error("the event is not one that this function handles: {0}")]
    WrongShape(String),
    /// Something that the function stands on failed; invoke it again later.
    #[error(transparent)]
    Unavailable(#[from] Failure),
}

impl HandlerError {
    /// A stable name for alarms.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::WrongShape(_) => "WrongShape",
            Self::Unavailable(_) => "Unavailable",
        }
    }
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        Self { error_type: error.error_type().to_owned(), error_message: error.to_string() }
    }
}
