//! Syncs: what is pending, page by page.

use blackbox::Deployment;
use serde_json::{Value, json};
use tokio::join;

const PENDING: usize = 7;

const LIMIT: usize = 3;

pub(crate) async fn a_sync_pages_through_what_is_pending(cloud: &Deployment) {
    let (alice, bob) = join!(cloud.user("alice"), cloud.user("bob"));
    let (mut sender, mut phone) = join!(alice.online("laptop"), bob.online("phone"));
    let messages: Vec<Value> = (0..PENDING).map(|number| bob.message(number)).collect();
    let sent = sender.send(&messages).await.ids;
    assert_eq!(sent.len(), PENDING);
    let mut posted = Vec::new();
    for id in &sent {
        posted.push(phone.message(id).await.envelope);
    }
    // Nothing is acked, so all of it is pending.
    let (mut synced, mut sync) = (Vec::new(), json!({"limit": LIMIT}));
    loop {
        let page = phone.sync(&sync).await;
        assert!((1..=LIMIT).contains(&page.messages.len()), "{page:?}");
        sync["after"] = json!(page.messages.last().expect("one at least").reference);
        synced.extend(page.messages);
        assert!(synced.len() <= PENDING, "the pages go on and on: {synced:?}");
        if page.more == Some(false) {
            break;
        }
    }
    let seen: Vec<_> =
        synced.iter().map(|one| (&one.reference, &one.id, &one.from, &one.to, one.at, &one.body)).collect();
    let expected: Vec<_> =
        posted.iter().map(|one| (&one.reference, &one.id, &one.from, &one.to, one.at, &one.body)).collect();
    assert_eq!(seen, expected, "each once, oldest first, as it was posted");
    let rest = phone.sync(&sync).await;
    assert!(rest.messages.is_empty(), "nothing comes after the last: {rest:?}");
    phone.ack(&posted).await;
    phone.nothing_pending().await;
}

pub(crate) async fn a_sync_of_nothing_says_so(cloud: &Deployment) {
    let mut phone = cloud.user("alice").await.online("phone").await;
    for sync in [json!({}), json!({"limit": 1}), json!({"limit": 100})] {
        let page = phone.sync(&sync).await;
        assert!(page.messages.is_empty() && page.more == Some(false), "{page:?}");
    }
}
