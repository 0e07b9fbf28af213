//! Acceptance: which messages of a `send` become jobs, and what the sender is told. What is told as accepted is durable
//! only once the queue has taken the jobs, so the answer is made from the queue's outcomes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::limits::{ID_WINDOW_FUTURE, ID_WINDOW_PAST, MAX_EXPIRES_IN_SECS, MAX_SERVER_FRAME_BYTES};
use protocol::packing::frame_bytes;
use protocol::{
    AttachmentId, Code, GroupId, Kind, Nonce, Outgoing, Recipient, Refusal, Send, ServerFrame, Timestamp, UserId,
};

use crate::attachment::{Access, Attached};
use crate::envelope::Envelope;
use crate::group::Group;
use crate::job::{Deliver, Fanout, Job};
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

/// Who is in a group that somebody writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The members, the sender among them.
    Members(Vec<UserId>),
    /// There is no such group, or the sender is not in it.
    Closed,
    /// The group could not be read now.
    Unknown,
}

impl Audience {
    /// What `sender` finds in `group`.
    pub fn of(group: Option<&Group>, sender: &UserId) -> Self {
        match group.filter(|group| group.member(sender).is_some()) {
            Some(group) => Self::Members(group.members.iter().map(|member| member.user.clone()).collect()),
            None => Self::Closed,
        }
    }
}

/// The groups that a `send` is to, each once.
pub fn addressed(send: &Send) -> BTreeSet<GroupId> {
    let groups = send.messages.iter().flatten().filter_map(|message| match &message.to {
        Recipient::Group(group) => Some(group.clone()),
        Recipient::User(_) => None,
    });
    groups.collect()
}

/// Judges the messages of a `send` by `sender`, one by one. `audiences` has every group of [`addressed`], and `attachments` every one of
/// [`named`](crate::attachment::named).
pub fn accept(
    send: Send,
    sender: &UserId,
    audiences: &BTreeMap<GroupId, Audience>,
    attachments: &BTreeMap<AttachmentId, Access>,
    now: Timestamp,
) -> Acceptance {
    let mut acceptance =
        Acceptance { jobs: Vec::new(), indexes: Vec::new(), refused: Vec::new(), nonce: send.nonce, now };
    for (index, message) in send.messages.into_iter().enumerate() {
        match message.and_then(|message| judge(index, message, sender, audiences, attachments, now)) {
            Ok(job) => {
                acceptance.jobs.push(Scheduled::now(job));
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
            let (Job::Deliver(Deliver { envelope, .. }) | Job::Fanout(Fanout { envelope, .. })) = &scheduled.job else {
                continue;
            };
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

fn judge(
    index: usize,
    message: Outgoing,
    sender: &UserId,
    audiences: &BTreeMap<GroupId, Audience>,
    attachments: &BTreeMap<AttachmentId, Access>,
    now: Timestamp,
) -> Result<Job, Refusal> {
    let id = message.id;
    let refuse = |code, detail| Err(refusal(index, id.to_string(), code, detail));
    let made_at = id.timestamp();
    if made_at < now.minus(ID_WINDOW_PAST) || made_at > now.plus(ID_WINDOW_FUTURE) {
        return refuse(Code::IdOutsideWindow, "the id's time is more than 7 days before or 5 minutes after ours");
    }
    let recipients = match &message.to {
        Recipient::User(user) => Recipients::One(user.clone()),
        Recipient::Group(group) => match audiences.get(group) {
            Some(Audience::Members(members)) => {
                Recipients::Each(members.iter().filter(|member| *member != sender).cloned().collect())
            }
            Some(Audience::Closed) => return refuse(Code::NotAMember, "you are not a member of such a group"),
            Some(Audience::Unknown) | None => {
                return refuse(Code::Unavailable, "the group could not be read; send it again with the same id");
            }
        },
    };
    let attachments = match attached(&message, attachments) {
        Ok(attachments) => attachments,
        Err((code, detail)) => return refuse(code, detail),
    };
    let lifetime = Duration::from_secs(message.expires_in.unwrap_or(MAX_EXPIRES_IN_SECS));
    let envelope = Envelope {
        id,
        from: sender.clone().into(),
        to: message.to,
        kind: Kind::Message,
        at: now,
        // Rows expire at whole seconds; rounded up, since rounded down a message of one second might be gone at once.
        expires_at: Timestamp::from_secs(now.plus(lifetime).as_millis().div_ceil(1000)),
        receipts: message.receipts,
        urgency: message.urgency,
        body: message.body,
    };
    if frame_bytes(&envelope.longest_delivery()) > MAX_SERVER_FRAME_BYTES {
        return refuse(Code::TooLarge, "the message would not fit into a frame of 30000 bytes; send an attachment");
    }
    let ephemeral = message.ephemeral;
    Ok(match recipients {
        Recipients::One(recipient) => {
            Job::Deliver(Deliver { envelope, recipient, ephemeral, except: None, attachments })
        }
        Recipients::Each(members) => Job::Fanout(Fanout { envelope, members, ephemeral, attachments }),
    })
}

/// What a message names, if its sender may pass on all of it.
fn attached(
    message: &Outgoing,
    attachments: &BTreeMap<AttachmentId, Access>,
) -> Result<Vec<Attached>, (Code, &'static str)> {
    let one = |id: &AttachmentId| match attachments.get(id) {
        Some(Access::Open { expires_at }) => Ok(Attached { id: *id, expires_at: *expires_at }),
        Some(Access::Closed) => Err((Code::InvalidAttachment, "you may not have one of the attachments")),
        Some(Access::Unknown) => {
            Err((Code::Unavailable, "the attachments could not be read; send it again with the same id"))
        }
        None => Err((Code::InvalidAttachment, "the messages of one send name at most 100 attachments")),
    };
    message.attachments.iter().map(one).collect()
}

/// Who gets a message.
enum Recipients {
    One(UserId),
    Each(Vec<UserId>),
}

#[cfg(test)]
mod tests {
    use protocol::{Body, MessageId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0x0198_a5c0_7c00);

    fn id_at(at: Timestamp) -> MessageId {
        let hex = format!("{:012x}", at.as_millis());
        format!("{}-{}-7abc-8def-0123456789ab", &hex[..8], &hex[8..]).parse().expect("an id")
    }

    fn message(at: Timestamp, text: &str) -> Outgoing {
        Outgoing::new(id_at(at), Recipient::User("bob".parse().expect("a user")), Body::text(text))
    }

    fn code_of(message: Outgoing) -> Option<Code> {
        let alice: UserId = "alice".parse().expect("a user");
        let acceptance =
            accept(Send { nonce: None, messages: vec![Ok(message)] }, &alice, &BTreeMap::new(), &BTreeMap::new(), NOW);
        acceptance.refused.first().map(|refusal| refusal.code)
    }

    fn judged(message: Outgoing, now: Timestamp) -> Envelope {
        match judge(0, message, &"alice".parse().expect("a user"), &BTreeMap::new(), &BTreeMap::new(), now) {
            Ok(Job::Deliver(Deliver { envelope, .. })) => envelope,
            other => panic!("{other:?}"),
        }
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
        let overhead = { frame_bytes(&judged(message(NOW, ""), NOW).longest_delivery()) };
        let room = MAX_SERVER_FRAME_BYTES - overhead;
        assert_eq!(code_of(message(NOW, &"x".repeat(room))), None);
        assert_eq!(code_of(message(NOW, &"x".repeat(room + 1))), Some(Code::TooLarge));
    }

    fn to_team(audience: Option<Audience>) -> Result<Job, Code> {
        let team: GroupId = "team".parse().expect("a group");
        let alice: UserId = "alice".parse().expect("a user");
        let message = Outgoing { to: Recipient::Group(team.clone()), ..message(NOW, "") };
        let send = Send { nonce: None, messages: vec![Ok(message)] };
        assert_eq!(addressed(&send), BTreeSet::from([team.clone()]));
        let mut acceptance = accept(
            send,
            &alice,
            &audience.map(|audience| (team, audience)).into_iter().collect(),
            &BTreeMap::new(),
            NOW,
        );
        acceptance.jobs.pop().map(|scheduled| scheduled.job).ok_or_else(|| acceptance.refused[0].code)
    }

    #[test]
    fn a_message_to_a_group_is_one_record_for_everybody_else() {
        let members = ["alice", "bob", "carol"].map(|name| name.parse::<UserId>().expect("a user")).to_vec();
        let Ok(Job::Fanout(fanout)) = to_team(Some(Audience::Members(members.clone()))) else { panic!("no fanout") };
        assert_eq!(fanout.members, members[1..]);
        let alone = to_team(Some(Audience::Members(members[..1].to_vec())));
        assert!(matches!(alone, Ok(Job::Fanout(Fanout { members, .. })) if members.is_empty()));
    }

    #[test]
    fn only_members_write_to_a_group() {
        assert_eq!(to_team(Some(Audience::Closed)), Err(Code::NotAMember));
        assert_eq!(to_team(Some(Audience::Unknown)), Err(Code::Unavailable));
        assert_eq!(to_team(None), Err(Code::Unavailable));
    }

    #[test]
    fn only_what_the_sender_may_have_is_passed_on() {
        let alice: UserId = "alice".parse().expect("a user");
        let ids = [1, 2].map(AttachmentId::new);
        let open = Access::Open { expires_at: NOW };
        for (first, second, expected) in [
            (Some(open), Some(open), Ok(())),
            (Some(open), Some(Access::Closed), Err(Code::InvalidAttachment)),
            (Some(Access::Closed), Some(Access::Unknown), Err(Code::InvalidAttachment)),
            (Some(open), Some(Access::Unknown), Err(Code::Unavailable)),
            (Some(open), None, Err(Code::InvalidAttachment)),
        ] {
            let found = ids.into_iter().zip([first, second]);
            let found = found.filter_map(|(id, access)| Some((id, access?))).collect();
            let (plain, naming) = (message(NOW, ""), Outgoing { attachments: ids.to_vec(), ..message(NOW, "") });
            let send = Send { nonce: None, messages: vec![Ok(naming), Ok(plain)] };
            let acceptance = accept(send, &alice, &BTreeMap::new(), &found, NOW);
            let carried = acceptance.jobs.iter().map(|scheduled| match &scheduled.job {
                Job::Deliver(deliver) => deliver.attachments.iter().map(|attached| attached.id).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            });
            let carried: Vec<_> = carried.collect();
            match expected {
                Ok(()) => assert_eq!(carried, [ids.to_vec(), vec![]]),
                Err(code) => {
                    assert_eq!(carried, [vec![]], "the other message is not refused");
                    assert_eq!((acceptance.refused[0].index, acceptance.refused[0].code), (0, code));
                }
            }
        }
    }

    #[test]
    fn expiry_counts_from_acceptance() {
        for (expires_in, secs) in [(None, MAX_EXPIRES_IN_SECS), (Some(1), 1), (Some(3600), 3600)] {
            for millis in [0, 1, 999] {
                let now = Timestamp::from_millis(1_800_000_000_000 + millis);
                let envelope = judged(Outgoing { expires_in, ..message(now, "") }, now);
                let lifetime = envelope.expires_at.since(now);
                assert!(lifetime >= Duration::from_secs(secs), "{lifetime:?}");
                assert!(lifetime < Duration::from_secs(secs + 1), "{lifetime:?}");
                assert_eq!(envelope.expires_at.as_millis() % 1000, 0);
            }
        }
    }

    #[test]
    fn only_what_the_queue_took_is_accepted() {
        let alice: UserId = "alice".parse().expect("a user");
        let bad = Refusal { index: 1, id: None, code: Code::InvalidId, detail: String::new() };
        let later = NOW.plus(Duration::from_millis(1));
        let messages = vec![Ok(message(NOW, "")), Err(bad), Ok(message(later, ""))];
        let acceptance = accept(Send { nonce: None, messages }, &alice, &BTreeMap::new(), &BTreeMap::new(), NOW);
        assert_eq!(acceptance.jobs.len(), 2);
        let ServerFrame::Accepted { ids, refused, at, .. } = acceptance.answer([false, true]) else { panic!("answer") };
        assert_eq!(ids, [id_at(later)]);
        let codes: Vec<(usize, Code)> = refused.iter().map(|refusal| (refusal.index, refusal.code)).collect();
        assert_eq!(codes, [(0, Code::Unavailable), (1, Code::InvalidId)]);
        assert_eq!(at, NOW);
    }
}
