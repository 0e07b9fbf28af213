//! The `deliver` function, batch by batch, on in-memory ports under virtual time.

mod awaiting;
mod delivering;
mod draining;
mod fanning;
mod granting;
mod old_clients;
mod stage;
mod telling;
