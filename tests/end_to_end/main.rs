//! The whole system over real sockets, against the local cloud. Frames on a socket, refs in an inbox and pushes are all that is looked at.

mod absent;
mod attachments;
mod bad_input;
mod deployment;
mod http;
mod limits;
mod old_clients;
mod online;
mod personal;
mod pushes;
mod receipts;
mod socket;
mod tokens;
mod weaknesses;
