//! The local cloud: the whole system in one process, with no Docker, Python or AWS account. The functions are the deployed ones; what
//! they stand on is replaced by stand-ins that behave as AWS does where it matters, are durable, and can be told to misbehave.
//!
//! It is a development tool: `/_local` shows what is inside to every program that can reach it, and its signing key is a file.
//!
//! | module | stands in for |
//! |---|---|
//! | `gateway`, `socket`, `events`, `connections` | API Gateway: handshake, routes, limits, `@connections` |
//! | `http_api` | the same, for what needs no socket: its JWT authorizer and its events |
//! | `sqs`, `topic` | SQS and SNS |
//! | `push_services`, `push_routes` | FCM, APNs and browsers' push services, which are in the crate `providers` |
//! | `dynamo` | DynamoDB, on `dynoxide` |
//! | `files` | S3, with signed URLs of its own |
//! | `functions`, `event_source` | Lambda and its event source mappings |
//! | [`signing`], `tokens` | the issuer of tokens |
//! | `page` | an app: the chat page of `web` |
//! | [`faults`] | whatever goes wrong on AWS once in a while |
//! | `run`, `http`, `pushes`, `dead_letters`, `guard`, `storage`, `lifecycle`, `linger`, `worker` | nothing: they hold the rest together |

mod connections;
#[cfg(test)]
mod contract_tests;
mod dead_letters;
mod dynamo;
mod error;
mod event_source;
mod events;
pub mod faults;
mod files;
mod functions;
mod gateway;
mod guard;
mod http;
mod http_api;
mod lifecycle;
mod linger;
mod options;
mod page;
mod push_routes;
mod push_services;
mod pushes;
mod run;
pub mod signing;
mod socket;
mod sqs;
mod storage;
mod tokens;
mod topic;
mod worker;

pub use error::LocalError;
pub use lambda::start::without_bodies;
pub use options::{Limits, Options};
pub use run::{Ready, Running, Summary, start};
pub use signing::SigningKey;
pub use storage::make_folder;
