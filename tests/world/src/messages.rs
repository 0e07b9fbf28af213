//! Messages of the current protocol, as a client writes them and reads what it is answered and told, on a socket or over HTTP. When it does
//! is its own business.

use delivery::{Address, Attachment};
use protocol::{AttachmentId, Code, Delivery, MessageId, Refusal, Timestamp, UserId};
use serde_json::{Value, json};

use crate::device::Planned;
use crate::lock;
use crate::world::World;

/// What `user` planned, as one of the messages of a `send`. From now on it may be accepted.
pub(crate) fn write(world: &World, user: &UserId, planned: &Planned) -> Value {
    let name = (user.clone().into(), planned.id);
    lock(&world.facts).sent(name, planned);
    let mut message = json!({"id": planned.id, "to": planned.to, "body": planned.id.to_string()});
    if planned.ephemeral {
        message["ephemeral"] = true.into();
    }
    if planned.receipts {
        message["receipts"] = true.into();
    }
    if !planned.urgency.is_default() {
        message["urgency"] = planned.urgency.as_str().into();
    }
    if let Some(secs) = planned.expires_in {
        message["expires_in"] = secs.into();
    }
    if let Some(id) = attachment_of(planned.id).filter(|_| !planned.ephemeral) {
        world.attachments.insert(attachment(id, user));
        message["attachments"] = json!([id]);
    }
    message
}

/// Takes an answer to a `send`: what was accepted, or is refused for good, is given to `answered`, which gives back what was sent.
pub(crate) fn accepted(
    world: &World,
    user: &UserId,
    ids: &[MessageId],
    refused: &[Refusal],
    mut answered: impl FnMut(MessageId) -> Option<Value>,
) {
    lock(&world.facts).accepted(user, ids);
    for id in ids {
        answered(*id);
    }
    for refusal in refused.iter().filter(|refusal| refusal.code != Code::Unavailable) {
        let id = refusal.id.as_deref().and_then(|id| id.parse::<MessageId>().ok());
        let sent = id.and_then(&mut answered);
        // Who was removed from the group meanwhile may not write to it any more.
        let is_removed =
            refusal.code == Code::NotAMember && sent.is_none_or(|message| message["to"]["group"].is_string());
        if !is_removed {
            world.violate(|| format!("a good message was refused: {refusal:?}"));
        }
    }
}

/// Shows a message to its user, once, who may have what it names.
pub(crate) fn show(world: &World, address: &Address, message: &Delivery) {
    let shown = lock(&world.facts).show(address, message);
    match shown {
        Ok(news) => {
            world.tell(|| format!("{address:?} {} {}", if news { "shows" } else { "has shown" }, message.reference));
        }
        Err(wrong) => world.violate(|| wrong),
    }
    if let Some(id) = attachment_of(message.reference.id)
        && !world.attachments.is_open(id, &address.user)
    {
        world.violate(|| format!("{address:?} may not have what {} names", message.reference));
    }
}

/// The attachment that a message names, if it names one: every fourth does, by its id, so that whoever sees the message knows as well.
fn attachment_of(id: MessageId) -> Option<AttachmentId> {
    let digits = id.to_string().replace('-', "");
    digits.ends_with(['0', '4', '8', 'c']).then(|| digits.parse().expect("as many digits as an attachment id has"))
}

fn attachment(id: AttachmentId, uploader: &UserId) -> Attachment {
    Attachment {
        id,
        uploader: uploader.clone(),
        media_type: "image/jpeg".parse().expect("a type"),
        bytes: 7,
        expires_at: Timestamp::from_millis(u64::MAX),
    }
}
