//! What each function may do: what its role allows is what its README tells, and no more than named resources and actions. Whether
//! the code needs it shows on an emulator that enforces IAM, which that of CI does not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::folder::Folder;
use super::functions::name;
use super::{Resource, Template, assert_found_out, assert_named, attribute_of, each, inside, referred};
use crate::assert_none;

/// What the ARN of a WebSocket API's stage begins with, before the method.
const STAGE: &str = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/${Stage}/";

/// What IAM takes for any text and for any character.
const WILDCARDS: [char; 2] = ['*', '?'];

#[test]
fn a_role_allows_what_the_readme_of_its_function_tells() {
    assert_none(untold(&Template::read(), &Folder::all()));
}

#[test]
fn nothing_is_allowed_on_everything() {
    assert_none(too_wide(&Template::read()));
}

fn untold(template: &Template, folders: &[Folder]) -> Vec<String> {
    let mut broken = Vec::new();
    let role_of = |function: Resource<'_>| attribute_of(function.property("Role"), "Arn").map(str::to_owned);
    let roles: Vec<String> = template.functions().into_iter().filter_map(role_of).collect();
    let own = |role: &Resource<'_>| roles.iter().filter(|other| **other == role.id).count() == 1;
    for function in template.functions() {
        let id = function.id;
        let role = role_of(function).and_then(|role| template.resource(&role));
        let Some(role) = role.filter(|role| role.is("AWS::IAM::Role") && own(role)) else {
            broken.push(format!("{id}: set Role to !GetAtt ROLE.Arn, a role of the template and of no other function"));
            continue;
        };
        if !function.property("Policies").is_null() || !role.property("ManagedPolicyArns").is_null() {
            broken.push(format!("{id}: put what it may do into the Policies of {} alone", role.id));
        }
        let Some(folder) = folders.iter().find(|folder| folder.name == name(function)) else { continue };
        let (allowed, told) = (allowed(template, role), folder.permissions_told());
        let readme = format!("functions/{}/README.md", folder.name);
        broken.extend(allowed.difference(&told).map(|(resource, action)| {
            format!(
                "{}: {readme} does not tell of `{action}` on {resource}; add it there, or take it out here",
                role.id
            )
        }));
        broken.extend(told.difference(&allowed).map(|(resource, action)| {
            format!("{readme}: {} does not allow `{action}` on {resource}; take it out of the table", role.id)
        }));
    }
    let of_iam =
        template.resources().filter(|resource| resource.body["Type"].as_str().unwrap_or("").starts_with("AWS::IAM::"));
    let strays = of_iam.filter(|resource| !roles.iter().any(|role| role == resource.id));
    broken
        .extend(strays.map(|stray| format!("{}: take it out: only the role of a function allows anything", stray.id)));
    broken
}

/// Resource and action of everything that a role allows.
fn allowed(template: &Template, role: Resource<'_>) -> BTreeSet<(String, String)> {
    let mut allowed = BTreeSet::new();
    for statement in statements(role.property("Policies")) {
        for resource in each(&statement["Resource"]) {
            let resource = named(template, resource);
            let actions = each(&statement["Action"]).iter().map(text);
            allowed.extend(actions.map(|action| (resource.clone(), action)));
        }
    }
    allowed
}

/// A resource as the READMEs name it; anything that they have no name for, as it stands.
fn named(template: &Template, resource: &Value) -> String {
    // A topic, or a parameter that is an ARN.
    let by_ref = referred(resource).filter(|id| template.resource(id).is_none_or(|topic| topic.is("AWS::SNS::Topic")));
    if let Some(id) = attribute_of(resource, "Arn").or(by_ref) {
        return id.to_owned();
    }
    let sub = resource["Fn::Sub"].as_str();
    // What is in a bucket.
    if let Some(id) = sub.and_then(|arn| arn.strip_prefix("${")?.strip_suffix(".Arn}/*")) {
        return format!("{id}/*");
    }
    let method = sub.and_then(|arn| arn.strip_prefix(STAGE)?.strip_suffix("/@connections/*"));
    method.map_or_else(|| resource.to_string(), |method| format!("this API and stage: {method}"))
}

fn too_wide(template: &Template) -> Vec<String> {
    let mut broken = Vec::new();
    for resource in template.resources() {
        let id = resource.id;
        for statement in statements(&resource.body["Properties"]) {
            if ["NotAction", "NotResource", "NotPrincipal"].iter().any(|not| !statement[not].is_null()) {
                broken.push(format!("{id}: say what is allowed, and to whom, rather than what is not: {statement}"));
            }
            let wild = each(&statement["Action"]).iter().map(text).filter(|action| action.contains(WILDCARDS));
            broken.extend(wild.map(|action| format!("{id}: name the actions that are meant by `{action}`")));
            let wide = each(&statement["Resource"]).iter().filter(|one| !is_bounded(template, one));
            broken.extend(wide.map(|one| format!("{id}: name the resource that is meant by {one}")));
            if statement["Principal"].to_string().contains(WILDCARDS) {
                broken.push(format!("{id}: name who is meant by the Principal {}", statement["Principal"]));
            }
        }
    }
    broken
}

/// Whether a wildcard, if there is one, stands at the end, behind a resource of the template.
fn is_bounded(template: &Template, resource: &Value) -> bool {
    let text = text(resource);
    let Some((before, after)) = text.split_once(WILDCARDS) else { return true };
    let parts = before.split("${").skip(1).filter_map(|part| part.split_once('}'));
    let mut names = parts.map(|(name, _)| name.split('.').next().unwrap_or(name));
    after.is_empty() && before.ends_with('/') && names.any(|name| template.resource(name).is_some())
}

/// The text of a value, of `!Sub` too; anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().or(value["Fn::Sub"].as_str()).map_or_else(|| value.to_string(), str::to_owned)
}

/// Every statement of the policies in `value` that allows something.
fn statements(value: &Value) -> impl Iterator<Item = &Value> {
    inside(value).into_iter().filter(|value| value["Effect"] == "Allow")
}

#[test]
fn a_permission_that_is_not_told_is_found_out() {
    let policies = |statement: Value| json!([{"PolicyName": "x", "PolicyDocument": {"Statement": [statement]}}]);
    let on_inbox = json!({"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": {"Fn::GetAtt": "Inbox.Arn"}});
    let check = |template: &Template| untold(template, &Folder::all());
    assert_found_out(
        check,
        &[
            ("Resources/Route/Properties/Role", Value::Null),
            ("Resources/Route/Properties/Role", json!({"Fn::GetAtt": "DeliverRole.Arn"})),
            ("Resources/Route/Properties/Policies", json!(["AmazonSQSFullAccess"])),
            ("Resources/RouteRole/Properties/Policies", policies(on_inbox)),
            ("Resources/Extra", json!({"Type": "AWS::IAM::ManagedPolicy"})),
        ],
    );
    assert_named(check, "Resources/RouteRole/Properties/Policies", &json!([]), "functions/route/README.md");
}

#[test]
fn a_permission_that_is_too_wide_is_found_out() {
    let statement = |part: &str, value: Value| {
        let mut statement =
            json!({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": "Inbox.Arn"}});
        statement[part] = value;
        json!([{"PolicyName": "x", "PolicyDocument": {"Statement": [statement]}}])
    };
    for (part, value) in [
        ("NotAction", json!("sqs:SendMessage")),
        ("Action", json!("*")),
        ("Action", json!(["sqs:SendMessage", "dynamodb:*"])),
        ("Resource", json!("*")),
        ("Resource", json!("arn:aws:sqs:r:1:queue?")),
        ("Resource", json!([{"Fn::GetAtt": "Inbox.Arn"}, {"Fn::Sub": "arn:aws:execute-api:r:1:*/${Stage}/POST/*"}])),
        ("Resource", json!({"Fn::Sub": "arn:aws:execute-api:r:1:${Api}/*/POST/*"})),
        ("Resource", json!({"Fn::Join": ["/", ["arn:aws:execute-api:r:1:x", "*"]]})),
        ("Principal", json!({"AWS": "*"})),
    ] {
        assert_found_out(too_wide, &[("Resources/RouteRole/Properties/Policies", statement(part, value))]);
    }
}
