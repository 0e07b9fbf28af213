//! DynamoDB inside the process: the real SDK on top, `dynoxide` on SQLite below, and between them a connector that takes the SDK's HTTP
//! request apart instead of sending it. It knows operations, not tables.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use dynoxide::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::worker::Worker;

/// How often expired rows are deleted. DynamoDB takes up to days; every reader filters them anyhow.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// What precedes the operation in `x-amz-target`.
const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// A database, with a thread of its own: calls lock it as a whole and block. Clones are the same database.
#[derive(Clone)]
pub(crate) struct Database {
    engine: dynoxide::Database,
    thread: Worker<dynoxide::Database>,
}

impl Database {
    /// Opens or creates a database in a file. A killed process loses nothing that was answered.
    ///
    /// # Errors
    /// When the file is none, or the system gives no thread.
    pub(crate) fn new(file: &Path) -> Result<Self, String> {
        let engine = dynoxide::Database::new(&file.to_string_lossy()).map_err(|error| error.to_string())?;
        // Despite its name this is what sets `synchronous = NORMAL`: no fsync at each commit, which only a loss of power needs.
        engine.disable_bulk_loading().map_err(|error| error.to_string())?;
        Self::start(engine)
    }

    /// Makes a database that ends with the process.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn memory() -> Result<Self, String> {
        Self::start(dynoxide::Database::memory().map_err(|error| error.to_string())?)
    }

    fn start(engine: dynoxide::Database) -> Result<Self, String> {
        let thread = Worker::start("dynamodb", engine.clone()).map_err(|error| error.to_string())?;
        Ok(Self { engine, thread })
    }

    /// Deletes expired rows every minute, until it is dropped. A sweep lets waiting calls go first.
    pub(crate) async fn sweep(self) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            let engine = self.engine.clone();
            match tokio::task::spawn_blocking(move || engine.sweep_ttl()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(rows)) => tracing::debug!(rows, "expired rows were deleted"),
                Ok(Err(error)) => tracing::warn!(%error, "expired rows could not be deleted"),
                Err(error) => tracing::warn!(%error, "a sweep of expired rows ended early"),
            }
        }
    }

    /// Ends the thread, after every call made before.
    pub(crate) async fn stop(&self) {
        self.thread.stop().await;
    }

    async fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").and_then(|target| target.strip_prefix(TARGET_PREFIX));
        let operation = target.unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let answered = self.thread.call(move |engine| dispatch(engine, &operation, &body)).await;
        let (status, text) = match answered.map_err(|error| ConnectorError::io(error.into()))? {
            Ok(text) => (200, text),
            Err(error) => (error.status_code(), error.to_json()),
        };
        let status = status.try_into().map_err(|_| ConnectorError::other("not a status".into(), None))?;
        let mut response = HttpResponse::new(status, SdkBody::from(text));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        Ok(response)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

impl HttpConnector for Database {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let database = self.clone();
        HttpConnectorFuture::new(async move { database.answer(&request).await })
    }
}

impl HttpClient for Database {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Runs one operation: those that the adapters use.
fn dispatch(engine: &dynoxide::Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "CreateTable" => run(body, |request| engine.create_table(request)),
        "UpdateTimeToLive" => run(body, |request| engine.update_time_to_live(request)),
        "DescribeTimeToLive" => run(body, |request| engine.describe_time_to_live(request)),
        "DeleteItem" => run(body, |request| engine.delete_item(request)),
        "PutItem" => run(body, |request| engine.put_item(request)),
        "GetItem" => run(body, |request| engine.get_item(request)),
        "TransactWriteItems" => run(body, |request| engine.transact_write_items(request)),
        "UpdateItem" => run(body, |request| engine.update_item(request)),
        "Query" => run(body, |request| engine.query(request)),
        "BatchGetItem" => run(body, |request| engine.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| engine.batch_write_item(request)),
        other => {
            Err(DynoxideError::ValidationException(format!("the local cloud does not know the operation `{other}`")))
        }
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let answer = operation(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// `dynoxide` refuses some values while it reads them, behind a mark for its own server, and serde adds where.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    match text.split_once(':') {
        Some((mark, message)) if mark.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(message.trim_start().to_owned())
        }
        Some((mark, message)) if mark.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(message.trim_start().to_owned())
        }
        _ => DynoxideError::ValidationException(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws::{DynamoDirectory, Tables};
    use delivery::{Address, Connection, Dialect, Directory, Registration};
    use protocol::Timestamp;

    use super::*;

    fn names() -> Tables {
        Tables { directory: "directory".to_owned(), inbox: "inbox".to_owned() }
    }

    async fn directory(database: &Database) -> DynamoDirectory {
        let client = aws::dynamo::client(database.clone());
        aws::tables::create(&client, &names()).await.expect("tables");
        DynamoDirectory::new(client, names().directory, Arc::default())
    }

    fn address() -> Address {
        Address { user: "bob".parse().expect("a user"), device: "phone".parse().expect("a device") }
    }

    fn connection(id: &str, secs: u64) -> Connection {
        Connection { id: id.into(), connected_at: at(secs), dialect: Dialect::Current }
    }

    /// Rows expire by the machine's clock, so the time is near it.
    fn at(secs: u64) -> Timestamp {
        lambda::start::invocation().now.plus(Duration::from_secs(secs))
    }

    #[tokio::test]
    async fn a_condition_that_does_not_hold_is_told_from_a_failure() {
        let directory = directory(&Database::memory().expect("a database")).await;
        let newer = directory.register(&address(), &connection("newer", 60), at(60)).await.expect("registered");
        assert_eq!(newer, Registration::Registered { displaced: None });
        let older = directory.register(&address(), &connection("older", 0), at(60)).await.expect("an outcome");
        assert_eq!(older, Registration::Superseded);
        directory.unregister(&address(), &"older".into()).await.expect("nothing happens");
        let devices = directory.devices(&address().user, at(60)).await.expect("devices");
        assert_eq!(devices[0].connection.as_ref().map(|connection| connection.id.as_str()), Some("newer"));
    }

    #[tokio::test]
    async fn what_was_answered_is_there_when_the_file_is_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tables.sqlite");
        let killed = Database::new(&file).expect("a database");
        let registered = directory(&killed).await.register(&address(), &connection("c", 0), at(0)).await;
        assert!(matches!(registered, Ok(Registration::Registered { .. })));
        // Neither stopped nor flushed.
        let reopened = directory(&Database::new(&file).expect("a database")).await;
        assert_eq!(reopened.devices(&address().user, at(0)).await.expect("devices").len(), 1);
        drop(killed);
    }

    #[test]
    fn the_marks_of_the_engine_do_not_reach_the_sdk() {
        for (body, text) in [
            (r#"{"TableName":"inbox","Key":{"pk":{"N":"x"}}}"#, "cannot be converted"),
            ("{", "EOF"),
            ("{}", "must not be null"),
        ] {
            let engine = dynoxide::Database::memory().expect("a database");
            let error = dispatch(&engine, "GetItem", body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains(text) && !error.contains("VALIDATION:") && !error.contains(" at line "), "{error}");
        }
    }

    #[test]
    fn an_operation_that_no_adapter_uses_is_refused() {
        let engine = dynoxide::Database::memory().expect("a database");
        for operation in ["Scan", "DescribeTable", "DeleteTable", ""] {
            let refused = dispatch(&engine, operation, b"{}").expect_err(operation).to_string();
            assert!(refused.contains("does not know"), "{operation}: {refused}");
        }
    }
}
