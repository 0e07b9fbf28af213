//! `docs/openapi.yaml` has every endpoint of the code and no other, and each with the statuses and codes that the code answers: every case
//! below is documented, and nothing is documented that no case shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use delivery::Attachment;
use protocol::AttachmentId;
use protocol::http::{ENDPOINTS, MAX_BODY_BYTES};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};

use crate::stage::{Stage, team, user};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.yaml");

/// Path, method, status, and the code of an error.
type Answered = (String, String, u64, Option<String>);

/// Something that is asked, and what is answered.
struct Case {
    path: &'static str,
    method: &'static str,
    user: &'static str,
    /// The path and query, where `path` alone would not do.
    target: &'static str,
    body: Value,
    status: u64,
    code: &'static str,
    /// A call of a port that fails.
    failing: &'static str,
}

/// What `alice`, the admin, asks with these.
fn case(
    method: &'static str,
    path: &'static str,
    target: &'static str,
    body: Value,
    status: u64,
    code: &'static str,
) -> Case {
    Case { path, method, user: "alice", target, body, status, code, failing: "" }
}

const MESSAGES: &str = "/v1/messages";
const OLD_MESSAGES: &str = "/v1.0/messages";
const ACKS: &str = "/v1/acks";
const READS: &str = "/v1/reads";
const ATTACHMENTS: &str = "/v1/attachments";
const ATTACHMENT: &str = "/v1/attachments/{attachment}";
const ME: &str = "/v1/me";
const EXPORT: &str = "/v1/me/export";
const DEVICE: &str = "/v1/devices/{device}";
const PUSH: &str = "/v1/push";
const PRESENCE: &str = "/v1/users/{user}/presence";
const GROUPS: &str = "/v1/groups";
const GROUP: &str = "/v1/groups/{group}";
const MEMBERS: &str = "/v1/groups/{group}/members";
const MEMBER: &str = "/v1/groups/{group}/members/{user}";
const REF: &str = "0198a5c0-7c00-7abc-8def-0123456789ab~bob";

fn cases() -> Vec<Case> {
    let (none, bad) = (json!(null), "/v1/groups/a%20b");
    let name = json!({"name": "Crew"});
    let ack = json!({"device": "phone", "refs": [REF]});
    let message =
        json!({"messages": [{"id": "0198a5c0-7c00-7abc-8def-0123456789ab", "to": {"user": "bob"}, "body": 1}]});
    let old = json!({"_v": 2.1, "id": "a1", "head": {"type": "individual", "to": "bob"}, "body": {"text": "hi"}});
    let padded = json!({"padding": "x".repeat(MAX_BODY_BYTES)});
    let (team, bob) = ("/v1/groups/team", "/v1/groups/team/members/bob");
    let admin = json!({"role": "admin"});
    let (photo, file) = (json!({"type": "image/png", "bytes": 7}), filled(ATTACHMENT));
    let carol = json!({"users": ["carol"]});
    let (list, phone) = ("/v1/groups/team/members", "/v1/devices/phone");
    let mut cases = vec![
        case("POST", MESSAGES, MESSAGES, message, 200, ""),
        case("POST", MESSAGES, MESSAGES, json!([]), 400, "invalid_frame"),
        case("GET", MESSAGES, "/v1/messages?device=phone", none.clone(), 200, ""),
        case("GET", MESSAGES, MESSAGES, none.clone(), 400, "invalid_request"),
        case("GET", MESSAGES, "/v1/messages?device=phone&after=x", none.clone(), 400, "invalid_cursor"),
        Case { failing: "page", ..case("GET", MESSAGES, "/v1/messages?device=d", none.clone(), 503, "unavailable") },
        case("POST", OLD_MESSAGES, OLD_MESSAGES, json!([old]), 201, ""),
        case("POST", OLD_MESSAGES, OLD_MESSAGES, json!({}), 400, "invalid_frame"),
        case("POST", OLD_MESSAGES, "/v1.0/messages?ack=1&ack=1", json!([old]), 400, "invalid_request"),
        Case { failing: "send", ..case("POST", OLD_MESSAGES, OLD_MESSAGES, json!([old]), 503, "unavailable") },
        case("POST", ACKS, ACKS, ack.clone(), 204, ""),
        case("POST", ACKS, ACKS, json!({"device": "phone"}), 400, "invalid_frame"),
        case("POST", ACKS, ACKS, json!({"refs": [REF]}), 400, "invalid_request"),
        case("POST", ACKS, ACKS, json!({"device": "phone", "refs": ["x"]}), 400, "invalid_ref"),
        Case { failing: "delete", ..case("POST", ACKS, ACKS, ack.clone(), 503, "unavailable") },
        case("POST", READS, READS, ack.clone(), 204, ""),
        case("POST", READS, READS, json!({"device": "phone"}), 400, "invalid_frame"),
        case("POST", READS, READS, json!({"refs": [REF]}), 400, "invalid_request"),
        case("POST", READS, READS, json!({"device": "phone", "refs": ["x"]}), 400, "invalid_ref"),
        Case { failing: "delete", ..case("POST", READS, READS, ack, 503, "unavailable") },
        case("POST", ATTACHMENTS, ATTACHMENTS, photo.clone(), 201, ""),
        case("POST", ATTACHMENTS, ATTACHMENTS, json!({"type": "text/html", "bytes": 7}), 400, "invalid_request"),
        case("POST", ATTACHMENTS, ATTACHMENTS, json!({"type": "image/png", "bytes": 1_u64 << 40}), 413, "too_large"),
        Case { failing: "keep", ..case("POST", ATTACHMENTS, ATTACHMENTS, photo, 503, "unavailable") },
        case("GET", ATTACHMENT, file, none.clone(), 200, ""),
        case("GET", ATTACHMENT, "/v1/attachments/x", none.clone(), 400, "invalid_request"),
        Case { user: "carol", ..case("GET", ATTACHMENT, file, none.clone(), 404, "not_found") },
        Case { failing: "open_to", ..case("GET", ATTACHMENT, file, none.clone(), 503, "unavailable") },
        case("DELETE", ME, ME, none.clone(), 204, ""),
        Case { failing: "groups_of", ..case("DELETE", ME, ME, none.clone(), 503, "unavailable") },
        case("GET", EXPORT, EXPORT, none.clone(), 200, ""),
        case("GET", EXPORT, "/v1/me/export?after=x", none.clone(), 400, "invalid_cursor"),
        case("GET", EXPORT, "/v1/me/export?after=groups&after=groups", none.clone(), 400, "invalid_request"),
        Case { failing: "memberships", ..case("GET", EXPORT, EXPORT, none.clone(), 503, "unavailable") },
        case("PUT", DEVICE, phone, none.clone(), 204, ""),
        case("PUT", DEVICE, phone, json!({}), 204, ""),
        case("PUT", DEVICE, phone, json!({"presence": true}), 204, ""),
        case("PUT", DEVICE, phone, json!([]), 400, "invalid_request"),
        case("PUT", DEVICE, phone, json!({"presence": "yes"}), 400, "invalid_request"),
        case("PUT", DEVICE, phone, json!({"notices": {"preview": true, "quiet": "always"}}), 204, ""),
        case("PUT", DEVICE, phone, json!({"notices": {"quiet": "sometimes"}}), 400, "invalid_request"),
        case("GET", PUSH, PUSH, none.clone(), 200, ""),
        Case { failing: "enrol", ..case("PUT", DEVICE, phone, none.clone(), 503, "unavailable") },
        case("DELETE", DEVICE, phone, none.clone(), 204, ""),
        case("DELETE", DEVICE, "/v1/devices/a.b", none.clone(), 400, "invalid_request"),
        Case { failing: "forget", ..case("DELETE", DEVICE, phone, none.clone(), 503, "unavailable") },
        case("GET", PRESENCE, "/v1/users/dave/presence", none.clone(), 200, ""),
        case("GET", PRESENCE, "/v1/users/bob/presence", none.clone(), 404, "not_found"),
        case("GET", PRESENCE, "/v1/users/b%20b/presence", none.clone(), 400, "invalid_request"),
        Case {
            failing: "devices",
            ..case("GET", PRESENCE, "/v1/users/dave/presence", none.clone(), 503, "unavailable")
        },
        case("GET", GROUPS, GROUPS, none.clone(), 200, ""),
        case("GET", GROUPS, "/v1/groups?limit=0", none.clone(), 400, "invalid_request"),
        case("GET", GROUPS, "/v1/groups?after=a%20b", none.clone(), 400, "invalid_cursor"),
        Case { failing: "groups_of", ..case("GET", GROUPS, GROUPS, none.clone(), 503, "unavailable") },
        case("GET", GROUP, team, none.clone(), 200, ""),
        case("GET", GROUP, bad, none.clone(), 400, "invalid_request"),
        Case { user: "carol", ..case("GET", GROUP, team, none.clone(), 403, "not_a_member") },
        Case { failing: "group", ..case("GET", GROUP, team, none.clone(), 503, "unavailable") },
        case("PUT", GROUP, "/v1/groups/new", name.clone(), 201, ""),
        case("PUT", GROUP, team, json!({"name": "Team", "users": ["bob"]}), 200, ""),
        case("PUT", GROUP, team, json!({"name": " "}), 400, "invalid_request"),
        case("PUT", GROUP, team, name.clone(), 409, "group_exists"),
        Case { failing: "send", ..case("PUT", GROUP, "/v1/groups/new", name.clone(), 503, "unavailable") },
        case("PATCH", GROUP, team, name.clone(), 200, ""),
        case("PATCH", GROUP, bad, name.clone(), 400, "invalid_request"),
        Case { user: "bob", ..case("PATCH", GROUP, team, name.clone(), 403, "not_an_admin") },
        case("PATCH", GROUP, "/v1/groups/none", name.clone(), 403, "not_a_member"),
        Case { failing: "change", ..case("PATCH", GROUP, team, name, 503, "unavailable") },
        case("POST", MEMBERS, list, carol.clone(), 200, ""),
        case("POST", MEMBERS, list, json!({"users": []}), 400, "invalid_request"),
        Case { user: "bob", ..case("POST", MEMBERS, list, carol.clone(), 403, "not_an_admin") },
        Case { user: "carol", ..case("POST", MEMBERS, list, carol.clone(), 403, "not_a_member") },
        case("POST", MEMBERS, "/v1/groups/full/members", carol.clone(), 409, "too_many_members"),
        Case { failing: "change", ..case("POST", MEMBERS, list, carol, 503, "unavailable") },
        case("PUT", MEMBER, bob, admin.clone(), 200, ""),
        case("PUT", MEMBER, bob, json!({"role": "owner"}), 400, "invalid_request"),
        Case { user: "bob", ..case("PUT", MEMBER, bob, admin.clone(), 403, "not_an_admin") },
        case("PUT", MEMBER, "/v1/groups/team/members/carol", admin.clone(), 403, "not_a_member"),
        case("PUT", MEMBER, "/v1/groups/team/members/alice", json!({"role": "member"}), 409, "last_admin"),
        Case { failing: "change", ..case("PUT", MEMBER, bob, admin, 503, "unavailable") },
        case("DELETE", MEMBER, bob, none.clone(), 204, ""),
        case("DELETE", MEMBER, "/v1/groups/team/members/b%20b", none.clone(), 400, "invalid_request"),
        Case {
            user: "bob",
            ..case("DELETE", MEMBER, "/v1/groups/team/members/alice", none.clone(), 403, "not_an_admin")
        },
        Case { user: "carol", ..case("DELETE", MEMBER, bob, none.clone(), 403, "not_a_member") },
        Case { failing: "send", ..case("DELETE", MEMBER, bob, none.clone(), 503, "unavailable") },
    ];
    let operations = ENDPOINTS.iter().flat_map(|one| one.methods.iter().map(move |method| (one.path, *method)));
    for (path, method) in operations {
        cases.push(Case { user: "no user", ..case(method, path, filled(path), none.clone(), 401, "invalid_request") });
        if !matches!(method, "GET" | "DELETE") {
            cases.push(case(method, path, filled(path), padded.clone(), 413, "too_large"));
        }
    }
    cases
}

/// A path with names in it.
fn filled(path: &'static str) -> &'static str {
    match path {
        ATTACHMENT => "/v1/attachments/00000000000000000000000000000007",
        DEVICE => "/v1/devices/phone",
        PRESENCE => "/v1/users/dave/presence",
        GROUP => "/v1/groups/team",
        MEMBERS => "/v1/groups/team/members",
        MEMBER => "/v1/groups/team/members/bob",
        plain => plain,
    }
}

/// What a stage with a full group beside its team, and dave who shows his presence, answers. Whatever is refused has changed nothing.
async fn answer(case: &Case) -> Answered {
    let stage = Stage::new();
    let (inbox, groups, queue) =
        (&stage.function.answers.inbox, &stage.function.answers.groups, &stage.function.answers.queue);
    let names: Vec<String> =
        std::iter::once("alice".to_owned()).chain((1..1_024).map(|n| format!("user-{n}"))).collect();
    let full = team(&stage.clock, &names.iter().map(String::as_str).collect::<Vec<_>>());
    groups.insert(delivery::Group { id: crate::stage::id("full"), ..full });
    let attachments = &stage.function.answers.attachments;
    attachments.insert(photo(&stage));
    assert_eq!(stage.ask("dave", "PUT", "/v1/devices/phone", &json!({"presence": true})).await.status, 204);
    if !case.failing.is_empty() {
        let ledgers = [&inbox.ledger, &groups.ledger, &queue.ledger, &stage.function.directory.ledger];
        for ledger in ledgers.into_iter().chain([&attachments.ledger]) {
            ledger.fail_next(case.failing, 1);
        }
    }
    let devices = |name| stage.function.directory.devices_of(&user(name), stage.clock.now());
    let kept = || (groups.all(), attachments.all(), devices("alice"), devices("dave"));
    let before = kept();
    let answer = stage.ask(case.user, case.method, case.target, &case.body).await;
    let shown = format!("{} {} by {}: {answer:?}", case.method, case.target, case.user);
    assert_eq!((answer.status, answer.body["code"].as_str().unwrap_or_default()), (case.status, case.code), "{shown}");
    if answer.status >= 400 {
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{shown}");
        assert_eq!(kept(), before, "{shown}");
    }
    let code = answer.body["code"].as_str().map(str::to_owned);
    (case.path.to_owned(), case.method.to_owned(), answer.status, code)
}

/// What alice may upload.
fn photo(stage: &Stage) -> Attachment {
    Attachment {
        id: AttachmentId::new(7),
        uploader: user("alice"),
        media_type: "image/png".parse().expect("a type"),
        bytes: 7,
        expires_at: stage.clock.now().plus(Duration::from_secs(60)),
    }
}

/// A mapping's members.
fn members<'a>(yaml: &'a Yaml<'a>) -> impl Iterator<Item = (&'a str, &'a Yaml<'a>)> {
    let mapping = yaml.as_mapping().unwrap_or_else(|| panic!("not a mapping: {yaml:?}"));
    mapping.iter().map(|(name, value)| (name.as_str().unwrap_or_else(|| panic!("{name:?}")), value))
}

fn member<'a>(yaml: &'a Yaml<'a>, name: &str) -> Option<&'a Yaml<'a>> {
    members(yaml).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// What a `$ref` leads to.
fn resolved<'a>(page: &'a Yaml<'a>, yaml: &'a Yaml<'a>) -> &'a Yaml<'a> {
    let Some(pointer) = member(yaml, "$ref").and_then(Yaml::as_str) else { return yaml };
    let path = pointer.strip_prefix("#/").unwrap_or_else(|| panic!("{pointer}"));
    path.split('/').fold(page, |yaml, name| member(yaml, name).unwrap_or_else(|| panic!("nothing at {pointer}")))
}

/// Each documented answer. Codes stand in backticks in the description of their status, before what they mean.
fn documented(page: &Yaml<'_>) -> BTreeSet<Answered> {
    let mut documented = BTreeSet::new();
    for (path, item) in members(member(page, "paths").expect("paths")) {
        for (method, operation) in members(item).filter(|(name, _)| *name != "parameters") {
            for (status, response) in members(member(operation, "responses").expect("responses")) {
                let response = resolved(page, response);
                let description = member(response, "description").and_then(Yaml::as_str).expect("a description");
                let status: u64 = status.parse().expect("a status");
                let answered = |code| (path.to_owned(), method.to_uppercase(), status, code);
                let words = description.split('`').skip(1).step_by(2).zip(description.split('`').skip(2).step_by(2));
                let codes: Vec<&str> =
                    words.filter(|(_, after)| after.starts_with(':')).map(|(code, _)| code).collect();
                assert_eq!(codes.is_empty(), status < 400, "{path} {method} {status}: {description}");
                if codes.is_empty() {
                    documented.insert(answered(None));
                }
                documented.extend(codes.iter().map(|code| answered(Some((*code).to_owned()))));
            }
        }
    }
    documented
}

fn page() -> String {
    std::fs::read_to_string(PAGE).expect("docs/openapi.yaml")
}

#[test]
fn every_endpoint_is_documented_and_no_other() {
    let text = page();
    let pages = Yaml::load_from_str(&text).expect("YAML");
    let documented: BTreeMap<String, BTreeSet<String>> = documented(&pages[0]).into_iter().fold(
        BTreeMap::new(),
        |mut endpoints: BTreeMap<String, BTreeSet<String>>, (path, method, ..)| {
            endpoints.entry(path).or_default().insert(method);
            endpoints
        },
    );
    let known = ENDPOINTS.iter().map(|one| (one.path.to_owned(), one.methods.iter().map(|&m| m.to_owned()).collect()));
    assert_eq!(documented, known.collect());
}

#[tokio::test]
async fn every_answer_is_documented_and_no_other() {
    let text = page();
    let pages = Yaml::load_from_str(&text).expect("YAML");
    let mut answered = BTreeSet::new();
    for case in cases() {
        answered.insert(answer(&case).await);
    }
    let documented = documented(&pages[0]);
    let (untold, unseen): (Vec<_>, Vec<_>) =
        (answered.difference(&documented).collect(), documented.difference(&answered).collect());
    assert!(
        untold.is_empty() && unseen.is_empty(),
        "not in docs/openapi.yaml: {untold:#?}\nnever answered: {unseen:#?}"
    );
}
