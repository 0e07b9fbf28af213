//! Who may change a group, and what each change comes to.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

fn name(text: &str) -> GroupName {
    text.to_owned().try_into().expect("a name")
}

fn team() -> GroupId {
    "team".parse().expect("a group")
}

/// A group of users who joined one second after the other; capitals are admins.
fn group(members: &[&str]) -> Group {
    let member = |(place, who): (usize, &&str)| Member {
        user: user(&who.to_lowercase()),
        role: if who.starts_with(char::is_uppercase) { Role::Admin } else { Role::Member },
        joined_at: Timestamp::from_secs(place as u64),
    };
    Group::new(team(), name("Team"), 7, members.iter().enumerate().map(member).collect())
}

fn decided(group: &Group, actor: &str, change: &Change) -> Result<Option<Transition>, Code> {
    decide(&team(), Some(group), &user(actor), change, NOW).map_err(|denied| denied.code)
}

fn transition(group: &Group, actor: &str, change: &Change) -> Transition {
    decided(group, actor, change).expect("allowed").expect("a change")
}

/// The members as [`group`] takes them.
fn members(group: &Group) -> Vec<String> {
    let word = |member: &Member| match member.role {
        Role::Admin => format!("{}{}", member.user.as_str()[..1].to_uppercase(), &member.user.as_str()[1..]),
        Role::Member => member.user.to_string(),
    };
    group.members.iter().map(word).collect()
}

fn remove(who: &str) -> Change {
    Change::Remove { user: user(who) }
}

fn appoint(who: &str, role: Role) -> Change {
    Change::Appoint { user: user(who), role }
}

#[test]
fn whoever_makes_a_group_is_its_admin() {
    let change = Change::Create { name: name("Team"), users: users(&["bob", "alice", "carol"]) };
    let made = decide(&team(), None, &user("alice"), &change, NOW).expect("allowed").expect("a change");
    assert_eq!((made.before, members(&made.after)), (None, vec!["Alice".to_owned(), "bob".into(), "carol".into()]));
    assert_eq!((made.news.event, made.news.users), (Event::Created, users(&["bob", "carol"])));
    let again = decide(&team(), Some(&made.after), &user("alice"), &change, NOW);
    assert_eq!(again, Ok(None), "asking twice is the same as once");
    let others = decide(&team(), Some(&made.after), &user("bob"), &change, NOW).map_err(|denied| denied.code);
    assert_eq!(others, Err(Code::GroupExists));
}

#[test]
fn only_admins_change_a_group() {
    let group = group(&["Alice", "bob", "carol"]);
    let changes = [
        Change::Rename { name: name("Other") },
        Change::Add { users: users(&["dave"]) },
        remove("carol"),
        appoint("bob", Role::Admin),
    ];
    for change in &changes {
        assert!(matches!(decided(&group, "alice", change), Ok(Some(_))), "{change:?}");
        assert_eq!(decided(&group, "bob", change), Err(Code::NotAnAdmin), "{change:?}");
        assert_eq!(decided(&group, "mallory", change), Err(Code::NotAMember), "{change:?}");
        let unknown = decide(&team(), None, &user("alice"), change, NOW).map_err(|denied| denied.code);
        assert_eq!(unknown, Err(Code::NotAMember), "{change:?}");
    }
}

#[test]
fn a_change_that_changes_nothing_is_none() {
    let group = group(&["Alice", "bob"]);
    let changes = [
        Change::Rename { name: name("Team") },
        Change::Add { users: users(&["bob", "alice"]) },
        remove("dave"),
        appoint("bob", Role::Member),
    ];
    for change in &changes {
        assert_eq!(decided(&group, "alice", change), Ok(None), "{change:?}");
    }
}

#[test]
fn the_eldest_is_promoted_when_the_last_admin_leaves() {
    let left = transition(&group(&["bob", "Alice", "carol"]), "alice", &remove("alice"));
    assert_eq!(members(&left.after), ["Bob", "carol"]);
    assert_eq!((left.news.event, left.news.promoted.clone()), (Event::Left, Some(user("bob"))));
    assert_eq!((left.put.len(), left.removed), (1, users(&["alice"])));
    let other = transition(&group(&["bob", "Alice", "Carol"]), "alice", &remove("alice"));
    assert_eq!((members(&other.after), other.news.promoted), (vec!["bob".to_owned(), "Carol".into()], None));
}

#[test]
fn a_group_that_everybody_left_is_empty() {
    let left = transition(&group(&["Alice"]), "alice", &remove("alice"));
    assert_eq!((left.before, members(&left.after)), (Some(7), Vec::<String>::new()));
}

#[test]
fn a_group_has_an_admin() {
    let group = group(&["Alice", "bob"]);
    assert_eq!(decided(&group, "alice", &appoint("alice", Role::Member)), Err(Code::LastAdmin));
    assert_eq!(decided(&group, "alice", &appoint("dave", Role::Admin)), Err(Code::NotAMember));
    let promoted = transition(&group, "alice", &appoint("bob", Role::Admin));
    assert_eq!((members(&promoted.after), promoted.news.event), (vec!["Alice".into(), "Bob".into()], Event::Promoted));
    let demoted = transition(&promoted.after, "bob", &appoint("alice", Role::Member));
    assert_eq!((members(&demoted.after), demoted.before), (vec!["alice".into(), "Bob".into()], Some(8)));
}

#[test]
fn a_group_has_at_most_1024_members() {
    let names: Vec<String> = (0..MAX_GROUP_MEMBERS - 1).map(|n| format!("u{n}")).collect();
    let mut all = vec!["Alice"];
    all.extend(names[1..].iter().map(String::as_str));
    let group = group(&all);
    assert_eq!(group.members.len(), MAX_GROUP_MEMBERS - 1);
    let two = Change::Add { users: users(&["x", "y", "u5"]) };
    assert_eq!(decided(&group, "alice", &two), Err(Code::TooManyMembers));
    let full = transition(&group, "alice", &Change::Add { users: users(&["x", "u5"]) }).after;
    assert_eq!(full.members.len(), MAX_GROUP_MEMBERS);
    assert_eq!(decided(&full, "alice", &Change::Add { users: users(&["y"]) }), Err(Code::TooManyMembers));
}

#[test]
fn news_reach_the_members_and_whoever_was_removed() {
    let id: MessageId = "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id");
    let removed = transition(&group(&["Alice", "bob"]), "alice", &remove("bob")).news;
    let fanout = removed.fanout(id, &team(), users(&["alice"]));
    assert_eq!(fanout.members, users(&["alice", "bob"]));
    let envelope = fanout.envelope;
    assert_eq!((envelope.from, envelope.kind, envelope.to), (Sender::System, Kind::System, Recipient::Group(team())));
    assert_eq!(envelope.body.as_json(), r#"{"event":"removed","by":"alice","name":"Team","users":["bob"]}"#);
    let back = removed.fanout(id, &team(), users(&["alice", "bob"])).members;
    assert_eq!(back, users(&["alice", "bob"]), "one who was added again meanwhile is told once");
    let added = transition(&group(&["Alice"]), "alice", &Change::Add { users: users(&["bob"]) }).news;
    assert_eq!(added.fanout(id, &team(), users(&["alice"])).members, users(&["alice"]));
}

#[test]
fn a_change_is_settled_when_no_function_can_make_it_any_more() {
    let id: MessageId = "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id");
    let made = id.timestamp();
    assert!(!is_settled(id, made) && !is_settled(id, made.plus(Duration::from_secs(30))));
    assert!(is_settled(id, made.plus(Duration::from_secs(31))));
}
