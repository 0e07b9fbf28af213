//! What outlives the process: registrations with what became of them, and the key and the port of Web Push.

use std::fs::{self, OpenOptions};
use std::io::Write;

use providers::{Fault, Providers, Service, StartError, Times, Whom};

use crate::apns::{self, TOPIC, Team};
use crate::fcm::{self, Account};
use crate::web_push;
use crate::world::World;

#[tokio::test]
async fn who_was_registered_stays_so_and_who_was_gone_stays_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.jsonl");
    let world = World::start_kept(&path).await;
    let tokens = [world.providers.register_fcm(), world.providers.register_fcm()];
    let devices = [world.providers.register_apns(TOPIC), world.providers.register_apns(TOPIC)];
    let old = world.providers.subscribe();
    let gone = world.providers.subscribe();
    world.providers.rotate(Service::WebPush);
    let new = world.providers.subscribe();
    for target in [&tokens[1], &devices[1], &gone.endpoint] {
        world.providers.misbehave(Whom::Target(target.clone()), Fault::Unregistered, Times::Always);
    }
    let (url, vapid) = (world.providers.url(), world.providers.vapid_public_key());
    world.providers.stop().await;

    let world = World::start_kept(&path).await;
    assert_eq!((world.providers.url(), world.providers.vapid_public_key()), (url, vapid));
    let account = Account::of(&world);
    let access = account.access(&world).await;
    let token = Team::of(&world).token(world.now());
    for (index, is_there) in [(0, true), (1, false)] {
        let sent = fcm::ask(account.send(&world, &access, &fcm::message(&tokens[index]))).await.0;
        let pushed = apns::ask(apns::push(&world, &devices[index], &token)).await.0;
        assert_eq!((sent, pushed), if is_there { (200, 200) } else { (404, 410) });
    }
    assert_eq!(web_push::good(&world, &new).send().await.expect("an answer").status(), 201);
    assert_eq!(web_push::refusal(web_push::good(&world, &old)).await, (403, 109), "it was made for the key before");
    let pushes = world.providers.received();
    assert_eq!(pushes.len(), 3, "{pushes:?}");
}

#[tokio::test]
async fn a_line_that_was_cut_off_by_a_kill_is_none_and_one_that_is_wrong_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.jsonl");
    let world = World::start_kept(&path).await;
    let before = world.providers.subscribe();
    world.providers.stop().await;
    let append = |text: &str| {
        let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
    };
    append(r#"{"kept":"fcm","tok"#);
    let world = World::start_kept(&path).await;
    let after = world.providers.subscribe();
    world.providers.stop().await;
    let world = World::start_kept(&path).await;
    for subscription in [before, after] {
        assert_eq!(web_push::good(&world, &subscription).send().await.expect("an answer").status(), 201);
    }
    world.providers.stop().await;

    for wrong in ["garbage\n", "{\"kept\":\"vapid\",\"key\":\"AAAA\"}\n"] {
        let text = fs::read_to_string(&path).expect("a text");
        append(wrong);
        let error = Providers::start_kept(&path, || protocol::Timestamp::from_secs(0)).await.expect_err("no start");
        assert!(matches!(error, StartError::Kept { .. }) && error.to_string().contains("kept.jsonl"), "{error}");
        fs::write(&path, text).expect("written");
    }
}
