//! The weaknesses of the server that this one replaces, and for each the test that would fail if it were here too. A weakness that another
//! test covers whole has none here: the table names it.
//!
//! | | weakness | test |
//! |---|---|---|
//! | 1 | what was written to a dying socket counts as sent, and is never sent again | `online::what_is_not_acked_comes_again_and_ends_in_a_wake_and_a_closed_socket`; a frame that is lost: crates/local `a_dropped_post_is_made_up_for_by_the_next_attempt`; the next connection: tests/conformance `what_was_posted_and_not_acked_is_drained` |
//! | 2 | a record is acknowledged before its handler is done | crates/local `a_record_whose_invocation_crashed_comes_again_when_its_visibility_timeout_is_over`; functions/route `what_the_queue_did_not_take_is_not_accepted`; at every await: tests/world |
//! | 3 | an ack may come before the insert, whose row then stays | `w03_a_row_that_is_put_after_its_ack_does_not_stay`; functions/deliver `nothing_is_posted_whose_put_failed` |
//! | 4 | who was on a gateway that crashed is lost until reconnected | functions/deliver `a_gone_connection_is_forgotten_and_its_device_handed_over`, `outcomes_that_say_nothing_about_the_connection_are_awaited`; crates/local `who_was_connected_to_a_killed_process_is_delivered_to_once_reconnected` |
//! | 5 | a failed post is not retried, has no back-off, and ends without a push | functions/deliver `an_infrastructure_failure_brings_the_record_back`, `an_outage_of_an_hour_dead_letters_nothing`, `a_device_that_went_away_is_handed_over_once`; `online::what_is_not_acked_comes_again_and_ends_in_a_wake_and_a_closed_socket` |
//! | 6 | one socket for a user; closing either of two forgets both | `w06_a_device_that_leaves_takes_no_other_with_it`; of one device: `online::a_newer_connection_displaces_the_older_one` |
//! | 7 | a message sent again is another one; an ack by the sender's id deletes every sender's | `online::one_id_sent_five_times_is_shown_once_and_leaves_nothing`; `w07_one_id_of_two_senders_is_two_messages` |
//! | 8 | a frame may name its sender, and so ack for another | `bad_input::a_sender_cannot_pretend_to_be_another`, `bad_input::an_ack_deletes_nothing_but_ones_own` |
//! | 9 | a good token of one's own opens anybody's account, for ever | `w09_a_good_token_opens_no_account_but_its_own`; expiry: `tokens::bad_tokens_are_refused_with_401`. There are no keys to revoke: an issuer signs tokens |
//! | 10 | anybody may download any file | cannot exist: there are no files |
//! | 11 | consumers that read nothing, or drop a record that failed twice; a broker that has not written what it took | every test here goes through both queues; functions/deliver `an_outage_of_an_hour_dead_letters_nothing`; crates/local `whatever_a_killed_process_accepted_is_pending_after_the_next_start_and_delivered_to_who_comes` |
//! | 12 | a push for one device of a user only, with the body, tried once | `w12_each_absent_device_is_woken_and_not_told_what_was_written`; functions/notify `a_push_that_failed_comes_again`. Its time to live and dead tokens are the webhook's |
//! | 13 | no order, no pages, and times that depend on the time zone | `absent::a_thousand_messages_are_drained_oldest_first`, `absent::a_sync_pages_through_what_is_pending`, `online::envelopes_are_packed_into_frames_of_one_metered_unit`. Times cannot: they are milliseconds since 1970, and no code knows a zone |
//! | 14 | groups that anybody changes, of any size, that a stranger's message crashes, and whose news go to who was in them before | crates/delivery `only_admins_change_a_group`, `a_group_has_at_most_1024_members`, `only_members_write_to_a_group`; functions/deliver `everybody_hears_of_a_change` |
//! | 15 | rows have an expiry that nothing heeds | `online::a_message_expires_when_its_sender_says`; crates/testkit `expired_rows_are_not_seen`; the tables' TTL: xtask's tests of the template |
//! | 16 | metrics by user, and a count down that counts up | cannot exist: what `aws::Meter` counts by is known when it is compiled, and it only counts up |
//! | 17 | no tests; no limits; who has no credentials is let in under a random name | `limits`; the stage's throttling: xtask's tests of the template; `tokens::bad_tokens_are_refused_with_401`. There is no list of blocked users yet |

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::deployment::{Deployment, new_id};
use crate::socket::Socket;

#[tokio::test]
async fn w03_a_row_that_is_put_after_its_ack_does_not_stay() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    // Each record is received twice, so what was put, posted and acked is put and posted once more.
    cloud.change_faults(&json!({"duplicate_records": 1})).await;
    let mut posts = BTreeMap::new();
    for _ in 0..10 {
        posts.insert(alice.send_to("bob", "hi").await, 0);
    }
    while posts.values().any(|times| *times < 2) {
        let messages = bob.messages().await;
        bob.ack(&messages).await;
        for message in messages {
            *posts.get_mut(message["id"].as_str().expect("an id")).expect("a message of alice's") += 1;
        }
    }
    cloud.change_faults(&json!({"duplicate_records": 0})).await;
    cloud.until_pending("bob", "phone", 0).await;
}

#[tokio::test]
async fn w06_a_device_that_leaves_takes_no_other_with_it() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    for (leaves, stays) in [("phone", "tablet"), ("tablet", "phone")] {
        // Whichever came first.
        let one = cloud.connect("bob", "phone").await.drained().await;
        let other = cloud.connect("bob", "tablet").await.drained().await;
        let (gone, mut left) = if leaves == "phone" { (one, other) } else { (other, one) };
        drop(gone);
        let id = alice.send_to("bob", "hi").await;
        let what = format!("a wake of the {leaves}, which is gone");
        let names = |push: &Value| {
            push["device"] == leaves && push["ids"].as_array().is_some_and(|ids| ids.contains(&json!(id)))
        };
        cloud.until(&what, async || cloud.pushes("bob").await, |pushes| pushes.iter().any(names)).await;
        let messages = left.messages().await;
        assert_eq!((&messages[0]["id"], &messages[0]["attempt"]), (&json!(id), &json!(1)), "posted to the {stays}");
        left.ack(&messages).await;
        cloud.until_pending("bob", stays, 0).await;
        let mut back = cloud.connect("bob", leaves).await;
        let messages = back.messages().await;
        back.ack(&messages).await;
        cloud.until_pending("bob", leaves, 0).await;
    }
}

#[tokio::test]
async fn w07_one_id_of_two_senders_is_two_messages() {
    let cloud = Deployment::with(|options| options.waits = "60".parse().expect("waits")).await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let id = new_id().to_string();
    let mut posted = BTreeMap::new();
    for sender in ["alice", "carol"] {
        let mut socket = cloud.connect(sender, "phone").await.drained().await;
        socket.send_message(json!({"id": id, "to": {"user": "bob"}, "body": sender})).await;
        let message = bob.messages().await.remove(0);
        assert_eq!((&message["id"], &message["from"], &message["body"]), (&json!(id), &json!(sender), &json!(sender)));
        posted.insert(sender, message);
    }
    bob.ack(&[posted["alice"].clone()]).await;
    let left = cloud.until_pending("bob", "phone", 1).await;
    assert_eq!(json!(left), json!([posted["carol"]["ref"]]), "only alice's was acked");
    bob.ack(&[posted["carol"].clone()]).await;
    cloud.until_pending("bob", "phone", 0).await;
}

#[tokio::test]
async fn w09_a_good_token_opens_no_account_but_its_own() {
    let cloud = Deployment::start().await;
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let mut bob = cloud.connect("bob", "phone").await.drained().await;
    let query = "device=phone&user=bob&username=bob&sub=bob&from=bob";
    let mallory = Socket::open(cloud.ws(), query, Some(&cloud.token("mallory"))).await.expect("a connection");
    let mut mallory = mallory.drained().await;
    let to_bob = alice.send_to("bob", "for bob").await;
    let messages = bob.messages().await;
    assert_eq!(messages[0]["id"], json!(to_bob), "bob was not displaced");
    bob.ack(&messages).await;
    let to_mallory = alice.send_to("mallory", "for mallory").await;
    let messages = mallory.messages().await;
    assert_eq!(messages.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&json!(to_mallory)], "and nothing of bob's");
    mallory.ack(&messages).await;
    mallory.send_to("alice", "hi").await;
    assert_eq!(alice.messages().await[0]["from"], "mallory");
}

#[tokio::test]
async fn w12_each_absent_device_is_woken_and_not_told_what_was_written() {
    let cloud = Deployment::start().await;
    let devices = ["default", "phone", "tablet"];
    for device in devices {
        drop(cloud.connect("bob", device).await.drained().await);
    }
    let mut alice = cloud.connect("alice", "phone").await.drained().await;
    let id = alice.send_to("bob", "a secret").await;
    let woken = |pushes: &Vec<Value>| -> BTreeSet<String> {
        pushes.iter().filter_map(|push| push["device"].as_str().map(str::to_owned)).collect()
    };
    let pushes = cloud
        .until(
            "a wake of each device",
            async || cloud.pushes("bob").await,
            |pushes| woken(pushes).len() == devices.len(),
        )
        .await;
    assert_eq!(woken(&pushes), devices.map(str::to_owned).into());
    for push in &pushes {
        assert_eq!(push["ids"], json!([id]));
        let told: BTreeSet<&str> = push.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(told, ["at", "device", "ids", "reason", "user"].into(), "that something is pending, and not what");
    }
}
