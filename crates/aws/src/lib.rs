//! The ports of `delivery` on AWS: DynamoDB, SQS, SNS, `@connections` and signed URLs of S3. But for `push`, the only crate that
//! names `aws-sdk-*`.
//!
//! Adapters translate and count; they decide nothing. Whatever an SDK cannot do becomes a `Failure` with its causes,
//! and whether to come again is decided by whoever holds the record.
//!
//! | module | owns |
//! |---|---|
//! | [`clients`] | the SDK clients: timeouts, retries |
//! | [`keys`] | every key and attribute name of both tables |
//! | [`inbox`], [`directory`], [`groups`], [`attachments`] | the two tables as ports; [`tables`] makes them where no template does |
//! | `claims` | which device a push target belongs to, for [`directory`] |
//! | [`files`] | signed URLs of a bucket as a port |
//! | [`sqs`], [`sns`], [`connections`] | the queue, the topic, the sockets as ports |
//! | [`dead_letters`] | what lies in the dead-letter queues, and the way back |
//! | [`meter`] | what the calls cost |

pub mod attachments;
mod claims;
pub mod clients;
pub mod connections;
pub mod dead_letters;
pub mod directory;
pub mod dynamo;
mod failure;
pub mod files;
pub mod groups;
pub mod inbox;
pub mod keys;
pub mod meter;
pub mod sns;
pub mod sqs;
pub mod tables;

pub use attachments::DynamoAttachments;
pub use clients::Clients;
pub use connections::GatewayConnections;
pub use dead_letters::SqsDeadLetters;
pub use directory::DynamoDirectory;
pub use files::S3Files;
pub use groups::DynamoGroups;
pub use inbox::DynamoInbox;
pub use sns::SnsTopic;
pub use sqs::SqsQueue;
pub use tables::Tables;
