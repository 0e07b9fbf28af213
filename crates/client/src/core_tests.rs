//! What the parts decide together, told in frames and moments.

use protocol::{Kind, Receipt, ReceiptEvent, Sender, Shelf};

use super::*;
use crate::ack_buffer::ACK_DELAY;
use crate::backoff::BACKOFF_BASE;
use crate::in_hand::IN_HAND_CAPACITY;
use crate::sync_passes::DRAIN_TIMEOUT;
use crate::testing::{delivery, outgoing, user};

const WALL: Timestamp = Timestamp::from_millis(1_755_500_000_000);

struct Scene {
    core: Core,
    now: Instant,
}

impl Scene {
    fn new(mode: Acks) -> Self {
        let mut scene = Self { core: Core::new(mode, 11), now: Instant::now() };
        scene.core.opened(scene.now);
        assert_eq!(scene.events(), ["connected"]);
        scene
    }

    fn drained(mode: Acks) -> Self {
        let mut scene = Self::new(mode);
        scene.receive(&ServerFrame::Drained { reconnect_by: WALL.plus(CONNECTION_LIFETIME) });
        assert_eq!(scene.events(), ["drained"]);
        scene
    }

    fn receive(&mut self, frame: &ServerFrame) {
        self.core.received(&frame.render(), self.now, WALL);
    }

    fn deliver(&mut self, messages: Vec<Delivery>) {
        self.receive(&ServerFrame::Messages { messages, more: None, nonce: None });
    }

    /// What the consumer finds when it takes all that there is.
    fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.take(self.now)).map(|event| describe(&event)).collect()
    }

    /// Everything that is written before the clock has to move, and the moment to which it has to.
    fn writes(&mut self) -> (Vec<String>, Option<Instant>) {
        let mut writes = Vec::new();
        loop {
            match self.core.poll(self.now) {
                Step::Write(frame) => {
                    writes.push(frame);
                    self.core.written();
                }
                Step::Wait(until) => return (writes, Some(until)),
                Step::Leave(_) | Step::Close => return (writes, None),
            }
        }
    }

    /// The refs acked once the buffer's wait is over.
    fn acks(&mut self) -> Vec<Ref> {
        self.now += ACK_DELAY;
        let frames = self.writes().0;
        frames
            .iter()
            .flat_map(|frame| match ClientFrame::parse(frame) {
                Ok(ClientFrame::Ack(ack)) => ack.refs,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Connected => "connected".to_owned(),
        Event::Disconnected { cause, .. } => format!("disconnected: {cause}"),
        Event::Message(message) => format!("{} {}", message.from, message.body.as_json()),
        Event::Drained => "drained".to_owned(),
        Event::Displaced => "displaced".to_owned(),
        other => format!("{other:?}"),
    }
}

fn refs(numbers: &[u64]) -> Vec<Ref> {
    numbers.iter().map(|n| delivery("alice", *n).reference).collect()
}

#[test]
fn a_taken_message_is_acked_and_its_duplicates_are_acked_again_but_not_shown() {
    let mut scene = Scene::drained(Acks::OnTake);
    scene.deliver(vec![delivery("alice", 1), delivery("alice", 2)]);
    assert!(scene.acks().is_empty(), "nobody has it yet");
    assert_eq!(scene.events(), ["alice \"message 1\"", "alice \"message 2\""]);
    assert_eq!(scene.acks(), refs(&[1, 2]));
    scene.deliver(vec![delivery("alice", 1), delivery("alice", 1)]);
    assert!(scene.events().is_empty());
    assert_eq!(scene.acks(), refs(&[1]));
}

#[test]
fn under_manual_acks_a_message_is_acked_when_the_consumer_says_so() {
    let mut scene = Scene::drained(Acks::Manual);
    let mut unclaimed = delivery("alice", 1);
    unclaimed.reference.shelf = Shelf::Unclaimed;
    scene.deliver(vec![delivery("alice", 1), unclaimed.clone()]);
    assert_eq!(scene.events(), ["alice \"message 1\""]);
    assert!(scene.acks().is_empty());
    scene.core.ack(&delivery("alice", 1).reference, scene.now);
    assert_eq!(scene.acks(), [delivery("alice", 1).reference, unclaimed.reference]);
}

#[test]
fn a_redelivery_is_acked_once_its_read_is_on_the_wire() {
    let mut scene = Scene::drained(Acks::Manual);
    let first = delivery("alice", 1);
    let mut again = first.clone();
    again.reference.watched = true;
    scene.deliver(vec![first.clone()]);
    assert_eq!(scene.events().len(), 1);
    scene.core.read(&first.reference, scene.now);
    scene.deliver(vec![first.clone(), again.clone()]);
    scene.now += ACK_DELAY;
    assert_eq!(scene.writes().0, [ClientFrame::render_read(&[first.reference])]);
    scene.deliver(vec![again.clone()]);
    assert_eq!(scene.acks(), [again.reference]);
}

/// The `n`th receipt to bob: what `by` did.
fn receipt(n: u64, by: &str, event: ReceiptEvent) -> Delivery {
    let (message, from) = (delivery("alice", n), Sender::System);
    let body = Receipt { event, by: user(by), messages: Vec::new() }.body();
    let reference = Ref { sender: from.clone(), ..message.reference };
    Delivery { reference, from, kind: Kind::Receipt, body, ..message }
}

#[test]
fn what_ones_own_device_has_acked_lies_nowhere_and_is_not_acked() {
    let mut scene = Scene::drained(Acks::OnTake);
    let notice = receipt(1, "bob", ReceiptEvent::Delivered);
    let kept = [receipt(2, "bob", ReceiptEvent::Read), receipt(3, "alice", ReceiptEvent::Delivered)];
    scene.deliver(vec![notice.clone(), kept[0].clone(), kept[1].clone()]);
    assert_eq!(scene.events().len(), 3);
    assert_eq!(scene.acks(), kept.map(|receipt| receipt.reference));
    scene.deliver(vec![notice]);
    assert!(scene.events().is_empty() && scene.acks().is_empty());
}

#[test]
fn without_acks_every_redelivery_is_shown() {
    let mut scene = Scene::drained(Acks::Never);
    scene.deliver(vec![delivery("alice", 1)]);
    scene.deliver(vec![delivery("alice", 1)]);
    assert_eq!(scene.events(), ["alice \"message 1\"", "alice \"message 1\""]);
    scene.core.ack(&delivery("alice", 1).reference, scene.now);
    assert!(scene.acks().is_empty());
}

#[test]
fn what_is_too_much_stays_in_the_inbox_and_is_fetched_when_there_is_room() {
    let mut scene = Scene::drained(Acks::OnTake);
    let last = IN_HAND_CAPACITY as u64;
    scene.deliver((0..=last).map(|n| delivery("alice", n)).collect());
    assert!(scene.writes().0.is_empty());
    assert_eq!(scene.events().len(), IN_HAND_CAPACITY);
    let frames = scene.writes().0;
    let Some(Ok(ClientFrame::Sync(sync))) = frames.last().map(|frame| ClientFrame::parse(frame)) else {
        panic!("{frames:?}")
    };
    assert_eq!(frames.len(), IN_HAND_CAPACITY / crate::ack_buffer::ACK_REFS + 1, "the others are acked");
    let messages = vec![delivery("alice", last)];
    scene.receive(&ServerFrame::Messages { messages, more: Some(false), nonce: sync.nonce });
    assert_eq!(scene.events(), [format!("alice \"message {last}\"")]);
}

#[test]
fn what_comes_after_what_was_left_is_left_too_until_the_pass_that_fetches_both() {
    for mode in [Acks::OnTake, Acks::Never] {
        let mut scene = Scene::drained(mode);
        let full = IN_HAND_CAPACITY as u64;
        scene.deliver((1..=full + 1).map(|n| delivery("alice", n)).collect());
        for _ in 0..full / 4 {
            scene.core.take(scene.now);
        }
        scene.writes();
        scene.deliver(vec![delivery("alice", full + 350)]);
        let last = format!("alice \"message {full}\"");
        assert_eq!(scene.events().last(), Some(&last));

        let frames = scene.writes().0;
        let Some(Ok(ClientFrame::Sync(sync))) = frames.last().map(|frame| ClientFrame::parse(frame)) else {
            panic!("{frames:?}")
        };
        let messages = vec![delivery("alice", full + 1), delivery("alice", full + 350)];
        scene.receive(&ServerFrame::Messages { messages, more: Some(false), nonce: sync.nonce });
        scene.deliver(vec![delivery("alice", full + 351)]);
        assert_eq!(scene.events(), [1, 350, 351].map(|n| format!("alice \"message {}\"", full + n)));
    }
}

#[test]
fn a_pass_that_replaces_a_drain_reports_it() {
    let mut scene = Scene::new(Acks::OnTake);
    scene.now += DRAIN_TIMEOUT;
    let frames = scene.writes().0;
    let Some(Ok(ClientFrame::Sync(sync))) = frames.first().map(|frame| ClientFrame::parse(frame)) else {
        panic!("{frames:?}")
    };
    let answer = ServerFrame::Messages { messages: vec![delivery("alice", 1)], more: Some(false), nonce: sync.nonce };
    scene.receive(&answer);
    assert_eq!(scene.events(), ["alice \"message 1\"", "drained"]);
    scene.receive(&ServerFrame::Drained { reconnect_by: WALL });
    assert!(scene.events().is_empty(), "it was reported");
}

#[test]
fn a_connection_is_left_before_the_server_cuts_it() {
    for (reconnect_by, earliest, latest) in [
        (WALL.plus(CONNECTION_LIFETIME), 7_200 - 300, 7_200 - 60),
        (WALL.plus(CONNECTION_LIFETIME / 2), 3_600 - 300, 3_600 - 60),
        // The clocks differ: never sooner than after five minutes, never later than a connection can live.
        (WALL.minus(CONNECTION_LIFETIME), 300, 300),
        (WALL.plus(CONNECTION_LIFETIME * 50), 7_200 - 300, 7_200 - 60),
    ] {
        let mut scene = Scene::new(Acks::OnTake);
        let opened = scene.now;
        scene.receive(&ServerFrame::Drained { reconnect_by });
        scene.events();
        // Sync answers are left out here, so the way there must not be walked through.
        let replace_at = scene.core.link.as_ref().expect("a link").replace_at;
        assert!((earliest..=latest).contains(&(replace_at - opened).as_secs()), "{:?}", replace_at - opened);
        assert!(matches!(scene.core.poll(replace_at), Step::Leave(Cause::Aged)));
        assert_eq!(scene.core.lost(Cause::Aged, replace_at), Duration::ZERO);
    }
}

#[test]
fn displaced_is_the_end() {
    let mut scene = Scene::drained(Acks::OnTake);
    scene.receive(&ServerFrame::Error { code: Code::Displaced, detail: String::new(), nonce: None });
    assert!(scene.core.has_ended());
    assert_eq!(scene.events(), ["displaced"]);
    assert_eq!(scene.core.enqueue(outgoing(1, 10), scene.now), Err(SendError::Ended));
}

#[test]
fn nothing_is_forgotten_over_a_lost_connection() {
    let mut scene = Scene::drained(Acks::OnTake);
    scene.deliver(vec![delivery("alice", 1)]);
    scene.events();
    scene.core.enqueue(outgoing(2, 10), scene.now).expect("there is room");
    scene.core.hurry(scene.now);
    let Step::Write(ack) = scene.core.poll(scene.now) else { panic!("no ack") };
    scene.core.lost(Cause::Unanswered, scene.now);
    assert_eq!(scene.core.outstanding(), Outstanding { unaccepted: 1, unacked: 1 });
    assert_eq!(scene.events(), ["disconnected: the server did not answer"]);

    scene.core.opened(scene.now);
    let frames = scene.writes().0;
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0], ack);
    assert!(frames[1].starts_with(r#"{"action":"send""#));
    assert_eq!(scene.core.outstanding(), Outstanding { unaccepted: 1, unacked: 0 });
}

#[test]
fn a_word_from_the_server_starts_the_backoff_again_but_a_mere_connection_does_not() {
    let mut scene = Scene::new(Acks::OnTake);
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        longest = longest.max(scene.core.lost(Cause::Closed(None), scene.now));
        scene.core.opened(scene.now);
    }
    assert!(longest > BACKOFF_BASE * 4, "{longest:?}");
    scene.receive(&ServerFrame::Pong { nonce: None });
    assert!(scene.core.lost(Cause::Closed(None), scene.now) <= BACKOFF_BASE);
}

#[test]
fn without_a_consumer_messages_stay_in_the_inbox_and_the_connection_lives() {
    let mut scene = Scene::drained(Acks::OnTake);
    scene.core.consumer_gone();
    scene.deliver(vec![delivery("alice", 1)]);
    let (writes, until) = scene.writes();
    assert!(writes.is_empty() && scene.core.outstanding().is_none());
    scene.now = until.expect("the heartbeat");
    assert_eq!(scene.writes().0, [ClientFrame::render_ping()]);
}

#[test]
fn frames_of_no_known_type_are_ignored() {
    let mut scene = Scene::drained(Acks::OnTake);
    for text in ["", "x", "{}", r#"{"message":"Forbidden","connectionId":"c","requestId":"r"}"#] {
        scene.core.received(text, scene.now, WALL);
    }
    assert!(scene.events().is_empty() && !scene.core.has_ended());
}

#[test]
fn words_of_a_later_version_are_shown_and_acked_and_refuse_for_good() {
    let mut scene = Scene::drained(Acks::OnTake);
    let messages = vec![delivery("alice", 1)];
    let frame = ServerFrame::Messages { messages, more: None, nonce: None }.render();
    let later = frame.replace(r#""kind":"message""#, r#""kind":"system""#);
    assert_ne!(later, frame);
    scene.core.received(&later, scene.now, WALL);
    assert_eq!(scene.events(), ["alice \"message 1\""]);
    assert_eq!(scene.acks(), refs(&[1]));

    scene.core.enqueue(outgoing(2, 10), scene.now).expect("there is room");
    scene.writes();
    let id = outgoing(2, 10).id;
    let refusal = format!(r#"{{"index":0,"id":"{id}","code":"later_word","detail":"why"}}"#);
    let frame = format!(r#"{{"type":"accepted","ids":[],"refused":[{refusal}],"at":1,"nonce":"send-0"}}"#);
    scene.core.received(&frame, scene.now, WALL);
    assert_eq!(scene.events(), [describe(&Event::Refused { id, code: Code::Unknown, detail: "why".to_owned() })]);
    assert!(scene.core.outstanding().is_none());
}
