//! What single resources must say: tables, log groups, the subscription, and that every parameter does something. Functions, queues
//! and routes, which hang together, have files of their own.

use serde_json::{Value, json};

use super::{Template, assert_found_out, assert_named, each, inside};
use crate::assert_none;

#[test]
fn tables_are_kept_and_cost_nothing_at_rest() {
    assert_none(careless_tables(&Template::read()));
}

#[test]
fn buckets_are_kept_closed_and_emptied() {
    assert_none(careless_buckets(&Template::read()));
}

#[test]
fn no_log_is_kept_for_ever() {
    assert_none(endless_logs(&Template::read()));
}

#[test]
fn a_queue_gets_hand_overs_as_they_were_published() {
    assert_none(wrapped_records(&Template::read()));
}

#[test]
fn every_parameter_does_something() {
    assert_none(idle_parameters(&Template::read()));
}

fn careless_tables(template: &Template) -> Vec<String> {
    let demands = [
        ("DeletionPolicy", json!("Retain")),
        ("UpdateReplacePolicy", json!("Retain")),
        ("Properties/BillingMode", json!("PAY_PER_REQUEST")),
        ("Properties/TimeToLiveSpecification", json!({"AttributeName": "ttl", "Enabled": true})),
        ("Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", json!(true)),
        ("Properties/SSESpecification/SSEEnabled", json!(true)),
    ];
    let tables = template.of_type("AWS::DynamoDB::Table");
    tables
        .into_iter()
        .flat_map(|table| demands.iter().filter_map(move |(path, expected)| table.demand(path, expected)))
        .collect()
}

fn careless_buckets(template: &Template) -> Vec<String> {
    let demands = [
        ("DeletionPolicy", json!("Retain")),
        ("UpdateReplacePolicy", json!("Retain")),
        ("Properties/PublicAccessBlockConfiguration/BlockPublicAcls", json!(true)),
        ("Properties/PublicAccessBlockConfiguration/BlockPublicPolicy", json!(true)),
        ("Properties/PublicAccessBlockConfiguration/IgnorePublicAcls", json!(true)),
        ("Properties/PublicAccessBlockConfiguration/RestrictPublicBuckets", json!(true)),
        ("Properties/LifecycleConfiguration/Rules/0/Status", json!("Enabled")),
        // What `http` is told as well: nobody may have a file for longer than it is kept.
        ("Properties/LifecycleConfiguration/Rules/0/ExpirationInDays", json!({"Ref": "AttachmentDays"})),
        ("Properties/LifecycleConfiguration/Rules/1/AbortIncompleteMultipartUpload/DaysAfterInitiation", json!(1)),
    ];
    let buckets = template.of_type("AWS::S3::Bucket");
    let careless = buckets
        .iter()
        .flat_map(|bucket| demands.iter().filter_map(|(path, expected)| bucket.demand(path, expected)))
        .collect::<Vec<_>>();
    let in_the_clear = buckets.iter().filter(|bucket| !is_denied_in_the_clear(template, bucket.id));
    let open = in_the_clear.map(|bucket| format!("{}: deny in its policy what comes without TLS", bucket.id));
    careless.into_iter().chain(open).collect()
}

fn is_denied_in_the_clear(template: &Template, bucket: &str) -> bool {
    let policies = template.of_type("AWS::S3::BucketPolicy").into_iter();
    let mut own = policies.filter(|policy| policy.property("Bucket")["Ref"] == bucket);
    let denied = json!({"Bool": {"aws:SecureTransport": "false"}});
    // The bucket and its files: neither covers the other.
    let whole = [json!({"Fn::GetAtt": format!("{bucket}.Arn")}), json!({"Fn::Sub": format!("${{{bucket}.Arn}}/*")})];
    own.any(|policy| {
        let statements = policy.property("PolicyDocument/Statement").as_array().map_or(&[][..], Vec::as_slice);
        statements.iter().any(|statement| {
            statement["Effect"] == "Deny"
                && statement["Principal"] == "*"
                && statement["Action"] == "s3:*"
                && whole.iter().all(|part| each(&statement["Resource"]).contains(part))
                && statement["Condition"] == denied
        })
    })
}

fn endless_logs(template: &Template) -> Vec<String> {
    let groups = template.of_type("AWS::Logs::LogGroup");
    let endless = groups.into_iter().filter(|group| group.property("RetentionInDays").is_null());
    endless.map(|group| format!("{}: set RetentionInDays, or it is kept and paid for without end", group.id)).collect()
}

fn wrapped_records(template: &Template) -> Vec<String> {
    let subscriptions = template.of_type("AWS::SNS::Subscription").into_iter();
    let to_queues = subscriptions.filter(|subscription| subscription.property("Protocol") == "sqs");
    to_queues.filter_map(|one| one.demand("Properties/RawMessageDelivery", &json!(true))).collect()
}

fn idle_parameters(template: &Template) -> Vec<String> {
    // A rule judges a parameter and does nothing with it.
    let effects = ["Conditions", "Globals", "Resources", "Outputs"].map(|section| &template.0[section]);
    let values: Vec<&Value> = effects.into_iter().flat_map(inside).collect();
    let is_used = |name: &str| {
        let substituted = format!("${{{name}}}");
        values.iter().any(|value| match value {
            Value::String(text) => text.contains(&substituted),
            value => value["Ref"] == name,
        })
    };
    let parameters = template.0["Parameters"].as_object().expect("the template has Parameters");
    let idle = parameters.keys().filter(|name| !is_used(name));
    idle.map(|name| format!("{name}: use this parameter, or take it out")).collect()
}

#[test]
fn a_careless_table_is_found_out() {
    assert_found_out(
        careless_tables,
        &[
            ("Resources/Inbox/DeletionPolicy", Value::Null),
            ("Resources/Inbox/UpdateReplacePolicy", json!("Delete")),
            ("Resources/Inbox/Properties/BillingMode", json!("PROVISIONED")),
            ("Resources/Inbox/Properties/TimeToLiveSpecification/Enabled", json!(false)),
            ("Resources/Inbox/Properties/TimeToLiveSpecification/AttributeName", json!("expires")),
            ("Resources/Directory/Properties/PointInTimeRecoverySpecification", Value::Null),
            ("Resources/Directory/Properties/SSESpecification", Value::Null),
        ],
    );
}

#[test]
fn a_careless_bucket_is_found_out() {
    let bucket = "Resources/Attachments/Properties";
    assert_found_out(
        careless_buckets,
        &[
            ("Resources/Attachments/DeletionPolicy", Value::Null),
            (&format!("{bucket}/PublicAccessBlockConfiguration/BlockPublicPolicy"), json!(false)),
            (&format!("{bucket}/LifecycleConfiguration"), Value::Null),
            (&format!("{bucket}/LifecycleConfiguration/Rules/0/ExpirationInDays"), json!(30)),
        ],
    );
    let statement = "Resources/AttachmentsPolicy/Properties/PolicyDocument/Statement/0";
    let (itself, files) = (json!({"Fn::GetAtt": "Attachments.Arn"}), json!({"Fn::Sub": "${Attachments.Arn}/*"}));
    for (name, value) in [("Condition", Value::Null), ("Resource", itself), ("Resource", files)] {
        assert_named(careless_buckets, &format!("{statement}/{name}"), &value, "Attachments");
    }
}

#[test]
fn an_endless_log_is_found_out() {
    assert_found_out(endless_logs, &[("Resources/AccessLogGroup/Properties/RetentionInDays", Value::Null)]);
}

#[test]
fn a_wrapped_record_is_found_out() {
    assert_found_out(wrapped_records, &[("Resources/WakeSubscription/Properties/RawMessageDelivery", Value::Null)]);
}

#[test]
fn an_idle_parameter_is_found_out() {
    assert_found_out(idle_parameters, &[("Parameters/Spare", json!({"Type": "String"}))]);
}
