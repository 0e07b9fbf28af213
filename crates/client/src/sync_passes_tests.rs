//! Passes over the inbox: when they start, how they go on, and when silence means that the connection is dead.

use protocol::Sync;

use super::*;
use crate::backoff::BACKOFF_CAP;
use crate::testing::delivery;

struct Scene {
    passes: SyncPasses,
    now: Instant,
    rng: Rng,
}

impl Scene {
    fn new() -> Self {
        let (now, mut rng) = (Instant::now(), Rng::with_seed(5));
        Self { passes: SyncPasses::new(now, &mut rng), now, rng }
    }

    fn drained() -> Self {
        let mut scene = Self::new();
        scene.passes.drained();
        scene
    }

    fn step(&mut self, room: bool) -> PassStep {
        self.passes.poll(self.now, room, &mut self.rng)
    }

    /// Waits for the next `sync`, as long as it takes.
    fn sync(&mut self) -> Sync {
        for _ in 0..10 {
            match self.step(true) {
                PassStep::Write(text) => match ClientFrame::parse(&text) {
                    Ok(ClientFrame::Sync(sync)) => return sync,
                    other => panic!("{other:?}"),
                },
                PassStep::Wait(until) => {
                    assert!(until > self.now, "it would spin");
                    self.now = until;
                }
                PassStep::Unanswered => panic!("dead"),
            }
        }
        panic!("no sync")
    }

    fn answer(&mut self, sync: &Sync, last: Option<u64>, more: bool) -> bool {
        let last = last.map(|n| delivery("alice", n).reference);
        self.passes.answered(sync.nonce.as_ref().expect("a nonce"), last, more, self.now)
    }
}

#[test]
fn a_drain_that_does_not_come_is_replaced() {
    let mut scene = Scene::new();
    let opened = scene.now;
    let sync = scene.sync();
    assert_eq!((scene.now - opened, sync.after), (DRAIN_TIMEOUT, None));
}

#[test]
fn after_a_drain_the_heartbeat_comes_in_5_to_9_minutes_and_again() {
    let mut scene = Scene::drained();
    for _ in 0..50 {
        let before = scene.now;
        let sync = scene.sync();
        assert_eq!(sync.after, None);
        assert!(HEARTBEAT_SECS.contains(&(scene.now - before).as_secs()), "{:?}", scene.now - before);
        assert!(scene.answer(&sync, None, false));
    }
}

#[test]
fn pages_follow_at_once_while_there_are_more() {
    let mut scene = Scene::new();
    let first = scene.sync();
    assert!(!scene.answer(&first, Some(7), true));
    let before = scene.now;
    let second = scene.sync();
    assert_eq!((scene.now, second.after.clone()), (before, Some(delivery("alice", 7).reference)));
    assert_ne!(second.nonce, first.nonce);
    assert!(!scene.answer(&first, Some(8), false), "the first is answered already");
    assert!(scene.answer(&second, Some(9), false));
    assert!(matches!(scene.step(true), PassStep::Wait(until) if until > scene.now));
}

#[test]
fn an_empty_page_ends_a_pass() {
    let mut scene = Scene::new();
    let sync = scene.sync();
    assert!(scene.answer(&sync, None, true));
}

#[test]
fn silence_is_asked_again_and_then_means_a_dead_connection() {
    let mut scene = Scene::new();
    for _ in 0..UNANSWERED_LIMIT - 1 {
        scene.sync();
        scene.now += ANSWER_TIMEOUT;
    }
    scene.sync();
    scene.now += ANSWER_TIMEOUT - Duration::from_millis(1);
    assert!(matches!(scene.step(true), PassStep::Wait(_)));
    scene.now += Duration::from_millis(1);
    assert_eq!(scene.step(true), PassStep::Unanswered);
}

#[test]
fn an_answer_ends_the_count_of_silence() {
    let mut scene = Scene::new();
    for page in 0..10 {
        scene.sync();
        scene.now += ANSWER_TIMEOUT;
        let sync = scene.sync();
        assert!(!scene.answer(&sync, Some(page), true));
    }
}

#[test]
fn without_room_a_pass_waits_and_a_ping_is_the_heartbeat() {
    let mut scene = Scene::drained();
    scene.passes.want();
    let PassStep::Wait(heartbeat) = scene.step(false) else { panic!("no wait") };
    scene.now = heartbeat;
    assert_eq!(scene.step(false), PassStep::Write(ClientFrame::render_ping()));
    assert!(matches!(scene.step(false), PassStep::Wait(until) if until > scene.now));
    let before = scene.now;
    scene.sync();
    assert_eq!(scene.now, before, "there is room now");
}

#[test]
fn what_was_left_in_the_inbox_is_fetched_from_the_start() {
    let mut scene = Scene::new();
    let sync = scene.sync();
    scene.passes.want();
    assert!(!scene.answer(&sync, Some(3), true), "that pass is over");
    assert_eq!(scene.sync().after, None);
}

#[test]
fn a_refused_page_is_asked_again_from_a_cursor_that_is_good() {
    let mut scene = Scene::new();
    let first = scene.sync();
    scene.answer(&first, Some(3), true);
    for (code, after) in [(Code::Unavailable, Some(3)), (Code::InvalidCursor, None)] {
        let sync = scene.sync();
        let nonce = sync.nonce.expect("a nonce");
        scene.passes.errored(&nonce, code, scene.now, &mut scene.rng);
        let before = scene.now;
        let again = scene.sync();
        assert_eq!(again.after, after.map(|n| delivery("alice", n).reference));
        assert!(scene.now - before <= BACKOFF_CAP);
        scene.answer(&again, Some(3), true);
    }
}
