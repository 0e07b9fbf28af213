//! Envelopes as frames, in the dialect of the connection that they go to. What the frames look like is not known here.

use delivery::Dialect;
use legacy::Format;
use protocol::{Delivery, pack};

/// The frames that carry `deliveries`, in order, each with how many it carries.
pub(crate) fn frames(deliveries: &[Delivery], dialect: Dialect) -> Vec<(String, usize)> {
    let format = match dialect {
        Dialect::Current => return pack(deliveries),
        Dialect::OldJson => Format::Json,
        Dialect::OldBase64 => Format::Base64,
    };
    deliveries.iter().map(|delivery| (legacy::delivery(delivery, format), 1)).collect()
}

/// Whether the client behind a connection of this dialect says that it has such an envelope. Old ones say it of messages alone.
pub(crate) fn is_acked(delivery: &Delivery, dialect: Dialect) -> bool {
    dialect == Dialect::Current || legacy::is_acked(delivery.kind, &delivery.body)
}
