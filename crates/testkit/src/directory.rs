//! A directory in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use delivery::{
    Address, Connection, ConnectionId, Device, Directory, Enrolment, Failure, Holder, Registration, WakeState, Wakeable,
};
use protocol::{DeviceId, Notices, PushTarget, Timestamp, UserId};

use crate::ledger::Ledger;
use crate::lock;

/// What is known of a device beside its name and its wakes.
#[derive(Debug, Default)]
struct Known {
    connection: Option<Connection>,
    last_seen: Timestamp,
    shows_presence: bool,
    push: Vec<PushTarget>,
    notices: Notices,
    known_since: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    devices: BTreeMap<UserId, BTreeMap<DeviceId, Known>>,
    wakes: BTreeMap<(UserId, Holder), WakeState>,
}

/// A directory that its clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryDirectory {
    state: Arc<Mutex<State>>,
    /// Calls: `register`, `unregister`, `left`, `enrol`, `seen`, `forget`, `devices`, `wakeable`, `replace_wake_state`,
    /// `drop_push`.
    pub ledger: Ledger,
}

impl MemoryDirectory {
    /// The connection that is registered for a device.
    pub fn connection(&self, address: &Address) -> Option<Connection> {
        lock(&self.state).devices.get(&address.user)?.get(&address.device)?.connection.clone()
    }

    /// The devices of a user, without a call.
    pub fn devices_of(&self, user: &UserId, now: Timestamp) -> Vec<Device> {
        let state = lock(&self.state);
        let device = |(id, known): (&DeviceId, &Known)| Device {
            id: id.clone(),
            connection: known.connection.clone().filter(|connection| connection.ends_at() > now),
            last_seen: known.last_seen,
            shows_presence: known.shows_presence,
            push: known.push.clone(),
            notices: known.notices,
            known_since: known.known_since,
            last_wake: state
                .wakes
                .get(&(user.clone(), Holder::Device(id.clone())))
                .and_then(|wakes: &WakeState| wakes.last),
        };
        state.devices.get(user).into_iter().flatten().map(device).collect()
    }

    /// Forgets the connection if it is the registered one, and notes when its device was seen, if it was.
    fn disconnect(&self, address: &Address, connection: &ConnectionId, seen_at: Option<Timestamp>) {
        let mut state = lock(&self.state);
        let known = state.devices.get_mut(&address.user).and_then(|devices| devices.get_mut(&address.device));
        if let Some(known) = known
            && known.connection.as_ref().is_some_and(|registered| registered.id == *connection)
        {
            known.connection = None;
            known.last_seen = seen_at.unwrap_or(known.last_seen);
        }
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
        let known = state.devices.entry(address.user.clone()).or_default().entry(address.device.clone()).or_default();
        let before = known.connection.clone().filter(|before| before.ends_at() > now && before.id != connection.id);
        if before.as_ref().is_some_and(|before| before.connected_at >= connection.connected_at) {
            return Ok(Registration::Superseded);
        }
        known.connection = Some(connection.clone());
        known.last_seen = now;
        known.known_since.get_or_insert(now);
        Ok(Registration::Registered { displaced: before })
    }

    async fn unregister(&self, address: &Address, connection: &ConnectionId) -> Result<(), Failure> {
        self.ledger.enter("unregister")?;
        self.disconnect(address, connection, None);
        Ok(())
    }

    async fn left(&self, address: &Address, connection: &ConnectionId, now: Timestamp) -> Result<(), Failure> {
        self.ledger.enter("left")?;
        self.disconnect(address, connection, Some(now));
        Ok(())
    }

    async fn enrol(&self, address: &Address, said: &Enrolment, now: Timestamp) -> Result<(), Failure> {
        self.ledger.enter("enrol")?;
        let mut state = lock(&self.state);
        for known in state.devices.values_mut().flat_map(BTreeMap::values_mut) {
            known.push.retain(|target| !said.push.iter().flatten().any(|moved| moved.place() == target.place()));
        }
        let known = state.devices.entry(address.user.clone()).or_default().entry(address.device.clone()).or_default();
        known.last_seen = now;
        known.shows_presence = said.presence.unwrap_or(known.shows_presence);
        if let Some(push) = &said.push {
            known.push.clone_from(push);
        }
        known.notices = said.notices.unwrap_or(known.notices);
        known.known_since.get_or_insert(now);
        Ok(())
    }

    async fn seen(&self, address: &Address, now: Timestamp) -> Result<(), Failure> {
        self.ledger.enter("seen")?;
        let mut state = lock(&self.state);
        let known = state.devices.get_mut(&address.user).and_then(|devices| devices.get_mut(&address.device));
        if let Some(known) = known {
            known.last_seen = now;
        }
        Ok(())
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
        Ok(self.devices_of(user, now))
    }

    async fn wakeable(&self, user: &UserId, holder: &Holder) -> Result<Option<Wakeable>, Failure> {
        self.ledger.enter("wakeable")?;
        let state = lock(&self.state);
        if !Self::knows(&state, user, holder) {
            return Ok(None);
        }
        let device = holder.device().and_then(|device| state.devices.get(user)?.get(device));
        let push = device.map(|device| device.push.clone()).unwrap_or_default();
        let notices = device.map(|device| device.notices).unwrap_or_default();
        let state = state.wakes.get(&(user.clone(), holder.clone())).cloned().unwrap_or_default();
        Ok(Some(Wakeable { state, push, notices }))
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

    async fn drop_push(&self, address: &Address, before: &[PushTarget], dead: &[PushTarget]) -> Result<bool, Failure> {
        self.ledger.enter("drop_push")?;
        let mut state = lock(&self.state);
        let known = state.devices.get_mut(&address.user).and_then(|devices| devices.get_mut(&address.device));
        let Some(known) = known.filter(|known| known.push == before) else { return Ok(false) };
        known.push.retain(|target| !dead.contains(target));
        Ok(true)
    }
}
