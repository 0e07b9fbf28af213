//! The dead letters of both queues over HTTP: shown without what users wrote, one record raw to who asks for just that, and sent back.
//! Which ones are meant is for the caller to say.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use delivery::{DeadLetter, Failure, Origin};
use serde::Deserialize;
use serde_json::json;

use crate::http::{Http, unavailable};
use crate::sqs::LocalQueue;

/// The queues that have dead letters.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetters {
    pub(crate) delivery: LocalQueue,
    pub(crate) wakes: LocalQueue,
}

/// What is to be sent back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redrive {
    ids: Vec<String>,
}

impl DeadLetters {
    fn queues(&self) -> [(Origin, &LocalQueue); 2] {
        [(Origin::Delivery, &self.delivery), (Origin::Wake, &self.wakes)]
    }

    async fn all(&self) -> Result<Vec<DeadLetter>, Failure> {
        let mut letters = Vec::new();
        for (origin, queue) in self.queues() {
            letters.extend(queue.dead_letters(origin).await?);
        }
        letters.sort_by_key(|letter| letter.sent_at);
        Ok(letters)
    }

    async fn raw(&self, id: &str) -> Result<Option<String>, Failure> {
        for (_, queue) in self.queues() {
            if let Some(raw) = queue.dead_letter_raw(id).await? {
                return Ok(Some(raw));
            }
        }
        Ok(None)
    }

    /// Answers which of `ids` were there. A failure may come after some were sent back; the same again sends back the others.
    async fn redrive(&self, ids: &[String]) -> Result<Vec<String>, Failure> {
        let mut redriven = Vec::new();
        for (_, queue) in self.queues() {
            redriven.extend(queue.redrive(ids.to_vec()).await?);
        }
        Ok(redriven)
    }
}

/// Every dead letter, oldest first.
pub(crate) async fn list(State(http): State<Http>) -> Response {
    match http.dead_letters.all().await {
        Ok(letters) => Json(letters).into_response(),
        Err(failure) => unavailable(&failure),
    }
}

/// One record as it is. It may hold what users wrote.
pub(crate) async fn raw(State(http): State<Http>, Path(id): Path<String>) -> Response {
    match http.dead_letters.raw(&id).await {
        Ok(Some(raw)) => raw.into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "there is no such dead letter\n").into_response(),
        Err(failure) => unavailable(&failure),
    }
}

/// Sends the named ones back. Those that are not there, perhaps since they were sent back before, are no error.
pub(crate) async fn redrive(State(http): State<Http>, body: Bytes) -> Response {
    let Ok(Redrive { ids }) = serde_json::from_slice(&body) else {
        return (StatusCode::BAD_REQUEST, "say which: {\"ids\":[\"...\"]}\n").into_response();
    };
    match http.dead_letters.redrive(&ids).await {
        Ok(redriven) => {
            let missing: Vec<&String> = ids.iter().filter(|id| !redriven.contains(id)).collect();
            Json(json!({"redriven": redriven, "missing": missing})).into_response()
        }
        Err(failure) => unavailable(&failure),
    }
}
