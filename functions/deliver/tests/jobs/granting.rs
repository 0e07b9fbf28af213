//! Granting: who may have the attachments that a message names, before he can see the message, and what that costs.

use std::collections::BTreeMap;

use delivery::{Attached, Attachment, Attachments, Envelope, Fanout, Job};
use protocol::{AttachmentId, Recipient};

use crate::stage::{Stage, secs, user};

/// The attachment of number `n`, as a record names it.
fn attached(stage: &Stage, n: u128) -> Attached {
    Attached { id: AttachmentId::new(n), expires_at: stage.clock.now().plus(secs(86_400)) }
}

impl Stage {
    /// Enqueues alice's `n`th message to `to`, which names these attachments.
    async fn send_naming(&self, n: u64, to: &str, attachments: &[Attached]) {
        let envelope = self.envelope(n, to, "look");
        let attachments = attachments.to_vec();
        let (recipient, ephemeral, except) = (user(to), false, None);
        self.enqueue(Job::Deliver(delivery::Deliver { envelope, recipient, ephemeral, except, attachments })).await;
    }

    /// Enqueues alice's first message to a group of these.
    async fn send_to_group(&self, members: &[String], attachments: &[Attached]) {
        let to = Recipient::Group("team".parse().expect("a group"));
        let envelope = Envelope { to, ..self.envelope(1, "nobody", "look, all") };
        let members = members.iter().map(|name| user(name)).collect();
        let attachments = attachments.to_vec();
        self.enqueue(Job::Fanout(Fanout { envelope, members, ephemeral: false, attachments })).await;
    }

    async fn may_have(&self, name: &str, attached: Attached) -> bool {
        let attachments = &self.function.attachments;
        attachments.insert(Attachment {
            id: attached.id,
            uploader: user("alice"),
            media_type: "image/jpeg".parse().expect("a type"),
            bytes: 7,
            expires_at: attached.expires_at,
        });
        let found = attachments.open_to(&user(name), &[attached.id], self.clock.now()).await;
        attachments.ledger.take();
        found.expect("an answer")[0].is_some()
    }
}

#[tokio::test]
async fn a_recipient_may_have_what_a_message_names_and_nobody_else() {
    let stage = Stage::new();
    stage.connect("bob", "phone", "c1").await;
    let (photo, film) = (attached(&stage, 1), attached(&stage, 2));
    stage.send_naming(1, "bob", &[photo, film]).await;
    stage.send(2, "carol").await;
    stage.step().await;
    assert_eq!(stage.function.attachments.ledger.take(), BTreeMap::from([("grant", 1)]), "one batch for all");
    assert_eq!(stage.deliveries("c1").len(), 1);
    for (name, may) in [("bob", true), ("carol", false)] {
        assert_eq!((stage.may_have(name, photo).await, stage.may_have(name, film).await), (may, may), "{name}");
    }
    stage.send(3, "bob").await;
    stage.step().await;
    assert!(stage.function.attachments.ledger.take().is_empty(), "a message that names none costs nothing more");
}

#[tokio::test]
async fn a_message_is_not_seen_before_its_recipient_may_have_what_it_names() {
    let stage = Stage::new();
    for (name, connection) in [("bob", "c1"), ("carol", "c2"), ("dave", "c3")] {
        stage.connect(name, "phone", connection).await;
    }
    let (photo, film) = (attached(&stage, 1), attached(&stage, 2));
    stage.send_naming(1, "bob", &[photo, film]).await;
    stage.send_naming(2, "carol", &[photo]).await;
    stage.send(3, "dave").await;
    stage.function.attachments.leave_unprocessed(film.id);
    let batch = stage.function.queue.receive(10);
    let response = stage.handle(&batch).await;
    let kept = response["batchItemFailures"].as_array().expect("a list");
    assert_eq!((kept.len(), &kept[0]["itemIdentifier"]), (1, &batch[0].id.as_str().into()), "bob's record alone");
    assert!(stage.deliveries("c1").is_empty() && stage.rows().iter().all(|row| row.user != user("bob")));
    assert_eq!((stage.deliveries("c2").len(), stage.deliveries("c3").len()), (1, 1));
    stage.run_for(secs(60)).await;
    assert!(!stage.deliveries("c1").is_empty());
    assert!(stage.may_have("bob", film).await && stage.may_have("bob", photo).await);

    stage.function.attachments.ledger.fail_next("grant", 1);
    stage.send_naming(4, "carol", &[film]).await;
    stage.step().await;
    assert!(
        !stage.may_have("carol", film).await
            && stage.rows().iter().all(|row| row.envelope.id != stage.clock.message_id(4))
    );
    stage.run_for(secs(600)).await;
    assert!(stage.may_have("carol", film).await);
}

#[tokio::test]
async fn a_group_costs_one_write_for_25_recipients_and_attachment() {
    let stage = Stage::new();
    let members: Vec<String> = (0..1_023).map(|n| format!("u{n:04}")).collect();
    let (photo, film) = (attached(&stage, 1), attached(&stage, 2));
    stage.send_to_group(&members, &[photo, film]).await;
    stage.settle().await;
    let grants = stage.function.attachments.grants();
    assert_eq!(grants.len(), 41 * 2);
    assert!(grants.iter().all(|grant| (1..=25).contains(&grant.recipients.len())));
    // 41 records of at most 25 members come in five batches.
    assert_eq!(stage.function.attachments.ledger.take(), BTreeMap::from([("grant", 5)]));
    assert_eq!(stage.rows().len(), 1_023);
    assert!(stage.may_have("u0000", photo).await && stage.may_have("u1022", film).await);
    assert!(!stage.may_have("u1023", photo).await);
}

#[tokio::test]
async fn a_record_that_is_there_twice_grants_once_and_takes_nothing_away() {
    let stage = Stage::new();
    let photo = attached(&stage, 1);
    for _ in 0..2 {
        stage.send_to_group(&["bob".to_owned(), "carol".to_owned()], &[photo]).await;
    }
    stage.step().await;
    assert_eq!(stage.function.attachments.grants().len(), 1);
    // The same message, sent again after bob has left.
    stage.send_to_group(&["carol".to_owned(), "dave".to_owned()], &[photo]).await;
    stage.settle().await;
    for name in ["bob", "carol", "dave"] {
        assert!(stage.may_have(name, photo).await, "{name}");
    }
}

#[tokio::test]
async fn what_is_over_grants_nothing() {
    let stage = Stage::new();
    stage.send_naming(1, "bob", &[attached(&stage, 1)]).await;
    stage.send_naming(2, "bob", &[Attached { expires_at: stage.clock.now(), ..attached(&stage, 2) }]).await;
    stage.clock.advance(secs(3_600));
    stage.send_naming(3, "bob", &[Attached { expires_at: stage.clock.now(), ..attached(&stage, 3) }]).await;
    stage.step().await;
    assert!(stage.function.attachments.grants().is_empty(), "an expired message, and expired attachments");
    assert_eq!(stage.rows().len(), 1, "the message itself is owed");
}
