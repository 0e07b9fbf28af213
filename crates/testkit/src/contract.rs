//! Contract suites: what every implementation of a port must do. One suite runs on the in-memory and on the real ones.
//!
//! Each suite takes a fresh, empty implementation and panics at the first breach.

mod attachments;
mod groups;
mod push;

use std::future::Future;
use std::time::Duration;

use delivery::{
    Address, Await, Connection, Device, Dialect, Directory, Due, Enrolment, Envelope, Holder, Inbox, Job, Key, Lookup,
    Pending, Queue, Receipt, Registration, Row, Scheduled, Told, WakeState,
};
use protocol::{Body, DeviceId, Kind, MessageName, ReceiptEvent, Recipient, Ref, Timestamp, Urgency, UserId};

pub use attachments::{attachments, files};
pub use groups::groups;

use crate::clock::message_id;
use crate::queue::Received;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

fn device(name: &str) -> DeviceId {
    name.parse().expect("a device")
}

fn holder(name: &str) -> Holder {
    if name == "*" { Holder::Unclaimed } else { Holder::Device(device(name)) }
}

/// The row of alice's `n`th message in an inbox of bob's.
fn row(inbox: &str, n: u64, text: &str) -> Row {
    Row {
        user: user("bob"),
        holder: holder(inbox),
        envelope: Envelope {
            id: message_id(NOW, n),
            from: user("alice").into(),
            to: Recipient::User(user("bob")),
            kind: Kind::Message,
            at: NOW,
            expires_at: NOW.plus(Duration::from_secs(60)),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text(text),
        },
        undelivered: false,
        shared: false,
    }
}

async fn put(inbox: &impl Inbox, rows: &[Row]) {
    let outcomes = inbox.put(rows).await;
    assert_eq!(outcomes.len(), rows.len());
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

async fn page_refs(inbox: &impl Inbox, own: Option<&str>, after: Option<&Ref>, limit: usize) -> (Vec<Ref>, bool) {
    let own = own.map(device);
    let page = inbox.page(&user("bob"), own.as_ref(), after, limit, NOW).await.expect("a page");
    (page.rows.iter().map(|row| row.key().reference()).collect(), page.more)
}

/// The same from the end.
async fn page_back_refs(inbox: &impl Inbox, own: Option<&str>, before: Option<&Ref>, limit: usize) -> (Vec<Ref>, bool) {
    let own = own.map(device);
    let page = inbox.page_back(&user("bob"), own.as_ref(), before, limit, NOW).await.expect("a page");
    (page.rows.iter().map(|row| row.key().reference()).collect(), page.more)
}

fn refs(rows: &[Row]) -> Vec<Ref> {
    rows.iter().map(|row| row.key().reference()).collect()
}

/// Everything that an [`Inbox`] promises.
pub async fn inbox(inbox: impl Inbox) {
    rows_are_kept_under_their_keys(&inbox).await;
    pages_merge_both_shelves_in_order(&inbox).await;
    expired_rows_are_not_seen(&inbox).await;
    marks_do_not_bring_rows_back(&inbox).await;
    what_senders_were_told_is_kept_until_it_expires(&inbox).await;
    batches_may_be_large(&inbox).await;
}

async fn clear(inbox: &impl Inbox, rows: &[Row]) {
    let keys: Vec<Key> = rows.iter().map(Row::key).collect();
    assert!(inbox.delete(&keys).await.iter().all(Result::is_ok));
}

async fn rows_are_kept_under_their_keys(inbox: &impl Inbox) {
    let (phone, tablet) = (row("phone", 1, "a"), row("tablet", 1, "b"));
    put(inbox, &[phone.clone(), tablet.clone()]).await;
    let replaced = row("phone", 1, "c");
    put(inbox, std::slice::from_ref(&replaced)).await;
    let other_sender = Key { sender: user("carol").into(), ..phone.key() };
    let found = inbox.get(&[phone.key(), other_sender, tablet.key()], NOW).await.expect("an answer");
    assert_eq!(found, [Lookup::Found(replaced), Lookup::Missing, Lookup::Found(tablet.clone())]);
    clear(inbox, &[phone.clone(), row("phone", 2, "never put")]).await;
    clear(inbox, std::slice::from_ref(&phone)).await;
    let found = inbox.get(&[phone.key(), tablet.key()], NOW).await.expect("an answer");
    assert_eq!(found, [Lookup::Missing, Lookup::Found(tablet.clone())]);
    clear(inbox, &[tablet]).await;
}

async fn pages_merge_both_shelves_in_order(inbox: &impl Inbox) {
    let merged = [row("phone", 1, ""), row("*", 1, ""), row("*", 2, ""), row("phone", 3, ""), row("*", 4, "")];
    let others = [row("tablet", 2, ""), Row { user: user("bobby"), ..row("phone", 2, "") }];
    let mut shuffled: Vec<Row> = merged.iter().chain(&others).cloned().collect();
    shuffled.reverse();
    put(inbox, &shuffled).await;
    let all = refs(&merged);
    assert_eq!(page_refs(inbox, Some("phone"), None, 100).await, (all.clone(), false));
    assert_eq!(page_refs(inbox, Some("phone"), None, 5).await, (all.clone(), false), "exactly as many are all");
    assert_eq!(page_refs(inbox, Some("phone"), None, 3).await, (all[..3].to_vec(), true));
    for (place, after) in all.iter().enumerate() {
        let rest = all[place + 1..].to_vec();
        assert_eq!(page_refs(inbox, Some("phone"), Some(after), 100).await, (rest, false), "after {after}");
    }
    let back: Vec<Ref> = all.iter().rev().cloned().collect();
    assert_eq!(page_back_refs(inbox, Some("phone"), None, 5).await, (back.clone(), false));
    assert_eq!(page_back_refs(inbox, Some("phone"), None, 3).await, (back[..3].to_vec(), true));
    for (place, before) in back.iter().enumerate() {
        let rest = back[place + 1..].to_vec();
        for watched in [false, true] {
            let before = Ref { watched, ..before.clone() };
            let read = page_back_refs(inbox, Some("phone"), Some(&before), 100).await;
            assert_eq!(read, (rest.clone(), false), "before {before}");
        }
    }
    assert_eq!(page_back_refs(inbox, None, None, 1).await, (back[..1].to_vec(), true));
    let unclaimed = [all[1].clone(), all[2].clone(), all[4].clone()];
    assert_eq!(page_refs(inbox, None, None, 100).await, (unclaimed.to_vec(), false));
    assert_eq!(page_refs(inbox, None, None, 1).await, (unclaimed[..1].to_vec(), true));
    let acked = [merged[0].clone(), merged[2].clone()];
    clear(inbox, &acked).await;
    let left = vec![all[1].clone(), all[3].clone(), all[4].clone()];
    let (after_acked, more) = page_refs(inbox, Some("phone"), Some(&all[0]), 100).await;
    assert_eq!((after_acked, more), (left, false), "a cursor may point at what is gone");
    clear(inbox, &shuffled).await;
    assert_eq!(page_refs(inbox, Some("phone"), None, 100).await, (vec![], false));
}

async fn expired_rows_are_not_seen(inbox: &impl Inbox) {
    let mut expired = row("phone", 1, "");
    expired.envelope.expires_at = NOW;
    let rows = [expired, row("phone", 2, "")];
    put(inbox, &rows).await;
    let found = inbox.get(&[rows[0].key(), rows[1].key()], NOW).await.expect("an answer");
    assert_eq!(found, [Lookup::Missing, Lookup::Found(rows[1].clone())]);
    assert_eq!(page_refs(inbox, Some("phone"), None, 1).await.0, refs(&rows[1..]));
    clear(inbox, &rows).await;
}

async fn marks_do_not_bring_rows_back(inbox: &impl Inbox) {
    let marked = row("phone", 1, "text");
    put(inbox, std::slice::from_ref(&marked)).await;
    inbox.mark_undelivered(&marked.key()).await.expect("marked");
    let found = inbox.get(&[marked.key()], NOW).await.expect("an answer");
    assert_eq!(found, [Lookup::Found(Row { undelivered: true, ..marked.clone() })]);
    clear(inbox, std::slice::from_ref(&marked)).await;
    inbox.mark_undelivered(&marked.key()).await.expect("nothing to mark");
    assert_eq!(inbox.get(&[marked.key()], NOW).await.expect("an answer"), [Lookup::Missing]);
}

async fn what_senders_were_told_is_kept_until_it_expires(inbox: &impl Inbox) {
    let name = |n| MessageName { id: message_id(NOW, n), from: user("alice").into() };
    let told =
        |n, event| Told { user: user("bob"), name: name(n), event, expires_at: NOW.plus(Duration::from_secs(60)) };
    let mut kept: Vec<Told> = (0..30).map(|n| told(n, ReceiptEvent::Delivered)).collect();
    inbox.keep_told(&kept).await.expect("kept");
    kept[3].event = ReceiptEvent::Read;
    kept[4].expires_at = NOW;
    inbox.keep_told(&kept[3..5]).await.expect("kept");
    inbox.keep_told(&[Told { user: user("bobby"), ..told(50, ReceiptEvent::Read) }]).await.expect("kept");
    let names: Vec<MessageName> = (0..60).map(name).collect();
    let found = async || {
        let mut found = inbox.told(&user("bob"), &names, NOW).await.expect("an answer");
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    };
    kept.remove(4);
    assert_eq!(found().await, kept);
    assert_eq!(page_refs(inbox, Some("phone"), None, 100).await, (vec![], false), "no envelopes");
    inbox.forget_told(&user("bob")).await.expect("forgotten");
    inbox.forget_told(&user("bob")).await.expect("forgotten again");
    assert!(found().await.is_empty());
    assert_eq!(inbox.told(&user("bobby"), &names, NOW).await.expect("an answer").len(), 1);
}

async fn batches_may_be_large(inbox: &impl Inbox) {
    let rows: Vec<Row> = (0..130).map(|n| row("phone", n, &"x".repeat(15_000))).collect();
    put(inbox, &rows).await;
    let keys: Vec<Key> = rows.iter().map(Row::key).collect();
    let found = inbox.get(&keys, NOW).await.expect("an answer");
    assert!(found.iter().zip(&rows).all(|(found, row)| *found == Lookup::Found(row.clone())));
    // 130 rows of 15 kB are more than the megabyte that a store reads at a time.
    let (mut after, mut read) = (None, Vec::new());
    loop {
        let (page, more) = page_refs(inbox, Some("phone"), after.as_ref(), 256).await;
        assert!(!more || !page.is_empty(), "a page with more to come is not empty");
        read.extend(page);
        after = read.last().cloned();
        if !more {
            break;
        }
    }
    assert_eq!(read, refs(&rows));
    clear(inbox, &rows).await;
}

/// Everything that a [`Directory`] promises.
pub async fn directory(directory: impl Directory) {
    newer_connections_displace_older_ones(&directory).await;
    only_the_registered_connection_is_unregistered(&directory).await;
    connections_end(&directory).await;
    devices_are_known_without_a_connection(&directory).await;
    it_is_noted_when_devices_were_seen(&directory).await;
    who_shows_presence_has_said_so(&directory).await;
    push::push(&directory).await;
    wake_states_are_replaced_only_if_unchanged(&directory).await;
    a_connection_keeps_its_dialect_and_leaves_it_to_none(&directory).await;
}

fn address(user_name: &str, device_name: &str) -> Address {
    Address { user: user(user_name), device: device(device_name) }
}

fn connection(id: &str, after_secs: u64) -> Connection {
    Connection { id: id.into(), connected_at: NOW.plus(Duration::from_secs(after_secs)), dialect: Dialect::Current }
}

async fn connections_of(directory: &impl Directory, name: &str, now: Timestamp) -> Vec<(String, Option<Connection>)> {
    let devices = directory.devices(&user(name), now).await.expect("devices");
    let mut devices: Vec<_> = devices.into_iter().map(|device| (device.id.to_string(), device.connection)).collect();
    devices.sort_by(|a, b| a.0.cmp(&b.0));
    devices
}

async fn newer_connections_displace_older_ones(directory: &impl Directory) {
    let phone = address("ann", "phone");
    let register = |connection: Connection| async move {
        directory.register(&address("ann", "phone"), &connection, NOW).await.expect("an outcome")
    };
    let (first, second) = (connection("c1", 1), connection("c2", 2));
    assert_eq!(register(first.clone()).await, Registration::Registered { displaced: None });
    assert_eq!(register(first.clone()).await, Registration::Registered { displaced: None }, "the same event again");
    assert_eq!(register(second.clone()).await, Registration::Registered { displaced: Some(first.clone()) });
    assert_eq!(register(first).await, Registration::Superseded);
    directory.register(&address("ann", "tablet"), &connection("c3", 0), NOW).await.expect("an outcome");
    let devices = connections_of(directory, "ann", NOW).await;
    assert_eq!(devices, [("phone".to_owned(), Some(second)), ("tablet".to_owned(), Some(connection("c3", 0)))]);
    assert_eq!(connections_of(directory, "an", NOW).await, []);
    assert_eq!(phone.user, user("ann"));
}

async fn only_the_registered_connection_is_unregistered(directory: &impl Directory) {
    let phone = address("ben", "phone");
    directory.register(&phone, &connection("c1", 1), NOW).await.expect("an outcome");
    directory.register(&phone, &connection("c2", 2), NOW).await.expect("an outcome");
    directory.unregister(&phone, &"c1".into()).await.expect("nothing happens");
    assert_eq!(connections_of(directory, "ben", NOW).await, [("phone".to_owned(), Some(connection("c2", 2)))]);
    directory.unregister(&phone, &"c2".into()).await.expect("unregistered");
    directory.unregister(&phone, &"c2".into()).await.expect("twice is the same as once");
    assert_eq!(connections_of(directory, "ben", NOW).await, [("phone".to_owned(), None)]);
    directory.unregister(&address("ben", "ghost"), &"c1".into()).await.expect("nothing happens");
    assert_eq!(connections_of(directory, "ben", NOW).await.len(), 1, "unregistering creates no device");
    let older = directory.register(&phone, &connection("c0", 0), NOW).await.expect("an outcome");
    assert_eq!(older, Registration::Registered { displaced: None }, "nothing newer is registered any more");
}

async fn connections_end(directory: &impl Directory) {
    let phone = address("cid", "phone");
    let first = connection("c1", 0);
    directory.register(&phone, &first, NOW).await.expect("an outcome");
    let (before, end) = (first.ends_at().minus(Duration::from_millis(1)), first.ends_at());
    assert_eq!(connections_of(directory, "cid", before).await, [("phone".to_owned(), Some(first))]);
    assert_eq!(connections_of(directory, "cid", end).await, [("phone".to_owned(), None)]);
    let next = directory.register(&phone, &connection("c2", 7_200), end).await.expect("an outcome");
    assert_eq!(next, Registration::Registered { displaced: None }, "what has ended is not displaced");
}

async fn a_connection_keeps_its_dialect_and_leaves_it_to_none(directory: &impl Directory) {
    let device = address("flo", "legacy");
    let old = |id, secs, dialect| Connection { dialect, ..connection(id, secs) };
    let (json, base64) = (old("c1", 1, Dialect::OldJson), old("c2", 2, Dialect::OldBase64));
    let mut displaced = None;
    for next in [json, base64, connection("c3", 3)] {
        let outcome = directory.register(&device, &next, NOW).await.expect("an outcome");
        assert_eq!(outcome, Registration::Registered { displaced });
        assert_eq!(connections_of(directory, "flo", NOW).await, [("legacy".to_owned(), Some(next.clone()))]);
        displaced = Some(next);
    }
    directory.register(&device, &old("c4", 4, Dialect::OldJson), NOW).await.expect("an outcome");
    directory.unregister(&device, &"c4".into()).await.expect("unregistered");
    directory.register(&device, &connection("c5", 5), NOW).await.expect("an outcome");
    assert_eq!(connections_of(directory, "flo", NOW).await, [("legacy".to_owned(), Some(connection("c5", 5)))]);
}

async fn devices_are_known_without_a_connection(directory: &impl Directory) {
    let (phone, tablet) = (address("eli", "phone"), address("eli", "tablet"));
    directory.seen(&phone, NOW).await.expect("nothing happens");
    assert_eq!(connections_of(directory, "eli", NOW).await, [], "who is seen is not made known by it");
    directory.enrol(&phone, &Enrolment::default(), NOW).await.expect("enrolled");
    assert_eq!(connections_of(directory, "eli", NOW).await, [("phone".to_owned(), None)]);
    directory.register(&phone, &connection("c1", 0), NOW).await.expect("an outcome");
    directory.enrol(&phone, &Enrolment::default(), NOW).await.expect("enrolled again");
    directory.seen(&phone, NOW).await.expect("seen");
    directory.enrol(&tablet, &Enrolment::default(), NOW).await.expect("enrolled");
    let both = [("phone".to_owned(), Some(connection("c1", 0))), ("tablet".to_owned(), None)];
    assert_eq!(connections_of(directory, "eli", NOW).await, both, "a connection stays what it is");
    directory.forget(&phone).await.expect("forgotten");
    directory.forget(&phone).await.expect("twice is the same as once");
    assert_eq!(connections_of(directory, "eli", NOW).await, [("tablet".to_owned(), None)]);
    assert_eq!(directory.wakeable(&user("eli"), &holder("phone")).await.expect("a state"), None);
}

fn at(after_secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(after_secs))
}

/// What is known of a user's only device.
async fn only_device(directory: &impl Directory, name: &str, now: Timestamp) -> Device {
    let mut devices = directory.devices(&user(name), now).await.expect("devices");
    assert_eq!(devices.len(), 1, "{devices:?}");
    devices.remove(0)
}

async fn it_is_noted_when_devices_were_seen(directory: &impl Directory) {
    let phone = address("gil", "phone");
    let seen = async || only_device(directory, "gil", NOW).await.last_seen;
    directory.enrol(&phone, &Enrolment::default(), at(1)).await.expect("enrolled");
    assert_eq!(seen().await, at(1));
    directory.seen(&phone, at(2)).await.expect("seen");
    assert_eq!(seen().await, at(2));
    directory.register(&phone, &connection("c2", 2), at(3)).await.expect("an outcome");
    assert_eq!(seen().await, at(3));
    directory.register(&phone, &connection("c1", 1), at(4)).await.expect("an outcome");
    directory.left(&phone, &"c1".into(), at(4)).await.expect("nothing happens");
    assert_eq!(only_device(directory, "gil", NOW).await.connection, Some(connection("c2", 2)));
    assert_eq!(seen().await, at(3), "what was displaced says nothing");
    directory.left(&phone, &"c2".into(), at(5)).await.expect("left");
    directory.left(&phone, &"c2".into(), at(6)).await.expect("twice is the same as once");
    assert_eq!(only_device(directory, "gil", NOW).await.connection, None);
    assert_eq!(seen().await, at(5));
    directory.register(&phone, &connection("c7", 7), at(7)).await.expect("an outcome");
    directory.unregister(&phone, &"c7".into()).await.expect("unregistered");
    assert_eq!(seen().await, at(7), "who was found gone was not seen");
    directory.left(&address("gil", "ghost"), &"c7".into(), at(8)).await.expect("nothing happens");
    assert_eq!(only_device(directory, "gil", NOW).await.id, device("phone"), "leaving creates no device");
}

async fn who_shows_presence_has_said_so(directory: &impl Directory) {
    let phone = address("hal", "phone");
    let shows = async || only_device(directory, "hal", NOW).await.shows_presence;
    let shown = |presence| Enrolment { presence: Some(presence), ..Enrolment::default() };
    directory.enrol(&phone, &Enrolment::default(), NOW).await.expect("enrolled");
    assert!(!shows().await);
    for said in [true, false] {
        directory.enrol(&phone, &shown(said), NOW).await.expect("enrolled");
        directory.enrol(&phone, &shown(said), NOW).await.expect("twice is the same as once");
        assert_eq!(shows().await, said);
        directory.enrol(&phone, &Enrolment::default(), NOW).await.expect("enrolled");
        directory.register(&phone, &connection("c1", 1), NOW).await.expect("an outcome");
        directory.left(&phone, &"c1".into(), NOW).await.expect("left");
        directory.seen(&phone, NOW).await.expect("seen");
        assert_eq!(shows().await, said, "nothing else changes it");
    }
    directory.enrol(&phone, &shown(true), NOW).await.expect("enrolled");
    directory.forget(&phone).await.expect("forgotten");
    directory.register(&phone, &connection("c2", 2), NOW).await.expect("an outcome");
    assert!(!shows().await, "a device that was forgotten is a new one");
}

async fn wake_states_are_replaced_only_if_unchanged(directory: &impl Directory) {
    directory.register(&address("dan", "phone"), &connection("c1", 0), NOW).await.expect("an outcome");
    let due = Due { at: NOW.plus(Duration::from_secs(30)), token: "token".to_owned() };
    let states = [
        WakeState::default(),
        WakeState { last: Some(NOW), due: None },
        WakeState { last: Some(NOW), due: Some(due) },
        WakeState { last: Some(NOW.plus(Duration::from_secs(30))), due: None },
    ];
    for holder in [holder("phone"), holder("*")] {
        let replace = |before: WakeState, after: WakeState, holder: Holder| async move {
            directory.replace_wake_state(&user("dan"), &holder, &before, &after, NOW).await.expect("an outcome")
        };
        for pair in states.windows(2) {
            let [before, after] = pair else { unreachable!("windows of two") };
            let read = directory.wakeable(&user("dan"), &holder).await.expect("a state");
            assert_eq!(read.map(|wakeable| wakeable.state).as_ref(), Some(before));
            assert!(replace(before.clone(), after.clone(), holder.clone()).await);
            assert!(!replace(before.clone(), after.clone(), holder.clone()).await, "it is not `before` any more");
        }
    }
    let ghost = holder("ghost");
    assert_eq!(directory.wakeable(&user("dan"), &ghost).await.expect("a state"), None);
    let (before, after) = (&states[0], &states[1]);
    let replaced = directory.replace_wake_state(&user("dan"), &ghost, before, after, NOW).await.expect("an outcome");
    assert!(!replaced);
    assert_eq!(connections_of(directory, "dan", NOW).await.len(), 1, "a wake creates no device");
}

/// A queue with its consuming side, which functions leave to the event source mapping, and with time that can be moved.
pub trait Consumable {
    /// The port.
    fn port(&self) -> &impl Queue;
    /// Receives up to ten records that can be seen.
    fn receive(&self) -> impl Future<Output = Vec<Received>>;
    /// Deletes the record of a receipt.
    fn delete(&self, receipt: &Receipt) -> impl Future<Output = ()>;
    /// The bodies in the dead-letter queue.
    fn dead_letters(&self) -> impl Future<Output = Vec<String>>;
    /// Moves time.
    fn advance(&self, by: Duration);
}

fn job(n: u64) -> Job {
    let reference =
        Ref { id: message_id(NOW, n), sender: user("alice").into(), shelf: protocol::Shelf::Own, watched: false };
    Job::Await(Await { pending: vec![Pending { user: user("bob"), device: device("phone"), reference }] })
}

async fn send(queue: &impl Queue, jobs: impl IntoIterator<Item = (u64, u64)>) {
    let scheduled: Vec<Scheduled> = jobs
        .into_iter()
        .map(|(n, delay_secs)| Scheduled { job: job(n), delay: Duration::from_secs(delay_secs) })
        .collect();
    let outcomes = queue.send(&scheduled).await;
    assert_eq!(outcomes.len(), scheduled.len());
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

async fn receive_all(queue: &impl Consumable) -> Vec<Received> {
    let mut all = Vec::new();
    loop {
        let batch = queue.receive().await;
        assert!(batch.len() <= 10);
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

/// Everything that a [`Queue`] promises, together with what consumes it.
pub async fn queue(queue: impl Consumable) {
    send(queue.port(), (0..25).map(|n| (n, 0))).await;
    let received = receive_all(&queue).await;
    let mut bodies: Vec<String> = received.iter().map(|record| record.body.clone()).collect();
    bodies.sort();
    let mut expected: Vec<String> = (0..25).map(|n| job(n).encode()).collect();
    expected.sort();
    assert_eq!(bodies, expected, "every record is received once");
    for record in &received {
        assert_eq!(record.receive_count, 1);
        queue.delete(&record.receipt).await;
    }
    queue.advance(Duration::from_secs(3_600));
    assert!(queue.receive().await.is_empty(), "what is deleted is gone");

    send(queue.port(), [(1, 5)]).await;
    queue.advance(Duration::from_millis(4_999));
    assert!(queue.receive().await.is_empty(), "a delayed record is not seen early");
    queue.advance(Duration::from_millis(1));
    let first = receive_all(&queue).await;
    assert_eq!(first.len(), 1);
    queue.advance(Duration::from_millis(59_999));
    assert!(queue.receive().await.is_empty(), "what is in hand is hidden");
    queue.advance(Duration::from_millis(1));
    let second = receive_all(&queue).await;
    assert_eq!((second[0].id.as_str(), second[0].receive_count), (first[0].id.as_str(), 2));

    let hidden = queue.port().set_visibility(&[(second[0].receipt.clone(), Duration::from_secs(300))]).await;
    assert!(hidden[0].is_ok());
    queue.advance(Duration::from_millis(299_999));
    assert!(queue.receive().await.is_empty(), "a record waits as long as it was told");
    queue.advance(Duration::from_millis(1));
    let third = receive_all(&queue).await;
    assert_eq!(third[0].receive_count, 3, "waiting is not receiving");
    queue.delete(&third[0].receipt).await;

    queue.port().send_later("postponed", Duration::from_secs(30)).await.expect("sent");
    queue.advance(Duration::from_millis(29_999));
    assert!(queue.receive().await.is_empty(), "a postponed record is not seen early");
    queue.advance(Duration::from_millis(1));
    let postponed = receive_all(&queue).await;
    assert_eq!((postponed.len(), postponed[0].body.as_str()), (1, "postponed"));
    queue.delete(&postponed[0].receipt).await;

    queue.port().dead_letter("poison", "it cannot be read").await.expect("dead-lettered");
    assert_eq!(queue.dead_letters().await, ["poison"]);
    assert!(queue.receive().await.is_empty());
}
