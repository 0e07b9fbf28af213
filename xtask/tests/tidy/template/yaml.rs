//! A template's YAML as JSON, with every short tag (`!Ref X`) in its full form (`{"Ref": "X"}`), as CloudFormation takes it. It
//! knows no resource.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

pub(super) fn parse(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|error| panic!("the template is no YAML: {error}"));
    let [document] = &documents[..] else { panic!("the template is {} documents", documents.len()) };
    in_full(document)
}

fn in_full(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(scalar) => plain(scalar),
        Yaml::Sequence(items) => items.iter().map(in_full).collect(),
        Yaml::Mapping(entries) => entries.iter().map(|(key, value)| (name(key), in_full(value))).collect(),
        Yaml::Tagged(tag, value) => Map::from_iter([(function(&tag.suffix), in_full(value))]).into(),
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => panic!("YAML that no template needs: {yaml:?}"),
    }
}

fn plain(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => (*value).into(),
        Scalar::Integer(value) => (*value).into(),
        Scalar::FloatingPoint(value) => value.into_inner().into(),
        Scalar::String(value) => value.as_ref().into(),
    }
}

fn name(key: &Yaml<'_>) -> String {
    key.as_str().unwrap_or_else(|| panic!("a key that is no text: {key:?}")).to_owned()
}

fn function(tag: &str) -> String {
    if matches!(tag, "Ref" | "Condition") { tag.to_owned() } else { format!("Fn::{tag}") }
}

#[test]
fn short_tags_are_written_out() {
    let text = "a: !Ref X\nb: [!GetAtt X.Arn, !If [c, !Sub \"${X}/*\", 7]]\nd: \"on\"\ne: {$f: true}\n";
    let full = serde_json::json!({
        "a": {"Ref": "X"},
        "b": [{"Fn::GetAtt": "X.Arn"}, {"Fn::If": ["c", {"Fn::Sub": "${X}/*"}, 7]}],
        "d": "on",
        "e": {"$f": true},
    });
    assert_eq!(parse(text), full);
}
