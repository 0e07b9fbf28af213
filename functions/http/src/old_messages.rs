//! `POST /v1.0/messages`, the way in that old clients have without a socket. What their messages mean is `route`'s to know; here is how
//! they are answered.

use delivery::{Address, Attachments, Connections, Directory, Files, Groups, Inbox, Invocation, Queue, old_device};
use lambda::http::Response;
use protocol::http::OldFrame;
use protocol::{Code, UserId};
use route::legacy::Outcome;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Http, answer};

#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    acks: Option<Vec<ServerAck>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Refused>,
}

/// A server ack, in the form that its message had in the body.
#[derive(Serialize)]
#[serde(untagged)]
enum ServerAck {
    Text(String),
    Object(Box<RawValue>),
}

/// Old clients do not know of it, and read on.
#[derive(Serialize)]
struct Refused {
    index: usize,
    id: Option<String>,
    code: Code,
    detail: String,
}

impl<I: Inbox, D: Directory, G: Groups, Q: Queue, A: Attachments, C: Connections, F: Files> Http<I, D, G, Q, A, C, F> {
    /// Does what an old client says. Its acks are those of the device that it is on the socket.
    ///
    /// 201 means to an old client that all of it was taken, so it is not told so while anything is to be sent again.
    pub(crate) async fn send_old(
        &self,
        user: &UserId,
        frames: Vec<OldFrame>,
        wants_acks: bool,
        invocation: Invocation,
    ) -> Response {
        let address = Address { user: user.clone(), device: old_device() };
        let (texts, are_texts): (Vec<String>, Vec<bool>) =
            frames.into_iter().map(|frame| (frame.text, frame.is_text)).unzip();
        let outcomes = self.answers.old_frames(&address, &texts, invocation).await;
        let (mut acks, mut refused) = (Vec::new(), Vec::new());
        for (index, (outcome, is_text)) in outcomes.into_iter().zip(are_texts).enumerate() {
            match outcome {
                Outcome::Pong | Outcome::Done => {}
                Outcome::Accepted { ack } => acks.push(server_ack(ack, is_text)),
                Outcome::Refused { code: Code::Unavailable, .. } => {
                    let detail = "some of it could not be taken now; send all of it again, with the same ids";
                    return answer::error(Code::Unavailable, detail);
                }
                Outcome::Refused { id, code, detail } => refused.push(Refused { index, id, code, detail }),
            }
        }
        answer::json(201, &Answer { acks: wants_acks.then_some(acks), refused })
    }
}

fn server_ack(ack: String, is_text: bool) -> ServerAck {
    if is_text {
        return ServerAck::Text(ack);
    }
    // An object is JSON, and so is what answers it.
    match RawValue::from_string(ack.clone()) {
        Ok(object) => ServerAck::Object(object),
        Err(_) => ServerAck::Text(ack),
    }
}
