//! Dependencies point one way: functions -> lambda, aws, delivery -> protocol. It reads what manifests declare, not what
//! the code does with it.

use std::path::Path;

use crate::assert_none;
use crate::workspace::{Dependency, Package, packages};

/// What each package may depend on, of our own. Those under `functions/` are all alike and are in [`FUNCTION`].
///
/// To add a package, say here which way its arrows point.
const LAYERS: &[(&str, &[&str])] = &[
    ("vartalap-protocol", &[]),
    ("vartalap-delivery", &["vartalap-protocol"]),
    (AWS, &["vartalap-delivery", "vartalap-protocol"]),
    ("vartalap-lambda", &["vartalap-delivery", "vartalap-protocol"]),
    (
        LOCAL,
        &[
            "vartalap-aws",
            "vartalap-connect",
            "vartalap-deliver",
            "vartalap-delivery",
            "vartalap-http",
            "vartalap-lambda",
            "vartalap-notify",
            "vartalap-protocol",
            "vartalap-providers",
            "vartalap-push",
            "vartalap-route",
        ],
    ),
    ("vartalap-legacy", &["vartalap-protocol"]),
    (PUSH, &["vartalap-delivery", "vartalap-protocol"]),
    ("vartalap-client", &["vartalap-protocol"]),
    ("vartalap-providers", &["vartalap-protocol"]),
    ("vartalap-cli", &["vartalap-aws", "vartalap-client", "vartalap-delivery", "vartalap-local", "vartalap-protocol"]),
    (TESTKIT, &["vartalap-delivery", "vartalap-protocol"]),
    ("vartalap-blackbox", &[]),
    ("vartalap-conformance", &["vartalap-blackbox"]),
    ("xtask", &[]),
];

/// What a Lambda function may depend on, of our own. One function never knows another, save [`ANSWERS_ALIKE`].
const FUNCTION: &[&str] = &["vartalap-aws", "vartalap-delivery", "vartalap-lambda", "vartalap-protocol"];

/// The function of the HTTP API has the library of the one of the socket: what both are asked, both answer alike.
const ANSWERS_ALIKE: (&str, &str) = ("vartalap-http", "vartalap-route");

/// Which function speaks to push services.
const PUSHES: (&str, &str) = ("vartalap-notify", PUSH);

/// What is said to old clients is translated where it is said, and nowhere else.
const TRANSLATORS: (&[&str], &str) = (&["vartalap-deliver", "vartalap-route"], "vartalap-legacy");

/// In-memory ports, faults and contract suites: any package may test with them, and none may ship them.
const TESTKIT: &str = "vartalap-testkit";

/// Tests of the whole; they see everything, and nothing sees them.
const TESTS: &[&str] = &["vartalap-bench", "vartalap-chaos", "vartalap-properties", "vartalap-tests", "vartalap-world"];

/// The only package that speaks to AWS, but for [`PUSH`].
const AWS: &str = "vartalap-aws";

/// The clients of push services. SNS is one of them, and credentials of the others lie in Secrets Manager and SSM;
/// nobody else needs those.
const PUSH: &str = "vartalap-push";

/// The local cloud.
const LOCAL: &str = "vartalap-local";

/// What the local cloud needs of the SDK to stand in for the network below it. It names no service.
const SDK_BELOW_LOCAL: &[&str] = &["aws-smithy-runtime-api", "aws-smithy-types"];

/// Packages that decide and never wait.
const SANS_IO: &[&str] = &["vartalap-delivery", "vartalap-legacy", "vartalap-protocol"];

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    assert_none(forbidden(|package, dependency| {
        !TESTS.contains(&package.name.as_str()) && ours(&dependency.name) && !may(package, dependency)
    }));
}

#[test]
fn every_package_has_a_layer() {
    let homeless =
        packages().into_iter().filter(|package| !TESTS.contains(&package.name.as_str()) && allowed(package).is_none());
    assert_none(homeless.map(|package| format!("{} is not in LAYERS of {}", package.name, file!())));
}

#[test]
fn only_aws_and_push_name_the_sdk() {
    assert_none(forbidden(|package, dependency| {
        let name = dependency.name.as_str();
        let excused =
            [AWS, PUSH].contains(&package.name.as_str()) || (package.name == LOCAL && SDK_BELOW_LOCAL.contains(&name));
        !dependency.is_dev() && is_sdk(name) && !excused
    }));
}

#[test]
fn the_domain_has_no_runtime() {
    assert_none(forbidden(|package, dependency| {
        let sans_io = SANS_IO.contains(&package.name.as_str());
        sans_io && !dependency.is_dev() && dependency.name.starts_with("tokio")
    }));
}

fn may(package: &Package, dependency: &Dependency) -> bool {
    let allowed = allowed(package).unwrap_or_default();
    allowed.contains(&dependency.name.as_str())
        || [ANSWERS_ALIKE, PUSHES].contains(&(package.name.as_str(), dependency.name.as_str()))
        || (TRANSLATORS.0.contains(&package.name.as_str()) && dependency.name == TRANSLATORS.1)
        || (dependency.is_dev() && dependency.name == TESTKIT)
}

fn allowed(package: &Package) -> Option<&'static [&'static str]> {
    if package.folder().starts_with(Path::new("functions")) {
        return Some(FUNCTION);
    }
    LAYERS.iter().find(|(name, _)| *name == package.name).map(|(_, allowed)| *allowed)
}

fn is_sdk(name: &str) -> bool {
    ["aws-config", "aws-sdk-", "aws-smithy-", "aws-types"].iter().any(|start| name.starts_with(start))
}

/// Names every dependency that some package must not have.
fn forbidden(is_forbidden: impl Fn(&Package, &Dependency) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for package in packages() {
        let wrong = package.dependencies.iter().filter(|dependency| is_forbidden(&package, dependency));
        broken.extend(wrong.map(|dependency| format!("{} must not depend on {}", package.name, dependency.name)));
    }
    broken
}
