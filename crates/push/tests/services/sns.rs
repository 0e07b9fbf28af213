//! Platform endpoints of SNS, by the SDK's own mocks: no emulator has their errors.

use aws_sdk_sns::Client;
use aws_sdk_sns::operation::publish::PublishOutput;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use protocol::PushTarget;
use push::{Answer, Services, Setup};
use serde_json::Value;

use crate::{CONTENT, NOW, notice};

const ENDPOINT: &str = "arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/chat/5e3e9847";

async fn push(rule: &Rule) -> Answer {
    let sns = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [rule]);
    push_with(sns, "arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/chat/*").await
}

async fn push_with(sns: Client, pattern: &str) -> Answer {
    let platform_endpoints = vec![pattern.parse().expect("a pattern")];
    let setup = Setup { sns: Some(sns), platform_endpoints, ..Setup::default() };
    let target = PushTarget::Sns { endpoint: ENDPOINT.to_owned() };
    Services::new(setup).expect("services").push(&target, &notice(), NOW).await
}

/// What an error comes to, as SNS gives it.
async fn push_failing(status: u16, code: &'static str, message: &'static str) -> Answer {
    let error = move || {
        let body = format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body))
    };
    push(&mock!(Client::publish).match_requests(|_| true).then_http_response(error)).await
}

#[tokio::test]
async fn a_notice_is_published_to_the_endpoint() {
    let rule = mock!(Client::publish)
        .match_requests(|input| {
            let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            let message = read(input.message().expect("a message"));
            let of_fcm = read(message["GCM"].as_str().expect("a text"));
            let attributes = input.message_attributes().expect("attributes");
            input.target_arn() == Some(ENDPOINT)
                && input.message_structure() == Some("json")
                && message["default"] == CONTENT
                && of_fcm["fcmV1Message"]["message"]["data"]["vartalap"] == CONTENT
                && attributes["AWS.SNS.MOBILE.FCM.TTL"].string_value() == Some("600")
        })
        .then_output(|| PublishOutput::builder().message_id("1").build());
    assert_eq!(push(&rule).await, Answer::Taken);
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_or_gone_is_dead() {
    assert_eq!(push_failing(400, "EndpointDisabled", "Endpoint is disabled").await, Answer::Dead);
    assert_eq!(push_failing(404, "NotFound", "Endpoint does not exist").await, Answer::Dead);
    let gone = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified";
    assert_eq!(push_failing(400, "InvalidParameter", gone).await, Answer::Dead);
}

#[tokio::test]
async fn nothing_is_published_to_an_endpoint_that_the_deployment_does_not_name() {
    let rule = mock!(Client::publish).then_output(|| PublishOutput::builder().build());
    let sns = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&rule]);
    assert_eq!(push_with(sns, "arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/other/*").await, Answer::Unserved);
    assert_eq!(rule.num_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn throttling_and_trouble_pass() {
    assert_eq!(push_failing(429, "Throttled", "Rate exceeded").await, Answer::Later(None));
    assert_eq!(push_failing(500, "InternalError", "").await, Answer::Later(None));
}

#[tokio::test]
async fn anything_else_is_refused_with_advice() {
    for (status, code, advice) in [
        (403, "AuthorizationError", "may sns:Publish"),
        (400, "PlatformApplicationDisabled", "new credentials"),
        (400, "InvalidParameter", "fault"),
        (400, "UnheardOf", "fault"),
    ] {
        let answer = push_failing(status, code, "about arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/x").await;
        let is_expected = |text: &str| text.contains(advice) && text.contains(code) && !text.contains("arn:");
        assert!(matches!(&answer, Answer::Refused(text) if is_expected(text)), "{answer:?}");
    }
}
