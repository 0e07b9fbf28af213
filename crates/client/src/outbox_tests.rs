//! The outbox: what goes into frames, and what becomes of each message after every kind of answer and of silence.

use std::collections::BTreeSet;

use protocol::Code;

use super::*;
use crate::backoff::BACKOFF_CAP;
use crate::testing::{id, outgoing};

const NOW: Timestamp = Timestamp::from_millis(1_755_500_000_000);

/// An outbox in time, with what it told.
struct Scene {
    outbox: Outbox,
    now: Instant,
    rng: Rng,
    told: Vec<String>,
}

/// A frame as the server reads it.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    nonce: Option<Nonce>,
    ids: Vec<MessageId>,
}

impl Scene {
    fn new() -> Self {
        Self { outbox: Outbox::default(), now: Instant::now(), rng: Rng::with_seed(3), told: Vec::new() }
    }

    /// Of messages 1 to `count`.
    fn of(count: u64) -> Self {
        let mut scene = Self::new();
        for n in 1..=count {
            scene.push(outgoing(n, 10));
        }
        scene
    }

    fn push(&mut self, message: Outgoing) {
        self.outbox.push(message, self.now).expect("it is taken");
    }

    fn frame(&mut self) -> Option<Frame> {
        let text = self.outbox.next_frame(self.now, &mut self.rng)?;
        assert!(text.len() <= SEND_FRAME_BYTES, "{} bytes", text.len());
        let Ok(ClientFrame::Send(send)) = ClientFrame::parse(&text) else { panic!("{text}") };
        let ids = send.messages.into_iter().map(|message| message.expect("well formed").id).collect();
        Some(Frame { nonce: send.nonce, ids })
    }

    fn answer(&mut self, nonce: Option<Nonce>, ids: &[u64], refused: &[(u64, Code)]) {
        let refused = refused
            .iter()
            .map(|(n, code)| Refusal { index: 0, id: Some(id(*n).to_string()), code: *code, detail: "why".to_owned() })
            .collect();
        let ids = ids.iter().map(|n| id(*n)).collect();
        let events = self.outbox.answered(Answer { ids, refused, at: NOW, nonce }, self.now, &mut self.rng);
        self.tell(events);
    }

    fn tell(&mut self, events: Vec<Event>) {
        self.told.extend(events.into_iter().map(|event| match event {
            Event::Accepted { id, at: NOW } => format!("accepted {}", number(id)),
            Event::Refused { id, code, .. } => format!("refused {} {code:?}", number(id)),
            Event::Stale { id } => format!("stale {}", number(id)),
            other => panic!("{other:?}"),
        }));
    }

    /// The numbers of the next frame, waiting until there is one.
    fn frame_in_time(&mut self) -> Frame {
        for _ in 0..10 {
            if let Some(frame) = self.frame() {
                return frame;
            }
            self.now = self.outbox.due().expect("something is due").max(self.now);
        }
        panic!("no frame")
    }
}

fn number(of: MessageId) -> u64 {
    (0..10_000).find(|n| id(*n) == of).expect("one of ours")
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<MessageId> {
    numbers.into_iter().map(id).collect()
}

#[test]
fn a_frame_has_at_most_25_messages_in_the_order_of_their_ids() {
    let mut scene = Scene::new();
    for n in (1..=60).rev() {
        scene.push(outgoing(n, 10));
    }
    for expected in [1..=25, 26..=50, 51..=60] {
        let frame = scene.frame().expect("a frame");
        assert_eq!(frame.ids, ids(expected.clone()));
        assert_eq!(scene.frame(), None, "one at a time");
        scene.answer(frame.nonce, &expected.collect::<Vec<_>>(), &[]);
    }
    assert_eq!((scene.frame(), scene.outbox.due(), scene.outbox.len()), (None, None, 0));
    assert_eq!(scene.told.len(), 60);
}

#[test]
fn a_frame_stays_below_the_limit() {
    let mut scene = Scene::new();
    for n in 1..=7 {
        scene.push(outgoing(n, 10_000));
    }
    let mut sizes = Vec::new();
    while let Some(frame) = scene.frame() {
        sizes.push(frame.ids.len());
        scene.answer(frame.nonce, &[1, 2, 3, 4, 5, 6, 7][..sizes.iter().sum()], &[]);
    }
    assert_eq!(sizes, [3, 3, 1]);
}

#[test]
fn a_frame_is_filled_to_the_byte() {
    let shell = shell_bytes(&nonce(0));
    let overhead = ClientFrame::render_send(&[outgoing(1, 10)], Some(&nonce(0))).len() - shell - 10;
    let half = (SEND_FRAME_BYTES - shell - 1) / 2 - overhead;
    let rest = SEND_FRAME_BYTES - shell - 1 - half - 2 * overhead;
    for (second, together) in [(rest, 2), (rest + 1, 1)] {
        let mut scene = Scene::new();
        scene.push(outgoing(1, half));
        scene.push(outgoing(2, second));
        assert_eq!(scene.frame().expect("a frame").ids.len(), together);
    }
}

#[test]
fn what_never_fits_is_not_taken() {
    let mut outbox = Outbox::default();
    let refused = outbox.push(outgoing(1, SEND_FRAME_BYTES), Instant::now());
    assert!(matches!(refused, Err(SendError::TooLarge { bytes }) if bytes > SEND_FRAME_BYTES));
    assert_eq!(outbox.len(), 0);
}

#[test]
fn there_is_an_end_to_what_waits() {
    let mut outbox = Outbox::default();
    let now = Instant::now();
    for n in 0..OUTBOX_CAPACITY as u64 {
        outbox.push(outgoing(n, 3), now).expect("there is room");
    }
    assert_eq!(outbox.push(outgoing(OUTBOX_CAPACITY as u64, 3), now), Err(SendError::Full));
    assert_eq!(outbox.push(outgoing(7, 3), now), Ok(()), "it waits already");
    assert_eq!(outbox.len(), OUTBOX_CAPACITY);
}

#[test]
fn a_refusal_ends_a_message_unless_it_is_unavailable() {
    let mut scene = Scene::of(3);
    let frame = scene.frame().expect("a frame");
    scene.answer(frame.nonce, &[1], &[(2, Code::TooLarge), (3, Code::Unavailable)]);
    assert_eq!(scene.told, ["accepted 1", "refused 2 TooLarge"]);
    assert_eq!(scene.frame_in_time().ids, ids([3]), "the same id again");
}

#[test]
fn unavailable_is_retried_ever_later_and_lets_others_pass() {
    let mut scene = Scene::of(1);
    let started = scene.now;
    for _ in 0..12 {
        let frame = scene.frame_in_time();
        scene.answer(frame.nonce, &[], &[(1, Code::Unavailable)]);
    }
    assert!(scene.now - started > BACKOFF_CAP, "it waited {:?}", scene.now - started);
    assert_eq!(scene.frame(), None);
    scene.push(outgoing(2, 10));
    assert_eq!(scene.frame().expect("a frame").ids, ids([2]));
    assert!(scene.told.is_empty());
}

#[test]
fn without_an_answer_it_is_sent_again() {
    let mut scene = Scene::of(2);
    let first = scene.frame().expect("a frame");
    assert_eq!(scene.outbox.due(), Some(scene.now + ANSWER_TIMEOUT));
    scene.now += ANSWER_TIMEOUT - Duration::from_millis(1);
    assert_eq!(scene.frame(), None);
    scene.now += BACKOFF_CAP;
    // The silence is noticed now, and only then the wait begins.
    assert_eq!(scene.frame(), None);
    scene.now += BACKOFF_CAP;
    let again = scene.frame().expect("a frame");
    assert_eq!(again.ids, first.ids);
    assert_ne!(again.nonce, first.nonce);
}

#[test]
fn a_late_answer_counts() {
    let mut scene = Scene::of(2);
    let first = scene.frame().expect("a frame");
    scene.now += ANSWER_TIMEOUT;
    let again = scene.frame_in_time();
    scene.answer(first.nonce, &[1], &[(2, Code::NotAMember)]);
    assert_eq!(scene.told, ["accepted 1", "refused 2 NotAMember"]);
    scene.answer(again.nonce, &[1, 2], &[]);
    assert_eq!(scene.told.len(), 2, "each is told once");
}

#[test]
fn what_an_answer_does_not_mention_is_sent_again() {
    let mut scene = Scene::of(2);
    let frame = scene.frame().expect("a frame");
    scene.answer(frame.nonce, &[2], &[]);
    assert_eq!(scene.told, ["accepted 2"]);
    assert_eq!(scene.frame(), None, "a server that forgets is not pressed");
    assert_eq!(scene.frame_in_time().ids, ids([1]));
}

#[test]
fn a_refusal_without_an_id_is_matched_by_its_place() {
    let mut scene = Scene::of(2);
    let frame = scene.frame().expect("a frame");
    let refused = vec![Refusal { index: 1, id: None, code: Code::InvalidId, detail: String::new() }];
    let answer = Answer { ids: ids([1]), refused, at: NOW, nonce: frame.nonce };
    let events = scene.outbox.answered(answer, scene.now, &mut scene.rng);
    scene.tell(events);
    assert_eq!(scene.told, ["accepted 1", "refused 2 InvalidId"]);
}

#[test]
fn an_error_concerns_the_frame_whose_nonce_it_bears() {
    let mut scene = Scene::of(2);
    let frame = scene.frame().expect("a frame");
    for stranger in [None, Nonce::new("sync-1".to_owned())] {
        let events = scene.outbox.errored(stranger.as_ref(), Code::InvalidFrame, "why", scene.now, &mut scene.rng);
        assert!(events.is_empty() && scene.outbox.len() == 2);
    }
    let events = scene.outbox.errored(frame.nonce.as_ref(), Code::Unavailable, "why", scene.now, &mut scene.rng);
    assert!(events.is_empty());
    let frame = scene.frame_in_time();
    let events = scene.outbox.errored(frame.nonce.as_ref(), Code::InvalidFrame, "why", scene.now, &mut scene.rng);
    scene.tell(events);
    let mut told = scene.told;
    told.sort();
    assert!(!told.is_empty() && told.iter().all(|told| told.ends_with("InvalidFrame")), "{told:?}");
}

#[test]
fn a_lost_connection_sends_it_again_at_once() {
    let mut scene = Scene::of(2);
    let frame = scene.frame().expect("a frame");
    scene.outbox.lost();
    assert_eq!(scene.frame().expect("a frame").ids, frame.ids);
}

#[test]
fn an_ephemeral_message_is_not_kept_beyond_its_lifetime() {
    let mut scene = Scene::of(1);
    scene.push(Outgoing { ephemeral: true, ..outgoing(2, 10) });
    scene.now += EPHEMERAL_LIFETIME;
    let events = scene.outbox.drop_stale(scene.now);
    scene.tell(events);
    assert_eq!(scene.told, ["stale 2"]);
    assert_eq!(scene.frame().expect("a frame").ids, ids([1]));
}

/// Whatever the server says or does not say, each message ends once, and none is forgotten.
#[test]
fn every_message_ends_once() {
    for seed in 0..200 {
        let mut chance = Rng::with_seed(seed);
        let mut scene = Scene::of(40);
        for _ in 0..10_000 {
            if scene.outbox.len() == 0 {
                break;
            }
            let frame = scene.frame_in_time();
            let numbers: Vec<u64> = frame.ids.iter().map(|id| number(*id)).collect();
            match chance.u8(..6) {
                0 => scene.outbox.lost(),
                1 => scene.now += ANSWER_TIMEOUT,
                2 => {
                    scene.answer(frame.nonce, &[], &numbers.iter().map(|n| (*n, Code::Unavailable)).collect::<Vec<_>>())
                }
                3 => scene.answer(frame.nonce, &numbers[..1], &[]),
                4 => scene.answer(None, &numbers[numbers.len() / 2..], &[]),
                _ => scene.answer(frame.nonce, &numbers[1..], &[(numbers[0], Code::InvalidMessage)]),
            }
        }
        let once: BTreeSet<&str> = scene.told.iter().filter_map(|told| told.split(' ').nth(1)).collect();
        assert_eq!((scene.outbox.len(), scene.told.len(), once.len()), (0, 40, 40), "seed {seed}");
    }
}
