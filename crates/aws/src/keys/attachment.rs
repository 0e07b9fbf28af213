//! The items of attachments in the directory. Whose they are and who may have them is decided in `delivery`.

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::types::AttributeValue;
use delivery::{Attachment, Grant};
use protocol::{AttachmentId, Timestamp, UserId};

use super::{Item, PK, SK, TTL, UnreadableItem, number, number_of, text, text_of};

const ATTACHMENT_PREFIX: &str = "A#";
const ITSELF: &str = "_";
const GRANT_PREFIX: &str = "R#";
const UPLOADER: &str = "up";
const MEDIA_TYPE: &str = "mt";
const BYTES: &str = "by";
const RECIPIENTS: &str = "us";

/// Bytes of a hash in the key of a grant.
const HASH_BYTES: usize = 12;

/// Looks for a user among those whom one grant of an attachment is to; with what it must name.
pub(crate) const GRANTS_OF: &str = "pk = :pk AND begins_with(sk, :grants)";
/// See [`GRANTS_OF`].
pub(crate) const GRANTED_TO: &str = "contains(us, :user)";

/// The partition of an attachment in the directory.
fn attachment_pk(id: AttachmentId) -> AttributeValue {
    text(format!("{ATTACHMENT_PREFIX}{id}"))
}

/// The key of an attachment.
pub fn attachment_key(id: AttachmentId) -> Item {
    Item::from([(PK.to_owned(), attachment_pk(id)), (SK.to_owned(), text(ITSELF))])
}

/// An attachment as an item of the directory.
pub fn attachment_item(attachment: &Attachment) -> Item {
    let mut item = attachment_key(attachment.id);
    item.insert(UPLOADER.to_owned(), text(attachment.uploader.as_str()));
    item.insert(MEDIA_TYPE.to_owned(), text(attachment.media_type.as_str()));
    item.insert(BYTES.to_owned(), number(attachment.bytes));
    item.insert(TTL.to_owned(), number(attachment.expires_at.as_secs()));
    item
}

/// Reads an attachment.
///
/// # Errors
/// When it is none.
pub fn attachment(item: &Item) -> Result<Attachment, UnreadableItem> {
    let id = text_of(item, PK)?.strip_prefix(ATTACHMENT_PREFIX).ok_or(UnreadableItem(PK))?;
    Ok(Attachment {
        id: id.parse().map_err(|_| UnreadableItem(PK))?,
        uploader: text_of(item, UPLOADER)?.parse().map_err(|_| UnreadableItem(UPLOADER))?,
        media_type: text_of(item, MEDIA_TYPE)?.parse().map_err(|_| UnreadableItem(MEDIA_TYPE))?,
        bytes: number_of(item, BYTES)?,
        expires_at: Timestamp::from_secs(number_of(item, TTL)?),
    })
}

/// A grant as an item of the directory. Its key says what it is and whom it is to, so that it replaces itself and nothing else: the same
/// message, sent again after its group has changed, takes nothing from those who had it.
pub fn grant_item(grant: &Grant) -> Item {
    let mut named = Vec::new();
    for user in &grant.recipients {
        named.extend_from_slice(user.as_str().as_bytes());
        // No user has it in his name.
        named.push(0);
    }
    let hash: String =
        digest(&SHA256, &named).as_ref()[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    let recipients = grant.recipients.iter().map(ToString::to_string).collect();
    Item::from([
        (PK.to_owned(), attachment_pk(grant.attachment.id)),
        (SK.to_owned(), text(format!("{GRANT_PREFIX}{}~{}~{hash}", grant.message, grant.sender))),
        (RECIPIENTS.to_owned(), AttributeValue::Ss(recipients)),
        (TTL.to_owned(), number(grant.attachment.expires_at.as_secs())),
    ])
}

/// The values of [`GRANTS_OF`] and [`GRANTED_TO`].
pub(crate) fn grants_to(id: AttachmentId, user: &UserId) -> Item {
    Item::from([
        (":pk".to_owned(), attachment_pk(id)),
        (":grants".to_owned(), text(GRANT_PREFIX)),
        (":user".to_owned(), text(user.as_str())),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use delivery::Attached;
    use expect_test::expect;

    use super::*;
    use crate::keys::identity;

    const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    /// An item in a readable, stable form.
    fn shown(item: &Item) -> String {
        let mut lines: Vec<String> = item.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
        lines.sort();
        lines.concat()
    }

    #[test]
    fn an_attachment_is_read_as_it_was_written() {
        let kept = Attachment {
            id: ID.parse().expect("an id"),
            uploader: "alice".parse().expect("a user"),
            media_type: "image/jpeg".parse().expect("a type"),
            bytes: 12_345,
            expires_at: Timestamp::from_secs(1_758_092_000),
        };
        let item = attachment_item(&kept);
        expect![[r#"
            by = N("12345")
            mt = S("image/jpeg")
            pk = S("A#0f1e2d3c4b5a69788796a5b4c3d2e1f0")
            sk = S("_")
            ttl = N("1758092000")
            up = S("alice")
        "#]]
        .assert_eq(&shown(&item));
        assert_eq!(attachment(&item), Ok(kept));
        for name in item.keys().filter(|name| *name != SK) {
            let mut spoiled = item.clone();
            spoiled.insert(name.clone(), text("\u{0}"));
            assert!(attachment(&spoiled).is_err(), "{name}");
        }
    }

    fn grant(users: &[&str]) -> Grant {
        Grant {
            attachment: Attached { id: ID.parse().expect("an id"), expires_at: Timestamp::from_secs(1_758_092_000) },
            message: "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id"),
            sender: "alice".parse().expect("a sender"),
            recipients: users.iter().map(|name| name.parse().expect("a user")).collect::<BTreeSet<_>>(),
        }
    }

    #[test]
    fn a_grant_replaces_itself_alone() {
        expect![[r#"
            pk = S("A#0f1e2d3c4b5a69788796a5b4c3d2e1f0")
            sk = S("R#0198a5c0-7c00-7abc-8def-0123456789ab~alice~e69b89cc31bb095d0c33491d")
            ttl = N("1758092000")
            us = Ss(["bob", "carol"])
        "#]]
        .assert_eq(&shown(&grant_item(&grant(&["carol", "bob"]))));
        let keys = [&["bob", "carol"][..], &["bob"], &["bobcarol"], &["bob", "carol", "dave"]]
            .map(|users| identity(&grant_item(&grant(users))).map(|(_, sk)| sk.to_owned()));
        assert_eq!(keys.into_iter().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn a_grant_to_25_users_is_one_write_unit() {
        let users: Vec<String> = (0..25).map(|n| format!("{n:016}")).collect();
        let item = grant_item(&grant(&users.iter().map(String::as_str).collect::<Vec<_>>()));
        let bytes: usize = item
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
                    AttributeValue::Ss(texts) => texts.iter().map(|text| text.len() + 1).sum(),
                    _ => panic!("{value:?}"),
                };
                name.len() + value
            })
            .sum();
        assert!(bytes <= 1_024, "{bytes} bytes");
    }
}
