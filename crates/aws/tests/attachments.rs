//! What the adapter of attachments makes of answers that no emulator gives, and that it asks for the newest state.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws::{DynamoAttachments, keys};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use delivery::{Attached, Attachment, Attachments, Grant};
use protocol::{AttachmentId, Timestamp, UserId};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const LATER: Timestamp = Timestamp::from_secs(1_800_000_060);

fn attachments(rules: &[&Rule]) -> DynamoAttachments {
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, rules);
    DynamoAttachments::new(client, "directory".to_owned(), Arc::default())
}

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

fn attachment(n: u128, uploader: &str) -> Attachment {
    Attachment {
        id: AttachmentId::new(n),
        uploader: user(uploader),
        media_type: "image/jpeg".parse().expect("a type"),
        bytes: 7,
        expires_at: LATER,
    }
}

fn grant(n: u128) -> Grant {
    Grant {
        attachment: Attached { id: AttachmentId::new(n), expires_at: LATER },
        message: "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id"),
        sender: user("alice").into(),
        recipients: BTreeSet::from([user("bob")]),
    }
}

#[tokio::test]
async fn an_unprocessed_grant_is_the_outcome_of_its_own() {
    let rule = mock!(Client::batch_write_item).match_requests(|_| true).then_compute_output(|input| {
        let requests = input.request_items().and_then(|tables| tables.get("directory")).expect("requests");
        BatchWriteItemOutput::builder().unprocessed_items("directory", vec![requests[1].clone()]).build()
    });
    let outcomes = attachments(&[&rule]).grant(&[grant(1), grant(2), grant(3)]).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let many: Vec<Grant> = (0..60).map(grant).collect();
    assert_eq!(attachments(&[&rule]).grant(&many).await.len(), 60);
    assert_eq!(rule.num_calls(), 1 + 3, "25 to a call");
}

#[tokio::test]
async fn own_ones_are_one_read_and_others_one_more_each_and_all_of_the_newest_state() {
    let batch_get = mock!(Client::batch_get_item)
        .match_requests(|input| input.request_items().expect("keys")["directory"].consistent_read() == Some(true))
        .then_output(|| {
            let mut spoiled = keys::attachment_item(&attachment(5, "alice"));
            spoiled.insert("by".to_owned(), AttributeValue::S("many".to_owned()));
            let expired = Attachment { expires_at: NOW, ..attachment(4, "alice") };
            let items = [attachment(1, "alice"), attachment(2, "bob"), attachment(3, "bob"), expired];
            let items = items.iter().map(keys::attachment_item).chain([spoiled]).collect();
            BatchGetItemOutput::builder().responses("directory", items).build()
        });
    let query = mock!(Client::query).match_requests(|input| input.consistent_read() == Some(true)).then_compute_output(
        |input| {
            let values = input.expression_attribute_values().expect("values");
            assert_eq!(values[":user"], AttributeValue::S("alice".to_owned()));
            let second = values[":pk"] == AttributeValue::S(format!("A#{}", AttachmentId::new(2)));
            let items = if second { vec![keys::attachment_key(AttachmentId::new(2))] } else { Vec::new() };
            QueryOutput::builder().set_items(Some(items)).build()
        },
    );
    let ids: Vec<AttachmentId> = (1..=6).map(AttachmentId::new).collect();
    let found = attachments(&[&batch_get, &query]).open_to(&user("alice"), &ids, NOW).await.expect("an answer");
    let expected = [Some(attachment(1, "alice")), Some(attachment(2, "bob")), None, None, None, None];
    assert_eq!(found, expected, "another's, an expired, an unreadable and no attachment are alike");
    assert_eq!((batch_get.num_calls(), query.num_calls()), (1, 2));
}

#[tokio::test]
async fn what_is_left_unprocessed_fails_the_read() {
    let rule = mock!(Client::batch_get_item).match_requests(|_| true).then_output(|| {
        let left = KeysAndAttributes::builder().keys(keys::attachment_key(AttachmentId::new(1))).build().expect("keys");
        BatchGetItemOutput::builder().unprocessed_keys("directory", left).build()
    });
    let failed = attachments(&[&rule]).open_to(&user("alice"), &[AttachmentId::new(1)], NOW).await;
    assert!(failed.expect_err("not known").to_string().contains("unprocessed"));
}
