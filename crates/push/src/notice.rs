//! What a device is to be told, and how urgently. It says nothing of services; what a notice becomes in each is in its
//! module.

use std::fmt;

use protocol::{Body, MessageId, Recipient, Sender, Timestamp, UserId};

/// One push: that messages wait for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose device it is for.
    pub user: UserId,
    /// The newest message.
    pub id: MessageId,
    /// Where the messages are, the other user or the group. None if they are of several conversations.
    pub conversation: Option<Recipient>,
    /// How many messages are pending for the device.
    pub badge: u32,
    /// The newest message itself, where the deployment and the device both want it shown.
    pub preview: Option<Preview>,
    /// How much the device is to make of it.
    pub urgency: Urgency,
    /// 1-32 of `[A-Za-z0-9_-]`: a later push replaces an earlier one of the same.
    pub collapse: String,
    /// Not to be shown after that.
    pub expires_at: Timestamp,
}

/// How much a device makes of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Shown at once, with a sound.
    Urgent,
    /// Shown without a sound, when it suits the device's battery.
    Quiet,
    /// Not shown: the app may fetch in the background.
    Silent,
}

/// A message as a notification may show it. `Debug` shows neither part.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// Who wrote it.
    pub from: Sender,
    /// What was written.
    pub body: Body,
}

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preview")
    }
}
