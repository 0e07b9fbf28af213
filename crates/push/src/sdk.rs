//! What an error of the AWS SDK means to whoever would try again. What the codes of one operation mean is where it is
//! called.

use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};

/// Whether the same call may succeed later: throttled, out of order, or out of reach.
pub(crate) fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error.raw_response() {
        Some(response) => {
            let status = response.status().as_u16();
            status >= 500 || status == 429 || error.code().is_some_and(|code| code.contains("Throttl"))
        }
        None => !matches!(error, SdkError::ConstructionFailure(_)),
    }
}
