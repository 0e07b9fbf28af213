//! Who comes with a signed URL, as S3 answers him. Nothing but the signature is asked for: not where the request comes from, nor whether it is a
//! web page's, since a page has such a URL only from somebody who may have the file.

use std::collections::HashMap;

use aws::meter::Unit;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use delivery::attachment::upload_headers;
use protocol::Timestamp;

use super::Permit;
use super::store::NotPut;
use crate::http::Http;

/// What the id of an attachment follows.
pub(crate) const PATH: &str = "/_local/attachments";

/// Pages of any origin may upload and download, as the template lets them.
const ANY_ORIGIN: (HeaderName, &str) = (ACCESS_CONTROL_ALLOW_ORIGIN, "*");

/// What a browser may do with a file of whatever type: save it. It is under the name of a server that pages trust.
const SAVED: [(HeaderName, &str); 3] =
    [(CONTENT_DISPOSITION, "attachment"), (CONTENT_SECURITY_POLICY, "sandbox"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];

/// Answers a browser that asks before it uploads.
pub(crate) async fn preflight() -> Response {
    let methods = (ACCESS_CONTROL_ALLOW_METHODS, "GET, PUT");
    let headers = (ACCESS_CONTROL_ALLOW_HEADERS, "content-type, if-none-match");
    (StatusCode::NO_CONTENT, [ANY_ORIGIN, methods, headers, (ACCESS_CONTROL_MAX_AGE, "3600")]).into_response()
}

/// Takes a file.
pub(crate) async fn upload(
    State(http): State<Http>,
    method: Method,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let now = http.gateway.clock.now();
    let permit = match judge(&http, &method, &id, &query, now) {
        Ok(permit) => permit,
        Err((status, why)) => return answer(status, why),
    };
    for (name, signed) in upload_headers(&permit.media_type, permit.bytes) {
        if headers.get(name).is_none_or(|sent| sent.as_bytes() != signed.as_bytes()) {
            return answer(StatusCode::FORBIDDEN, &format!("the header {name} is not {signed}, which was signed"));
        }
    }
    match http.files.store.put(permit.id, permit.bytes, body, now).await {
        Ok(()) => {
            http.gateway.meter.count("s3", "PutObject", Unit::FilePut, 1.0);
            answer(StatusCode::OK, "")
        }
        Err(error @ NotPut::Exists) => answer(StatusCode::PRECONDITION_FAILED, &error.to_string()),
        Err(error @ NotPut::OtherSize) => answer(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(NotPut::Failed(error)) => failed(&error),
    }
}

/// Gives a file.
pub(crate) async fn download(
    State(http): State<Http>,
    method: Method,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let permit = match judge(&http, &method, &id, &query, http.gateway.clock.now()) {
        Ok(permit) => permit,
        Err((status, why)) => return answer(status, why),
    };
    match http.files.store.get(permit.id).await {
        Ok(Some(body)) => {
            http.gateway.meter.count("s3", "GetObject", Unit::FileGet, 1.0);
            let about = [(CONTENT_TYPE, permit.media_type.to_string()), (CONTENT_LENGTH, permit.bytes.to_string())];
            (StatusCode::OK, about, SAVED, [ANY_ORIGIN], body).into_response()
        }
        Ok(None) => answer(StatusCode::NOT_FOUND, "it has not been uploaded, or is gone"),
        Err(error) => failed(&error),
    }
}

fn judge(
    http: &Http,
    method: &Method,
    id: &str,
    query: &HashMap<String, String>,
    now: Timestamp,
) -> Result<Permit, (StatusCode, &'static str)> {
    if !http.gateway.functions.lifecycle.is_serving() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the local cloud is ending"));
    }
    http.files.judge(method.as_str(), id, query, now).map_err(|why| (StatusCode::FORBIDDEN, why))
}

fn answer(status: StatusCode, text: &str) -> Response {
    let text = if text.is_empty() { String::new() } else { format!("{text}\n") };
    (status, [ANY_ORIGIN], text).into_response()
}

fn failed(error: &std::io::Error) -> Response {
    tracing::error!(%error, "a file of an attachment cannot be written or read");
    answer(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be written or read")
}
