//! Acceptance: which messages of a `send` become jobs, and what the sender is told. What is told as accepted is durable
//! only once the queue has taken the jobs, so the answer is made from the queue's outcomes.

use std::time::Duration;

use protocol::limits::{ID_WINDOW_FUTURE, ID_WINDOW_PAST, MAX_EXPIRES_IN_SECS, MAX_SERVER_FRAME_BYTES};
use protocol::packing::frame_bytes;
use protocol::{Code, Kind, Nonce, Outgoing, Recipient, Refusal, Send, ServerFrame, Shelf, Timestamp, UserId};

use crate::envelope::Envelope;
use crate::job::{Deliver, Job};
use crate::ports::Scheduled;

/// The outcome of judging a `send`, before the queue has been asked.
#[derive(Debug)]
pub struct Acceptance {
    /// The jobs to send, in order of the messages.
    pub jobs: Vec<Scheduled>,
    /// The place in the frame of the message behind each job.
    indexes: Vec<usize>,
    refused: Vec<Refusal>,
    nonce: Option<Nonce>,
    now: Timestamp,
}

/// Judges the messages of a `send` by `sender`, one by one.
pub fn accept(send: Send, sender: &UserId, now: Timestamp) -> Acceptance {
    let mut acceptance =
        Acceptance { jobs: Vec::new(), indexes: Vec::new(), refused: Vec::new(), nonce: send.nonce, now };
    for (index, message) in send.messages.into_iter().enumerate() {
        match message.and_then(|message| judge(index, message, sender, now)) {
            Ok(job) => {
                acceptance.jobs.push(Scheduled::now(Job::Deliver(job)));
                acceptance.indexes.push(index);
            }
            Err(refusal) => acceptance.refused.push(refusal),
        }
    }
    acceptance
}

impl Acceptance {
    /// The answer, given for each job in order whether the queue took it.
    pub fn answer(mut self, taken: impl IntoIterator<Item = bool>) -> ServerFrame {
        let mut ids = Vec::new();
        for ((scheduled, index), taken) in self.jobs.iter().zip(self.indexes).zip(taken) {
            let Job::Deliver(Deliver { envelope, .. }) = &scheduled.job else { continue };
            if taken {
                ids.push(envelope.id);
            } else {
                let detail = "the message could not be queued; send it again with the same id";
                self.refused.push(refusal(index, envelope.id.to_string(), Code::Unavailable, detail));
            }
        }
        self.refused.sort_by_key(|refusal| refusal.index);
        ServerFrame::Accepted { ids, refused: self.refused, at: self.now, nonce: self.nonce }
    }
}

fn refusal(index: usize, id: String, code: Code, detail: &str) -> Refusal {
    Refusal { index, id: Some(id), code, detail: detail.to_owned() }
}

fn judge(index: usize, message: Outgoing, sender: &UserId, now: Timestamp) -> Result<Deliver, Refusal> {
    let id = message.id;
    let refuse = |code, detail| Err(refusal(index, id.to_string(), code, detail));
    let made_at = id.timestamp();
    if made_at < now.minus(ID_WINDOW_PAST) || made_at > now.plus(ID_WINDOW_FUTURE) {
        return refuse(Code::IdOutsideWindow, "the id's time is more than 7 days before or 5 minutes after ours");
    }
    let recipient = match &message.to {
        Recipient::User(user) => user.clone(),
        Recipient::Group(_) => return refuse(Code::NotAMember, "you are not a member of such a group"),
    };
    let lifetime = Duration::from_secs(message.expires_in.unwrap_or(MAX_EXPIRES_IN_SECS));
    let envelope = Envelope {
        id,
        from: sender.clone(),
        to: message.to,
        kind: Kind::Message,
        at: now,
        // Rows expire at whole seconds; rounded up, since rounded down a message of one second might be gone at once.
        expires_at: Timestamp::from_secs(now.plus(lifetime).as_millis().div_ceil(1000)),
        body: message.body,
    };
    // The longest form in which any device can receive it: from the unclaimed inbox.
    if frame_bytes(&envelope.delivery(Shelf::Unclaimed, 0)) > MAX_SERVER_FRAME_BYTES {
        return refuse(Code::TooLarge, "the message would not fit into a frame of 30000 bytes; send an attachment");
    }
    Ok(Deliver { envelope, recipient, ephemeral: message.ephemeral })
}

#[cfg(test)]
mod tests {
    use protocol::{Body, GroupId, MessageId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0x0198_a5c0_7c00);

    fn id_at(at: Timestamp) -> MessageId {
        let hex = format!("{:012x}", at.as_millis());
        format!("{}-{}-7abc-8def-0123456789ab", &hex[..8], &hex[8..]).parse().expect("an id")
    }

    fn message(at: Timestamp, text: &str) -> Outgoing {
        Outgoing {
            id: id_at(at),
            to: Recipient::User("bob".parse().expect("a user")),
            body: Body::text(text),
            ephemeral: false,
            expires_in: None,
        }
    }

    fn code_of(message: Outgoing) -> Option<Code> {
        let alice: UserId = "alice".parse().expect("a user");
        let acceptance = accept(Send { nonce: None, messages: vec![Ok(message)] }, &alice, NOW);
        acceptance.refused.first().map(|refusal| refusal.code)
    }

    #[test]
    fn an_id_must_be_of_our_time() {
        let (ms, week, ahead) = (Duration::from_millis(1), ID_WINDOW_PAST, ID_WINDOW_FUTURE);
        assert_eq!(code_of(message(NOW.minus(week), "")), None);
        assert_eq!(code_of(message(NOW.minus(week).minus(ms), "")), Some(Code::IdOutsideWindow));
        assert_eq!(code_of(message(NOW.plus(ahead), "")), None);
        assert_eq!(code_of(message(NOW.plus(ahead).plus(ms), "")), Some(Code::IdOutsideWindow));
    }

    #[test]
    fn what_does_not_fit_a_frame_is_too_large() {
        let overhead = {
            let Ok(job) = judge(0, message(NOW, ""), &"alice".parse().expect("a user"), NOW) else { panic!("refused") };
            frame_bytes(&job.envelope.delivery(Shelf::Unclaimed, 0))
        };
        let room = MAX_SERVER_FRAME_BYTES - overhead;
        assert_eq!(code_of(message(NOW, &"x".repeat(room))), None);
        assert_eq!(code_of(message(NOW, &"x".repeat(room + 1))), Some(Code::TooLarge));
    }

    #[test]
    fn nobody_is_a_member_of_a_group_that_does_not_exist() {
        let to = Recipient::Group("team".parse::<GroupId>().expect("a group"));
        assert_eq!(code_of(Outgoing { to, ..message(NOW, "") }), Some(Code::NotAMember));
    }

    #[test]
    fn expiry_counts_from_acceptance() {
        let alice: UserId = "alice".parse().expect("a user");
        for (expires_in, secs) in [(None, MAX_EXPIRES_IN_SECS), (Some(1), 1), (Some(3600), 3600)] {
            for millis in [0, 1, 999] {
                let now = Timestamp::from_millis(1_800_000_000_000 + millis);
                let job = judge(0, Outgoing { expires_in, ..message(now, "") }, &alice, now).expect("accepted");
                let lifetime = job.envelope.expires_at.since(now);
                assert!(lifetime >= Duration::from_secs(secs), "{lifetime:?}");
                assert!(lifetime < Duration::from_secs(secs + 1), "{lifetime:?}");
                assert_eq!(job.envelope.expires_at.as_millis() % 1000, 0);
            }
        }
    }

    #[test]
    fn only_what_the_queue_took_is_accepted() {
        let alice: UserId = "alice".parse().expect("a user");
        let bad = Refusal { index: 1, id: None, code: Code::InvalidId, detail: String::new() };
        let later = NOW.plus(Duration::from_millis(1));
        let messages = vec![Ok(message(NOW, "")), Err(bad), Ok(message(later, ""))];
        let acceptance = accept(Send { nonce: None, messages }, &alice, NOW);
        assert_eq!(acceptance.jobs.len(), 2);
        let ServerFrame::Accepted { ids, refused, at, .. } = acceptance.answer([false, true]) else { panic!("answer") };
        assert_eq!(ids, [id_at(later)]);
        let codes: Vec<(usize, Code)> = refused.iter().map(|refusal| (refusal.index, refusal.code)).collect();
        assert_eq!(codes, [(0, Code::Unavailable), (1, Code::InvalidId)]);
        assert_eq!(at, NOW);
    }
}
