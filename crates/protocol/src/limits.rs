//! Every number of the protocol, with its unit and its source. Waits and intervals are settings and live elsewhere.

use std::time::Duration;

/// Largest frame the server sends, in bytes.
///
/// API Gateway meters WebSocket traffic in steps of 32 KB each way, so a frame below that is one metered unit; the
/// margin leaves room for what a sync answer adds around the envelopes.
pub const MAX_SERVER_FRAME_BYTES: usize = 30_000;

/// Largest WebSocket frame a client may send, in bytes; a larger one closes the socket with 1009.
///
/// Source: API Gateway WebSocket quotas, "WebSocket frame size"; not adjustable.
pub const MAX_CLIENT_FRAME_BYTES: usize = 32 * 1024;

/// Largest WebSocket message a client may send (in several frames), in bytes; a larger one closes the socket with 1009.
///
/// Source: API Gateway WebSocket quotas, "Message payload size"; not adjustable.
pub const MAX_CLIENT_MESSAGE_BYTES: usize = 128 * 1024;

/// Most messages in one `send`.
pub const MAX_MESSAGES_PER_SEND: usize = 25;

/// Most attachments that one message names.
pub const MAX_ATTACHMENTS_PER_MESSAGE: usize = 10;

/// Most attachments that the messages of one `send` name together.
///
/// Source: DynamoDB, "BatchGetItem", at most 100 items.
pub const MAX_ATTACHMENTS_PER_SEND: usize = 100;

/// Longest media type, in bytes.
///
/// Source: RFC 6838, section 4.2, which allows each half as many; nobody has registered one that is longer.
pub const MAX_MEDIA_TYPE_BYTES: usize = 127;

/// Most messages of an old client in one request. The server that this one replaces names no limit; its clients send one at a time.
pub const MAX_OLD_FRAMES: usize = 100;

/// Most members of a group.
pub const MAX_GROUP_MEMBERS: usize = 1_024;

/// Most users in one change of a group.
///
/// A change is one transaction with two items for each user and two for the group. Source: DynamoDB, "TransactWriteItems", at
/// most 100 items.
pub const MAX_USERS_PER_CHANGE: usize = 40;

/// Longest name of a group, in characters.
pub const MAX_GROUP_NAME_CHARS: usize = 128;

/// Most groups in one page of one's groups, and the number when the client names none.
///
/// Source: DynamoDB, "BatchGetItem", at most 100 items.
pub const MAX_GROUPS_PER_PAGE: usize = 100;

/// Most push targets of a device.
pub const MAX_PUSH_TARGETS: usize = 4;

/// Longest list of push targets of a device, as JSON, in bytes: a device is read with every message to its user, and a read unit carries 4 KB.
///
/// Source: DynamoDB, "Read consistency".
pub const MAX_PUSH_BYTES: usize = 3_072;

/// Most refs in one `ack`.
pub const MAX_REFS_PER_ACK: usize = 100;

/// Most envelopes in one answer to `sync`, and the number when the client names none.
pub const MAX_SYNC_LIMIT: usize = 100;

/// Longest `nonce`, in characters.
pub const MAX_NONCE_CHARS: usize = 64;

/// Longest user or group id, in bytes.
pub const MAX_USER_ID_BYTES: usize = 128;

/// Longest device id, in bytes.
pub const MAX_DEVICE_ID_BYTES: usize = 64;

/// How far the time part of a message id may lie before the server's clock.
pub const ID_WINDOW_PAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How far the time part of a message id may lie after the server's clock.
pub const ID_WINDOW_FUTURE: Duration = Duration::from_secs(5 * 60);

/// Longest `expires_in`, and the lifetime of a message that names none, in seconds (30 days).
pub const MAX_EXPIRES_IN_SECS: u64 = 2_592_000;

/// An ephemeral message older than this is dropped instead of posted.
pub const EPHEMERAL_LIFETIME: Duration = Duration::from_secs(30);

/// Longest life of one connection.
///
/// Source: API Gateway WebSocket quotas, "Connection duration"; not adjustable.
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// A connection on which no message travels for this long is closed.
///
/// Source: API Gateway WebSocket quotas, "Idle connection timeout"; not adjustable.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
