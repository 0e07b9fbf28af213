//! What every function shares at its edge: settings, telemetry, events into inputs, partial batches out.
//!
//! Here the clock is read and randomness is drawn, once an invocation. It decides nothing about messages and names no AWS
//! client.

pub mod batch;
pub mod error;
pub mod http;
pub mod settings;
pub mod start;
pub mod websocket;

pub use batch::{Record, Verdict};
pub use error::HandlerError;
