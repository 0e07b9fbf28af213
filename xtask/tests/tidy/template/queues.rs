//! Queues keep every record until it is done: how functions consume them, and where what cannot be done goes. When a record counts as
//! done is the functions' business.

use serde_json::{Value, json};

use super::{Resource, Template, assert_found_out, assert_named, attribute_of};
use crate::assert_none;

/// A record backs off by up to 300 s at each receive, so this many outlast an outage of many hours.
const MAX_RECEIVES: u64 = 200;

#[test]
fn every_queue_keeps_its_records() {
    assert_none(losing(&Template::read()));
}

fn losing(template: &Template) -> Vec<String> {
    let queues = template.of_type("AWS::SQS::Queue");
    let mappings = mappings(template);
    let mut broken = Vec::new();
    for (function, mapping) in &mappings {
        broken.extend(consumed_badly(*function, mapping));
        match attribute_of(&mapping["Queue"], "Arn").and_then(|id| queues.iter().find(|queue| queue.id == id)) {
            Some(queue) => broken.extend(kept_badly(template, *function, *queue)),
            None => broken.push(format!("{}: set the Queue of its event to !GetAtt QUEUE.Arn", function.id)),
        }
    }
    let ends: Vec<&str> = queues.iter().filter_map(|queue| dead_letters(*queue)).collect();
    let consumed: Vec<&str> =
        mappings.iter().filter_map(|(_, mapping)| attribute_of(&mapping["Queue"], "Arn")).collect();
    let stray = queues.iter().filter(|queue| !ends.contains(&queue.id) && !consumed.contains(&queue.id));
    broken.extend(stray.map(|queue| format!("{}: let a function consume it, or a queue dead-letter to it", queue.id)));
    // SAM's own form is the one that is read here.
    let others = template.resources().filter(|resource| resource.is("AWS::Lambda::EventSourceMapping"));
    broken.extend(others.map(|other| format!("{}: write it as an event of its function", other.id)));
    broken
}

/// The event source mappings of queues: who consumes, and how.
fn mappings(template: &Template) -> Vec<(Resource<'_>, &Value)> {
    let mut found = Vec::new();
    for function in template.functions() {
        let events = function.property("Events").as_object().into_iter().flat_map(|events| events.values());
        found.extend(events.filter(|event| event["Type"] == "SQS").map(|event| (function, &event["Properties"])));
    }
    found
}

fn consumed_badly(function: Resource<'_>, mapping: &Value) -> Vec<String> {
    let id = function.id;
    let mut broken = Vec::new();
    if mapping["FunctionResponseTypes"] != json!(["ReportBatchItemFailures"]) {
        broken.push(format!(
            "{id}: set FunctionResponseTypes of its event to [ReportBatchItemFailures], or what is to come again is deleted"
        ));
    }
    if mapping.pointer("/ScalingConfig/MaximumConcurrency").and_then(Value::as_u64).is_none() {
        broken.push(format!(
            "{id}: set ScalingConfig.MaximumConcurrency of its event, or a backlog takes the whole account"
        ));
    }
    broken
}

fn kept_badly(template: &Template, function: Resource<'_>, queue: Resource<'_>) -> Vec<String> {
    let id = queue.id;
    let mut broken = Vec::new();
    broken.extend(queue.demand("Properties/RedrivePolicy/maxReceiveCount", &json!(MAX_RECEIVES)));
    let timeout = template.of_function(function, "Timeout").as_u64();
    let hidden = queue.property("VisibilityTimeout").as_u64();
    if timeout.zip(hidden).is_none_or(|(timeout, hidden)| hidden < 6 * timeout) {
        broken.push(format!("{id}: set VisibilityTimeout to six times the Timeout of {} or more", function.id));
    }
    let end = dead_letters(queue).and_then(|id| template.resource(id)).filter(|end| end.is("AWS::SQS::Queue"));
    let Some(end) = end else {
        broken
            .push(format!("{id}: set RedrivePolicy.deadLetterTargetArn to !GetAtt QUEUE.Arn, a queue of the template"));
        return broken;
    };
    let [kept, dead] = [queue, end].map(|queue| queue.property("MessageRetentionPeriod").as_u64());
    if kept.zip(dead).is_none_or(|(kept, dead)| dead <= kept) {
        let end = end.id;
        broken
            .push(format!("{end}: set MessageRetentionPeriod to more than that of {id}: a dead letter keeps its age"));
    }
    broken
}

/// The dead-letter queue of a queue.
fn dead_letters(queue: Resource<'_>) -> Option<&str> {
    attribute_of(queue.property("RedrivePolicy/deadLetterTargetArn"), "Arn")
}

#[test]
fn a_queue_that_loses_records_is_found_out() {
    assert_found_out(
        losing,
        &[
            ("Resources/Deliver/Properties/Events/DeliveryQueue/Properties/FunctionResponseTypes", Value::Null),
            ("Resources/Notify/Properties/Events/WakeQueue/Properties/FunctionResponseTypes", json!([])),
            ("Resources/Notify/Properties/Events/WakeQueue/Properties/ScalingConfig", Value::Null),
            ("Resources/Notify/Properties/Events/WakeQueue/Properties/Queue", json!("arn:aws:sqs:r:1:wakes")),
            ("Resources/WakeQueue/Properties/RedrivePolicy", Value::Null),
            ("Resources/WakeQueue/Properties/RedrivePolicy/maxReceiveCount", json!(5)),
            ("Resources/WakeQueue/Properties/RedrivePolicy/deadLetterTargetArn", json!({"Fn::GetAtt": "Inbox.Arn"})),
            ("Resources/DeliveryQueue/Properties/VisibilityTimeout", json!(59)),
            ("Resources/DeliveryDeadLetters/Properties/MessageRetentionPeriod", json!(604_800)),
            ("Resources/DeliveryDeadLetters/Properties/MessageRetentionPeriod", Value::Null),
            ("Resources/Forgotten", json!({"Type": "AWS::SQS::Queue"})),
            ("Resources/Mapping", json!({"Type": "AWS::Lambda::EventSourceMapping"})),
        ],
    );
    assert_named(losing, "Resources/Deliver/Properties/Timeout", &json!(11), "DeliveryQueue");
    assert_named(losing, "Globals/Function/Timeout", &json!(11), "WakeQueue");
    assert_named(losing, "Resources/Deliver/Properties/Events", &Value::Null, "DeliveryQueue");
}
