//! Where a page of an inbox begins in each of its two shelves. How they are merged is in `inbox.rs`.

use protocol::{Ref, Shelf};

/// Where a page of one shelf begins, given the ref after which the merged page begins: the condition on the sort key.
pub fn after_condition(after: &Ref, shelf: Shelf) -> &'static str {
    // An unclaimed envelope comes right after the device's own one of the same message.
    if shelf > after.shelf { "sk >= :from" } else { "sk > :from" }
}

/// The same for a page that is read from the end, given the ref before which it begins.
pub fn before_condition(before: &Ref, shelf: Shelf) -> &'static str {
    if shelf < before.shelf { "sk <= :from" } else { "sk < :from" }
}
