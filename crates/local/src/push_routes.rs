//! The stand-ins of the push services over HTTP: targets to register, what was received, and faults. What a fault looks like is in the crate
//! `providers`.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::PushTarget;
use providers::{Fault, Providers, Received, Service, Subscription, Times, Whom};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::Http;

/// The bundle id of an app that names none.
const TOPIC: &str = "com.example.chat";

/// Longest that an answer is put off, in milliseconds, and longest `Retry-After`, in seconds.
const MAX_MS: u64 = 60_000;
const MAX_RETRY_AFTER: u64 = 3_600;

/// An app or a browser that registers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registering {
    service: Service,
    topic: Option<String>,
}

/// A change of faults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    service: Option<Whole>,
    target: Option<String>,
    fault: How,
    retry_after: Option<u64>,
    ms: Option<u64>,
    times: Option<u32>,
}

/// Who misbehaves as a whole.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Whole {
    Fcm,
    Apns,
    #[serde(rename = "webpush")]
    WebPush,
    TokenEndpoint,
}

/// How.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    None,
    Unregistered,
    TooManyRequests,
    InternalError,
    Unavailable,
    ExpiredCredentials,
    Slow,
    NeverAnswers,
    RotatedCredentials,
}

/// `GET /_local/push`: the key that pushes to browsers are signed for now.
pub(crate) async fn about(State(http): State<Http>) -> Json<Value> {
    Json(json!({"vapid": http.push_services.providers.vapid_public_key()}))
}

/// `POST /_local/push/targets`: a new target, as a device registers it.
pub(crate) async fn register(State(http): State<Http>, body: Bytes) -> Response {
    match serde_json::from_slice(&body).ok().and_then(|registering| target(&http.push_services.providers, registering))
    {
        Some(target) => Json(target).into_response(),
        None => {
            let usage = "say which service: {\"service\":\"fcm\"}, {\"service\":\"webpush\"}, or {\"service\":\"apns\",\"topic\":\"the \
                         app's bundle id\"}\n";
            (StatusCode::BAD_REQUEST, usage).into_response()
        }
    }
}

fn target(providers: &Providers, registering: Registering) -> Option<PushTarget> {
    match (registering.service, registering.topic) {
        (Service::Fcm, None) => Some(PushTarget::Fcm { token: providers.register_fcm() }),
        (Service::Apns, topic) => {
            let topic = topic.unwrap_or_else(|| TOPIC.to_owned());
            let as_registered = json!({"service": "apns", "token": "00", "topic": topic});
            serde_json::from_value::<PushTarget>(as_registered).ok()?;
            Some(PushTarget::Apns { token: providers.register_apns(&topic), topic })
        }
        (Service::WebPush, None) => {
            let Subscription { endpoint, p256dh, auth } = providers.subscribe();
            Some(PushTarget::WebPush { endpoint, p256dh, auth, vapid: None })
        }
        (Service::Fcm | Service::WebPush, Some(_)) => None,
    }
}

/// `GET /_local/push/received`: every push that was taken, oldest first.
pub(crate) async fn received(State(http): State<Http>) -> Json<Vec<Received>> {
    Json(http.push_services.providers.received())
}

/// `POST /_local/push/faults`: makes a service or a target misbehave, or behave again.
pub(crate) async fn change_faults(State(http): State<Http>, body: Bytes) -> Response {
    let change = serde_json::from_slice(&body).map_err(|error| error.to_string());
    match change.and_then(|change| make(&http.push_services.providers, change).map_err(str::to_owned)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => {
            let usage = format!(
                "send {{\"service\": fcm, apns, webpush or token_endpoint, or \"target\": a token or an endpoint, \"fault\": none, unregistered, \
                 too_many_requests, internal_error, unavailable, expired_credentials, slow, never_answers or rotated_credentials}}, and as \
                 needed \"retry_after\" (seconds), \"ms\" and \"times\": {why}\n"
            );
            (StatusCode::BAD_REQUEST, usage).into_response()
        }
    }
}

fn make(providers: &Providers, change: Change) -> Result<(), &'static str> {
    let Change { service, target, fault, retry_after, ms, times } = change;
    let whom = match (service, target) {
        (Some(Whole::TokenEndpoint), None) => Whom::TokenEndpoint,
        (Some(Whole::Fcm), None) => Whom::Service(Service::Fcm),
        (Some(Whole::Apns), None) => Whom::Service(Service::Apns),
        (Some(Whole::WebPush), None) => Whom::Service(Service::WebPush),
        (None, Some(target)) => Whom::Target(target),
        (Some(_), Some(_)) | (None, None) => return Err("either service or target"),
    };
    if retry_after.is_some_and(|secs| secs > MAX_RETRY_AFTER) || ms.is_some_and(|ms| ms > MAX_MS) {
        return Err("retry_after is 0 to 3600 seconds, and ms is 0 to 60000");
    }
    let retry_after = retry_after.map(Duration::from_secs);
    let fault = match fault {
        How::None => {
            providers.behave(&whom);
            return Ok(());
        }
        How::RotatedCredentials => {
            let Whom::Service(service) = whom else { return Err("credentials are of fcm, apns or webpush") };
            providers.rotate(service);
            return Ok(());
        }
        How::Unregistered => Fault::Unregistered,
        How::TooManyRequests => Fault::TooManyRequests { retry_after },
        How::InternalError => Fault::InternalError,
        How::Unavailable => Fault::Unavailable { retry_after },
        How::ExpiredCredentials => Fault::ExpiredCredentials,
        How::Slow => Fault::Slow(Duration::from_millis(ms.unwrap_or_default())),
        How::NeverAnswers => Fault::NeverAnswers,
    };
    providers.misbehave(whom, fault, times.map_or(Times::Always, Times::Next));
    Ok(())
}
