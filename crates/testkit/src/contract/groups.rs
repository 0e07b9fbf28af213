//! Everything that a [`Groups`] promises.

use delivery::group::{Change, Role, decide};
use delivery::{Group, Groups, Membership, MembershipPage, Transition};
use protocol::limits::{MAX_GROUP_MEMBERS, MAX_USERS_PER_CHANGE};
use protocol::{GroupId, GroupName, UserId};

use super::{NOW, user};
use crate::clock::message_id;

/// Everything that a [`Groups`] promises.
pub async fn groups(groups: impl Groups) {
    a_change_is_made_as_a_whole_or_not_at_all(&groups).await;
    a_group_that_everybody_left_is_gone(&groups).await;
    groups_may_be_large(&groups).await;
    a_user_has_pages_of_groups(&groups).await;
    a_user_has_pages_of_memberships(&groups).await;
}

fn id(name: &str) -> GroupId {
    name.parse().expect("a group")
}

fn name(text: &str) -> GroupName {
    text.to_owned().try_into().expect("a name")
}

fn users(names: impl IntoIterator<Item = usize>) -> Vec<UserId> {
    names.into_iter().map(|n| user(&format!("u{n:04}"))).collect()
}

async fn read(groups: &impl Groups, group: &str) -> Option<Group> {
    groups.group(&id(group)).await.expect("an answer")
}

async fn decided(groups: &impl Groups, group: &str, actor: &str, change: &Change) -> Transition {
    let before = read(groups, group).await;
    decide(&id(group), before.as_ref(), &user(actor), change, NOW).expect("allowed").expect("a change")
}

/// Makes a change, and looks whether the group is what the change comes to.
async fn change(groups: &impl Groups, n: u64, group: &str, actor: &str, change: &Change) -> Transition {
    let transition = decided(groups, group, actor, change).await;
    assert!(groups.change(&transition, message_id(NOW, n)).await.expect("an answer"), "{change:?}");
    let after = Some(transition.after.clone()).filter(|after| !after.members.is_empty());
    assert_eq!(read(groups, group).await, after, "{change:?}");
    transition
}

fn create(others: Vec<UserId>) -> Change {
    Change::Create { name: name("Team"), users: others }
}

async fn a_change_is_made_as_a_whole_or_not_at_all(groups: &impl Groups) {
    assert_eq!(read(groups, "team").await, None);
    let made = change(groups, 1, "team", "ann", &create(vec![user("bob")])).await;
    let twice = groups.change(&made, message_id(NOW, 2)).await.expect("an answer");
    assert!(!twice, "there is such a group");

    let renamed = decided(groups, "team", "ann", &Change::Rename { name: name("Other") }).await;
    let removed = decided(groups, "team", "ann", &Change::Remove { user: user("bob") }).await;
    assert!(groups.change(&renamed, message_id(NOW, 3)).await.expect("an answer"));
    assert!(!groups.change(&removed, message_id(NOW, 4)).await.expect("an answer"), "it was changed meanwhile");
    assert_eq!(read(groups, "team").await, Some(renamed.after.clone()));

    for (n, news) in [(1, Some(made.news)), (2, None), (3, Some(renamed.news)), (4, None)] {
        assert_eq!(groups.news(&id("team"), message_id(NOW, n)).await.expect("an answer"), news, "of change {n}");
    }
    assert_eq!(groups.news(&id("tea"), message_id(NOW, 1)).await.expect("an answer"), None);
    assert_eq!(read(groups, "tea").await, None);
}

async fn a_group_that_everybody_left_is_gone(groups: &impl Groups) {
    change(groups, 10, "pair", "ann", &create(vec![user("bob")])).await;
    let left = change(groups, 11, "pair", "ann", &Change::Remove { user: user("ann") }).await;
    assert_eq!(left.after.member(&user("bob")).map(|member| member.role.as_str()), Some("admin"));
    change(groups, 12, "pair", "bob", &Change::Remove { user: user("bob") }).await;
    assert_eq!(read(groups, "pair").await, None);
    let page = groups.groups_of(&user("bob"), Some(&id("oz")), 100).await.expect("a page");
    assert!(page.groups.iter().all(|(group, _)| group.as_str() != "pair"), "{page:?}");
    change(groups, 13, "pair", "eve", &create(Vec::new())).await;
}

async fn groups_may_be_large(groups: &impl Groups) {
    change(groups, 20, "crowd", "ann", &create(users(1..=MAX_USERS_PER_CHANGE))).await;
    let mut members = 1 + MAX_USERS_PER_CHANGE;
    while members < MAX_GROUP_MEMBERS {
        let next = (members + MAX_USERS_PER_CHANGE).min(MAX_GROUP_MEMBERS);
        change(groups, 20 + members as u64, "crowd", "ann", &Change::Add { users: users(members..next) }).await;
        members = next;
    }
    let crowd = read(groups, "crowd").await.expect("a group");
    assert_eq!(crowd.members.len(), MAX_GROUP_MEMBERS);
}

async fn a_user_has_pages_of_groups(groups: &impl Groups) {
    // In the order of their ids, which is that of bytes.
    let names = ["g", "g+", "g-1", "g.1", "g1", "g:1", "gA", "g_", "ga", "g|1"];
    for (n, group) in names.iter().enumerate() {
        change(groups, 2_000 + n as u64, group, "fay", &create(Vec::new())).await;
    }
    for limit in [1, 3, names.len(), 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = groups.groups_of(&user("fay"), after.as_ref(), limit).await.expect("a page");
            assert!(page.groups.len() <= limit && page.groups.iter().all(|(_, called)| *called == name("Team")));
            after = page.groups.last().map(|(group, _)| group.clone());
            found.extend(page.groups.into_iter().map(|(group, _)| group.to_string()));
            if !page.more {
                break;
            }
        }
        assert_eq!(found, names, "{limit} at a time");
    }
    assert!(groups.groups_of(&user("fa"), None, 100).await.expect("a page").groups.is_empty());
}

async fn a_user_has_pages_of_memberships(groups: &impl Groups) {
    for (n, group, maker, others) in [
        (3_001, "m1", "gus", vec![]),
        (3_002, "m2", "ann", vec![user("gus")]),
        (3_003, "m|3", "gus", vec![user("ann")]),
    ] {
        change(groups, n, group, maker, &create(others)).await;
    }
    change(groups, 3_004, "m2", "ann", &Change::Rename { name: name("Other") }).await;
    let membership =
        |group: &str, called: &str, role| Membership { group: id(group), name: name(called), role, joined_at: NOW };
    let all = [
        membership("m1", "Team", Role::Admin),
        membership("m2", "Other", Role::Member),
        membership("m|3", "Team", Role::Admin),
    ];
    for limit in [1, 2, 3, 50] {
        let (mut found, mut next, mut begun) = (Vec::new(), None, false);
        while !begun || next.is_some() {
            let page = groups.memberships(&user("gus"), next.as_ref(), limit).await.expect("a page");
            assert!(page.memberships.len() <= limit, "{page:?}");
            found.extend(page.memberships);
            (next, begun) = (page.next, true);
        }
        assert_eq!(found, all, "{limit} at a time");
    }
    change(groups, 3_005, "m2", "gus", &Change::Remove { user: user("gus") }).await;
    let left = groups.memberships(&user("gus"), Some(&id("m1")), 50).await.expect("a page");
    assert_eq!((left.memberships, left.next), (all[2..].to_vec(), None));
    assert_eq!(groups.memberships(&user("gu"), None, 50).await.expect("a page"), MembershipPage::default());
}
