//! What the unit tests of this crate share: messages with small numbers for ids. No server.

use protocol::{Body, Delivery, Kind, MessageId, Outgoing, Recipient, Ref, Shelf, Timestamp, Urgency, UserId};

pub(crate) fn user(name: &str) -> UserId {
    name.parse().expect("a user id")
}

/// The `n`th id in order.
pub(crate) fn id(n: u64) -> MessageId {
    format!("0198a5c0-7c00-7abc-8def-{n:012x}").parse().expect("a message id")
}

/// The envelope of the `n`th message of `from` to bob.
pub(crate) fn delivery(from: &str, n: u64) -> Delivery {
    Delivery {
        reference: Ref { id: id(n), sender: user(from).into(), shelf: Shelf::Own, watched: false },
        id: id(n),
        from: user(from).into(),
        to: Recipient::User(user("bob")),
        kind: Kind::Message,
        at: Timestamp::from_millis(1_755_500_000_000),
        attempt: 1,
        urgency: Urgency::default(),
        body: Body::text(&format!("message {n}")),
    }
}

/// The `n`th message to bob, with a body of `bytes` bytes.
pub(crate) fn outgoing(n: u64, bytes: usize) -> Outgoing {
    Outgoing::new(id(n), Recipient::User(user("bob")), Body::text(&"x".repeat(bytes - 2)))
}
