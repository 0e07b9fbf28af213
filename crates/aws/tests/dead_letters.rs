//! How dead letters are found, sent back and let go, against answers of SQS that the test makes: receives that bring the same twice,
//! half-done batches, refusals.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use aws::dead_letters::{FindError, QueueUrls, SqsDeadLetters};
use aws_sdk_sqs::operation::change_message_visibility_batch::ChangeMessageVisibilityBatchOutput;
use aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchOutput;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, DeleteMessageBatchResultEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    SendMessageBatchResultEntry,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use delivery::{DeadLetter, Origin, RecordKind};

const DRAIN: &str = r#"{"drain":{"user":"bob","device":"phone","connection":"c"}}"#;

/// Nobody interrupts.
static GO_ON: AtomicBool = AtomicBool::new(false);

/// What was asked of SQS, one line a call or an entry.
type Calls = Arc<Mutex<Vec<String>>>;

fn message(id: &str, receipt: &str, body: &str) -> Message {
    let reason = MessageAttributeValue::builder().data_type("String").string_value("why").build().expect("a value");
    Message::builder()
        .message_id(id)
        .receipt_handle(receipt)
        .body(body)
        .attributes(MessageSystemAttributeName::SentTimestamp, "1800000000000")
        .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "7")
        .message_attributes("reason", reason)
        .build()
}

/// Answers receives with each of `batches`, and then with nothing.
fn receives(batches: Vec<Vec<Message>>) -> Rule {
    let batches = Mutex::new(VecDeque::from(batches));
    mock!(aws_sdk_sqs::Client::receive_message).match_requests(|_| true).then_compute_output(move |input| {
        assert_eq!((input.queue_url(), input.max_number_of_messages()), (Some("https://dead"), Some(10)));
        let batch = batches.lock().expect("batches").pop_front();
        ReceiveMessageOutput::builder().set_messages(batch).build()
    })
}

fn failed(id: &str) -> BatchResultErrorEntry {
    BatchResultErrorEntry::builder().id(id).code("InternalError").sender_fault(false).build().expect("an entry")
}

/// Takes every record but those that say so.
fn sends(calls: &Calls) -> Rule {
    let calls = Arc::clone(calls);
    mock!(aws_sdk_sqs::Client::send_message_batch).match_requests(|_| true).then_compute_output(move |input| {
        assert_eq!(input.queue_url(), Some("https://queue"));
        let mut output = SendMessageBatchOutput::builder().set_successful(Some(vec![])).set_failed(Some(vec![]));
        for entry in input.entries() {
            assert!(
                entry.message_attributes().is_none_or(|attributes| attributes.is_empty()),
                "the reason stays behind"
            );
            calls.lock().expect("calls").push(format!("send {}", entry.message_body()));
            if entry.message_body() == "refuse" {
                output = output.failed(failed(entry.id()));
                continue;
            }
            let taken = SendMessageBatchResultEntry::builder().id(entry.id()).message_id("m").md5_of_message_body("x");
            output = output.successful(taken.build().expect("an entry"));
        }
        output.build().expect("an output")
    })
}

/// Deletes by every receipt but one.
fn deletes(calls: &Calls) -> Rule {
    let calls = Arc::clone(calls);
    mock!(aws_sdk_sqs::Client::delete_message_batch).match_requests(|_| true).then_compute_output(move |input| {
        assert_eq!(input.queue_url(), Some("https://dead"));
        let mut output = DeleteMessageBatchOutput::builder().set_successful(Some(vec![])).set_failed(Some(vec![]));
        for entry in input.entries() {
            calls.lock().expect("calls").push(format!("delete {}", entry.receipt_handle()));
            output = match entry.receipt_handle() {
                "stuck" => output.failed(failed(entry.id())),
                _ => output
                    .successful(DeleteMessageBatchResultEntry::builder().id(entry.id()).build().expect("an entry")),
            };
        }
        output.build().expect("an output")
    })
}

fn releases(calls: &Calls) -> Rule {
    let calls = Arc::clone(calls);
    mock!(aws_sdk_sqs::Client::change_message_visibility_batch).match_requests(|_| true).then_compute_output(
        move |input| {
            for entry in input.entries() {
                let line = format!("hide {} for {:?} s", entry.receipt_handle(), entry.visibility_timeout());
                calls.lock().expect("calls").push(line);
            }
            ChangeMessageVisibilityBatchOutput::builder()
                .set_successful(Some(vec![]))
                .set_failed(Some(vec![]))
                .build()
                .expect("an output")
        },
    )
}

fn queues(client: aws_sdk_sqs::Client) -> SqsDeadLetters {
    let urls = QueueUrls { queue: "https://queue".to_owned(), dead_letters: "https://dead".to_owned() };
    SqsDeadLetters::new(client, [(Origin::Delivery, urls)], &Arc::default())
}

fn sorted(calls: &Calls) -> Vec<String> {
    let mut calls = std::mem::take(&mut *calls.lock().expect("calls"));
    calls.sort();
    calls
}

fn ids(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.id.as_str()).collect()
}

#[tokio::test]
async fn each_is_found_once_and_let_go_by_its_latest_receipt() {
    let calls = Calls::default();
    // An empty answer is no end, since a standard queue answers with a sample.
    let received = receives(vec![
        vec![message("a", "a1", DRAIN), message("b", "b1", "secret")],
        vec![],
        vec![message("a", "a2", DRAIN), message("c", "c1", DRAIN)],
    ]);
    let released = releases(&calls);
    let mut queues = queues(mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&received, &released]));
    let letters = queues.find(|letter| letter.kind == RecordKind::Drain, &GO_ON).await.expect("letters");
    assert_eq!(ids(&letters), ["a", "c"]);
    let first = &letters[0];
    assert_eq!(
        (first.reason.as_deref(), first.receive_count, first.sent_at.as_secs()),
        (Some("why"), 7, 1_800_000_000)
    );
    assert_eq!(queues.raw(first), Some(DRAIN));
    queues.release().await;
    assert_eq!(sorted(&calls), ["hide a2 for Some(0) s", "hide b1 for Some(0) s", "hide c1 for Some(0) s"]);
    queues.release().await;
    assert!(sorted(&calls).is_empty(), "nothing is held any more");
}

#[tokio::test]
async fn only_what_its_queue_took_is_deleted() {
    let calls = Calls::default();
    let received = receives(vec![vec![
        message("a", "a1", "one"),
        message("b", "b1", "refuse"),
        message("c", "stuck", "three"),
        message("d", "d1", "four"),
    ]]);
    let (sent, deleted, released) = (sends(&calls), deletes(&calls), releases(&calls));
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&received, &sent, &deleted, &released]);
    let mut queues = queues(client);
    let letters = queues.find(|letter| letter.id != "d", &GO_ON).await.expect("letters");
    let outcomes = queues.redrive(&letters).await;
    let texts: Vec<String> =
        outcomes.into_iter().map(|done| done.map_or_else(|why| why.to_string(), |()| String::new())).collect();
    assert_eq!(
        texts,
        [
            "",
            "failed to send records: InternalError",
            "failed to delete a dead letter that was sent back: InternalError"
        ]
    );
    assert_eq!(sorted(&calls), ["delete a1", "delete stuck", "send one", "send refuse", "send three"]);

    // The same again: what is done is not sent twice.
    let again = queues.redrive(&letters[..1]).await;
    assert!(again[0].is_err() && sorted(&calls).is_empty());
    queues.release().await;
    assert_eq!(sorted(&calls), ["hide b1 for Some(0) s", "hide d1 for Some(0) s", "hide stuck for Some(0) s"]);
}

#[tokio::test]
async fn more_than_a_batch_is_sent_in_batches() {
    let calls = Calls::default();
    let batch =
        |from: usize| (from..from + 10).map(|n| message(&format!("{n:02}"), &format!("r{n:02}"), "x")).collect();
    let received = receives(vec![batch(0), batch(10), batch(20)]);
    let (sent, deleted) = (sends(&calls), deletes(&calls));
    let mut queues = queues(mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&received, &sent, &deleted]));
    let letters = queues.find(|_| true, &GO_ON).await.expect("letters");
    assert!(queues.redrive(&letters).await.iter().all(Result::is_ok));
    assert_eq!((sent.num_calls(), deleted.num_calls(), sorted(&calls).len()), (3, 3, 60));
}

#[tokio::test]
async fn who_is_interrupted_receives_no_more() {
    let received = receives(vec![vec![message("a", "a1", DRAIN)]]);
    let mut queues = queues(mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&received]));
    let letters = queues.find(|_| true, &AtomicBool::new(true)).await.expect("letters");
    assert_eq!((letters, received.num_calls()), (vec![], 0));
}

#[tokio::test]
async fn a_no_is_told_from_silence_and_quotes_nothing() {
    let rule = mock!(aws_sdk_sqs::Client::receive_message).match_requests(|_| true).then_http_response(|| {
        HttpResponse::new(StatusCode::try_from(403).expect("a status"), SdkBody::from(r#"{"secret":1}"#))
    });
    let mut queues = queues(mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&rule]));
    match queues.find(|_| true, &GO_ON).await {
        Err(FindError::Refused(failure)) => assert!(!failure.to_string().contains("secret"), "{failure}"),
        other => panic!("{other:?}"),
    }
}
