//! The items of claims in the directory: which device has a push target. What a claim is for is in [`crate::claims`].

use aws_lc_rs::digest::{SHA256, digest};
use delivery::Address;
use protocol::{PushTarget, Timestamp};

use super::{
    Item, PK, PUSH, SK, TTL, TTL_NAME, UnreadableItem, Update, keep_push_update, number, push_targets, text, text_of,
};

const CLAIM_PREFIX: &str = "P#";
const ITSELF: &str = "_";
const USER: &str = "us";
const DEVICE: &str = "dv";

/// The key of the claim to a push target. The target is in it as a hash of where it leads: its token stands with its device alone.
pub fn claim_key(target: &PushTarget) -> Item {
    let (service, place) = target.place();
    // No service has the zero in its name.
    let hash = digest(&SHA256, &[service.as_bytes(), &[0], place.as_bytes()].concat());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Item::from([(PK.to_owned(), text(format!("{CLAIM_PREFIX}{hash}"))), (SK.to_owned(), text(ITSELF))])
}

/// The claim of a device to a push target, as an item of the directory.
pub fn claim_item(target: &PushTarget, owner: &Address, expires_at: Timestamp) -> Item {
    let mut item = claim_key(target);
    item.insert(USER.to_owned(), text(owner.user.as_str()));
    item.insert(DEVICE.to_owned(), text(owner.device.as_str()));
    item.insert(TTL.to_owned(), number(expires_at.as_secs()));
    item
}

/// Reads whose a claim is.
///
/// # Errors
/// When it is none.
pub fn claim_owner(item: &Item) -> Result<Address, UnreadableItem> {
    Ok(Address {
        user: text_of(item, USER)?.parse().map_err(|_| UnreadableItem(USER))?,
        device: text_of(item, DEVICE)?.parse().map_err(|_| UnreadableItem(DEVICE))?,
    })
}

/// The condition under which a claim is replaced: it is as it was read, or there is none if there was none. It names [`TTL`] by
/// `TTL_NAME` if there was one.
pub fn claim_unchanged(before: Option<&Item>) -> Update {
    let Some(before) = before else {
        return Update { condition: format!("attribute_not_exists({PK})"), ..Update::default() };
    };
    let (mut conditions, mut values) = (Vec::new(), Item::new());
    for (name, attribute) in [(USER, USER), (DEVICE, DEVICE), (TTL_NAME, TTL)] {
        match before.get(attribute) {
            Some(value) => {
                conditions.push(format!("{name} = :{attribute}"));
                values.insert(format!(":{attribute}"), value.clone());
            }
            None => conditions.push(format!("attribute_not_exists({name})")),
        }
    }
    Update { update: String::new(), condition: conditions.join(" AND "), values }
}

/// The condition under which a claim is a device's.
pub fn claim_of(owner: &Address) -> Update {
    Update {
        update: String::new(),
        condition: format!("{USER} = :{USER} AND {DEVICE} = :{DEVICE}"),
        values: Item::from([
            (format!(":{USER}"), text(owner.user.as_str())),
            (format!(":{DEVICE}"), text(owner.device.as_str())),
        ]),
    }
}

/// Takes the push targets that lead where some of `moved` do off a device, if it still has those that were read. `None` if it has none of
/// them.
pub fn move_push_update(device: &Item, moved: &[PushTarget]) -> Option<Update> {
    let moves = |target: &PushTarget| moved.iter().any(|one| one.place() == target.place());
    let (gone, left): (Vec<PushTarget>, Vec<PushTarget>) = push_targets(device).into_iter().partition(moves);
    if gone.is_empty() {
        return None;
    }
    Some(keep_push_update(device.get(PUSH)?.clone(), &left))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::push_json;
    use super::*;
    use crate::keys::identity;

    fn fcm(token: &str) -> PushTarget {
        PushTarget::Fcm { token: token.to_owned() }
    }

    fn phone() -> Address {
        Address { user: "alice".parse().expect("a user"), device: "phone".parse().expect("a device") }
    }

    #[test]
    fn a_claim_is_read_as_it_was_written_and_says_no_token() {
        let item = claim_item(&fcm("secret-token"), &phone(), Timestamp::from_secs(1_758_092_000));
        let mut lines: Vec<String> = item.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
        lines.sort();
        expect![[r#"
            dv = S("phone")
            pk = S("P#7ea4c8d2778965b77dbd4ea244de7324ec7637f84332c49b4400fdfe3de61658")
            sk = S("_")
            ttl = N("1758092000")
            us = S("alice")
        "#]]
        .assert_eq(&lines.concat());
        assert_eq!(claim_owner(&item), Ok(phone()));
        for name in [USER, DEVICE] {
            let mut spoiled = item.clone();
            spoiled.insert(name.to_owned(), text("\u{0}"));
            assert_eq!(claim_owner(&spoiled), Err(UnreadableItem(name)));
        }
    }

    #[test]
    fn targets_that_lead_to_one_place_have_one_claim() {
        let browser = |endpoint: &str, auth: &str| PushTarget::WebPush {
            endpoint: endpoint.to_owned(),
            p256dh: "key".to_owned(),
            auth: auth.to_owned(),
            vapid: None,
        };
        let apns = |token: &str| PushTarget::Apns { token: token.to_owned(), topic: "com.example".to_owned() };
        let key = |target: PushTarget| identity(&claim_key(&target)).map(|(pk, _)| pk.to_owned()).expect("a key");
        assert_eq!(key(browser("https://push.example/a", "x")), key(browser("https://push.example/a", "y")));
        assert_eq!(key(apns("00FC")), key(apns("00fc")));
        let others = [fcm("00fc"), fcm("00FC"), apns("00fc"), browser("https://push.example/b", "x")].map(key);
        assert_eq!(others.iter().collect::<std::collections::BTreeSet<_>>().len(), others.len());
    }

    #[test]
    fn a_claim_is_replaced_only_as_it_was_read() {
        let Update { condition, values, .. } = claim_unchanged(None);
        assert_eq!((condition.as_str(), values.len()), ("attribute_not_exists(pk)", 0));
        let item = claim_item(&fcm("t"), &phone(), Timestamp::from_secs(7));
        let Update { condition, values, .. } = claim_unchanged(Some(&item));
        assert_eq!((condition.as_str(), values.len()), ("us = :us AND dv = :dv AND #ttl = :ttl", 3));
        let Update { condition, values, .. } = claim_unchanged(Some(&claim_key(&fcm("t"))));
        let unreadable = "attribute_not_exists(us) AND attribute_not_exists(dv) AND attribute_not_exists(#ttl)";
        assert_eq!((condition.as_str(), values.len()), (unreadable, 0));
    }

    #[test]
    fn a_device_loses_what_has_moved_and_nothing_else() {
        let device = |targets: &[PushTarget]| Item::from([(PUSH.to_owned(), push_json(targets))]);
        assert!(move_push_update(&Item::new(), &[fcm("a")]).is_none());
        assert!(move_push_update(&device(&[fcm("b")]), &[fcm("a")]).is_none());
        let one = move_push_update(&device(&[fcm("a"), fcm("b")]), &[fcm("a")]).expect("an update");
        assert_eq!((one.update.as_str(), one.condition.as_str()), ("SET pt = :left", "pt = :before"));
        assert_eq!(one.values[":left"], push_json(&[fcm("b")]));
        let all = move_push_update(&device(&[fcm("a")]), &[fcm("a"), fcm("c")]).expect("an update");
        assert_eq!(all.update, "REMOVE pt");
    }
}
