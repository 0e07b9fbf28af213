//! What `infra/template.yaml` must say for the system to keep what ARCHITECTURE.md guarantees, and where it and the functions
//! speak of the same thing. It reads and deploys nothing; whether the template is valid is for cfn-lint, sam and checkov.
//!
//! A check is a function from the template to what is wrong with it, so that each is seen to fail on a template changed in memory.

mod folder;
mod functions;
mod permissions;
mod queues;
mod resources;
mod routes;
mod yaml;

use std::path::Path;

use serde_json::Value;

use crate::workspace::read;

/// The template, with short tags written out in full.
#[derive(Clone, Debug)]
struct Template(Value);

/// One of its resources.
#[derive(Clone, Copy, Debug)]
struct Resource<'a> {
    id: &'a str,
    body: &'a Value,
}

impl Template {
    /// The one that is deployed.
    fn read() -> Self {
        Self(yaml::parse(&read(Path::new("infra/template.yaml"))))
    }

    fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        let resources = self.0["Resources"].as_object().expect("the template has Resources");
        resources.iter().map(|(id, body)| Resource { id, body })
    }

    fn resource(&self, id: &str) -> Option<Resource<'_>> {
        self.resources().find(|resource| resource.id == id)
    }

    /// Fails where there is none: a check of nothing would pass.
    fn of_type(&self, name: &str) -> Vec<Resource<'_>> {
        let found: Vec<Resource<'_>> = self.resources().filter(|resource| resource.is(name)).collect();
        assert!(!found.is_empty(), "the template has no {name}; if that is meant, take its check out of {}", file!());
        found
    }

    fn functions(&self) -> Vec<Resource<'_>> {
        self.of_type("AWS::Serverless::Function")
    }

    /// A property of a function, its own or that of all functions.
    fn of_function<'a>(&'a self, function: Resource<'a>, path: &str) -> &'a Value {
        match function.property(path) {
            Value::Null => self.0.pointer(&format!("/Globals/Function/{path}")).unwrap_or(&Value::Null),
            own => own,
        }
    }
}

impl<'a> Resource<'a> {
    fn is(self, name: &str) -> bool {
        self.body["Type"] == name
    }

    /// What is under `Properties/PATH`; null if nothing is.
    fn property(self, path: &str) -> &'a Value {
        self.at(&format!("Properties/{path}"))
    }

    /// What is under `PATH`; null if nothing is.
    fn at(self, path: &str) -> &'a Value {
        self.body.pointer(&format!("/{path}")).unwrap_or(&Value::Null)
    }

    /// What is wrong unless `expected` is under `path`.
    fn demand(self, path: &str, expected: &Value) -> Option<String> {
        (self.at(path) != expected).then(|| format!("{}: set {} to {expected}", self.id, path.replace('/', ".")))
    }
}

/// The resource whose `attribute` a value is: `X` of `!GetAtt X.Arn`.
fn attribute_of<'a>(value: &'a Value, attribute: &str) -> Option<&'a str> {
    value["Fn::GetAtt"].as_str()?.strip_suffix(attribute)?.strip_suffix('.')
}

/// The resource or parameter that a value is: `X` of `!Ref X`.
fn referred(value: &Value) -> Option<&str> {
    value["Ref"].as_str()
}

/// One value or a list of them, as a list: policies may say either.
fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// Every value in `value`, itself included.
fn inside(value: &Value) -> Vec<&Value> {
    let mut found = vec![value];
    match value {
        Value::Array(values) => found.extend(values.iter().flat_map(inside)),
        Value::Object(values) => found.extend(values.values().flat_map(inside)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found
}

/// Fails unless `check` names the resource for each change of it. A change is a path in the template and what is put there; null
/// takes away.
fn assert_found_out(check: impl Fn(&Template) -> Vec<String>, changes: &[(&str, Value)]) {
    for (path, value) in changes {
        let name = path.split('/').nth(1).expect("a section and a name in it");
        assert_named(&check, path, value, name);
    }
}

/// Fails unless `check` says something of `name` when `value` is at `path`.
fn assert_named(check: impl Fn(&Template) -> Vec<String>, path: &str, value: &Value, name: &str) {
    let broken = check(&changed(path, value));
    let found = broken.iter().any(|line| line.starts_with(&format!("{name}:")));
    assert!(found, "{path} as {value} was not found out; nothing is said of {name}: {broken:?}");
}

/// The template as it would be with `value` at `path`.
fn changed(path: &str, value: &Value) -> Template {
    let mut template = Template::read();
    let (parent, name) = path.rsplit_once('/').expect("a path of several names");
    let parent = template.0.pointer_mut(&format!("/{parent}")).and_then(Value::as_object_mut);
    let parent = parent.unwrap_or_else(|| panic!("nothing can be changed at {path}: mend the template, or this test"));
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value.clone());
    }
    template
}
