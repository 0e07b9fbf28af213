//! How an old client speaks: the original app's JSON of version 2.1, written and read. When it is there and how it acks is in `device`; what
//! becomes of its frames is the codec's business, which is not used to read or write them here.

use legacy::ClientId;
use protocol::{GroupId, MessageId, Recipient, Sender, Timestamp, UserId};
use serde_json::{Value, json};

use crate::device::Planned;

/// How often a message to a group is said again. One that is refused, since its sender was removed meanwhile, is so in silence.
pub(crate) const TRIES: u32 = 6;

pub(crate) const PING: &str = "ping";

/// What an old client is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// What it calls this is accepted.
    Accepted(MessageId),
    /// A message, or news.
    Delivery(Delivered),
    /// The answer to a ping.
    Pong,
}

/// See [`Told::Delivery`].
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) from: Sender,
    /// What old clients call it.
    pub(crate) id: String,
    pub(crate) to: Recipient,
    /// What it says to a person; nothing if it is news.
    pub(crate) text: Option<String>,
    /// The app shows none of these, and never acks one.
    pub(crate) is_notification: bool,
}

/// Reads a frame; `None` if it is none.
pub(crate) fn read(frame: &str) -> Option<Told> {
    if frame == "pong" {
        return Some(Told::Pong);
    }
    let frame: Value = serde_json::from_str(frame).ok()?;
    let (id, head) = (frame["id"].as_str()?, &frame["head"]);
    let is = |kind: &str| head["contentType"].as_str().is_some_and(|said| said.eq_ignore_ascii_case(kind));
    if is("SERVER_ACK") {
        return Some(Told::Accepted(id.parse().ok()?));
    }
    let to = head["to"].as_str()?;
    let from = head["from"].as_str()?;
    Some(Told::Delivery(Delivered {
        from: if from == "server" { Sender::System } else { Sender::User(from.parse().ok()?) },
        id: id.to_owned(),
        to: match head["type"].as_str()? {
            "GROUP" => Recipient::Group(to.parse::<GroupId>().ok()?),
            _ => Recipient::User(to.parse().ok()?),
        },
        text: frame["body"]["text"].as_str().map(str::to_owned),
        is_notification: is("NOTIFICATION"),
    }))
}

/// The id that a message gets which an old client of `user` calls by the id that it planned, and says to be made `at`.
pub(crate) fn message_id(user: &UserId, planned: &Planned, at: Timestamp) -> MessageId {
    let id = ClientId::new(planned.id.to_string()).expect("36 characters are a client's id");
    legacy::message_id(user, &id, at)
}

/// The frame that says what was planned.
pub(crate) fn message(planned: &Planned, at: Timestamp) -> Value {
    let (channel, to) = match &planned.to {
        Recipient::User(user) => ("individual", user.as_str()),
        Recipient::Group(group) => ("group", group.as_str()),
    };
    let head = json!({"type": channel, "to": to, "from": "anybody", "contentType": "text", "action": "message"});
    let body = json!({"text": planned.id.to_string()});
    json!({"_v": 2.1, "id": planned.id, "head": head, "meta": {"createdAt": at.as_millis()}, "body": body})
}

/// The frame that says the same and that the user has these, which are the recipient's.
pub(crate) fn state(planned: &Planned, ids: &[String], at: Timestamp) -> Value {
    let mut frame = message(planned, at);
    frame["head"]["contentType"] = "NOTIFICATION".into();
    frame["head"]["action"] = "state".into();
    frame["body"]["ids"] = json!(ids);
    frame["body"]["state"] = "delivered".into();
    frame
}

/// The frame that says that the client has one of a user's.
pub(crate) fn ack(id: &str, sender: &UserId) -> Value {
    let head = json!({"type": "individual", "contentType": "CLIENT_ACK", "to": sender, "from": "anybody"});
    json!({"_v": 2.1, "id": id, "head": head})
}
