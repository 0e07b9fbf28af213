//! Everything that a [`Directory`] promises of how a device is woken and notified, and of whose a push target is.

use std::time::Duration;

use delivery::{Address, Directory, Enrolment, Holder, WakeState};
use protocol::{Notices, PushTarget, Quiet};

use super::{NOW, address, connection, holder, only_device};

pub(super) async fn push(directory: &impl Directory) {
    a_device_is_woken_where_it_said_last(directory).await;
    dead_push_targets_are_dropped_only_if_none_was_renewed(directory).await;
    a_device_is_known_since_it_first_came_and_says_when_it_was_woken(directory).await;
    a_push_target_belongs_to_the_device_that_said_it_last(directory).await;
    push_targets_are_known_by_where_they_lead(directory).await;
    who_is_forgotten_takes_no_push_target_along_that_has_moved(directory).await;
}

async fn a_device_is_woken_where_it_said_last(directory: &impl Directory) {
    let phone = address("ida", "phone");
    let target = |token: &str| PushTarget::Fcm { token: token.to_owned() };
    let said = |push: &[PushTarget]| Enrolment { push: Some(push.to_vec()), ..Enrolment::default() };
    let push = async || only_device(directory, "ida", NOW).await.push;
    for targets in [vec![target("a"), target("b")], vec![target("c")], vec![]] {
        directory.enrol(&phone, &said(&targets), NOW).await.expect("enrolled");
        directory
            .enrol(&phone, &Enrolment { presence: Some(true), ..Enrolment::default() }, NOW)
            .await
            .expect("enrolled");
        directory.register(&phone, &connection("c1", 1), NOW).await.expect("an outcome");
        directory.left(&phone, &"c1".into(), NOW).await.expect("left");
        assert_eq!(push().await, targets, "nothing else changes it");
        let wakeable = directory.wakeable(&phone.user, &holder("phone")).await.expect("an answer");
        assert_eq!(wakeable.map(|known| known.push), Some(targets));
    }
    let both = Enrolment { presence: Some(false), push: Some(vec![target("d")]), ..Enrolment::default() };
    directory.enrol(&phone, &both, NOW).await.expect("enrolled");
    let device = only_device(directory, "ida", NOW).await;
    assert_eq!((device.shows_presence, device.push), (false, vec![target("d")]));
    directory
        .enrol(&phone, &Enrolment { presence: Some(false), push: Some(vec![]), ..Enrolment::default() }, NOW)
        .await
        .expect("enrolled");
    assert!(push().await.is_empty());
    let quiet = Notices { preview: true, quiet: Quiet::Always };
    let notices = async || {
        let wakeable = directory.wakeable(&phone.user, &holder("phone")).await.expect("an answer");
        wakeable.expect("a device").notices
    };
    assert_eq!(notices().await, Notices::default());
    for said in [quiet, Notices::default()] {
        let enrolment = Enrolment { notices: Some(said), ..Enrolment::default() };
        directory.enrol(&phone, &enrolment, NOW).await.expect("enrolled");
        directory.enrol(&phone, &both, NOW).await.expect("enrolled");
        assert_eq!(notices().await, said, "nothing else changes it");
    }
}

async fn dead_push_targets_are_dropped_only_if_none_was_renewed(directory: &impl Directory) {
    let phone = address("uma", "phone");
    let target = |token: &str| PushTarget::Fcm { token: token.to_owned() };
    let said = |push: &[PushTarget]| Enrolment { push: Some(push.to_vec()), ..Enrolment::default() };
    let push = async || only_device(directory, "uma", NOW).await.push;
    let both = [target("a"), target("b")];
    directory.enrol(&phone, &said(&both), NOW).await.expect("enrolled");
    assert_eq!(directory.drop_push(&phone, &both[..1], &both).await, Ok(false));
    assert_eq!(push().await, both, "it was something else that is dead");
    for (before, dead, left) in [(&both[..], &both[1..], &both[..1]), (&both[..1], &both, &[])] {
        for is_unchanged in [true, false] {
            assert_eq!(directory.drop_push(&phone, before, dead).await, Ok(is_unchanged));
            assert_eq!(push().await, left);
        }
    }
    directory.forget(&phone).await.expect("forgotten");
    assert_eq!(directory.drop_push(&phone, &[], &both).await, Ok(false));
    assert!(directory.devices(&phone.user, NOW).await.expect("devices").is_empty(), "it is not made known again");
}

async fn a_device_is_known_since_it_first_came_and_says_when_it_was_woken(directory: &impl Directory) {
    let phone = address("vera", "phone");
    let later = NOW.plus(Duration::from_secs(5));
    let device = async || only_device(directory, "vera", NOW).await;
    directory.register(&phone, &connection("c1", 1), NOW).await.expect("an outcome");
    directory.enrol(&phone, &Enrolment::default(), later).await.expect("enrolled");
    directory.register(&phone, &connection("c2", 2), later).await.expect("an outcome");
    assert_eq!((device().await.known_since, device().await.last_wake), (Some(NOW), None));
    let woken = WakeState { last: Some(later), due: None };
    let before = WakeState::default();
    let replaced = directory.replace_wake_state(&phone.user, &holder("phone"), &before, &woken, NOW).await;
    assert_eq!((replaced, device().await.last_wake), (Ok(true), Some(later)));
    directory.forget(&phone).await.expect("forgotten");
    directory.enrol(&phone, &Enrolment::default(), later).await.expect("enrolled");
    assert_eq!(device().await.known_since, Some(later), "a device that was forgotten is a new one");
}

fn fcm(token: &str) -> PushTarget {
    PushTarget::Fcm { token: token.to_owned() }
}

/// Says where a device can be woken.
async fn wake_at(directory: &impl Directory, address: &Address, targets: &[PushTarget]) {
    let said = Enrolment { push: Some(targets.to_vec()), ..Enrolment::default() };
    directory.enrol(address, &said, NOW).await.expect("enrolled");
}

/// Where a device can be woken; `None` if it is not known.
async fn woken_at(directory: &impl Directory, Address { user, device }: &Address) -> Option<Vec<PushTarget>> {
    let wakeable = directory.wakeable(user, &Holder::Device(device.clone())).await.expect("an answer");
    wakeable.map(|known| known.push)
}

async fn a_push_target_belongs_to_the_device_that_said_it_last(directory: &impl Directory) {
    let (phone, tablet, other) = (address("jan", "phone"), address("jan", "tablet"), address("kim", "phone"));
    let all = [&phone, &tablet, &other];
    let woken = async || {
        let mut woken = Vec::new();
        for device in all {
            woken.push(woken_at(directory, device).await);
        }
        woken
    };
    wake_at(directory, &phone, &[fcm("j1"), fcm("j2")]).await;
    wake_at(directory, &phone, &[fcm("j1"), fcm("j2")]).await;
    assert_eq!(woken().await, [Some(vec![fcm("j1"), fcm("j2")]), None, None], "twice is the same as once");
    wake_at(directory, &tablet, &[fcm("j1"), fcm("j3")]).await;
    assert_eq!(woken().await, [Some(vec![fcm("j2")]), Some(vec![fcm("j1"), fcm("j3")]), None]);
    wake_at(directory, &other, &[fcm("j2"), fcm("j1"), fcm("j4")]).await;
    let taken = vec![fcm("j2"), fcm("j1"), fcm("j4")];
    assert_eq!(
        woken().await,
        [Some(vec![]), Some(vec![fcm("j3")]), Some(taken)],
        "of two devices, and of another user"
    );
    wake_at(directory, &other, &[fcm("j2"), fcm("j1"), fcm("j4")]).await;
    wake_at(directory, &phone, &[fcm("j2")]).await;
    let left = vec![fcm("j1"), fcm("j4")];
    assert_eq!(woken().await, [Some(vec![fcm("j2")]), Some(vec![fcm("j3")]), Some(left.clone())], "and back");

    directory.enrol(&tablet, &Enrolment::default(), NOW).await.expect("enrolled");
    wake_at(directory, &tablet, &[]).await;
    assert_eq!(woken().await, [Some(vec![fcm("j2")]), Some(vec![]), Some(left)], "who says none takes none");
    wake_at(directory, &phone, &[fcm("j3")]).await;
    wake_at(directory, &other, &[fcm("j3"), fcm("j2")]).await;
    let moved = vec![fcm("j3"), fcm("j2")];
    assert_eq!(woken().await, [Some(vec![]), Some(vec![]), Some(moved)], "what was given up is anybody's");
}

async fn push_targets_are_known_by_where_they_lead(directory: &impl Directory) {
    let apns = |token: &str, topic: &str| PushTarget::Apns { token: token.to_owned(), topic: topic.to_owned() };
    let (phone, other) = (address("lea", "phone"), address("mia", "phone"));
    wake_at(directory, &phone, &[apns("00FC", "com.example"), fcm("00FC")]).await;
    let both = [apns("00fc", "com.example"), apns("00fc", "com.example.beta")];
    wake_at(directory, &other, &both).await;
    assert_eq!(woken_at(directory, &phone).await, Some(vec![fcm("00FC")]));
    assert_eq!(woken_at(directory, &other).await, Some(both.to_vec()), "a device says what it wants of one place");
}

async fn who_is_forgotten_takes_no_push_target_along_that_has_moved(directory: &impl Directory) {
    let (first, second, third) = (address("nia", "phone"), address("ole", "phone"), address("pia", "phone"));
    wake_at(directory, &first, &[fcm("n1"), fcm("n2")]).await;
    wake_at(directory, &second, &[fcm("n1")]).await;
    directory.forget(&first).await.expect("forgotten");
    assert_eq!(woken_at(directory, &second).await, Some(vec![fcm("n1")]));
    wake_at(directory, &third, &[fcm("n1"), fcm("n2")]).await;
    assert_eq!(woken_at(directory, &second).await, Some(vec![]), "it was still known whose it is");
    directory.forget(&third).await.expect("forgotten");
    directory.forget(&third).await.expect("twice is the same as once");
    wake_at(directory, &second, &[fcm("n1"), fcm("n2")]).await;
    assert_eq!(woken_at(directory, &first).await, None, "who is forgotten stays so");
    assert_eq!(woken_at(directory, &second).await, Some(vec![fcm("n1"), fcm("n2")]));
    directory.drop_push(&second, &[fcm("n1"), fcm("n2")], &[fcm("n1")]).await.expect("dropped");
    wake_at(directory, &first, &[fcm("n1"), fcm("n2")]).await;
    assert_eq!(woken_at(directory, &second).await, Some(vec![]), "a target that was dead may come back elsewhere");
}
