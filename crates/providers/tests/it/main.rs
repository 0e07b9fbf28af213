//! The stand-ins over real connections, by requests that are written here: what is good is taken, and each fault is answered as the real
//! service answers it. The client of the gateway is not used.

mod apns;
mod faults;
mod fcm;
mod restart;
mod rotation;
mod web_push;
mod world;
