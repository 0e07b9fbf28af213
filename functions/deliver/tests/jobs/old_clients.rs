//! Connections of old clients: told in their own words, acked for where they never ack, and never closed for their silence.

use delivery::{Dialect, Envelope, Job, Reason};
use legacy::Incoming;
use protocol::{Body, Kind, Sender};
use serde_json::{Value, json};

use crate::stage::{Stage, address, secs, user};

/// What an old client wrote, as a body.
fn old(id: &str, content_type: &str, text: &str) -> Body {
    let head = json!({"type": "chat", "to": "bob", "contentType": content_type, "action": "message"});
    let frame = json!({"_v": 2.1, "id": id, "head": head, "body": {"text": text}}).to_string();
    match legacy::incoming(&frame) {
        Ok(Incoming::Message(message)) => message.body,
        other => panic!("{other:?}"),
    }
}

impl Stage {
    /// Enqueues alice's `n`th message to bob, with another body.
    async fn send_body(&self, n: u64, body: Body) -> Envelope {
        let envelope = Envelope { body, ..self.envelope(n, "bob", "") };
        self.enqueue_to_bob(envelope.clone(), false).await;
        envelope
    }

    async fn enqueue_to_bob(&self, envelope: Envelope, ephemeral: bool) {
        self.enqueue(Job::Deliver(delivery::Deliver {
            envelope,
            recipient: user("bob"),
            ephemeral,
            except: None,
            attachments: Vec::new(),
        }))
        .await;
    }

    fn texts(&self, connection: &str) -> Vec<String> {
        self.function.connections.take_texts(connection)
    }

    /// Id and text of what has arrived in JSON.
    fn told(&self, connection: &str) -> Vec<(String, String)> {
        let frames = self.texts(connection);
        let word = |frame: &Value, key: &str| frame[key].as_str().expect("text").to_owned();
        let frames = frames.iter().map(|frame| serde_json::from_str::<Value>(frame).expect("JSON"));
        frames.map(|frame| (word(&frame, "id"), word(&frame["body"], "text"))).collect()
    }
}

fn told(id: &str, text: &str) -> (String, String) {
    (id.to_owned(), text.to_owned())
}

#[tokio::test]
async fn every_device_is_told_in_its_own_words_and_by_the_same_calls() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "c1").await;
    stage.connect_as(Dialect::OldJson, "bob", "legacy", "c2").await;
    stage.connect_as(Dialect::OldBase64, "bob", "binary", "c3").await;
    let old = stage.send_body(1, old("a1", "text", "from an old one")).await;
    let new = stage.send(2, "bob").await;
    stage.function.directory.ledger.take();
    stage.settle().await;
    let ids: Vec<_> = stage.deliveries("c1").iter().map(|delivery| delivery.id).collect();
    assert_eq!(ids, [old.id, new]);
    assert_eq!(stage.told("c2"), [told("a1", "from an old one"), told(&new.to_string(), "message 2")]);
    let binary = stage.texts("c3");
    let again = binary.iter().map(|frame| match legacy::incoming(frame) {
        Ok(Incoming::Message(message)) => message.id.as_str().to_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(again.collect::<Vec<_>>(), ["a1".to_owned(), new.to_string()]);
    let calls = |ledger: &testkit::Ledger| ledger.take().into_iter().collect::<Vec<_>>();
    assert_eq!(calls(&stage.function.directory.ledger), [("devices", 1)]);
    assert_eq!(calls(&stage.function.inbox.ledger), [("put", 1)], "nothing is read or deleted for old clients");
    assert_eq!(calls(&stage.function.connections.ledger), [("post", 1 + 2 + 2)], "a frame for each envelope");
    assert_eq!(calls(&stage.function.queue.ledger), [("send", 1)]);
}

#[tokio::test]
async fn an_old_client_that_acks_nothing_is_handed_over_once_and_never_closed() {
    let stage = Stage::new();
    stage.connect_as(Dialect::OldJson, "bob", "legacy", "c1").await;
    stage.send_body(1, old("a1", "text", "hi")).await;
    stage.run_for(secs(600)).await;
    assert_eq!(stage.told("c1"), vec![told("a1", "hi"); 4]);
    assert_eq!(stage.function.offline.take().iter().map(|one| one.reason).collect::<Vec<_>>(), [Reason::Exhausted]);
    assert!(stage.function.connections.closed().is_empty());
    assert!(stage.function.directory.connection(&address("bob", "legacy")).is_some(), "it is still told what is new");
    assert_eq!(stage.rows().len(), 1, "what is not acked stays");

    stage.connect_as(Dialect::OldJson, "bob", "legacy", "c2").await;
    stage.enqueue_drain("bob", "legacy", "c2").await;
    stage.run_for(secs(600)).await;
    assert_eq!(stage.told("c2"), vec![told("a1", "hi"); 4], "once by the drain, and no `drained`");
    assert!(stage.function.offline.take().is_empty(), "and woken no more");
    assert!(stage.function.connections.closed().is_empty() && stage.function.queue.is_empty());
}

#[tokio::test]
async fn what_an_old_client_never_acks_is_posted_once_and_gone() {
    let stage = Stage::new();
    stage.absent("bob", "legacy").await;
    let receipt = old("r1", "notification", "read");
    let news = Body::from_json(r#"{"event":"added","by":"alice","name":"Team","users":["bob"]}"#.to_owned());
    let news = Envelope {
        from: Sender::System,
        kind: Kind::System,
        body: news.expect("JSON"),
        ..stage.envelope(2, "bob", "")
    };
    stage.enqueue_to_bob(news.clone(), false).await;
    stage.settle().await;
    assert_eq!(stage.rows().len(), 1, "kept while nobody is there");
    stage.connect_as(Dialect::OldJson, "bob", "legacy", "c1").await;
    stage.enqueue_drain("bob", "legacy", "c1").await;
    stage.settle().await;
    let frames = stage.texts("c1");
    let frame: Value = serde_json::from_str(&frames[0]).expect("JSON");
    assert_eq!(
        (frames.len(), &frame["id"], &frame["head"]["from"]),
        (1, &json!(news.id.to_string()), &json!("server"))
    );
    assert!(stage.rows().is_empty());

    stage.function.inbox.ledger.take();
    stage.send_body(3, receipt.clone()).await;
    stage.settle().await;
    assert_eq!(stage.function.inbox.ledger.take().into_iter().collect::<Vec<_>>(), [("delete", 1), ("put", 1)]);
    stage.run_for(secs(600)).await;
    assert_eq!(stage.texts("c1").len(), 1);
    assert!(stage.rows().is_empty() && stage.function.queue.is_empty());
    assert_eq!(stage.function.offline.take().len(), 1, "the news, while nobody was there");

    stage.function.inbox.ledger.take();
    stage.enqueue_to_bob(Envelope { body: receipt.clone(), ..stage.envelope(4, "bob", "") }, true).await;
    stage.settle().await;
    assert_eq!(stage.texts("c1").len(), 1);
    assert!(stage.function.inbox.ledger.take().is_empty(), "what is ephemeral lies nowhere");

    stage.connect("bob", "phone", "c2").await;
    stage.send_body(5, receipt).await;
    stage.settle().await;
    assert_eq!(
        stage.rows().iter().map(|row| row.holder.device().map(ToString::to_string)).collect::<Vec<_>>(),
        [Some("phone".to_owned())]
    );
    let delivery = stage.deliveries("c2").remove(0);
    stage.ack("bob", "phone", &delivery).await;
    assert!(stage.rows().is_empty());
}

#[tokio::test]
async fn what_could_not_be_posted_or_deleted_comes_again() {
    let stage = Stage::new();
    stage.connect_as(Dialect::OldJson, "bob", "legacy", "c1").await;
    stage.function.connections.answer("c1", delivery::PostOutcome::Unknown);
    stage.send_body(1, old("r1", "notification", "read")).await;
    stage.settle().await;
    assert_eq!(stage.rows().len(), 1);
    stage.function.connections.answer("c1", delivery::PostOutcome::Posted);
    stage.function.inbox.ledger.fail_next("delete", 1);
    stage.run_for(secs(600)).await;
    assert_eq!(stage.told("c1"), vec![told("r1", "read"); 2], "by the first Await in vain, by the second for good");
    assert!(stage.rows().is_empty() && stage.function.queue.is_empty());
}

#[tokio::test]
async fn a_frame_that_no_socket_carries_is_not_posted_and_stops_nothing() {
    let stage = Stage::new();
    stage.connect_as(Dialect::OldBase64, "bob", "legacy", "c1").await;
    stage.connect_as(Dialect::OldJson, "bob", "json", "c2").await;
    stage.send_body(1, old("a1", "text", &"x".repeat(29_000))).await;
    stage.send_body(2, old("a2", "text", "hi")).await;
    stage.settle().await;
    assert_eq!(stage.texts("c1").len(), 1, "base64 of 29,000 letters is over 32 KB");
    let lengths: Vec<usize> = stage.told("c2").iter().map(|(_, text)| text.len()).collect();
    assert_eq!(lengths, [29_000, 2], "in JSON it fits");
    stage.run_for(secs(600)).await;
    assert!(stage.function.connections.closed().is_empty());
}
