//! Attachments over HTTP: what is taken, who may have it, and what both cost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use delivery::{Attached, Attachments, Grant, Job};
use serde_json::{Value, json};

use crate::stage::{Answer, Stage, user};

const DAYS: Duration = Duration::from_secs(60 * 86_400);

impl Stage {
    /// The id of a photo that `alice` may upload.
    async fn photo(&self) -> String {
        let made = self.ask("alice", "POST", "/v1/attachments", &json!({"type": "image/jpeg", "bytes": 7})).await;
        assert_eq!(made.status, 201, "{made:?}");
        self.attachment_calls();
        made.body["attachment"].as_str().expect("an id").to_owned()
    }

    async fn show(&self, who: &str, id: &str) -> Answer {
        self.ask(who, "GET", &format!("/v1/attachments/{id}"), &Value::Null).await
    }

    /// Lets `who` have one, as `deliver` does.
    async fn grant(&self, id: &str, who: &str) {
        let granted = Grant {
            attachment: Attached { id: id.parse().expect("an id"), expires_at: self.clock.now().plus(DAYS) },
            message: self.clock.message_id(1),
            sender: user("alice").into(),
            recipients: BTreeSet::from([user(who)]),
        };
        assert!(self.function.answers.attachments.grant(&[granted]).await[0].is_ok());
        self.attachment_calls();
    }

    /// Calls by name, of the ports that attachments need and of the queue, since the last time this was asked.
    fn attachment_calls(&self) -> BTreeMap<&'static str, u64> {
        let answers = &self.function.answers;
        let ledgers = [&answers.attachments.ledger, &self.function.files.ledger, &answers.queue.ledger];
        ledgers.into_iter().flat_map(testkit::Ledger::take).collect()
    }
}

#[tokio::test]
async fn an_attachment_is_made_with_one_write_and_its_upload_is_signed() {
    let stage = Stage::new();
    let asked = json!({"type": "Image/JPEG", "bytes": 12_345, "name": "later"});
    let made = stage.ask("alice", "POST", "/v1/attachments", &asked).await;
    let id = made.body["attachment"].as_str().expect("an id");
    let until = stage.clock.now().plus(Duration::from_secs(900)).as_millis();
    let headers = json!({"content-length": "12345", "content-type": "image/jpeg", "if-none-match": "*"});
    let upload = json!({"method": "PUT", "url": format!("memory://put/{id}"), "headers": headers});
    assert_eq!((made.status, &made.body), (201, &json!({"attachment": id, "upload": upload, "expires_at": until})));
    assert_eq!(stage.attachment_calls(), BTreeMap::from([("keep", 1), ("upload", 1)]));
    let kept = stage.function.answers.attachments.all();
    assert_eq!((kept.len(), kept[0].id.to_string().as_str(), kept[0].uploader.as_str()), (1, id, "alice"));
    assert_eq!((kept[0].media_type.as_str(), kept[0].bytes), ("image/jpeg", 12_345));
    assert_eq!(kept[0].expires_at, stage.clock.now().plus(DAYS));

    // The same invocation's seed, and yet another id.
    let again = stage.ask("alice", "POST", "/v1/attachments", &asked).await;
    assert_ne!(again.body["attachment"], made.body["attachment"]);
}

#[tokio::test]
async fn what_is_not_taken_leaves_nothing_behind() {
    let stage = Stage::new();
    for (kind, bytes, status, code) in [
        ("text/html", 7, 400, "invalid_request"),
        ("application/x-msdownload", 7, 400, "invalid_request"),
        ("image/jpeg", 100 * 1024 * 1024 + 1, 413, "too_large"),
        ("image/jpeg", 0, 400, "invalid_request"),
        ("image/*", 7, 400, "invalid_request"),
    ] {
        let refused = stage.ask("alice", "POST", "/v1/attachments", &json!({"type": kind, "bytes": bytes})).await;
        assert_eq!((refused.status, &refused.body["code"]), (status, &json!(code)), "{kind} {bytes}");
        assert!(refused.body["detail"].as_str().is_some_and(|detail| !detail.contains("msdownload")), "{refused:?}");
    }
    assert!(stage.attachment_calls().is_empty() && stage.function.answers.attachments.all().is_empty());
}

#[tokio::test]
async fn only_the_uploader_and_who_it_was_sent_to_may_have_it() {
    let stage = Stage::new();
    let id = stage.photo().await;
    let nobodys = stage.show("alice", "00000000000000000000000000000000").await;
    assert_eq!((nobodys.status, &nobodys.body["code"]), (404, &json!("not_found")));
    assert_eq!(stage.show("bob", &id).await, nobodys, "to others there is no difference");
    stage.grant(&id, "bob").await;
    for who in ["alice", "bob"] {
        let shown = stage.show(who, &id).await;
        let until = stage.clock.now().plus(Duration::from_secs(600)).as_millis();
        let expected = json!({
            "attachment": id, "type": "image/jpeg", "bytes": 7, "url": format!("memory://get/{id}"), "expires_at": until,
        });
        assert_eq!((shown.status, &shown.body), (200, &expected), "{who}");
        assert_eq!(stage.attachment_calls(), BTreeMap::from([("download", 1), ("open_to", 1)]));
    }
    assert_eq!(stage.show("eve", &id).await, nobodys);
    assert_eq!(stage.attachment_calls(), BTreeMap::from([("open_to", 1)]), "nothing is signed for nobody");
    stage.clock.advance(DAYS);
    for who in ["alice", "bob"] {
        assert_eq!(stage.show(who, &id).await, nobodys, "expired, for {who}");
    }
}

#[tokio::test]
async fn a_message_over_http_names_what_its_sender_may_have() {
    let stage = Stage::new();
    let id = stage.photo().await;
    let message = |n| {
        let id = stage.clock.message_id(n).to_string();
        json!({"id": id, "to": {"user": "bob"}, "body": 1})
    };
    let naming = |n, id: &str| {
        let mut message = message(n);
        message["attachments"] = json!([id]);
        message
    };
    let body = json!({"messages": [naming(1, &id), message(2), naming(3, "x")]});
    let answer = stage.ask("alice", "POST", "/v1/messages", &body).await;
    let refused = answer.body["refused"].as_array().expect("a list");
    assert_eq!((answer.status, answer.body["ids"].as_array().map(Vec::len), refused.len()), (200, Some(2), 1));
    assert_eq!((&refused[0]["index"], &refused[0]["code"]), (&json!(2), &json!("invalid_attachment")));
    assert_eq!(stage.attachment_calls(), BTreeMap::from([("open_to", 1), ("send", 1)]));

    let stolen = stage.ask("eve", "POST", "/v1/messages", &json!({"messages": [naming(4, &id)]})).await;
    assert_eq!((stolen.status, &stolen.body["refused"][0]["code"]), (200, &json!("invalid_attachment")));
    assert_eq!(stage.attachment_calls(), BTreeMap::from([("open_to", 1)]), "nothing is queued");
    let attached: Vec<usize> = stage
        .function
        .answers
        .queue
        .jobs()
        .into_iter()
        .map(|job| match job {
            Job::Deliver(deliver) => deliver.attachments.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(attached, [1, 0]);
}
