//! What is told of a dead letter, that its body never is, and which ones a filter takes.

use super::*;

const ONE: &str = "0198a5c0-7c00-7abc-8def-000000000001";
const TWO: &str = "0198a5c0-7c00-7abc-8def-000000000002";

fn stamp(queue: Origin) -> Stamp {
    Stamp {
        id: "r1".to_owned(),
        queue,
        sent_at: Timestamp::from_secs(1_800_000_000),
        receive_count: 200,
        reason: Some("why".to_owned()),
    }
}

fn deliver() -> String {
    format!(
        r#"{{"deliver":{{"envelope":{{"id":"{ONE}","from":"alice","to":{{"user":"bob"}},"kind":"message","at":5,"expires_at":9,"body":{{"text":"secret"}}}},"recipient":"bob","later":"secret"}}}}"#
    )
}

fn delivery(raw: &str) -> DeadLetter {
    DeadLetter::describe(stamp(Origin::Delivery), raw)
}

fn names(letter: &DeadLetter) -> (Vec<&str>, Vec<String>) {
    let users = letter.users.iter().map(UserId::as_str).collect();
    (users, letter.messages.iter().map(MessageId::to_string).collect())
}

#[test]
fn a_deliver_is_told_but_for_what_the_user_wrote() {
    let letter = delivery(&deliver());
    let json = serde_json::to_string(&letter).expect("JSON");
    // As a value: the order of a map's members depends on what else is built.
    let told: Value = serde_json::from_str(&json).expect("JSON");
    let expected: Value = serde_json::from_str(
        r#"{"id":"r1","queue":"delivery","sent_at":1800000000000,"receive_count":200,"reason":"why","bytes":204,"kind":"deliver","users":["bob","alice"],"messages":["0198a5c0-7c00-7abc-8def-000000000001"],"record":{"deliver":{"envelope":{"at":5,"body_bytes":17,"expires_at":9,"from":"alice","id":"0198a5c0-7c00-7abc-8def-000000000001","kind":"message","to":{"user":"bob"}},"recipient":"bob"}}}"#,
    )
    .expect("JSON");
    assert_eq!(told, expected);
    assert_eq!(serde_json::from_str::<DeadLetter>(&json).expect("a dead letter"), letter);
}

#[test]
fn a_fanout_is_told_but_for_what_the_user_wrote() {
    let raw = deliver().replace("deliver", "fanout").replace(r#""recipient":"bob""#, r#""members":["bob","carol"]"#);
    let letter = delivery(&raw);
    assert_eq!(letter.kind, RecordKind::Fanout);
    assert_eq!(names(&letter), (vec!["bob", "carol", "alice"], vec![ONE.to_owned()]));
    let told = serde_json::to_string(&letter).expect("JSON");
    assert!(told.contains(r#""body_bytes":17"#) && !told.contains("secret"), "{told}");
}

#[test]
fn an_announce_is_about_its_change_alone() {
    let letter = delivery(&format!(r#"{{"announce":{{"group":"team","id":"{ONE}"}}}}"#));
    assert_eq!((letter.kind, names(&letter)), (RecordKind::Announce, (vec![], vec![ONE.to_owned()])));
}

#[test]
fn an_await_is_about_each_user_and_message_once() {
    let pending =
        |user: &str, device: &str, id: &str| format!(r#"{{"user":"{user}","device":"{device}","ref":"{id}~alice"}}"#);
    let all = [pending("bob", "phone", ONE), pending("bob", "laptop", ONE), pending("carol", "phone", TWO)].join(",");
    let letter = delivery(&format!(r#"{{"await":{{"pending":[{all}]}}}}"#));
    assert_eq!(letter.kind, RecordKind::Await);
    assert_eq!(names(&letter), (vec!["bob", "carol", "alice"], vec![ONE.to_owned(), TWO.to_owned()]));
}

#[test]
fn a_drain_is_about_its_user_alone() {
    let letter =
        delivery(&format!(r#"{{"drain":{{"user":"bob","device":"phone","connection":"c","after":"{ONE}~alice"}}}}"#));
    assert_eq!((letter.kind, names(&letter)), (RecordKind::Drain, (vec!["bob"], vec![])));
}

#[test]
fn a_record_is_what_its_own_queue_reads() {
    let hand_over = format!(r#"{{"user":"bob","device":null,"ref":"{ONE}~alice~*","reason":"absent"}}"#);
    let letter = DeadLetter::describe(stamp(Origin::Wake), &hand_over);
    assert_eq!((letter.kind, names(&letter)), (RecordKind::HandOver, (vec!["bob", "alice"], vec![ONE.to_owned()])));
    assert_eq!(delivery(&hand_over).kind, RecordKind::Unreadable);
    assert_eq!(DeadLetter::describe(stamp(Origin::Wake), &deliver()).kind, RecordKind::Unreadable);
}

#[test]
fn of_what_cannot_be_read_only_the_length_is_told() {
    for raw in ["", "secret", r#"{"deliver":"secret"}"#, r#"{"secret":{"user":"bob"}}"#] {
        let letter = delivery(raw);
        assert_eq!((letter.kind, letter.bytes, names(&letter)), (RecordKind::Unreadable, raw.len(), (vec![], vec![])));
        assert!(!format!("{letter:?}").contains("secret"), "{letter:?}");
    }
}

#[test]
fn a_filter_takes_what_all_of_it_applies_to() {
    let letter = delivery(&deliver());
    let any = Filter::default();
    let user = |name: &str| Some(name.parse().expect("a user"));
    let message = |id: &str| Some(id.parse().expect("an id"));
    let at = |secs| Some(Timestamp::from_secs(secs));
    for (filter, taken) in [
        (any.clone(), true),
        (Filter { ids: vec!["r0".to_owned(), "r1".to_owned()], ..any.clone() }, true),
        (Filter { ids: vec!["r0".to_owned()], ..any.clone() }, false),
        (Filter { user: user("bob"), ..any.clone() }, true),
        (Filter { user: user("alice"), ..any.clone() }, true),
        (Filter { user: user("carol"), ..any.clone() }, false),
        (Filter { message: message(ONE), ..any.clone() }, true),
        (Filter { message: message(TWO), ..any.clone() }, false),
        (Filter { since: at(1_800_000_000), ..any.clone() }, true),
        (Filter { since: at(1_800_000_001), ..any.clone() }, false),
        (Filter { until: at(1_800_000_001), ..any.clone() }, true),
        (Filter { until: at(1_800_000_000), ..any.clone() }, false),
        (Filter { user: user("bob"), message: message(TWO), ..any.clone() }, false),
    ] {
        assert_eq!(filter.matches(&letter), taken, "{filter:?}");
    }
    let nobodys = delivery("unreadable");
    assert!(any.matches(&nobodys) && !Filter { user: user("bob"), ..any }.matches(&nobodys));
}
