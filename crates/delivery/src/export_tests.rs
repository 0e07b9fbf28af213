//! What comes after what in an export, and where a part of it ends.

use protocol::{Body, Kind, MessageId, Notices, Recipient, Ref, Timestamp, Urgency, UserId};

use super::*;
use crate::envelope::{Envelope, Holder};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn id(device: &str) -> DeviceId {
    device.parse().expect("a device")
}

fn known(names: impl IntoIterator<Item = String>) -> Vec<Device> {
    let device = |name: String| Device {
        id: id(&name),
        connection: None,
        last_seen: NOW,
        shows_presence: false,
        push: vec![],
        notices: Notices::default(),
        known_since: None,
        last_wake: None,
    };
    names.into_iter().map(device).collect()
}

fn row(device: Option<&str>, n: u64, body: &str) -> Row {
    let bob: UserId = "bob".parse().expect("a user");
    let id: MessageId = format!("0198a5c0-7c00-7abc-8def-{n:012x}").parse().expect("an id");
    Row {
        user: bob.clone(),
        holder: device.map_or(Holder::Unclaimed, |device| Holder::Device(self::id(device))),
        envelope: Envelope {
            id,
            from: "alice".parse().expect("a sender"),
            to: Recipient::User(bob),
            kind: Kind::Message,
            at: NOW,
            expires_at: NOW,
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text(body),
        },
        undelivered: false,
        shared: false,
    }
}

fn at(device: Option<&str>, after: Option<&Row>) -> Option<ExportCursor> {
    let after: Option<Ref> = after.map(|row| row.key().reference());
    Some(ExportCursor::Pending { device: device.map(id), after })
}

#[test]
fn devices_come_first_and_groups_after_them() {
    let many = known((0..2_500).map(|n| format!("d{n:04}")));
    let (mut seen, mut next) = (0, ExportCursor::default());
    while let ExportCursor::Devices(after) = &next {
        let (part, then) = devices(&many, after.as_ref());
        assert!(part.len() <= MAX_DEVICES && !part.is_empty());
        seen += part.len();
        next = then;
    }
    assert_eq!((seen, next), (2_500, ExportCursor::Groups(None)));
    assert_eq!(devices(&[], None), (&[][..], ExportCursor::Groups(None)));
    assert_eq!(devices(&many, Some(&id("zzz"))), (&[][..], ExportCursor::Groups(None)), "it was forgotten meanwhile");
}

#[test]
fn what_is_pending_comes_after_the_groups() {
    let group: GroupId = "team".parse().expect("a group");
    assert_eq!(after_groups(Some(group.clone())), ExportCursor::Groups(Some(group)));
    assert_eq!(Some(after_groups(None)), at(None, None));
}

#[test]
fn the_unclaimed_inbox_is_followed_by_each_devices_own() {
    let devices = known(["phone", "tablet"].map(str::to_owned));
    let rows = [row(None, 1, "a"), row(Some("phone"), 2, "b"), row(None, 3, "c")];
    let mut room = MAX_BYTES;
    let mut part = |device: Option<&str>, rows: &[Row], more: bool| {
        let page = Page { rows: rows.to_vec(), more };
        pending(device.map(id).as_ref(), page, &mut room, &devices)
    };
    let unclaimed = [rows[0].clone(), rows[2].clone()];
    assert_eq!(part(None, &unclaimed, true), (unclaimed.to_vec(), at(None, Some(&rows[2]))));
    assert_eq!(part(None, &unclaimed, false), (unclaimed.to_vec(), at(Some("phone"), None)));
    assert_eq!(part(Some("phone"), &rows, true), (vec![rows[1].clone()], at(Some("phone"), Some(&rows[2]))));
    assert_eq!(part(Some("phone"), &rows, false), (vec![rows[1].clone()], at(Some("tablet"), None)));
    assert_eq!(part(Some("tablet"), &rows, false), (vec![], None));
    assert_eq!(part(Some("phone"), &[], true), (vec![], at(Some("tablet"), None)), "nothing readable is left");
    assert_eq!(part(Some("q"), &[], false), (vec![], at(Some("tablet"), None)), "it was forgotten meanwhile");
    assert_eq!(pending(None, Page::default(), &mut MAX_BYTES.clone(), &[]), (vec![], None));
}

#[test]
fn a_part_ends_where_the_answer_is_full() {
    let rows: Vec<Row> = (0..10).map(|n| row(Some("phone"), n, &"x".repeat(10_000))).collect();
    let devices = known(["phone".to_owned()]);
    let (mut seen, mut next, mut answers) = (Vec::new(), at(Some("phone"), None), 0);
    while let Some(ExportCursor::Pending { after, .. }) = next {
        let rest = rows.iter().filter(|row| after.as_ref().is_none_or(|after| row.key().reference() > *after));
        let page = Page { rows: rest.cloned().collect(), more: false };
        let mut room = 25_000;
        let (part, then) = pending(Some(&id("phone")), page, &mut room, &devices);
        assert!((1..=3).contains(&part.len()), "{}", part.len());
        seen.extend(part);
        next = then;
        answers += 1;
    }
    assert_eq!((seen, answers), (rows, 4));
}
