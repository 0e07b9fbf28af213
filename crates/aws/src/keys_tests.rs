//! Every item as it is stored, and how it is read back.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use protocol::{PushTarget, Urgency};

use super::*;

/// Bytes that DynamoDB counts for an item: names, UTF-8 text, and about half a byte for each digit of a number.
fn item_bytes(item: &Item) -> usize {
    let value_bytes = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        _ => 1,
    };
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

const ID: &str = "0198a5c0-7c00-7abc-8def-0123456789ab";

fn row_of(user: &str, device: Option<&str>, body: &str) -> Row {
    let reference: Ref = format!("{ID}~{}", "s".repeat(16)).parse().expect("a ref");
    let user: UserId = user.parse().expect("a user");
    Row {
        user: user.clone(),
        holder: device.map_or(Holder::Unclaimed, |device| Holder::Device(device.parse().expect("a device"))),
        envelope: Envelope {
            id: reference.id,
            from: reference.sender,
            to: Recipient::User(user),
            kind: Kind::Message,
            at: Timestamp::from_millis(1_755_500_000_123),
            expires_at: Timestamp::from_secs(1_758_092_000),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text(body),
        },
        undelivered: false,
        shared: false,
    }
}

/// An item in a readable, stable form.
fn shown(item: &Item) -> String {
    let mut lines: Vec<String> = item.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    lines.sort();
    lines.concat()
}

fn check(row: &Row, expected: &Expect) {
    let item = row_item(row);
    expected.assert_eq(&shown(&item));
    assert_eq!(super::row(&row.user, &row.holder, &item).as_ref(), Ok(row));
}

#[test]
fn an_envelope_of_a_device() {
    check(
        &row_of("bob", Some("phone"), "hi"),
        &expect![[r#"
            a = N("1755500000123")
            b = S("\"hi\"")
            pk = S("bob#phone")
            sk = S("0198a5c0-7c00-7abc-8def-0123456789ab~ssssssssssssssss")
            ttl = N("1758092000")
        "#]],
    );
}

#[test]
fn an_unclaimed_envelope_to_a_group() {
    let mut row = row_of("bob", None, "hi");
    row.envelope.to = Recipient::Group("team".parse().expect("a group"));
    row.undelivered = true;
    check(
        &row,
        &expect![[r#"
            a = N("1755500000123")
            b = S("\"hi\"")
            pk = S("bob#*")
            sk = S("0198a5c0-7c00-7abc-8def-0123456789ab~ssssssssssssssss")
            to = S("{\"group\":\"team\"}")
            ttl = N("1758092000")
            u = Bool(true)
        "#]],
    );
}

#[test]
fn the_overhead_of_an_envelope_is_below_200_bytes() {
    let sixteen = "u".repeat(16);
    let mut row = row_of(&sixteen, Some(&sixteen), "");
    row.undelivered = true;
    let overhead = item_bytes(&row_item(&row)) - row.envelope.body.as_json().len();
    assert!(overhead < 200, "{overhead} bytes");
}

#[test]
fn an_item_that_was_changed_is_unreadable() {
    let row = row_of("bob", Some("phone"), "hi");
    for (name, value) in [
        (SK, text("x")),
        (BODY, text("{")),
        (BODY, number(7)),
        (ACCEPTED_AT, text("7")),
        (TTL, number(0)),
        (TO, text("x")),
    ] {
        let mut item = row_item(&row);
        if name == TTL {
            item.remove(TTL);
        } else {
            item.insert(name.to_owned(), value);
        }
        assert_eq!(super::row(&row.user, &row.holder, &item), Err(UnreadableItem(name)));
    }
}

#[test]
fn a_wake_state_is_replaced_only_if_it_is_the_same() {
    let before = WakeState { last: Some(Timestamp::from_millis(5)), due: None };
    let due = Due { at: Timestamp::from_millis(9), token: "record".to_owned() };
    let after = WakeState { last: None, due: Some(due) };
    let phone = Holder::Device("phone".parse().expect("a device"));
    expect![[r#"
        SET wd = :new_wd, wr = :new_wr REMOVE lw
        lw = :old_lw AND attribute_not_exists(wd) AND attribute_not_exists(wr) AND attribute_exists(pk)
        :new_wd = N("9")
        :new_wr = S("record")
        :old_lw = N("5")
    "#]]
    .assert_eq(&update_shown(&wake_update(&phone, &before, &after, Timestamp::from_secs(77))));
    expect![[r#"
        SET lw = :new_lw, #ttl = :ttl REMOVE wd, wr
        attribute_not_exists(lw) AND wd = :old_wd AND wr = :old_wr
        :new_lw = N("5")
        :old_wd = N("9")
        :old_wr = S("record")
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&wake_update(&Holder::Unclaimed, &after, &before, Timestamp::from_secs(77))));
}

fn update_shown(update: &Update) -> String {
    format!("{}\n{}\n{}", update.update, update.condition, shown(&update.values))
}

#[test]
fn a_device_is_registered_and_unregistered_conditionally() {
    let connection = Connection {
        id: "c1".into(),
        connected_at: Timestamp::from_millis(1_755_500_000_123),
        dialect: Dialect::Current,
    };
    let now = Timestamp::from_millis(1_755_500_000_456);
    expect![[r#"
        SET c = :c, ca = :ca, cx = :cx, ls = :now, ks = if_not_exists(ks, :now), #ttl = :ttl REMOVE cd
        attribute_not_exists(c) OR ca < :ca OR cx <= :now OR c = :c
        :c = S("c1")
        :ca = N("1755500000123")
        :cx = N("1755507200123")
        :now = N("1755500000456")
        :ttl = N("1760684000")
    "#]]
    .assert_eq(&update_shown(&register_update(&connection, now, Timestamp::from_secs(1_760_684_000))));
    let old = Connection { dialect: Dialect::OldJson, ..connection.clone() };
    expect![[r#"
        SET c = :c, ca = :ca, cx = :cx, ls = :now, ks = if_not_exists(ks, :now), #ttl = :ttl, cd = :cd
        attribute_not_exists(c) OR ca < :ca OR cx <= :now OR c = :c
        :c = S("c1")
        :ca = N("1755500000123")
        :cd = S("json")
        :cx = N("1755507200123")
        :now = N("1755500000456")
        :ttl = N("1760684000")
    "#]]
    .assert_eq(&update_shown(&register_update(&old, now, Timestamp::from_secs(1_760_684_000))));
    expect![[r#"
        REMOVE c, ca, cx, cd
        c = :c
        :c = S("c1")
    "#]]
    .assert_eq(&update_shown(&unregister_update(&connection.id)));
    expect![[r#"
        SET ls = :now, #ttl = :ttl REMOVE c, ca, cx, cd
        c = :c
        :c = S("c1")
        :now = N("1755500000456")
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&left_update(&connection.id, now, Timestamp::from_secs(77))));
    expect![[r#"
        SET u = :true
        attribute_exists(pk)
        :true = Bool(true)
    "#]]
    .assert_eq(&update_shown(&undelivered_update()));
}

#[test]
fn push_targets_that_cannot_be_read_take_nothing_from_their_device() {
    let mut item = Item::from([(SK.to_owned(), text("D#phone")), (LAST_SEEN.to_owned(), number(5))]);
    let push = |item: &Item| device(item, Timestamp::from_millis(5)).expect("a device").push;
    assert_eq!(push(&item), []);
    item.insert(PUSH.to_owned(), text(r#"[{"service":"fcm","token":"t"}]"#));
    assert_eq!(push(&item), [PushTarget::Fcm { token: "t".to_owned() }]);
    for odd in [text("[7]"), text("secret"), number(7)] {
        item.insert(PUSH.to_owned(), odd);
        assert_eq!(push(&item), []);
    }
}

#[test]
fn a_device_opts_in_and_out_of_presence() {
    let update = |presence| {
        enrol_update(
            &Enrolment { presence, ..Enrolment::default() },
            Timestamp::from_millis(5),
            Timestamp::from_secs(77),
        )
    };
    expect![[r#"
        SET ls = :now, #ttl = :ttl, ks = if_not_exists(ks, :now), p = :p

        :now = N("5")
        :p = Bool(true)
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&update(Some(true))));
    expect![[r#"
        SET ls = :now, #ttl = :ttl, ks = if_not_exists(ks, :now) REMOVE p

        :now = N("5")
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&update(Some(false))));
    expect![[r#"
        SET ls = :now, #ttl = :ttl, ks = if_not_exists(ks, :now)

        :now = N("5")
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&update(None)));
    let said = |push| Enrolment { presence: Some(false), push: Some(push), ..Enrolment::default() };
    let update = |push| enrol_update(&said(push), Timestamp::from_millis(5), Timestamp::from_secs(77));
    expect![[r#"
        SET ls = :now, #ttl = :ttl, ks = if_not_exists(ks, :now), pt = :pt REMOVE p

        :now = N("5")
        :pt = S("[{\"service\":\"fcm\",\"token\":\"t\"}]")
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&update(vec![PushTarget::Fcm { token: "t".to_owned() }])));
    expect![[r#"
        SET ls = :now, #ttl = :ttl, ks = if_not_exists(ks, :now) REMOVE p, pt

        :now = N("5")
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&update(vec![])));
    expect![[r#"
        SET ls = :now, #ttl = :ttl
        attribute_exists(pk)
        :now = N("5")
        :ttl = N("77")
    "#]]
    .assert_eq(&update_shown(&seen_update(Timestamp::from_millis(5), Timestamp::from_secs(77))));
}

proptest! {
    #[test]
    fn the_order_of_sort_keys_is_the_order_of_refs(a in 0u64..1000, b in 0u64..1000, x in "[a-z.|]{1,3}", y in "[a-z.|]{1,3}") {
        let reference = |n: u64, sender: &str| -> Ref { format!("0198a5c0-7c00-7abc-8def-{n:012x}~{sender}").parse().expect("a ref") };
        let (left, right) = (reference(a, &x), reference(b, &y));
        prop_assert_eq!(left.cmp(&right), left.position().cmp(&right.position()));
    }

    #[test]
    fn no_stored_text_makes_the_reader_panic(sk in ".{0,60}", body in ".{0,60}", at in ".{0,12}") {
        let mut item = row_item(&row_of("bob", Some("phone"), "hi"));
        item.insert(SK.to_owned(), text(sk));
        item.insert(BODY.to_owned(), text(body));
        item.insert(ACCEPTED_AT.to_owned(), AttributeValue::N(at));
        let _ = row(&"bob".parse().expect("a user"), &Holder::Unclaimed, &item);
    }
}

#[test]
fn news_of_a_group_in_an_inbox() {
    let mut row = row_of("bob", Some("phone"), "news");
    row.envelope.from = protocol::Sender::System;
    row.envelope.kind = Kind::System;
    row.envelope.to = Recipient::Group("team".parse().expect("a group"));
    check(
        &row,
        &expect![[r#"
            a = N("1755500000123")
            b = S("\"news\"")
            k = S("system")
            pk = S("bob#phone")
            sk = S("0198a5c0-7c00-7abc-8def-0123456789ab~~system")
            to = S("{\"group\":\"team\"}")
            ttl = N("1758092000")
        "#]],
    );
}

#[test]
fn an_envelope_whose_ack_is_waited_for() {
    let mut row = row_of("bob", Some("phone"), "hi");
    row.envelope.receipts = true;
    row.shared = true;
    check(
        &row,
        &expect![[r#"
            a = N("1755500000123")
            b = S("\"hi\"")
            pk = S("bob#phone")
            r = Bool(true)
            s = Bool(true)
            sk = S("0198a5c0-7c00-7abc-8def-0123456789ab~ssssssssssssssss")
            ttl = N("1758092000")
        "#]],
    );
}

#[test]
fn an_envelope_that_makes_no_sound() {
    let mut row = row_of("bob", Some("phone"), "hi");
    row.envelope.urgency = Urgency::Quiet;
    check(
        &row,
        &expect![[r#"
            a = N("1755500000123")
            b = S("\"hi\"")
            g = S("quiet")
            pk = S("bob#phone")
            sk = S("0198a5c0-7c00-7abc-8def-0123456789ab~ssssssssssssssss")
            ttl = N("1758092000")
        "#]],
    );
    let mut item = row_item(&row);
    item.insert("g".to_owned(), text("a word of a later version"));
    let read = super::row(&row.user, &row.holder, &item).expect("a row");
    assert_eq!(read.envelope.urgency, Urgency::Urgent);
}

#[test]
fn what_a_sender_was_told() {
    let row = row_of("bob", Some("phone"), "");
    let of = Told {
        user: row.user.clone(),
        name: MessageName { id: row.envelope.id, from: row.envelope.from },
        event: ReceiptEvent::Read,
        expires_at: row.envelope.expires_at,
    };
    let item = told_item(&of);
    expect![[r#"
        e = S("read")
        pk = S("bob#~")
        sk = S("0198a5c0-7c00-7abc-8def-0123456789ab~ssssssssssssssss")
        ttl = N("1758092000")
    "#]]
    .assert_eq(&shown(&item));
    assert_eq!(told(&row.user, &item), Ok(of));
}

#[test]
fn a_group_is_a_partition_and_its_own_last_item() {
    let alice = Member {
        user: "alice".parse().expect("a user"),
        role: Role::Admin,
        joined_at: Timestamp::from_millis(1_755_500_000_123),
    };
    let name: GroupName = "Team".to_owned().try_into().expect("a name");
    let of = Group::new("team".parse().expect("a group"), name.clone(), 7, vec![alice.clone()]);
    let (item, member_item) = (group_item(&of), member_item(&of.id, &alice));
    expect![[r#"
        n = S("Team")
        pk = S("G#team")
        sk = S("_")
        v = N("7")
    "#]]
    .assert_eq(&shown(&item));
    expect![[r#"
        j = N("1755500000123")
        pk = S("G#team")
        r = S("admin")
        sk = S("M#alice")
    "#]]
    .assert_eq(&shown(&member_item));
    assert_eq!((group(&item), member(&member_item)), (Ok((name.clone(), 7)), Ok(alice.clone())));
    assert_eq!((is_group(&item), is_group(&member_item)), (true, false));
    assert_eq!(group_name(&item), Ok((of.id.clone(), name)));
    expect![[r#"
        pk = S("U#alice")
        sk = S("G#team")
    "#]]
    .assert_eq(&shown(&membership_key(&alice.user, &of.id)));
    assert_eq!(membership(&membership_key(&alice.user, &of.id)), Ok(of.id));
    assert!(
        GROUP > MEMBER_PREFIX && MEMBER_PREFIX > NEWS_PREFIX,
        "read from its end, the group comes first and news never"
    );
}
