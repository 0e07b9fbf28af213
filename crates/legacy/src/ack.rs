//! Which delivery an old client's ack is for. It finds none: the caller has the inbox.

use protocol::{Body, Kind, MessageId, Sender, UserId};

use crate::client_id::ClientId;
use crate::stored::Stored;
use crate::words::Type;

/// An old client has a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// What the client calls the message: the id that its sender's client made, or a message id.
    pub id: ClientId,
    /// Who sent it; `None` when the ack is addressed to `server`, as those of the original's own web page are and those of what
    /// Vartalap itself sends. Senders choose ids, so such an ack may name several messages.
    pub sender: Option<UserId>,
}

impl Ack {
    /// The message id that this names, if the message was sent with one.
    pub fn message_id(&self) -> Option<MessageId> {
        self.id.as_str().parse().ok()
    }
}

/// What an old client calls a message: the id that its sender's client made if that was an old one, and the message id otherwise.
pub fn visible_id(id: MessageId, kind: Kind, body: &Body) -> ClientId {
    Stored::read(kind, body).map_or_else(|| id.into(), |stored| stored.id)
}

/// Whether the original's app says that it has such a message. It says nothing of a notification, since that would take another one,
/// and so nothing of the news of a group or of a receipt, which it is told as one.
pub fn is_acked(kind: Kind, body: &Body) -> bool {
    !matches!(kind, Kind::System | Kind::Receipt)
        && Stored::read(kind, body).is_none_or(|stored| stored.kind != Type::Notification)
}

/// Whether `ack` is for the delivery of which these are the pieces.
pub fn names(ack: &Ack, id: MessageId, from: &Sender, kind: Kind, body: &Body) -> bool {
    if ack.sender.as_ref().is_some_and(|sender| from.user() != Some(sender)) {
        return false;
    }
    match Stored::read(kind, body) {
        Some(stored) => stored.id == ack.id,
        None => ack.message_id() == Some(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incoming::{Incoming, incoming};

    const ID: &str = "0198a5c0-7c00-7abc-8def-0123456789ab";

    fn ack(id: &str, to: &str) -> Ack {
        let frame =
            format!(r#"{{"_v":2.1,"id":"{id}","head":{{"contentType":"client_ack","to":"{to}","from":"eve"}}}}"#);
        match incoming(&frame) {
            Ok(Incoming::Ack(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    fn from(sender: &str) -> Sender {
        sender.parse().expect("a sender")
    }

    fn id() -> MessageId {
        ID.parse().expect("an id")
    }

    fn old(id: &str) -> Body {
        let frame = format!(r#"{{"_v":2,"id":"{id}","head":{{"type":"chat","to":"bob"}},"body":{{}}}}"#);
        match incoming(&frame) {
            Ok(Incoming::Message(message)) => message.body,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_old_message_is_named_by_its_client_id_and_its_sender() {
        let body = old("a1");
        assert_eq!(visible_id(id(), Kind::Message, &body).as_str(), "a1");
        assert!(names(&ack("a1", "alice"), id(), &from("alice"), Kind::Message, &body));
        for (wrong_id, wrong_sender) in [("a2", "alice"), ("a1", "bob"), ("A1", "alice"), (ID, "alice")] {
            assert!(!names(&ack(wrong_id, wrong_sender), id(), &from("alice"), Kind::Message, &body), "{wrong_id}");
        }
    }

    #[test]
    fn a_new_message_is_named_by_its_message_id() {
        let body = Body::text("hi");
        assert_eq!(visible_id(id(), Kind::Message, &body).as_str(), ID);
        assert!(names(&ack(ID, "alice"), id(), &from("alice"), Kind::Message, &body));
        assert!(names(&ack(&ID.to_uppercase(), "alice"), id(), &from("alice"), Kind::Message, &body));
        assert!(!names(&ack(ID, "bob"), id(), &from("alice"), Kind::Message, &body));
        assert!(!names(&ack("a1", "alice"), id(), &from("alice"), Kind::Message, &body));
    }

    #[test]
    fn an_ack_to_the_server_is_for_anybody_s_message() {
        for to in ["server", ""] {
            assert_eq!(ack("a1", to).sender, None);
            assert!(names(&ack("a1", to), id(), &from("alice"), Kind::Message, &old("a1")));
            assert!(!names(&ack("a1", to), id(), &from("alice"), Kind::Message, &old("a2")));
        }
        assert!(names(&ack(ID, "server"), id(), &Sender::System, Kind::System, &Body::text("news")));
        assert!(!names(&ack(ID, "alice"), id(), &Sender::System, Kind::System, &Body::text("news")));
    }

    #[test]
    fn a_notification_is_not_acked() {
        let of = |content_type: &str| {
            let head = format!(r#"{{"type":"chat","to":"bob","contentType":"{content_type}"}}"#);
            match incoming(&format!(r#"{{"_v":2,"id":"a1","head":{head},"body":{{}}}}"#)) {
                Ok(Incoming::Message(message)) => is_acked(Kind::Message, &message.body),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([of("text"), of("custom"), of("notification")], [true, true, false]);
        assert!(is_acked(Kind::Message, &Body::text("hi")));
        assert!(!is_acked(Kind::System, &Body::text("news")) && !is_acked(Kind::Receipt, &Body::text("read")));
    }

    #[test]
    fn news_have_no_client_id() {
        assert_eq!(visible_id(id(), Kind::System, &old("a1")).as_str(), ID);
    }
}
