//! The `notify` function on in-memory ports under virtual time.

mod interval;
mod loudness;
mod notices;
mod stage;
mod targets;
