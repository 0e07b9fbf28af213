//! Rotation of secrets: what was made before is refused as the real service refuses it, and what is made after is taken.

use providers::Service;

use crate::apns::{self, TOPIC, Team};
use crate::fcm::{self, Account};
use crate::web_push;
use crate::world::World;

#[tokio::test]
async fn a_deleted_key_of_fcm_is_good_for_nothing() {
    let world = World::start().await;
    let (old, token) = (Account::of(&world), world.providers.register_fcm());
    let access = old.access(&world).await;
    world.providers.rotate(Service::Fcm);
    assert_eq!(fcm::refusal(old.send(&world, &access, &fcm::message(&token))).await.0, 401);
    let (status, body) = old.grant(&world, &old.assertion(&old.claims(&world))).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("invalid_grant")));

    let new = Account::of(&world);
    let access = new.access(&world).await;
    assert_eq!(fcm::ask(new.send(&world, &access, &fcm::message(&token))).await.0, 200);
}

#[tokio::test]
async fn a_revoked_key_of_apns_is_good_for_nothing() {
    let world = World::start().await;
    let (old, device) = (Team::of(&world), world.providers.register_apns(TOPIC));
    let token = old.token(world.now());
    assert_eq!(apns::ask(apns::push(&world, &device, &token)).await.0, 200);
    world.providers.rotate(Service::Apns);
    let refused = (403, Some("InvalidProviderToken".to_owned()));
    assert_eq!(apns::ask(apns::push(&world, &device, &token)).await, refused);
    let token = Team::of(&world).token(world.now());
    assert_eq!(apns::ask(apns::push(&world, &device, &token)).await.0, 200, "the first token of another key");
}

#[tokio::test]
async fn a_subscription_of_web_push_takes_the_key_that_it_was_made_for() {
    let world = World::start().await;
    let (old, while_old) = (world.providers.subscribe(), web_push::application_key(&world));
    world.providers.rotate(Service::WebPush);
    assert_eq!(web_push::refusal(web_push::good(&world, &old)).await, (403, 109));
    let new = world.providers.subscribe();
    assert_eq!(web_push::good(&world, &new).send().await.expect("an answer").status(), 201);
    let request = web_push::good_by(&world, &while_old, &old);
    assert_eq!(request.send().await.expect("an answer").status(), 201);
    assert_eq!(web_push::refusal(web_push::good_by(&world, &while_old, &new)).await, (403, 109));
}
