//! The HTTP client of all services, and answers read with a limit. What is sent and what an answer means is in the
//! services' modules.

use std::error::Error;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};

use crate::answer::Answer;

/// How long a service has to answer one request.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Most bytes that are read of an answer. Errors of the services are a few hundred, an access token is 1-2 KB.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// A client that goes nowhere but where it is sent: a redirect or a proxy from the environment would carry tokens
/// elsewhere. HTTP/2 where the service offers it.
pub(crate) fn client(extra_root: Option<&str>) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy();
    if let Some(pem) = extra_root {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem.as_bytes())?);
    }
    builder.build()
}

/// What it means when there was no answer.
pub(crate) fn unanswered(service: &str, error: reqwest::Error) -> Answer {
    if error.is_builder() {
        return Answer::Refused(format!("{service}: the request could not be built; this is a fault of Vartalap's"));
    }
    // URLs hold tokens of devices.
    let error = error.without_url();
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        cause = format!("{cause}: {error}");
        source = error.source();
    }
    tracing::warn!(service, cause, "a push service did not answer");
    Answer::Later(None)
}

/// A header that no log of the client's shows.
pub(crate) fn secret_header(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).expect("base64url, dots and visible words fit in a header");
    value.set_sensitive(true);
    value
}

/// The body of an answer, or what there was of it.
pub(crate) async fn body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ANSWER_BYTES {
            break;
        }
    }
    body
}
