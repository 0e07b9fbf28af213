//! Faults: how they look at each service, how long they last, and whom they befall.

use std::time::{Duration, Instant};

use providers::{Fault, Service, Times, Whom};
use reqwest::{RequestBuilder, Response};
use serde_json::json;

use crate::apns::{self, TOPIC, Team};
use crate::fcm::{self, Account};
use crate::web_push;
use crate::world::{World, answer};

/// A world with a target and a good push for each service.
struct Targets {
    world: World,
    fcm: String,
    access: String,
    apns: String,
    /// Signed once: each signature of ES256 is another token, and APNs takes one in 20 minutes.
    provider_token: String,
    web_push: providers::Subscription,
}

impl Targets {
    async fn start() -> Self {
        let world = World::start().await;
        let (fcm, apns) = (world.providers.register_fcm(), world.providers.register_apns(TOPIC));
        let access = Account::of(&world).access(&world).await;
        let provider_token = Team::of(&world).token(world.now());
        let web_push = world.providers.subscribe();
        Self { world, fcm, access, apns, provider_token, web_push }
    }

    fn push(&self, service: Service) -> RequestBuilder {
        let world = &self.world;
        match service {
            Service::Fcm => Account::of(world).send(world, &self.access, &fcm::message(&self.fcm)),
            Service::Apns => apns::push(world, &self.apns, &self.provider_token),
            Service::WebPush => web_push::good(world, &self.web_push),
        }
    }

    async fn send(&self, service: Service) -> Response {
        self.push(service).send().await.expect("an answer")
    }
}

const ALL: [Service; 3] = [Service::Fcm, Service::Apns, Service::WebPush];

#[tokio::test]
async fn each_fault_looks_as_at_the_real_service() {
    let targets = Targets::start().await;
    let retry_after = Some(Duration::from_secs(90));
    for (service, fault, status, place, word) in [
        (
            Service::Fcm,
            Fault::TooManyRequests { retry_after },
            429,
            "/error/details/0/errorCode",
            json!("QUOTA_EXCEEDED"),
        ),
        (Service::Fcm, Fault::Unavailable { retry_after }, 503, "/error/status", json!("UNAVAILABLE")),
        (Service::Fcm, Fault::InternalError, 500, "/error/status", json!("INTERNAL")),
        (Service::Fcm, Fault::ExpiredCredentials, 401, "/error/details/0/reason", json!("ACCESS_TOKEN_EXPIRED")),
        (Service::Apns, Fault::TooManyRequests { retry_after }, 429, "/reason", json!("TooManyRequests")),
        (Service::Apns, Fault::Unavailable { retry_after }, 503, "/reason", json!("ServiceUnavailable")),
        (Service::Apns, Fault::InternalError, 500, "/reason", json!("InternalServerError")),
        (Service::Apns, Fault::ExpiredCredentials, 403, "/reason", json!("ExpiredProviderToken")),
        (Service::WebPush, Fault::TooManyRequests { retry_after }, 429, "/errno", json!(201)),
        (Service::WebPush, Fault::Unavailable { retry_after }, 503, "/errno", json!(201)),
        (Service::WebPush, Fault::InternalError, 500, "/errno", json!(999)),
        (Service::WebPush, Fault::ExpiredCredentials, 403, "/errno", json!(109)),
    ] {
        targets.world.providers.misbehave(Whom::Service(service), fault.clone(), Times::Next(1));
        let response = targets.send(service).await;
        let waits = matches!(fault, Fault::TooManyRequests { .. } | Fault::Unavailable { .. });
        let header = response.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(header.as_deref(), waits.then_some("90"), "{service:?} {fault:?}");
        let (answered, body) = answer(response).await;
        assert_eq!((answered, body.pointer(place)), (status, Some(&word)), "{service:?} {fault:?}: {body}");
    }
    assert!(targets.world.providers.received().is_empty());
}

#[tokio::test]
async fn a_fault_lasts_for_so_many_requests_or_until_told_otherwise() {
    let targets = Targets::start().await;
    let broken = Whom::Service(Service::WebPush);
    let providers = &targets.world.providers;
    providers.misbehave(broken.clone(), Fault::InternalError, Times::Next(2));
    providers.misbehave(broken.clone(), Fault::Unavailable { retry_after: None }, Times::Next(1));
    providers.misbehave(Whom::Target("another".to_owned()), Fault::InternalError, Times::Always);
    for status in [500, 500, 503, 201, 201] {
        assert_eq!(targets.send(Service::WebPush).await.status().as_u16(), status);
    }
    providers.misbehave(broken.clone(), Fault::InternalError, Times::Always);
    for service in [Service::WebPush, Service::WebPush, Service::Fcm] {
        assert_eq!(targets.send(service).await.status().as_u16() == 500, service == Service::WebPush);
    }
    providers.behave(&broken);
    assert_eq!(targets.send(Service::WebPush).await.status().as_u16(), 201);
}

#[tokio::test]
async fn a_fault_of_a_target_is_its_own() {
    let targets = Targets::start().await;
    let (fcm, apns, web_push) = (&targets.fcm, &targets.apns, &targets.web_push.endpoint);
    for (service, target) in [(Service::Fcm, fcm), (Service::Apns, apns), (Service::WebPush, web_push)] {
        targets.world.providers.misbehave(Whom::Target(target.clone()), Fault::InternalError, Times::Next(1));
        for other in ALL.into_iter().filter(|other| *other != service) {
            assert!(targets.send(other).await.status().is_success(), "{other:?}");
        }
        assert_eq!(targets.send(service).await.status().as_u16(), 500);
        assert!(targets.send(service).await.status().is_success(), "{service:?}");
    }
}

#[tokio::test]
async fn a_service_that_unregisters_does_so_for_good() {
    let targets = Targets::start().await;
    for (service, status) in [(Service::Fcm, 404), (Service::Apns, 410), (Service::WebPush, 410)] {
        targets.world.providers.misbehave(Whom::Service(service), Fault::Unregistered, Times::Next(1));
        for _ in 0..2 {
            assert_eq!(targets.send(service).await.status().as_u16(), status, "{service:?}");
        }
    }
}

#[tokio::test]
async fn an_access_token_that_expired_early_is_void() {
    let targets = Targets::start().await;
    targets.world.providers.misbehave(Whom::Service(Service::Fcm), Fault::ExpiredCredentials, Times::Next(1));
    for _ in 0..2 {
        assert_eq!(targets.send(Service::Fcm).await.status().as_u16(), 401);
    }
    let access = Account::of(&targets.world).access(&targets.world).await;
    assert_eq!(Targets { access, ..targets }.send(Service::Fcm).await.status().as_u16(), 200);
}

#[tokio::test]
async fn the_token_endpoint_has_faults_of_its_own() {
    let targets = Targets::start().await;
    let (world, account) = (&targets.world, Account::of(&targets.world));
    let assertion = account.assertion(&account.claims(world));
    for (fault, status, error) in [
        (Fault::ExpiredCredentials, 400, "invalid_grant"),
        (Fault::TooManyRequests { retry_after: None }, 429, "rate_limit_exceeded"),
        (Fault::Unavailable { retry_after: None }, 503, "internal_failure"),
        (Fault::InternalError, 500, "internal_failure"),
    ] {
        world.providers.misbehave(Whom::TokenEndpoint, fault, Times::Next(1));
        assert_eq!(targets.send(Service::Fcm).await.status().as_u16(), 200);
        let (answered, body) = account.grant(world, &assertion).await;
        assert_eq!((answered, &body["error"]), (status, &json!(error)));
    }
    assert_eq!(account.grant(world, &assertion).await.0, 200);
}

#[tokio::test]
async fn a_slow_answer_comes_and_one_that_never_comes_does_not() {
    let targets = Targets::start().await;
    let (patience, little) = (Duration::from_millis(100), Duration::from_millis(20));
    for service in ALL {
        for fault in [Fault::NeverAnswers, Fault::Slow(Duration::from_secs(3_600))] {
            targets.world.providers.misbehave(Whom::Service(service), fault.clone(), Times::Next(1));
            let error = targets.push(service).timeout(patience).send().await.expect_err("no answer");
            assert!(error.is_timeout(), "{service:?} {fault:?}: {error}");
        }
        targets.world.providers.misbehave(Whom::Service(service), Fault::Slow(little), Times::Next(1));
        let start = Instant::now();
        assert!(targets.send(service).await.status().is_success(), "{service:?}");
        assert!(start.elapsed() >= little, "{service:?}");
    }
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let targets = Targets::start().await;
    let request = targets.push(Service::WebPush);
    assert!(targets.send(Service::WebPush).await.status().is_success());
    drop(targets);
    assert!(request.send().await.is_err());
}
