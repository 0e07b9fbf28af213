//! Devices over HTTP: one that never opens a socket is made known, one that is given up is forgotten with its inbox. What is delivered to a
//! device is not decided here.

use delivery::drain::PAGE;
use delivery::{Address, Connections, Directory, Failure, Groups, Inbox, Key, Queue};
use protocol::{Ref, Timestamp};

use crate::Http;

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, C: Connections> Http<I, D, G, Q, C> {
    /// A device that reads its inbox from the start was seen, as if it had connected. That it cannot be noted takes nothing from the
    /// answer: it is noted the next time.
    pub(crate) async fn note_seen(&self, address: &Address, now: Timestamp) {
        if let Err(failure) = self.directory.seen(address, now).await {
            tracing::error!(%failure, "a device was seen and it could not be noted");
        }
    }

    /// Closes its connection, forgets the device, and deletes what is pending for it, in an order that can be gone through again from
    /// the start when something failed. A message that is being delivered at this moment may be left in the inbox until it expires.
    pub(crate) async fn forget(&self, address: &Address, now: Timestamp) -> Result<(), Failure> {
        let devices = self.directory.devices(&address.user, now).await?;
        let device = devices.into_iter().find(|device| device.id == address.device);
        if let Some(connection) = device.and_then(|device| device.connection) {
            self.connections.disconnect(&connection.id).await?;
        }
        self.directory.forget(address).await?;
        let mut after: Option<Ref> = None;
        loop {
            let inbox = &self.answers.inbox;
            let page = inbox.page(&address.user, Some(&address.device), after.as_ref(), PAGE, now).await?;
            // Unclaimed envelopes are the user's, and stay.
            let own = page.rows.iter().filter(|row| row.holder.device().is_some());
            let keys: Vec<Key> = own.map(|row| row.key()).collect();
            let deleted = if keys.is_empty() { Vec::new() } else { inbox.delete(&keys).await };
            deleted.into_iter().collect::<Result<(), Failure>>()?;
            after = page.rows.last().map(|row| row.key().reference());
            if !page.more || after.is_none() {
                return Ok(());
            }
        }
    }
}
