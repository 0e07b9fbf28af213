//! Identifiers, refs and cursors: what is read is written the same, and refs order as their sort keys do. What each alphabet has
//! is tested in `protocol`.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use aws::keys::{after_condition, before_condition};
use protocol::{DeviceId, ExportCursor, GroupId, MessageId, Ref, UserId};

use crate::{ID, MARK, assert_discreet};

/// Any text is an identifier that is written as it was read and cannot run into another within a key, or is refused.
pub fn identifiers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for read in [reread::<UserId>(text), reread::<DeviceId>(text), reread::<GroupId>(text)].into_iter().flatten() {
        assert_eq!(read, text);
        assert!(!read.contains(['#', '*', '~', '/', '"', '\\', '\0']), "{read}");
    }
    if let Some(id) = reread::<MessageId>(text) {
        assert_eq!(id, text.to_ascii_lowercase());
    }
}

/// Reads a name, and answers how it is written if it is one. It must then be the same again, from text and from JSON.
fn reread<T>(text: &str) -> Option<String>
where
    T: FromStr<Err: Display + Debug> + TryFrom<String> + Display + PartialEq + Debug,
{
    let name = match text.parse::<T>() {
        Ok(name) => name,
        Err(error) => {
            assert_discreet(&error.to_string());
            assert!(T::try_from(text.to_owned()).is_err(), "JSON would let it in: {text}");
            return None;
        }
    };
    let written = name.to_string();
    assert_eq!(written.parse::<T>().expect("it was just written"), name);
    assert!(T::try_from(text.to_owned()).is_ok_and(|again| again == name));
    Some(written)
}

/// Valid identifiers.
pub fn identifier_seeds() -> Vec<String> {
    vec![
        ID.to_owned(),
        ID.to_uppercase(),
        "auth0|5f7c.b:c@d+e=f-g_".to_owned(),
        "phone-1_B".to_owned(),
        "u".repeat(128),
    ]
}

/// Any text is a ref or a cursor of an export that is written as it was read, or is refused. Two refs, one a line, order as a page of the inbox does.
pub fn references(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let refs: Vec<Ref> = text
        .split('\n')
        .take(8)
        .filter_map(|line| {
            if let Some(cursor) = reread::<ExportCursor>(line) {
                assert!(cursor.eq_ignore_ascii_case(line));
            }
            let written = reread::<Ref>(line)?;
            assert!(written.eq_ignore_ascii_case(line));
            let reference: Ref = line.parse().ok()?;
            assert_eq!(Ref::at(&reference.position(), reference.shelf).as_ref(), Ok(&reference));
            Some(reference)
        })
        .collect();
    for after in &refs {
        for one in &refs {
            let (position, cursor) = (one.position(), after.position());
            // As DynamoDB evaluates it: by bytes.
            let is_in_page = |condition: &str| match condition {
                "sk > :from" => position > cursor,
                "sk >= :from" => position >= cursor,
                "sk < :from" => position < cursor,
                "sk <= :from" => position <= cursor,
                other => panic!("{other}"),
            };
            assert_eq!(is_in_page(after_condition(after, one.shelf)), one > after, "{one} after {after}");
            assert_eq!(is_in_page(before_condition(after, one.shelf)), one < after, "{one} before {after}");
        }
    }
}

/// Pairs of valid refs.
pub fn reference_seeds() -> Vec<String> {
    let later = ID.replace("0198", "0199");
    vec![
        format!("{ID}~alice\n{ID}~alice~*\n{ID}~alice.b"),
        format!("{later}~A\n{ID}~a~*\n{ID}~auth0|a-b"),
        format!("devices.phone\ngroups.a.b\npending.*.{ID}~a~*\npending.phone.{ID}~a.b"),
        format!("{}~{MARK}\n{ID}~{MARK}~*", ID.to_uppercase()),
    ]
}
