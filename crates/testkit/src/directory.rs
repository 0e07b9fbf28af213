//! A directory in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use delivery::{Address, Connection, ConnectionId, Device, Directory, Failure, Holder, Registration, WakeState};
use protocol::{DeviceId, Timestamp, UserId};

use crate::ledger::Ledger;
use crate::lock;

#[derive(Debug, Default)]
struct State {
    devices: BTreeMap<UserId, BTreeMap<DeviceId, Option<Connection>>>,
    wakes: BTreeMap<(UserId, Holder), WakeState>,
}

/// A directory that its clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryDirectory {
    state: Arc<Mutex<State>>,
    /// Calls: `register`, `unregister`, `devices`, `wake_state`, `replace_wake_state`.
    pub ledger: Ledger,
}

impl MemoryDirectory {
    /// The connection that is registered for a device.
    pub fn connection(&self, address: &Address) -> Option<Connection> {
        lock(&self.state).devices.get(&address.user)?.get(&address.device)?.clone()
    }

    fn knows(state: &State, user: &UserId, holder: &Holder) -> bool {
        match holder {
            Holder::Unclaimed => true,
            Holder::Device(device) => state.devices.get(user).is_some_and(|devices| devices.contains_key(device)),
        }
    }
}

impl Directory for MemoryDirectory {
    async fn register(
        &self,
        address: &Address,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Registration, Failure> {
        self.ledger.enter("register")?;
        let mut state = lock(&self.state);
        let slot = state.devices.entry(address.user.clone()).or_default().entry(address.device.clone()).or_default();
        let before = slot.clone().filter(|before| before.ends_at() > now && before.id != connection.id);
        if before.as_ref().is_some_and(|before| before.connected_at >= connection.connected_at) {
            return Ok(Registration::Superseded);
        }
        *slot = Some(connection.clone());
        Ok(Registration::Registered { displaced: before })
    }

    async fn unregister(&self, address: &Address, connection: &ConnectionId) -> Result<(), Failure> {
        self.ledger.enter("unregister")?;
        let mut state = lock(&self.state);
        let slot = state.devices.get_mut(&address.user).and_then(|devices| devices.get_mut(&address.device));
        if let Some(slot) = slot
            && slot.as_ref().is_some_and(|registered| registered.id == *connection)
        {
            *slot = None;
        }
        Ok(())
    }

    async fn enrol(&self, address: &Address, _now: Timestamp) -> Result<(), Failure> {
        self.ledger.enter("enrol")?;
        lock(&self.state).devices.entry(address.user.clone()).or_default().entry(address.device.clone()).or_default();
        Ok(())
    }

    async fn seen(&self, _address: &Address, _now: Timestamp) -> Result<(), Failure> {
        self.ledger.enter("seen")
    }

    async fn forget(&self, address: &Address) -> Result<(), Failure> {
        self.ledger.enter("forget")?;
        let mut state = lock(&self.state);
        if let Some(devices) = state.devices.get_mut(&address.user) {
            devices.remove(&address.device);
        }
        state.wakes.remove(&(address.user.clone(), Holder::Device(address.device.clone())));
        Ok(())
    }

    async fn devices(&self, user: &UserId, now: Timestamp) -> Result<Vec<Device>, Failure> {
        self.ledger.enter("devices")?;
        let state = lock(&self.state);
        let devices = state.devices.get(user).into_iter().flatten();
        let device = |(id, connection): (&DeviceId, &Option<Connection>)| Device {
            id: id.clone(),
            connection: connection.clone().filter(|connection| connection.ends_at() > now),
        };
        Ok(devices.map(device).collect())
    }

    async fn wake_state(&self, user: &UserId, holder: &Holder) -> Result<Option<WakeState>, Failure> {
        self.ledger.enter("wake_state")?;
        let state = lock(&self.state);
        let known = Self::knows(&state, user, holder);
        Ok(known.then(|| state.wakes.get(&(user.clone(), holder.clone())).cloned().unwrap_or_default()))
    }

    async fn replace_wake_state(
        &self,
        user: &UserId,
        holder: &Holder,
        before: &WakeState,
        after: &WakeState,
        _now: Timestamp,
    ) -> Result<bool, Failure> {
        self.ledger.enter("replace_wake_state")?;
        let mut state = lock(&self.state);
        if !Self::knows(&state, user, holder) {
            return Ok(false);
        }
        let slot = state.wakes.entry((user.clone(), holder.clone())).or_default();
        let same = slot == before;
        if same {
            *slot = after.clone();
        }
        Ok(same)
    }
}
