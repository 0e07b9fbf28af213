//! The local cloud from outside, as clients and the command meet it. One binary, since each links the whole system.

mod attachments;
mod faults;
mod front_door;
mod killed;
mod life;
mod page;
mod push;
mod support;
