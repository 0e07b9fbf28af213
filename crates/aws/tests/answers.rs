//! What the adapters make of answers that no emulator gives: throttling, half-done batches, timeouts, refusals.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws::meter::Meter;
use aws::{DynamoDirectory, DynamoGroups, DynamoInbox, GatewayConnections, SnsTopic, SqsQueue, keys};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::types::error::{
    ConditionalCheckFailedException, ProvisionedThroughputExceededException, TransactionCanceledException,
};
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, KeysAndAttributes};
use aws_sdk_sns::operation::publish_batch::PublishBatchOutput;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchResultEntry};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use delivery::group::Role;
use delivery::{
    Address, Await, Connections, Directory, Envelope, Group, Groups, HandOver, Holder, Inbox, Job, Key, Lookup, Member,
    Membership, OfflineTopic, Pending, PostOutcome, Queue, Reason, Receipt, Row, Scheduled,
};
use protocol::{Body, Enrolment, GroupId, GroupName, Kind, PushTarget, Recipient, Ref, Timestamp, Urgency, UserId};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn reference(n: u64) -> Ref {
    format!("0198a5c0-7c00-7abc-8def-{n:012x}~alice").parse().expect("a ref")
}

fn row(n: u64) -> Row {
    let bob: UserId = "bob".parse().expect("a user");
    let Ref { id, sender, .. } = reference(n);
    Row {
        user: bob.clone(),
        holder: Holder::Device("phone".parse().expect("a device")),
        envelope: Envelope {
            id,
            from: sender,
            to: Recipient::User(bob),
            kind: Kind::Message,
            at: NOW,
            expires_at: NOW.plus(Duration::from_secs(60)),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text("hi"),
        },
        undelivered: false,
        shared: false,
    }
}

fn inbox(client: aws_sdk_dynamodb::Client) -> DynamoInbox {
    DynamoInbox::new(client, "inbox".to_owned(), Arc::new(Meter::default()))
}

fn scheduled(n: u64) -> Scheduled {
    let pending = Pending {
        user: "bob".parse().expect("a user"),
        device: "phone".parse().expect("a device"),
        reference: reference(n),
    };
    Scheduled::now(Job::Await(Await { pending: vec![pending] }))
}

#[tokio::test]
async fn an_unprocessed_item_is_the_outcome_of_its_own_row() {
    let rule =
        mock!(aws_sdk_dynamodb::Client::batch_write_item).match_requests(|_| true).then_compute_output(|input| {
            let requests = input.request_items().and_then(|tables| tables.get("inbox")).expect("requests");
            BatchWriteItemOutput::builder().unprocessed_items("inbox", vec![requests[1].clone()]).build()
        });
    let inbox = inbox(mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]));
    let done = |outcomes: Vec<Result<(), delivery::Failure>>| outcomes.iter().map(Result::is_ok).collect::<Vec<_>>();
    assert_eq!(done(inbox.put(&[row(1), row(2), row(3)]).await), [true, false, true]);
    assert_eq!(done(inbox.delete(&[row(1).key(), row(2).key()]).await), [true, false]);
}

#[tokio::test]
async fn an_unprocessed_key_is_told_from_a_missing_one() {
    let rule = mock!(aws_sdk_dynamodb::Client::batch_get_item).match_requests(|_| true).then_compute_output(|_| {
        let left = KeysAndAttributes::builder().keys(keys::row_key(&row(2).key())).build().expect("keys");
        let mut spoiled = keys::row_item(&row(4));
        spoiled.insert("b".to_owned(), AttributeValue::S("{".to_owned()));
        BatchGetItemOutput::builder()
            .responses("inbox", vec![keys::row_item(&row(1)), spoiled])
            .unprocessed_keys("inbox", left)
            .build()
    });
    let inbox = inbox(mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]));
    let wanted: Vec<Key> = [1, 2, 3, 4].map(|n| row(n).key()).to_vec();
    let found = inbox.get(&wanted, NOW).await.expect("an answer");
    assert_eq!(found, [Lookup::Found(row(1)), Lookup::Unprocessed, Lookup::Missing, Lookup::Unreadable]);
}

#[tokio::test]
async fn memberships_are_a_query_and_one_read_of_both_sides() {
    let group = |name: &str| -> GroupId { name.parse().expect("a group") };
    let (bob, ids) = (row(1).envelope.to, ["a", "b", "c"].map(group));
    let Recipient::User(bob) = bob else { panic!("a user") };
    let member = Member { user: bob.clone(), role: Role::Admin, joined_at: NOW };
    let name: GroupName = "Team".to_owned().try_into().expect("a name");
    let memberships: Vec<_> = ids.iter().map(|id| keys::membership_key(&bob, id)).collect();
    let query = mock!(aws_sdk_dynamodb::Client::query)
        .match_requests(|input| input.consistent_read() == Some(true) && input.limit() == Some(3))
        .then_output(move || QueryOutput::builder().set_items(Some(memberships.clone())).build());
    // Of b the user is no member any more.
    let items = {
        let [a, b, _] = &ids;
        let whole = |id: &GroupId| keys::group_item(&Group::new(id.clone(), name.clone(), 1, Vec::new()));
        vec![keys::member_item(a, &member), whole(b), whole(a)]
    };
    let read = mock!(aws_sdk_dynamodb::Client::batch_get_item)
        .match_requests(|input| {
            let wanted = &input.request_items().expect("keys")["directory"];
            wanted.consistent_read() == Some(true) && wanted.keys().len() == 4
        })
        .then_output(move || BatchGetItemOutput::builder().responses("directory", items.clone()).build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&query, &read]);
    let groups = DynamoGroups::new(client, "directory".to_owned(), Arc::default());
    let page = groups.memberships(&bob, None, 2).await.expect("a page");
    let membership = Membership { group: ids[0].clone(), name, role: Role::Admin, joined_at: NOW };
    assert_eq!(
        (page.memberships, page.next),
        (vec![membership], Some(ids[1].clone())),
        "it goes on after what was read"
    );
    assert_eq!((query.num_calls(), read.num_calls()), (1, 1));
}

#[tokio::test]
async fn memberships_that_were_left_unprocessed_are_a_failure_and_not_missing() {
    let team: GroupId = "team".parse().expect("a group");
    let bob: UserId = "bob".parse().expect("a user");
    let membership = keys::membership_key(&bob, &team);
    let query = mock!(aws_sdk_dynamodb::Client::query)
        .match_requests(|_| true)
        .then_output(move || QueryOutput::builder().items(membership.clone()).build());
    let read = mock!(aws_sdk_dynamodb::Client::batch_get_item).match_requests(|_| true).then_compute_output(|input| {
        let wanted = input.request_items().expect("keys").clone();
        BatchGetItemOutput::builder().set_unprocessed_keys(Some(wanted)).build()
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&query, &read]);
    let groups = DynamoGroups::new(client, "directory".to_owned(), Arc::default());
    assert!(groups.memberships(&bob, None, 50).await.is_err());
    assert!(groups.groups_of(&bob, None, 100).await.is_err());
}

/// Each of them loses messages when it is eventually consistent: the simulated world's mutations `eventual-looks`,
/// `eventual-pages` and `eventual-lookups`.
#[tokio::test]
async fn every_read_asks_for_the_newest_state() {
    let query = mock!(aws_sdk_dynamodb::Client::query)
        .match_requests(|input| input.consistent_read() == Some(true))
        .then_output(|| QueryOutput::builder().build());
    let get = mock!(aws_sdk_dynamodb::Client::get_item)
        .match_requests(|input| input.consistent_read() == Some(true))
        .then_output(|| GetItemOutput::builder().build());
    let batch_get = mock!(aws_sdk_dynamodb::Client::batch_get_item)
        .match_requests(|input| input.request_items().expect("keys")["inbox"].consistent_read() == Some(true))
        .then_output(|| BatchGetItemOutput::builder().build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&query, &get, &batch_get]);
    let inbox = inbox(client.clone());
    let directory = DynamoDirectory::new(client, "directory".to_owned(), Arc::new(Meter::default()));
    let Row { user, holder, .. } = row(1);

    directory.devices(&user, NOW).await.expect("a look");
    directory.wakeable(&user, &holder).await.expect("a wake state");
    inbox.get(&[row(1).key()], NOW).await.expect("a lookup");
    inbox.page(&user, holder.device(), None, 10, NOW).await.expect("a page");
    assert!(query.num_calls() >= 2 && get.num_calls() == 1 && batch_get.num_calls() == 1, "each kind of read was seen");
}

#[tokio::test]
async fn an_unreadable_row_beside_good_ones_is_skipped() {
    let rule = mock!(aws_sdk_dynamodb::Client::query).match_requests(|_| true).then_compute_output(|input| {
        let values = input.expression_attribute_values().expect("values");
        if values[":pk"] == AttributeValue::S("bob#*".to_owned()) {
            return QueryOutput::builder().build();
        }
        let mut spoiled = keys::row_item(&row(2));
        spoiled.insert("sk".to_owned(), AttributeValue::S("garbage".to_owned()));
        QueryOutput::builder().set_items(Some(vec![keys::row_item(&row(1)), spoiled, keys::row_item(&row(3))])).build()
    });
    let inbox = inbox(mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]));
    let device = "phone".parse().expect("a device");
    let page = inbox.page(&"bob".parse().expect("a user"), Some(&device), None, 10, NOW).await.expect("a page");
    assert_eq!((page.rows, page.more), (vec![row(1), row(3)], false));
}

#[tokio::test]
async fn throttling_is_a_failure_with_its_cause() {
    let rule = mock!(aws_sdk_dynamodb::Client::query).match_requests(|_| true).then_error(|| {
        let throttled = ProvisionedThroughputExceededException::builder().message("too fast").build();
        QueryError::ProvisionedThroughputExceededException(throttled)
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    let directory = DynamoDirectory::new(client, "directory".to_owned(), Arc::new(Meter::default()));
    let failure = directory.devices(&"bob".parse().expect("a user"), NOW).await.expect_err("throttled").to_string();
    assert!(failure.starts_with("failed to look up a user's devices: "), "{failure}");
    assert!(failure.contains("too fast"), "{failure}");
}

#[tokio::test]
async fn a_failed_entry_inside_a_success_is_the_outcome_of_its_own_job() {
    let rule = mock!(aws_sdk_sqs::Client::send_message_batch).match_requests(|_| true).then_output(|| {
        let taken = SendMessageBatchResultEntry::builder().id("0").message_id("m").md5_of_message_body("x").build();
        let failed = BatchResultErrorEntry::builder().id("1").code("InternalError").sender_fault(false).build();
        SendMessageBatchOutput::builder()
            .successful(taken.expect("an entry"))
            .failed(failed.expect("an entry"))
            .build()
            .expect("an output")
    });
    let client = mock_client!(aws_sdk_sqs, [&rule]);
    let queue = SqsQueue::new(client, "https://queue".to_owned(), None, Arc::new(Meter::default()));
    let outcomes = queue.send(&[scheduled(1), scheduled(2), scheduled(3)]).await;
    let texts: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| outcome.map_or_else(|failure| failure.to_string(), |()| String::new()))
        .collect();
    assert_eq!(
        texts,
        ["", "failed to send records: InternalError", "failed to send records: the answer leaves it out"]
    );
    assert!(queue.dead_letter("body", "reason").await.is_err(), "a function that only sends has no dead-letter queue");
}

#[tokio::test]
async fn sends_are_cut_at_ten_entries() {
    let rule = mock!(aws_sdk_sqs::Client::send_message_batch).match_requests(|_| true).then_compute_output(|input| {
        let taken = input.entries().iter().map(|entry| {
            let taken = SendMessageBatchResultEntry::builder().id(entry.id()).message_id("m").md5_of_message_body("x");
            taken.build().expect("an entry")
        });
        SendMessageBatchOutput::builder()
            .set_successful(Some(taken.collect()))
            .set_failed(Some(Vec::new()))
            .build()
            .expect("an output")
    });
    let meter = Arc::new(Meter::default());
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&rule]);
    let queue = SqsQueue::new(client, "https://queue".to_owned(), None, Arc::clone(&meter));
    let jobs: Vec<Scheduled> = (0..25).map(scheduled).collect();
    assert!(queue.send(&jobs).await.iter().all(Result::is_ok));
    assert_eq!(meter.report().requests("SendMessageBatch"), 3);
}

#[test]
fn batches_are_cut_at_one_mebibyte() {
    let record = |bytes: usize| ("x".repeat(bytes), Duration::ZERO);
    let half = aws::sqs::MAX_BATCH_BYTES / 2;
    let sizes = |batches: Vec<Vec<(String, Duration)>>| batches.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(aws::sqs::cut(vec![record(half), record(half), record(1)])), [2, 1]);
    assert_eq!(sizes(aws::sqs::cut(vec![record(half), record(half + 1), record(1)])), [1, 2]);
    assert_eq!(sizes(aws::sqs::cut((0..25).map(|_| record(1)).collect())), [10, 10, 5]);
    assert!(aws::sqs::cut(Vec::new()).is_empty());
}

#[tokio::test]
async fn a_call_that_fails_as_a_whole_fails_every_entry() {
    let http = || HttpResponse::new(StatusCode::try_from(400).expect("a status"), SdkBody::from("{}"));
    let send = mock!(aws_sdk_sqs::Client::send_message_batch).match_requests(|_| true).then_http_response(http);
    let hide =
        mock!(aws_sdk_sqs::Client::change_message_visibility_batch).match_requests(|_| true).then_http_response(http);
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&send, &hide]);
    let queue = SqsQueue::new(client, "https://queue".to_owned(), None, Arc::new(Meter::default()));
    assert!(queue.send(&[scheduled(1), scheduled(2)]).await.iter().all(Result::is_err));
    let waits = [(Receipt("r".to_owned()), Duration::from_secs(1))];
    assert!(queue.set_visibility(&waits).await.iter().all(Result::is_err));
}

#[tokio::test]
async fn a_failed_publish_is_the_outcome_of_its_own_hand_over() {
    let rule = mock!(aws_sdk_sns::Client::publish_batch).match_requests(|_| true).then_output(|| {
        let failed = aws_sdk_sns::types::BatchResultErrorEntry::builder().id("0").code("Throttled").sender_fault(false);
        let taken = aws_sdk_sns::types::PublishBatchResultEntry::builder().id("1").build();
        PublishBatchOutput::builder().failed(failed.build().expect("an entry")).successful(taken).build()
    });
    let client = mock_client!(aws_sdk_sns, [&rule]);
    let topic = SnsTopic::new(client, "arn:aws:sns:local:000000000000:offline".to_owned(), Arc::new(Meter::default()));
    let hand_over = |n| HandOver {
        user: "bob".parse().expect("a user"),
        device: None,
        reference: reference(n),
        reason: Reason::Absent,
        urgency: Urgency::Urgent,
        due: None,
    };
    let outcomes = topic.publish(&[hand_over(1), hand_over(2), hand_over(3)]).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
}

fn post_answering(status: u16) -> Rule {
    mock!(aws_sdk_apigatewaymanagement::Client::post_to_connection).match_requests(|_| true).then_http_response(
        move || {
            HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from("<not what was modelled>"))
        },
    )
}

#[tokio::test]
async fn every_answer_to_a_post_is_an_outcome() {
    let expected: HashMap<u16, PostOutcome> = HashMap::from([
        (200, PostOutcome::Posted),
        (403, PostOutcome::Forbidden),
        (410, PostOutcome::Gone),
        (413, PostOutcome::TooLarge),
        (429, PostOutcome::Unknown),
        (500, PostOutcome::Unknown),
        (503, PostOutcome::Unknown),
    ]);
    for (status, outcome) in expected {
        let rule = post_answering(status);
        let client = mock_client!(aws_sdk_apigatewaymanagement, RuleMode::MatchAny, [&rule]);
        let meter = Arc::new(Meter::default());
        let connections = GatewayConnections::new(client, Arc::clone(&meter));
        assert_eq!(connections.post(&"c1".into(), "{}").await, outcome, "{status}");
        let charged = meter.report().dollars() > 0.0;
        assert_eq!(charged, outcome == PostOutcome::Posted, "{status}");
    }
}

#[tokio::test]
async fn closing_what_is_gone_is_no_failure() {
    for (status, closed) in [(204, true), (410, true), (500, false)] {
        let rule =
            mock!(aws_sdk_apigatewaymanagement::Client::delete_connection).match_requests(|_| true).then_http_response(
                move || HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::empty()),
            );
        let client = mock_client!(aws_sdk_apigatewaymanagement, RuleMode::MatchAny, [&rule]);
        let connections = GatewayConnections::new(client, Arc::new(Meter::default()));
        assert_eq!(connections.disconnect(&"c1".into()).await.is_ok(), closed, "{status}");
    }
}

fn phone() -> Address {
    Address { user: "bob".parse().expect("a user"), device: "phone".parse().expect("a device") }
}

fn fcm(token: &str) -> PushTarget {
    PushTarget::Fcm { token: token.to_owned() }
}

fn said(push: Option<&[PushTarget]>) -> Enrolment {
    Enrolment { push: push.map(<[_]>::to_vec), ..Enrolment::default() }
}

/// Why a transaction was not made, one word for each of its writes.
fn cancelled(reasons: &[&str]) -> TransactWriteItemsError {
    let reasons = reasons.iter().map(|code| CancellationReason::builder().code(*code).build()).collect();
    let cancelled = TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons)).build();
    TransactWriteItemsError::TransactionCanceledException(cancelled)
}

#[tokio::test]
async fn an_enrolment_without_push_targets_is_one_call() {
    let rule = mock!(aws_sdk_dynamodb::Client::update_item)
        .match_requests(|_| true)
        .then_output(|| UpdateItemOutput::builder().build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    let directory = DynamoDirectory::new(client, "directory".to_owned(), Arc::default());
    for said in [said(None), said(Some(&[]))] {
        directory.enrol(&phone(), &said, NOW).await.expect("enrolled");
    }
    assert_eq!(rule.num_calls(), 2);
}

#[tokio::test]
async fn a_push_target_that_another_device_has_is_moved_in_one_transaction() {
    let mia = Address { user: "mia".parse().expect("a user"), device: "tablet".parse().expect("a device") };
    let had = keys::enrol_update(&said(Some(&[fcm("a"), fcm("b")])), NOW, NOW).values[":pt"].clone();
    let mut device = keys::device_key(&mia);
    device.insert("pt".to_owned(), had.clone());
    let stored = [keys::claim_item(&fcm("a"), &mia, NOW), device];
    let read = mock!(aws_sdk_dynamodb::Client::batch_get_item)
        .match_requests(|input| input.request_items().expect("keys")["directory"].consistent_read() == Some(true))
        .then_compute_output(move |input| {
            let wanted = input.request_items().expect("keys")["directory"].keys();
            let is_wanted = |item: &&keys::Item| wanted.iter().any(|key| keys::identity(key) == keys::identity(item));
            let found = stored.iter().filter(is_wanted).cloned().collect();
            BatchGetItemOutput::builder().responses("directory", found).build()
        });
    // Somebody else was faster once.
    let write = mock!(aws_sdk_dynamodb::Client::transact_write_items)
        .match_requests(move |input| {
            let items = input.transact_items();
            let updates: Vec<_> = items.iter().filter_map(|item| item.update()).collect();
            let loses = |update: &&&aws_sdk_dynamodb::types::Update| *update.key() == keys::device_key(&mia);
            let loser = updates.iter().find(loses).and_then(|update| update.expression_attribute_values());
            items.len() == 4
                && items.iter().filter(|item| item.put().is_some()).count() == 2
                && updates.iter().any(|update| *update.key() == keys::device_key(&phone()))
                && loser.is_some_and(|values| values[":before"] == had)
        })
        .sequence()
        .error(|| cancelled(&["ConditionalCheckFailed", "None", "TransactionConflict", "None"]))
        .output(|| TransactWriteItemsOutput::builder().build())
        .build();
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&read, &write]);
    let directory = DynamoDirectory::new(client, "directory".to_owned(), Arc::default());
    directory.enrol(&phone(), &said(Some(&[fcm("a"), fcm("c")])), NOW).await.expect("enrolled");
    assert_eq!((read.num_calls(), write.num_calls()), (4, 2));
}

#[tokio::test]
async fn an_enrolment_that_is_always_overtaken_is_a_failure_that_says_no_token() {
    let read = mock!(aws_sdk_dynamodb::Client::batch_get_item)
        .match_requests(|_| true)
        .then_output(|| BatchGetItemOutput::builder().build());
    let write = mock!(aws_sdk_dynamodb::Client::transact_write_items)
        .match_requests(|_| true)
        .then_error(|| cancelled(&["ConditionalCheckFailed", "None"]));
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&read, &write]);
    let directory = DynamoDirectory::new(client, "directory".to_owned(), Arc::default());
    let failure = directory.enrol(&phone(), &said(Some(&[fcm("secret")])), NOW).await.expect_err("overtaken");
    assert!(!failure.to_string().contains("secret"), "{failure}");
    assert_eq!((read.num_calls(), write.num_calls()), (5, 5));
}

#[tokio::test]
async fn who_is_forgotten_gives_up_its_claims_first_and_only_its_own() {
    let mut device = keys::device_key(&phone());
    let targets = keys::enrol_update(&said(Some(&[fcm("a"), fcm("b")])), NOW, NOW).values[":pt"].clone();
    device.insert("pt".to_owned(), targets);
    let read = mock!(aws_sdk_dynamodb::Client::batch_get_item)
        .match_requests(|_| true)
        .then_output(move || BatchGetItemOutput::builder().responses("directory", vec![device.clone()]).build());
    // The first has moved on, the second is still its own.
    let claims = mock!(aws_sdk_dynamodb::Client::delete_item)
        .match_requests(|input| input.condition_expression() == Some("us = :us AND dv = :dv"))
        .sequence()
        .error(|| {
            let meta = ErrorMetadata::builder().code("ConditionalCheckFailedException").build();
            let failed = ConditionalCheckFailedException::builder().meta(meta).build();
            DeleteItemError::ConditionalCheckFailedException(failed)
        })
        .output(|| DeleteItemOutput::builder().build())
        .build();
    let itself = mock!(aws_sdk_dynamodb::Client::delete_item)
        .match_requests(|input| *input.key().expect("a key") == keys::device_key(&phone()))
        .then_output(|| DeleteItemOutput::builder().build());
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::Sequential, [&read, &claims, &itself]);
    let directory = DynamoDirectory::new(client, "directory".to_owned(), Arc::default());
    directory.forget(&phone()).await.expect("forgotten");
    assert_eq!((claims.num_calls(), itself.num_calls()), (2, 1));
}
