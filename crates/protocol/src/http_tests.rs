//! Requests as they are read: each endpoint, and what is wrong with bad ones.

use super::*;
use crate::notices::{Notices, Quiet, QuietHours};

const REF: &str = "0198a5c0-7c00-7abc-8def-0123456789ab~auth0|a+b";

fn parse(method: &str, target: &str, body: &str) -> Result<Call, BadRequest> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    HttpRequest { method, path, query, body: body.as_bytes() }.parse()
}

fn code(method: &str, target: &str, body: &str) -> Option<Code> {
    parse(method, target, body).err().map(|bad| bad.code)
}

fn group(text: &str) -> GroupId {
    text.parse().expect("a group")
}

fn user(text: &str) -> UserId {
    text.parse().expect("a user")
}

#[test]
fn every_endpoint_takes_its_methods_and_names_them_to_others() {
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{group}", "team").replace("{user}", "bob");
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "get", ""] {
            let refused = parse(method, &path, "").err();
            let allow = refused.as_ref().map_or(&[][..], |refused| refused.allow);
            let is_taken = refused.is_none_or(|refused| refused.code != Code::MethodNotAllowed);
            assert_eq!(is_taken, endpoint.methods.contains(&method), "{method} {path}");
            assert_eq!(allow, if is_taken { &[] } else { endpoint.methods }, "{method} {path}");
        }
    }
}

#[test]
fn what_is_under_no_path_is_not_found() {
    for path in [
        "",
        "/",
        "/v1",
        "/v1/",
        "/v2/messages",
        "/v1/messages/",
        "/v1/Messages",
        "//v1/messages",
        "/v1/groups/a/members/b/c",
        "/v1/groups/a/b",
        "v1/messages",
    ] {
        assert_eq!(code("GET", path, ""), Some(Code::NotFound), "{path}");
    }
}

#[test]
fn what_an_old_client_says_is_not_read() {
    let frame = |text: &str, is_text| OldFrame { text: text.to_owned(), is_text };
    let body = r#"["{\"_v\":2}", {"_v": 2.1}, "CgM=", 7, null, [], "\ud800"]"#;
    let nothing = || frame("", true);
    let frames = vec![
        frame(r#"{"_v":2}"#, true),
        frame(r#"{"_v": 2.1}"#, false),
        frame("CgM=", true),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
    ];
    for (query, wants_acks) in [("", false), ("?ack=true", true), ("?ack=false&format=binary", false), ("?ack", false)]
    {
        let call = Call::SendOld { frames: frames.clone(), wants_acks };
        assert_eq!(parse("POST", &format!("/v1.0/messages{query}"), body), Ok(call), "{query}");
    }
    let many = format!("[{}]", vec!["{}"; 101].join(","));
    for bad in ["", "[]", "{}", "7", "[", "[{}] []", many.as_str()] {
        assert_eq!(code("POST", "/v1.0/messages", bad), Some(Code::InvalidFrame), "{bad}");
    }
    assert!(parse("POST", "/v1.0/messages", &many.replacen("{},", "", 1)).is_ok());
    assert_eq!(code("POST", "/v1.0/messages?ack=true&ack=true", "[{}]"), Some(Code::InvalidRequest));
    let large = format!("[\"{}\"]", "x".repeat(MAX_BODY_BYTES));
    assert_eq!(code("POST", "/v1.0/messages", &large), Some(Code::TooLarge));
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse("POST", "/v1.0/messages", &deep).is_ok(), "depth is no matter");
}

#[test]
fn a_send_is_the_frame_without_its_action() {
    let message = r#"{"id":"0198a5c0-7c00-7abc-8def-0123456789ab","to":{"user":"bob"},"body":1}"#;
    let body = format!(r#"{{"nonce":"n","messages":[{message},7]}}"#);
    let Ok(Call::Send(send)) = parse("POST", "/v1/messages", &body) else { panic!("a send") };
    assert_eq!(send.nonce.as_ref().map(crate::Nonce::as_str), Some("n"));
    assert!(send.messages[0].is_ok() && send.messages[1].is_err(), "one bad message is refused alone");
    for bad in
        ["", "[]", "{}", r#"{"messages":[]}"#, r#"{"messages":[7],"messages":[7]}"#, r#"{"messages":[7],"nonce":7}"#]
    {
        assert_eq!(code("POST", "/v1/messages", bad), Some(Code::InvalidFrame), "{bad}");
    }
}

#[test]
fn a_sync_names_its_device_and_its_page() {
    let after = REF.replace('|', "%7C").replace('+', "%2B");
    for target in [
        format!("/v1/messages?device=phone&after={after}&limit=7&x=1"),
        format!("/v1/messages?limit=007&device=pho%6ee&after={REF}"),
    ] {
        let sync = Sync { nonce: None, after: REF.parse().ok(), limit: 7 };
        assert_eq!(parse("GET", &target, ""), Ok(Call::Sync { device: "phone".parse().expect("a device"), sync }));
    }
    let Ok(Call::Sync { sync, .. }) = parse("GET", "/v1/messages?device=phone", "") else { panic!("a sync") };
    assert_eq!((sync.after, sync.limit), (None, MAX_SYNC_LIMIT));
    for (query, expected) in [
        ("", Code::InvalidRequest),
        ("device=", Code::InvalidRequest),
        ("device=a%20b", Code::InvalidRequest),
        ("device=%ff", Code::InvalidRequest),
        ("device=a&device=a", Code::InvalidRequest),
        ("device=a&limit=0", Code::InvalidRequest),
        ("device=a&limit=101", Code::InvalidRequest),
        ("device=a&limit=-1", Code::InvalidRequest),
        ("device=a&limit=+1", Code::InvalidRequest),
        ("device=a&limit=", Code::InvalidRequest),
        ("device=a&limit=99999999999999999999999", Code::InvalidRequest),
        ("device=a&after=", Code::InvalidCursor),
        ("device=a&after=garbage", Code::InvalidCursor),
    ] {
        assert_eq!(code("GET", &format!("/v1/messages?{query}"), ""), Some(expected), "{query}");
    }
}

#[test]
fn a_device_may_say_whether_it_shows_its_presence() {
    for (body, presence) in [
        ("", None),
        ("{}", None),
        (r#"{"later":1}"#, None),
        (r#"{"presence":true,"later":1}"#, Some(true)),
        (r#"{"presence":false}"#, Some(false)),
    ] {
        let device = "phone".parse().expect("a device");
        assert_eq!(
            parse("PUT", "/v1/devices/phone", body),
            Ok(Call::EnrolDevice { device, said: Enrolment { presence, ..Enrolment::default() } }),
            "{body}"
        );
    }
    for bad in [
        "true",
        r#"{"presence":1}"#,
        r#"{"presence":"true"}"#,
        r#"{"presence":null}"#,
        r#"{"presence":{"presence":true}}"#,
        r#"{"presence":true,"presence":false}"#,
    ] {
        assert_eq!(code("PUT", "/v1/devices/phone", bad), Some(Code::InvalidRequest), "{bad}");
    }
}

#[test]
fn a_device_may_say_where_it_can_be_woken() {
    let targets = |count: usize| -> String {
        let target = |n| format!(r#"{{"service":"fcm","token":"t{n}"}}"#);
        format!(r#"{{"push":[{}]}}"#, (0..count).map(target).collect::<Vec<_>>().join(","))
    };
    for count in [0, 1, 4] {
        let Ok(Call::EnrolDevice { said: Enrolment { push, .. }, .. }) =
            parse("PUT", "/v1/devices/phone", &targets(count))
        else {
            panic!("{count}")
        };
        assert_eq!(push.map(|push| push.len()), Some(count));
    }
    let twice = r#"{"push":[{"service":"fcm","token":"t"},{"service":"fcm","token":"t"}]}"#;
    assert!(
        matches!(parse("PUT", "/v1/devices/a", twice), Ok(Call::EnrolDevice { said: Enrolment { push: Some(push), .. }, .. }) if push.len() == 1)
    );
    let long = |n| format!(r#"{{"service":"fcm","token":"{n}{}"}}"#, "x".repeat(1_020));
    let large = format!(r#"{{"push":[{},{},{}]}}"#, long(1), long(2), long(3));
    for bad in [
        targets(5).as_str(),
        &large,
        r#"{"push":null}"#,
        r#"{"push":{}}"#,
        r#"{"push":["t"]}"#,
        r#"{"push":[{}]}"#,
        r#"{"push":[["fcm","t"]]}"#,
        r#"{"push":[{"service":"fcm","token":"t","token":"u"}]}"#,
        r#"{"push":[{"service":"fcm","token":"t","later":1,"later":2}]}"#,
        r#"{"notices":[true,"never"]}"#,
        r#"{"notices":{"preview":true,"preview":false}}"#,
        r#"{"notices":{"quiet":[1320,420,0]}}"#,
        r#"{"notices":{"quiet":{"from":1320,"to":420,"to":421,"utc_offset":0}}}"#,
    ] {
        assert_eq!(code("PUT", "/v1/devices/phone", bad), Some(Code::InvalidRequest), "{bad}");
    }
}

#[test]
fn an_export_goes_on_where_it_was() {
    assert_eq!(parse("GET", "/v1/me/export", ""), Ok(Call::Export { from: ExportCursor::default() }));
    let from = ExportCursor::Pending { device: "phone".parse().ok(), after: REF.parse().ok() };
    let target = format!("/v1/me/export?after=pending.phone.{}", REF.replace('|', "%7C"));
    assert_eq!(parse("GET", &target, ""), Ok(Call::Export { from }));
    for (query, expected) in [
        ("after=", Code::InvalidCursor),
        ("after=garbage", Code::InvalidCursor),
        ("after=pending.phone.garbage", Code::InvalidCursor),
        ("after=groups&after=groups", Code::InvalidRequest),
    ] {
        assert_eq!(code("GET", &format!("/v1/me/export?{query}"), ""), Some(expected), "{query}");
    }
}

#[test]
fn a_device_may_say_how_it_wants_to_be_notified() {
    let hours = QuietHours::new(1_320, 420, -330).map(Quiet::Hours).expect("hours");
    for (body, notices) in [
        ("{}", None),
        (r#"{"notices":{}}"#, Some(Notices::default())),
        (r#"{"notices":{"preview":true,"later":1}}"#, Some(Notices { preview: true, quiet: Quiet::Never })),
        (r#"{"notices":{"quiet":"always"}}"#, Some(Notices { preview: false, quiet: Quiet::Always })),
        (
            r#"{"notices":{"quiet":{"from":1320,"to":420,"utc_offset":-330}}}"#,
            Some(Notices { preview: false, quiet: hours }),
        ),
    ] {
        let Ok(Call::EnrolDevice { said, .. }) = parse("PUT", "/v1/devices/a", body) else { panic!("{body}") };
        assert_eq!(said, Enrolment { notices, ..Enrolment::default() }, "{body}");
    }
    for body in [
        r#"{"notices":null}"#,
        r#"{"notices":[]}"#,
        r#"{"notices":{"preview":1}}"#,
        r#"{"notices":{"preview":true,"preview":false}}"#,
        r#"{"notices":{"quiet":"never"},"notices":{}}"#,
        r#"{"notices":{"quiet":{"from":1320,"to":1440,"utc_offset":0}}}"#,
    ] {
        let bad = parse("PUT", "/v1/devices/a", body).expect_err(body);
        assert_eq!(bad.code, Code::InvalidRequest, "{body}");
    }
}

#[test]
fn presence_is_asked_of_one_user() {
    let shown = parse("GET", "/v1/users/auth0%7Ca+b/presence", "");
    assert_eq!(shown, Ok(Call::ShowPresence { user: user("auth0|a+b") }));
    for bad in ["/v1/users/a%20b/presence", "/v1/users//presence", "/v1/users/a%2Fb/presence"] {
        assert_eq!(code("GET", bad, ""), Some(Code::InvalidRequest), "{bad}");
    }
}

#[test]
fn an_ack_names_its_device_and_its_refs() {
    let body = format!(r#"{{"device":"phone","refs":["{REF}","garbage","{REF}"]}}"#);
    for (path, expected) in [("/v1/acks", ReceiptEvent::Delivered), ("/v1/reads", ReceiptEvent::Read)] {
        let Ok(Call::Ack { device, event, ack }) = parse("POST", path, &body) else { panic!("an ack") };
        assert_eq!((device.as_str(), event, ack.refs.len(), ack.malformed), ("phone", expected, 1, 1));
    }
    for (bad, expected) in [
        ("7", Code::InvalidFrame),
        (r#"{"device":"phone"}"#, Code::InvalidFrame),
        (r#"{"device":"phone","refs":[]}"#, Code::InvalidFrame),
        (r#"{"refs":["x"]}"#, Code::InvalidRequest),
        (r#"{"device":"a b","refs":["x"]}"#, Code::InvalidRequest),
    ] {
        assert_eq!(code("POST", "/v1/acks", bad), Some(expected), "{bad}");
    }
}

#[test]
fn an_attachment_has_a_type_and_a_size() {
    let made = Call::CreateAttachment { media_type: "image/jpeg".parse().expect("a type"), bytes: 7 };
    for bytes in ["7", "7.0", "0.7e1"] {
        let body = format!(r#"{{"type":"Image/JPEG","bytes":{bytes},"name":"x"}}"#);
        assert_eq!(parse("POST", "/v1/attachments", &body), Ok(made.clone()), "{body}");
    }
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"type":"image/jpeg"}"#,
        r#"{"bytes":7}"#,
        r#"{"type":"image/*","bytes":7}"#,
        r#"{"type":"image/jpeg; q=1","bytes":7}"#,
        r#"{"type":7,"bytes":7}"#,
        r#"{"type":"image/jpeg","bytes":0}"#,
        r#"{"type":"image/jpeg","bytes":-1}"#,
        r#"{"type":"image/jpeg","bytes":1.5}"#,
        r#"{"type":"image/jpeg","bytes":1e300}"#,
        r#"{"type":"image/jpeg","bytes":null}"#,
        r#"{"type":"image/jpeg","bytes":"7"}"#,
        r#"{"type":"image/jpeg","bytes":18446744073709551616}"#,
        r#"{"type":"image/jpeg","bytes":7,"bytes":8}"#,
    ] {
        assert_eq!(code("POST", "/v1/attachments", bad), Some(Code::InvalidRequest), "{bad}");
    }
    let id = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let shown = Call::ShowAttachment { attachment: id.parse().expect("an id") };
    assert_eq!(parse("GET", &format!("/v1/attachments/{id}"), ""), Ok(shown));
    for bad in ["", "x", &id[1..], &id.to_uppercase(), "..%2F..%2Fetc%2Fpasswd"] {
        assert_eq!(code("GET", &format!("/v1/attachments/{bad}"), ""), Some(Code::InvalidRequest), "{bad}");
    }
}

#[test]
fn groups_are_listed_from_one_on() {
    assert_eq!(parse("GET", "/v1/groups", ""), Ok(Call::ListGroups { after: None, limit: 100 }));
    let call = Call::ListGroups { after: Some(group("a|b")), limit: 3 };
    assert_eq!(parse("GET", "/v1/groups?after=a%7Cb&limit=3", ""), Ok(call));
    assert_eq!(code("GET", "/v1/groups?after=a%20b", ""), Some(Code::InvalidCursor));
    assert_eq!(code("GET", "/v1/groups?limit=x", ""), Some(Code::InvalidRequest));
}

#[test]
fn a_group_is_shown_made_and_renamed() {
    assert_eq!(parse("GET", "/v1/groups/a%7Cb", ""), Ok(Call::ShowGroup { group: group("a|b") }));
    let name = GroupName::try_from("Team é".to_owned()).expect("a name");
    let (made, users) = (group("team"), vec![user("bob"), user("carol")]);
    let body = r#"{"name":"Team é","users":["bob","carol","bob"]}"#;
    let create = Call::CreateGroup { group: made.clone(), name: name.clone(), users };
    assert_eq!(parse("PUT", "/v1/groups/team", body), Ok(create));
    let alone = Call::CreateGroup { group: made.clone(), name: name.clone(), users: vec![] };
    assert_eq!(parse("PUT", "/v1/groups/team", r#"{"name":"Team é"}"#), Ok(alone));
    let rename = Call::RenameGroup { group: made, name };
    assert_eq!(parse("PATCH", "/v1/groups/team", r#"{"name":"Team é"}"#), Ok(rename));
    let crowd = format!(r#"{{"name":"x","users":["{}"]}}"#, vec!["u"; 41].join("\",\""));
    for (target, bad) in [
        ("/v1/groups/", r#"{"name":"x"}"#),
        ("/v1/groups/a%2Fb", r#"{"name":"x"}"#),
        ("/v1/groups/a~b", r#"{"name":"x"}"#),
        ("/v1/groups/team", ""),
        ("/v1/groups/team", "[]"),
        ("/v1/groups/team", "{}"),
        ("/v1/groups/team", r#"{"name":" "}"#),
        ("/v1/groups/team", r#"{"name":"a\nb"}"#),
        ("/v1/groups/team", r#"{"name":"a","name":"b"}"#),
        ("/v1/groups/team", r#"{"name":"x","users":"bob"}"#),
        ("/v1/groups/team", r#"{"name":"x","users":["~system"]}"#),
        ("/v1/groups/team", &crowd),
    ] {
        assert_eq!(code("PUT", target, bad), Some(Code::InvalidRequest), "{target} {bad}");
    }
}

#[test]
fn members_are_added_appointed_and_removed() {
    let (team, bob) = (group("team"), user("b|b"));
    let add = Call::AddMembers { group: team.clone(), users: vec![bob.clone()] };
    assert_eq!(parse("POST", "/v1/groups/team/members", r#"{"users":["b|b"]}"#), Ok(add));
    for bad in ["{}", r#"{"users":[]}"#, r#"{"users":[7]}"#] {
        assert_eq!(code("POST", "/v1/groups/team/members", bad), Some(Code::InvalidRequest), "{bad}");
    }
    for (role, admin) in [("admin", true), ("member", false)] {
        let appoint = Call::AppointMember { group: team.clone(), user: bob.clone(), admin };
        assert_eq!(parse("PUT", "/v1/groups/team/members/b%7cb", &format!(r#"{{"role":"{role}"}}"#)), Ok(appoint));
    }
    assert_eq!(code("PUT", "/v1/groups/team/members/bob", r#"{"role":"owner"}"#), Some(Code::InvalidRequest));
    assert_eq!(code("PUT", "/v1/groups/team/members/b%00b", r#"{"role":"admin"}"#), Some(Code::InvalidRequest));
    let remove = Call::RemoveMember { group: team, user: bob };
    assert_eq!(parse("DELETE", "/v1/groups/team/members/b|b", "ignored"), Ok(remove));
}

#[test]
fn a_body_has_a_limit_and_is_not_quoted() {
    let padded = |bytes: usize| format!(r#"{{"name":"x","secret":"{}"}}"#, "s".repeat(bytes - 24));
    assert_eq!(padded(MAX_BODY_BYTES).len(), MAX_BODY_BYTES);
    assert!(parse("PUT", "/v1/groups/team", &padded(MAX_BODY_BYTES)).is_ok());
    assert_eq!(code("PUT", "/v1/groups/team", &padded(MAX_BODY_BYTES + 1)), Some(Code::TooLarge));
    for body in ["secret", r#"{"secret":"#, r#"{"secret":1,"secret":2}"#, r#"{"name":["secret"]}"#] {
        let bad = parse("PUT", "/v1/groups/team", body).expect_err("a bad body");
        assert!(!bad.detail.contains("secret") && bad.detail.len() < 200, "{bad:?}");
    }
    let bad = HttpRequest { method: "POST", path: "/v1/acks", query: "", body: b"\xff" }.parse();
    assert_eq!(bad.map_err(|bad| bad.code), Err(Code::InvalidFrame));
}
