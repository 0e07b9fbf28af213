//! `$connect` and `$disconnect` on in-memory ports.

use std::time::Duration;

use connect::{Authorizer, Connect, TokenRules};
use delivery::{Address, Connection, Dialect, Directory, Job};
use lambda::HandlerError;
use protocol::{Code, ServerFrame};
use serde_json::{Value, json};
use testkit::{Clock, MemoryConnections, MemoryDirectory, MemoryQueue, events};

struct Stage {
    clock: Clock,
    function: Connect<MemoryDirectory, MemoryQueue, MemoryConnections>,
}

impl Stage {
    fn new() -> Self {
        let clock = Clock::default();
        let rules = TokenRules { jwks_url: String::new(), issuer: String::new(), audience: String::new() };
        let function = Connect {
            authorizer: Authorizer::new(rules).expect("an authorizer"),
            directory: MemoryDirectory::default(),
            queue: MemoryQueue::new(clock.clone()),
            connections: MemoryConnections::default(),
        };
        Self { clock, function }
    }

    fn connection(&self, id: &str) -> Connection {
        Connection { id: id.into(), connected_at: self.clock.now(), dialect: Dialect::Current }
    }

    async fn event(&self, route_key: &str, connection: &Connection) -> Result<u64, HandlerError> {
        let event = events::websocket(route_key, &phone(), connection, None);
        let response = self.function.handle(event, self.clock.invocation()).await?;
        Ok(response["statusCode"].as_u64().expect("a status"))
    }
}

fn phone() -> Address {
    Address { user: "bob".parse().expect("a user"), device: "phone".parse().expect("a device") }
}

#[tokio::test]
async fn connecting_registers_and_enqueues_a_delayed_drain() {
    let stage = Stage::new();
    let connection = stage.connection("c1");
    assert_eq!(stage.event("$connect", &connection).await.expect("a status"), 200);
    assert_eq!(stage.function.directory.connection(&phone()), Some(connection));
    let jobs = stage.function.queue.jobs();
    let [Job::Drain(drain)] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!((drain.connection.as_str(), &drain.after), ("c1", &None));
    assert!(stage.function.queue.receive(10).is_empty());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.function.queue.receive(10).len(), 1);
}

#[tokio::test]
async fn an_old_client_is_displaced_without_a_word_and_stays_open() {
    let stage = Stage::new();
    let first = Connection { dialect: Dialect::OldJson, ..stage.connection("c1") };
    stage.clock.advance(Duration::from_secs(1));
    let second = Connection { dialect: Dialect::OldBase64, ..stage.connection("c2") };
    assert_eq!(stage.event("$connect", &first).await.expect("a status"), 200);
    assert_eq!(stage.event("$connect", &second).await.expect("a status"), 200);
    assert_eq!(stage.function.directory.connection(&phone()), Some(second.clone()), "its dialect is kept");
    assert!(
        stage.function.connections.ledger.take().is_empty(),
        "neither told nor closed: it would come back for ever"
    );
    assert_eq!(stage.event("$disconnect", &first).await.expect("a status"), 200);
    assert_eq!(stage.function.directory.connection(&phone()), Some(second));
}

#[tokio::test]
async fn a_newer_connection_displaces_and_an_older_one_is_refused() {
    let stage = Stage::new();
    let first = stage.connection("c1");
    stage.clock.advance(Duration::from_secs(1));
    let second = stage.connection("c2");
    assert_eq!(stage.event("$connect", &first).await.expect("a status"), 200);
    assert_eq!(stage.event("$connect", &second).await.expect("a status"), 200);
    let told = stage.function.connections.take_frames("c1");
    assert!(matches!(told[..], [ServerFrame::Error { code: Code::Displaced, .. }]), "{told:?}");
    assert_eq!(stage.function.connections.closed(), ["c1".into()]);
    assert_eq!(stage.event("$connect", &first).await.expect("a status"), 409);
    assert_eq!(stage.event("$disconnect", &first).await.expect("a status"), 200);
    assert_eq!(stage.function.directory.connection(&phone()), Some(second.clone()), "its successor stays");
    assert_eq!(stage.event("$disconnect", &second).await.expect("a status"), 200);
    assert_eq!(stage.function.directory.connection(&phone()), None);
}

#[tokio::test]
async fn a_connection_without_a_drain_does_not_open() {
    let stage = Stage::new();
    stage.function.queue.ledger.fail_next("send", 1);
    let refused = stage.event("$connect", &stage.connection("c1")).await;
    assert!(matches!(refused, Err(HandlerError::Unavailable(_))), "{refused:?}");
    assert_eq!(stage.function.directory.connection(&phone()), None);
}

#[tokio::test]
async fn who_leaves_was_seen_until_then() {
    let stage = Stage::new();
    let (first, second) = (stage.connection("c1"), stage.connection("c2"));
    let last_seen = async || {
        let devices = stage.function.directory.devices(&phone().user, stage.clock.now()).await.expect("devices");
        devices[0].last_seen
    };
    assert_eq!(stage.event("$connect", &first).await.expect("a status"), 200);
    let opened_at = last_seen().await;
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.event("$disconnect", &second).await.expect("a status"), 200);
    assert_eq!(last_seen().await, opened_at, "another connection than the registered one says nothing");
    stage.function.directory.ledger.take();
    assert_eq!(stage.event("$disconnect", &first).await.expect("a status"), 200);
    assert_eq!(last_seen().await, opened_at.plus(Duration::from_secs(60)));
    assert_eq!(stage.function.directory.ledger.calls("left"), 1);
    assert_eq!(stage.function.directory.connection(&phone()), None);
}

#[tokio::test]
async fn nobody_is_displaced_by_a_connection_that_does_not_open() {
    let stage = Stage::new();
    assert_eq!(stage.event("$connect", &stage.connection("c1")).await.expect("a status"), 200);
    stage.clock.advance(Duration::from_secs(1));
    stage.function.queue.ledger.fail_next("send", 1);
    assert!(stage.event("$connect", &stage.connection("c2")).await.is_err());
    assert!(stage.function.connections.take_frames("c1").is_empty());
}

#[tokio::test]
async fn a_connection_without_a_device_is_refused() {
    let stage = Stage::new();
    let mut event = events::websocket("$connect", &phone(), &stage.connection("c1"), None);
    event["requestContext"]["authorizer"]["device"] = Value::Null;
    let response = stage.function.handle(event, stage.clock.invocation()).await.expect("a response");
    assert_eq!(response["statusCode"], 400);
    assert!(stage.function.queue.is_empty());
}

#[tokio::test]
async fn an_event_of_the_wrong_shape_fails() {
    let stage = Stage::new();
    let message = events::websocket("send", &phone(), &stage.connection("c1"), Some("{}"));
    for event in [json!({}), json!({"type": "REQUEST"}), json!({"Records": []}), message] {
        let failed = stage.function.handle(event, stage.clock.invocation()).await;
        assert!(matches!(failed, Err(HandlerError::WrongShape(_))), "{failed:?}");
    }
}
