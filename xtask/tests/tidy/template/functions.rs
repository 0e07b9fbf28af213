//! The functions of the template are those of the workspace, run as they must be, and each is given the settings that its code reads
//! and its README tells. What they may do is in `permissions.rs`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::folder::Folder;
use super::{Resource, Template, assert_found_out, assert_named, referred};
use crate::assert_none;

#[test]
fn the_functions_of_the_template_are_those_of_the_workspace() {
    assert_none(strangers(&Template::read(), &Folder::all()));
}

#[test]
fn each_function_gets_the_settings_that_it_reads() {
    assert_none(settings_apart(&Template::read(), &Folder::all()));
}

#[test]
fn every_function_runs_and_logs_alike() {
    assert_none(unlike(&Template::read()));
}

/// The name of a function: that of its binary.
pub(super) fn name(function: Resource<'_>) -> &str {
    function.at("Metadata/BuildProperties/Binary").as_str().unwrap_or("")
}

fn strangers(template: &Template, folders: &[Folder]) -> Vec<String> {
    let functions = template.functions();
    let mut broken = Vec::new();
    for function in &functions {
        let (id, name) = (function.id, name(*function));
        if !folders.iter().any(|folder| folder.name == name && folder.has_its_binary()) {
            broken.push(format!("{id}: set Metadata.BuildProperties.Binary to a binary of its name in functions/"));
        }
        broken.extend(function.demand("Properties/CodeUri", &json!(format!("../functions/{name}"))));
    }
    let missing = folders.iter().filter(|folder| !functions.iter().any(|function| name(*function) == folder.name));
    broken.extend(
        missing.map(|folder| format!("functions/{}: the template has no function of it; add one", folder.name)),
    );
    broken
}

fn settings_apart(template: &Template, folders: &[Folder]) -> Vec<String> {
    let mut broken = Vec::new();
    for function in template.functions() {
        let Some(folder) = folders.iter().find(|folder| folder.name == name(function)) else { continue };
        let (id, set) = (function.id, environment(template, function));
        let (read, told) = (folder.settings_read(), folder.settings_told());
        let source = format!("functions/{}/src/settings.rs", folder.name);
        let readme = format!("functions/{}/README.md", folder.name);
        broken.extend(read.difference(&set).map(|one| format!("{id}: set {one}, which {source} reads")));
        broken.extend(set.difference(&read).map(|one| format!("{id}: do not set {one}, which {source} does not read")));
        broken.extend(read.difference(&told).map(|one| format!("{readme}: add {one} to the table of settings")));
        broken.extend(
            told.difference(&read).map(|one| format!("{readme}: take {one} out, which {source} does not read")),
        );
    }
    broken
}

/// The variables of a function, those of all functions included.
fn environment(template: &Template, function: Resource<'_>) -> BTreeSet<String> {
    let of_all = template.0.pointer("/Globals/Function/Environment/Variables");
    let both = [function.property("Environment/Variables"), of_all.unwrap_or(&Value::Null)];
    both.into_iter().filter_map(Value::as_object).flat_map(|variables| variables.keys().cloned()).collect()
}

fn unlike(template: &Template) -> Vec<String> {
    let demands = [
        ("Runtime", "provided.al2023", "what the functions are built for"),
        ("LoggingConfig/LogFormat", "JSON", "what log metrics and alarms read"),
        ("LoggingConfig/SystemLogLevel", "WARN", "or START, END and REPORT cost more than the invocations"),
    ];
    let mut broken = Vec::new();
    for function in template.functions() {
        let id = function.id;
        for (path, expected, why) in demands {
            if template.of_function(function, path) != expected {
                broken.push(format!("{id}: set {} to {expected}: {why}", path.replace('/', ".")));
            }
        }
        let group = referred(function.property("LoggingConfig/LogGroup")).and_then(|group| template.resource(group));
        if !group.is_some_and(|group| group.is("AWS::Logs::LogGroup")) {
            broken
                .push(format!("{id}: refer LoggingConfig.LogGroup to a log group of the template: Lambda's keeps all"));
        }
    }
    broken
}

#[test]
fn a_function_of_another_name_is_found_out() {
    let check = |template: &Template| strangers(template, &Folder::all());
    assert_found_out(
        check,
        &[
            ("Resources/Connect/Metadata/BuildProperties/Binary", json!("route")),
            ("Resources/Connect/Metadata/BuildProperties/Binary", json!("elsewhere")),
            ("Resources/Connect/Properties/CodeUri", json!("..")),
        ],
    );
    assert_named(check, "Resources/Notify", &Value::Null, "functions/notify");
}

#[test]
fn a_setting_that_is_not_everywhere_is_found_out() {
    let check = |template: &Template| settings_apart(template, &Folder::all());
    assert_found_out(
        check,
        &[
            ("Resources/Deliver/Properties/Environment/Variables/VARTALAP_WAITS", Value::Null),
            ("Resources/Deliver/Properties/Environment/Variables/VARTALAP_DEBUG", json!("1")),
        ],
    );
    assert_named(check, "Globals/Function/Environment", &json!({"Variables": {"VARTALAP_DEBUG": "1"}}), "Notify");
    let retold = Folder::all().into_iter().map(|folder| {
        let readme = folder.readme.replace("`VARTALAP_WAITS`", "`VARTALAP_PAUSES`");
        Folder { readme, ..folder }
    });
    let retold = settings_apart(&Template::read(), &Vec::from_iter(retold));
    for told in ["functions/deliver/README.md: add VARTALAP_WAITS", "functions/deliver/README.md: take VARTALAP_PAUSES"]
    {
        assert!(retold.iter().any(|line| line.starts_with(told)), "{retold:?}");
    }
}

#[test]
fn a_function_that_runs_or_logs_otherwise_is_found_out() {
    assert_found_out(
        unlike,
        &[
            ("Resources/Route/Properties/Runtime", json!("provided.al2")),
            ("Resources/Route/Properties/LoggingConfig/LogFormat", json!("Text")),
            ("Resources/Route/Properties/LoggingConfig/SystemLogLevel", json!("INFO")),
            ("Resources/Route/Properties/LoggingConfig/LogGroup", Value::Null),
            ("Resources/Route/Properties/LoggingConfig/LogGroup", json!({"Ref": "Inbox"})),
        ],
    );
    assert_named(unlike, "Globals/Function/Runtime", &json!("provided.al2"), "Notify");
}
