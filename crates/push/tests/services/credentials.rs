//! Secrets: where they are read, how often, and what happens when they are changed, bad or out of reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_ssm::operation::get_parameter::GetParameterOutput;
use aws_sdk_ssm::types::Parameter;
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use protocol::{PushTarget, Timestamp};
use push::{Answer, InvalidSecretArn, Secret, Services, Setup};
use tokio::net::TcpListener;

use crate::fcm::{service_account, services, target};
use crate::stand_in::StandIn;
use crate::{NOW, after, notice};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:fcm-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:111122223333:parameter/push/fcm";
const TAKEN: (u16, &str) = (200, "{}");
const GRANTED: (u16, &str) = (200, r#"{"access_token":"ya29","expires_in":3599}"#);
const DENIED: (u16, &str) = (400, r#"{"error":"invalid_grant"}"#);

/// A secret whose text is what `text` makes of how often it was read before, and how often it was read.
fn secret(text: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> (Secret, Arc<AtomicUsize>) {
    let reads = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&reads);
    let rule = mock!(aws_sdk_secretsmanager::Client::get_secret_value)
        .match_requests(|input| input.secret_id() == Some(SECRET))
        .then_compute_response(move |_| match text(counted.fetch_add(1, Ordering::SeqCst)) {
            Some(text) => MockResponse::Output(GetSecretValueOutput::builder().secret_string(text).build()),
            None => MockResponse::Http(refusal()),
        });
    let client = mock_client!(aws_sdk_secretsmanager, RuleMode::MatchAny, [&rule]);
    (Secret::in_secrets_manager(client, SECRET), reads)
}

fn refusal() -> HttpResponse {
    let body = r#"{"__type":"AccessDeniedException","Message":"User: x is not authorized"}"#;
    let mut response = HttpResponse::new(StatusCode::try_from(400).expect("a status"), SdkBody::from(body));
    response.headers_mut().insert("x-amzn-errortype", "AccessDeniedException");
    response
}

async fn push(services: &Services, now: Timestamp) -> Answer {
    services.push(&target(), &notice(), now).await
}

#[tokio::test]
async fn a_secret_is_kept_for_five_minutes_and_an_access_token_beyond() {
    let server = StandIn::answering([GRANTED, TAKEN, TAKEN, TAKEN]).await;
    let account = service_account(&server, "push@example.com");
    let (secret, reads) = secret(move |_| Some(account.clone()));
    let services = services(&server, secret);
    for (secs, expected) in [(0, 1), (299, 1), (300, 2)] {
        assert_eq!(push(&services, after(secs)).await, Answer::Taken);
        assert_eq!(reads.load(Ordering::SeqCst), expected, "{secs} s");
    }
    assert_eq!(server.asked().len(), 4, "one grant, three messages");
}

#[tokio::test]
async fn a_parameter_is_read_decrypted() {
    let server = StandIn::answering([GRANTED, TAKEN]).await;
    let account = service_account(&server, "push@example.com");
    let rule = mock!(aws_sdk_ssm::Client::get_parameter)
        .match_requests(|input| input.name() == Some(PARAMETER) && input.with_decryption() == Some(true))
        .then_output(move || {
            GetParameterOutput::builder().parameter(Parameter::builder().value(account.clone()).build()).build()
        });
    let client = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&rule]);
    assert_eq!(push(&services(&server, Secret::in_ssm(client, PARAMETER)), NOW).await, Answer::Taken);
}

#[tokio::test]
async fn a_rejected_secret_is_read_again_at_once_and_at_most_once_a_minute() {
    let server = StandIn::answering([GRANTED, TAKEN]).await;
    let accounts = ["old", "old", "new"].map(|name| service_account(&server, &format!("{name}@example.com")));
    let (secret, reads) = secret(move |before| Some(accounts[before.min(2)].clone()));
    let services = services(&server, secret);
    assert_eq!(push(&services, NOW).await, Answer::Taken);

    // The access token ends, and Google rejects the account. Nobody has changed the secret yet.
    let later = after(3_600);
    server.will_answer(DENIED.0, &[], DENIED.1);
    assert!(matches!(push(&services, later).await, Answer::Refused(_)));
    assert_eq!(reads.load(Ordering::SeqCst), 2, "5 minutes were over, so it was just read");

    server.asked();
    [DENIED, GRANTED, TAKEN].into_iter().for_each(|(status, body)| server.will_answer(status, &[], body));
    assert_eq!(push(&services, after(3_660)).await, Answer::Taken);
    assert_eq!(reads.load(Ordering::SeqCst), 3);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn credentials_that_are_known_are_used_while_the_secret_is_out_of_reach() {
    let server = StandIn::answering([GRANTED, TAKEN, TAKEN, TAKEN]).await;
    let account = service_account(&server, "push@example.com");
    let (secret, reads) = secret(move |before| (before == 0).then(|| account.clone()));
    let services = services(&server, secret);
    for secs in [0, 300, 359] {
        assert_eq!(push(&services, after(secs)).await, Answer::Taken);
    }
    assert_eq!(reads.load(Ordering::SeqCst), 2, "and it is not asked for with every push");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_or_used_is_refused_with_advice() {
    let server = StandIn::answering([]).await;
    for (text, advice) in [(None, "AccessDeniedException"), (Some("secret"), "service account")] {
        let (secret, reads) = secret(move |_| text.map(str::to_owned));
        let services = services(&server, secret);
        for secs in [0, 59] {
            let Answer::Refused(text) = push(&services, after(secs)).await else { panic!("refused") };
            assert!(text.contains(SECRET) && text.contains(advice) && !text.contains("\"secret\""), "{text}");
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        push(&services, after(60)).await;
        assert_eq!(reads.load(Ordering::SeqCst), 2, "somebody may have mended it");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_throttled_is_for_later() {
    let throttled = || {
        let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
        HttpResponse::new(StatusCode::try_from(400).expect("a status"), SdkBody::from(body))
    };
    let rule = mock!(aws_sdk_ssm::Client::get_parameter).match_requests(|_| true).then_http_response(throttled);
    let client = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&rule]);
    let setup = Setup { fcm: Some(Secret::in_ssm(client, PARAMETER)), ..Setup::default() };
    assert_eq!(push(&Services::new(setup).expect("services"), NOW).await, Answer::Later(None));
}

#[tokio::test]
async fn a_service_without_credentials_is_not_served() {
    let services = Services::new(Setup::default()).expect("services");
    let text = String::new;
    for target in [
        PushTarget::Sns { endpoint: text() },
        PushTarget::Fcm { token: text() },
        PushTarget::Apns { token: text(), topic: text() },
        PushTarget::WebPush { endpoint: text(), p256dh: text(), auth: text(), vapid: None },
    ] {
        assert_eq!(services.push(&target, &notice(), NOW).await, Answer::Unserved, "{target:?}");
    }
}

/// It accepts the connection and says nothing. Time runs only while nothing else does.
#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_is_for_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut server = StandIn::answering([]).await;
    server.url.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port");
    let services = services(&server, Secret::fixed(service_account(&server, "push@example.com")));
    assert_eq!(push(&services, NOW).await, Answer::Later(None));
    drop(listener);
    assert_eq!(push(&services, NOW).await, Answer::Later(None));
}

#[tokio::test]
async fn a_push_may_go_to_another_thread() {
    let services = Arc::new(Services::new(Setup::default()).expect("services"));
    let pushed = tokio::spawn(async move { services.push(&target(), &notice(), NOW).await });
    assert_eq!(pushed.await.expect("no panic"), Answer::Unserved);
}

#[test]
fn an_arn_says_where_a_secret_is() {
    let config = aws_types::SdkConfig::builder().behavior_version(behavior_version()).build();
    for arn in [SECRET, PARAMETER] {
        let secret = Secret::from_arn(arn, &config).expect(arn);
        assert_eq!(format!("{secret:?}"), format!("Secret({arn})"));
    }
    for bad in
        ["", "whsec_secret", "arn:aws:s3:::bucket", "arn:aws:ssm:eu-west-1:111122223333:document/x", "arn:aws:ssm"]
    {
        assert_eq!(Secret::from_arn(bad, &config).map(|_| ()), Err(InvalidSecretArn), "{bad}");
    }
}

fn behavior_version() -> aws_sdk_ssm::config::BehaviorVersion {
    aws_sdk_ssm::config::BehaviorVersion::v2026_01_12()
}

#[test]
fn debug_shows_no_secret() {
    let setup =
        || Setup { fcm: Some(Secret::fixed("secret")), vapid: Some(Secret::fixed("secret")), ..Setup::default() };
    assert!(!format!("{:?}", setup()).contains("\"secret\""));
    let shown = format!("{:?}", Services::new(setup()).expect("services"));
    assert_eq!(shown, "Services { fcm: true, apns: false, web_push: true, sns: false }");
}

/// An account that is another by now may have been so since before the token was granted.
#[tokio::test]
async fn what_this_process_is_asked_for_is_asked_for_again_at_once() {
    let server = StandIn::answering([GRANTED, TAKEN, (401, "{}"), GRANTED, TAKEN]).await;
    let accounts = ["old@example.com", "new@example.com"].map(|email| service_account(&server, email));
    let asked = AtomicUsize::default();
    let secret = Secret::asked(move || accounts[asked.fetch_add(1, Ordering::SeqCst).min(1)].clone());
    let services = services(&server, secret);
    assert_eq!(push(&services, NOW).await, Answer::Taken);
    assert_eq!(push(&services, NOW).await, Answer::Taken);
    assert_eq!(
        server.asked().len(),
        5,
        "a grant and a message, a message that is rejected, another grant and the message"
    );
}
