//! The `http` function on in-memory ports: every endpoint, every documented answer, and how a change of a group is made.

mod answers;
mod attachments;
mod changes;
mod documented;
mod export;
mod old_messages;
mod presence;
mod push;
mod stage;
