//! Devices over HTTP: one that never opens a socket is made known, one that is given up is forgotten with its inbox. What is delivered to a
//! device is not decided here.

use delivery::drain::PAGE;
use delivery::{Address, Attachments, Connection, Connections, Directory, Failure, Files, Groups, Inbox, Key, Queue};
use protocol::{DeviceId, Ref, Timestamp, UserId};

use crate::Http;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, A: Attachments, C: Connections, F: Files> Http<I, D, G, Q, A, C, F> {
    /// A device that reads its inbox from the start was seen, as if it had connected. That it cannot be noted takes nothing from the
    /// answer: it is noted the next time.
    pub(crate) async fn note_seen(&self, address: &Address, now: Timestamp) {
        if let Err(failure) = self.directory.seen(address, now).await {
            tracing::error!(%failure, "a device was seen and it could not be noted");
        }
    }

    /// Forgets a device, on whichever connection it is.
    pub(crate) async fn find_and_forget(&self, address: &Address, now: Timestamp) -> Result<(), Failure> {
        let devices = self.directory.devices(&address.user, now).await?;
        let device = devices.into_iter().find(|device| device.id == address.device);
        self.forget(address, device.and_then(|device| device.connection).as_ref(), now).await
    }

    /// Closes its connection, deletes what is pending for it, and forgets the device, in an order that can be gone through again from the
    /// start when something failed. A message that is being delivered at this moment may be left in the inbox until it expires.
    pub(crate) async fn forget(
        &self,
        address: &Address,
        connection: Option<&Connection>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if let Some(connection) = connection {
            self.connections.disconnect(&connection.id).await?;
        }
        // Before, since nobody finds the inbox of a device that is forgotten; and after, for what came meanwhile. Unclaimed envelopes are the
        // user's, and stay.
        self.empty(&address.user, Some(&address.device), now).await?;
        self.directory.forget(address).await?;
        self.empty(&address.user, Some(&address.device), now).await
    }

    /// Deletes what is pending for a device, or what no device of the user has claimed.
    pub(crate) async fn empty(&self, user: &UserId, device: Option<&DeviceId>, now: Timestamp) -> Result<(), Failure> {
        let inbox = &self.answers.inbox;
        let mut after: Option<Ref> = None;
        loop {
            let page = inbox.page(user, device, after.as_ref(), PAGE, now).await?;
            let asked = page.rows.iter().filter(|row| row.holder.device() == device);
            let keys: Vec<Key> = asked.map(|row| row.key()).collect();
            let deleted = if keys.is_empty() { Vec::new() } else { inbox.delete(&keys).await };
            deleted.into_iter().collect::<Result<(), Failure>>()?;
            after = page.rows.last().map(|row| row.key().reference());
            if !page.more || after.is_none() {
                return Ok(());
            }
        }
    }
}
