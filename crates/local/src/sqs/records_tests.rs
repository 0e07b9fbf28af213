//! The semantics of a standard queue, rule by rule, in virtual time.

use super::*;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn at(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

fn spec() -> Spec {
    Spec::new("delivery", "delivery-dead")
}

fn entry(body: &str, delay: u64) -> Entry {
    Entry { id: format!("e{}", body.len()), body: body.to_owned(), delay: Duration::from_secs(delay) }
}

/// A queue in memory that holds one visible record per body.
fn holding(bodies: &[&str]) -> Connection {
    let mut store = open(None).expect("a store");
    for body in bodies {
        assert_eq!(send(&mut store, &spec(), &[entry(body, 0)], START), Ok(vec![Ok(())]));
    }
    store
}

fn received(store: &mut Connection, secs: u64) -> Vec<Received> {
    receive(store, &spec(), at(secs)).expect("a receive")
}

fn receive_one(store: &mut Connection, secs: u64) -> Received {
    let mut records = received(store, secs);
    assert_eq!(records.len(), 1, "at {secs} s");
    records.remove(0)
}

fn hide(store: &mut Connection, receipt: &str, wait: u64, secs: u64) -> Result<(), NotSet> {
    let records = [(Receipt(receipt.to_owned()), Duration::from_secs(wait))];
    set_visibility(store, &spec(), &records, at(secs)).expect("a store").remove(0)
}

fn dead_letters(store: &Connection) -> Vec<(String, Option<String>)> {
    let mut statement =
        store.prepare("SELECT body, reason FROM records WHERE queue = 'delivery-dead' ORDER BY seq").expect("a query");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("dead letters")
}

#[test]
fn a_received_record_is_hidden_for_sixty_seconds_and_comes_again_under_a_fresh_receipt() {
    let mut store = holding(&["a"]);
    let first = receive_one(&mut store, 0);
    assert_eq!((first.receive_count, first.sent_at, first.first_received_at), (1, START, START));
    assert!(received(&mut store, 59).is_empty());
    let second = receive_one(&mut store, 60);
    assert_eq!((second.receive_count, &second.id, second.first_received_at), (2, &first.id, START));
    assert_ne!(second.receipt, first.receipt);
}

#[test]
fn a_delayed_record_is_not_seen_before_its_time() {
    let mut store = open(None).expect("a store");
    send(&mut store, &spec(), &[entry("a", 900)], START).expect("a send");
    assert_eq!(next_visible(&store, &spec()), Ok(Some(at(900))));
    assert!(received(&mut store, 899).is_empty());
    receive_one(&mut store, 900);
}

#[test]
fn at_most_ten_are_received_at_once_the_longest_visible_first() {
    let bodies: Vec<String> = (10..22).map(|n| n.to_string()).collect();
    let mut store = holding(&bodies.iter().map(String::as_str).collect::<Vec<_>>());
    let first: Vec<String> = received(&mut store, 0).into_iter().map(|record| record.body).collect();
    assert_eq!(first, bodies[..10]);
    assert_eq!(received(&mut store, 0).len(), 2);
}

#[test]
fn a_deleted_record_never_comes_again() {
    let mut store = holding(&["a"]);
    let record = receive_one(&mut store, 0);
    delete(&mut store, &spec(), &[record.receipt]).expect("a delete");
    assert!(received(&mut store, 60).is_empty());
    assert_eq!(next_visible(&store, &spec()), Ok(None));
}

#[test]
fn only_the_latest_receipt_deletes_even_when_its_time_is_over() {
    let mut store = holding(&["a"]);
    let stale = receive_one(&mut store, 0);
    let latest = receive_one(&mut store, 60);
    delete(&mut store, &spec(), &[stale.receipt, "unknown".to_owned()]).expect("no error");
    receive_one(&mut store, 120);
    delete(&mut store, &spec(), &[latest.receipt]).expect("no error");
    let late = receive_one(&mut store, 180);
    delete(&mut store, &spec(), &[late.receipt]).expect("a delete after the timeout");
    assert!(received(&mut store, 300).is_empty());
}

#[test]
fn a_visibility_is_counted_from_when_it_is_set_and_only_while_in_flight() {
    let mut store = holding(&["a"]);
    let record = receive_one(&mut store, 0);
    assert_eq!(hide(&mut store, &record.receipt, 43_201, 10), Err(NotSet::TooLong));
    assert_eq!(hide(&mut store, &record.receipt, 43_200, 10), Ok(()));
    assert_eq!(hide(&mut store, &record.receipt, 15, 20), Ok(()));
    assert!(received(&mut store, 34).is_empty());
    assert_eq!(hide(&mut store, &record.receipt, 5, 35), Err(NotSet::NotInFlight));
    let again = receive_one(&mut store, 35);
    assert_eq!(hide(&mut store, &record.receipt, 5, 36), Err(NotSet::NotInFlight));
    assert_eq!(hide(&mut store, &again.receipt, 0, 36), Ok(()));
    receive_one(&mut store, 36);
}

#[test]
fn the_receive_that_would_exceed_the_maximum_goes_to_the_dead_letter_queue_and_makes_room() {
    let mut store = holding(&["worn"]);
    let mut secs = 0;
    for count in 1..=200 {
        assert_eq!(receive_one(&mut store, secs).receive_count, count);
        secs += 60;
    }
    send(&mut store, &spec(), &[entry("fresh", 0)], at(secs)).expect("a send");
    assert_eq!(receive_one(&mut store, secs).body, "fresh");
    assert_eq!(dead_letters(&store), [("worn".to_owned(), Some("maxReceiveCount".to_owned()))]);
}

#[test]
fn a_dead_letter_keeps_its_reason() {
    let mut store = holding(&[]);
    dead_letter(&store, &spec(), "poison", "not a job", START).expect("a dead letter");
    assert_eq!(dead_letters(&store), [("poison".to_owned(), Some("not a job".to_owned()))]);
    assert!(received(&mut store, 0).is_empty());
}

#[test]
fn a_record_is_kept_for_seven_days_and_a_dead_letter_for_fourteen() {
    const DAY: u64 = 24 * 60 * 60;
    let mut store = holding(&["a", "bb"]);
    dead_letter(&store, &spec(), "poison", "why", START).expect("a dead letter");
    assert_eq!(expire(&store, &spec(), at(7 * DAY - 1)), Ok(0));
    assert_eq!(receive(&mut store, &spec(), at(7 * DAY)), Ok(vec![]));
    assert_eq!(dead_letters(&store).len(), 1);
    assert_eq!(expire(&store, &spec(), at(14 * DAY - 1)), Ok(0));
    assert_eq!(expire(&store, &spec(), at(14 * DAY)), Ok(1));
}

#[test]
fn a_refused_entry_does_not_keep_its_neighbours_out() {
    let mut store = holding(&[]);
    let outcomes = send(&mut store, &spec(), &[entry("\u{ffff}", 0), entry("a", 0)], START).expect("a send");
    assert_eq!(outcomes, [Err(Refused::Characters), Ok(())]);
    assert_eq!(receive_one(&mut store, 0).body, "a");
    let outcomes = send(&mut store, &spec(), &[entry("a", 0), entry("b", 0)], START).expect("a send");
    assert_eq!(outcomes, [Err(Refused::NotDistinct); 2]);
}

#[test]
fn a_record_shown_again_is_received_twice_and_must_be_deleted_by_the_second_receipt() {
    let mut store = holding(&["a"]);
    let first = receive_one(&mut store, 0);
    show_again(&store, &spec(), &first.receipt, at(0)).expect("shown");
    let second = receive_one(&mut store, 0);
    delete(&mut store, &spec(), &[first.receipt]).expect("no error");
    assert_eq!(receive_one(&mut store, 60).receive_count, 3);
    assert_eq!(second.receive_count, 2);
}

#[test]
fn what_was_sent_is_there_when_the_file_is_opened_by_another_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("queues.sqlite");
    let mut killed = open(Some(&file)).expect("a store");
    send(&mut killed, &spec(), &[entry("a", 0)], START).expect("a send");
    // The first connection is neither closed nor flushed: this is what a killed process leaves behind.
    let copy = folder.path().join("copy.sqlite");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&file), name(&copy)).expect("a copy");
    }
    let mut reopened = open(Some(&copy)).expect("a store");
    assert_eq!(receive_one(&mut reopened, 0).body, "a");
    drop(killed);
}

#[test]
fn a_restart_releases_what_was_in_hand_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("queues.sqlite");
    let mut store = open(Some(&file)).expect("a store");
    for (body, delay) in [("held", 0), ("hidden", 0), ("delayed", 100)] {
        send(&mut store, &spec(), &[entry(body, delay)], START).expect("a send");
    }
    let records = received(&mut store, 0);
    hide(&mut store, &records[1].receipt, 50, 0).expect("in flight");
    drop(store);

    let mut store = open(Some(&file)).expect("a store");
    assert_eq!(release(&store, at(1)), Ok(1));
    let held = receive_one(&mut store, 1);
    assert_eq!((held.body.as_str(), held.receive_count), ("held", 2));
    delete(&mut store, &spec(), &[held.receipt]).expect("a delete");
    assert_eq!(next_visible(&store, &spec()), Ok(Some(at(50))));
    assert_eq!(receive_one(&mut store, 50).body, "hidden");
    assert_eq!(receive_one(&mut store, 100).body, "delayed");
}
