//! Platform endpoints of SNS: what is published to one, by its platform, and what an error means. Topics are not its
//! business.

use std::str::FromStr;

use aws_sdk_sns::Client;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use protocol::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer::{Answer, word};
use crate::content::{content, ttl};
use crate::sdk::is_passing;
use crate::{apns, fcm};
use delivery::Notice;

/// Which platform endpoints the deployment may publish to: one, by its ARN, or all whose ARNs begin so, by that and a `*`. The ARN of a
/// target comes from a client, and SNS would refuse others one by one, for as long as it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPattern {
    begins: String,
    is_whole: bool,
}

/// What is no such pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ARN of a platform endpoint of SNS is such as arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/my-app/*, with a * at its end alone"
)]
pub struct InvalidEndpointPattern;

impl EndpointPattern {
    pub(crate) fn matches(&self, endpoint: &str) -> bool {
        if self.is_whole { endpoint == self.begins } else { endpoint.starts_with(&self.begins) }
    }
}

impl FromStr for EndpointPattern {
    type Err = InvalidEndpointPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins = text.strip_suffix('*').unwrap_or(text);
        let good = begins.starts_with("arn:") && begins.contains(":sns:") && begins.contains(":endpoint/");
        if !good || begins.contains('*') || begins.contains('?') {
            return Err(InvalidEndpointPattern);
        }
        Ok(Self { begins: begins.to_owned(), is_whole: begins.len() == text.len() })
    }
}

/// The service behind an endpoint, as its ARN names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Platform {
    Fcm,
    Apns,
    ApnsSandbox,
    /// Another, which is sent the content alone.
    Other,
}

impl Platform {
    fn of(endpoint: &str) -> Self {
        let resource = endpoint.split_once(":endpoint/").map_or("", |(_, resource)| resource);
        match resource.split('/').next().unwrap_or_default() {
            "GCM" => Self::Fcm,
            "APNS" => Self::Apns,
            "APNS_SANDBOX" => Self::ApnsSandbox,
            _ => Self::Other,
        }
    }
}

/// The `Message` of a notice: JSON of texts that are JSON themselves.
fn message(platform: Platform, notice: &Notice, now: Timestamp) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wrapped<'a> {
        fcm_v1_message: FcmV1<'a>,
    }
    #[derive(Serialize)]
    struct FcmV1<'a> {
        validate_only: bool,
        message: fcm::Message<'a>,
    }
    let of_platform = match platform {
        Platform::Fcm => {
            let wrapped =
                Wrapped { fcm_v1_message: FcmV1 { validate_only: false, message: fcm::message(notice, None, now) } };
            Some(("GCM", serde_json::to_string(&wrapped).expect("strings are always JSON")))
        }
        Platform::Apns => Some(("APNS", apns::payload(notice))),
        Platform::ApnsSandbox => Some(("APNS_SANDBOX", apns::payload(notice))),
        Platform::Other => None,
    };
    // SNS asks for a default, whether it is used or not.
    let default = ("default", content(notice).get().to_owned());
    let texts = [Some(default), of_platform].into_iter().flatten();
    Value::Object(Map::from_iter(texts.map(|(name, text)| (name.to_owned(), Value::String(text))))).to_string()
}

/// What SNS itself is to know, as message attributes.
fn attributes(platform: Platform, notice: &Notice, now: Timestamp) -> Vec<(&'static str, String)> {
    let ttl = ttl(notice, now).to_string();
    let ttl_attribute = match platform {
        Platform::Fcm => return vec![("AWS.SNS.MOBILE.FCM.TTL", ttl)],
        Platform::Apns => "AWS.SNS.MOBILE.APNS.TTL",
        Platform::ApnsSandbox => "AWS.SNS.MOBILE.APNS_SANDBOX.TTL",
        Platform::Other => return Vec::new(),
    };
    let (push_type, priority) = apns::kind(notice.urgency);
    vec![
        ("AWS.SNS.MOBILE.APNS.PUSH_TYPE", push_type.to_owned()),
        ("AWS.SNS.MOBILE.APNS.PRIORITY", priority.to_owned()),
        ("AWS.SNS.MOBILE.APNS.COLLAPSE_ID", notice.collapse.clone()),
        (ttl_attribute, ttl),
    ]
}

pub(crate) async fn push(client: &Client, endpoint: &str, notice: &Notice, now: Timestamp) -> Answer {
    let platform = Platform::of(endpoint);
    let mut call =
        client.publish().target_arn(endpoint).message_structure("json").message(message(platform, notice, now));
    for (name, text) in attributes(platform, notice, now) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
        call = call.message_attributes(name, value.expect("the type is set"));
    }
    match call.send().await {
        Ok(_) => Answer::Taken,
        Err(error) => answer(&error),
    }
}

fn answer(error: &SdkError<PublishError, HttpResponse>) -> Answer {
    if is_passing(error) {
        tracing::warn!(service = "SNS", code = error.code(), "a push service did not take a push");
        return Answer::Later(None);
    }
    // Its message quotes the ARN.
    let code = word(error.code().unwrap_or_default());
    let advice = match error.as_service_error() {
        Some(PublishError::EndpointDisabledException(_) | PublishError::NotFoundException(_)) => return Answer::Dead,
        Some(PublishError::InvalidParameterException(invalid)) if is_about_target(invalid.message()) => {
            return Answer::Dead;
        }
        Some(PublishError::PlatformApplicationDisabledException(_)) => {
            "give the platform application of SNS new credentials and enable it"
        }
        Some(PublishError::AuthorizationErrorException(_)) => {
            "see that the function may sns:Publish to the endpoints of the platform application"
        }
        Some(_) => "this is a fault of Vartalap's",
        None => "see that the function has credentials of AWS",
    };
    Answer::Refused(format!("SNS refused a push ({code}): {advice}"))
}

fn is_about_target(message: Option<&str>) -> bool {
    message.is_some_and(|message| message.contains("TargetArn") || message.contains("target arn"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::content::tests::{NOW, longest, notice};
    use protocol::Urgency;

    fn shown(platform: Platform, notice: &Notice) -> String {
        let attributes = attributes(platform, notice, NOW);
        let attributes = attributes.iter().map(|(name, text)| format!("\n{name}={text}"));
        message(platform, notice, NOW) + &attributes.collect::<String>()
    }

    #[test]
    fn an_endpoint_is_of_a_platform() {
        let of = |name| Platform::of(&format!("arn:aws:sns:eu-west-1:111122223333:endpoint/{name}/app/5e3e9847"));
        let platforms = ["GCM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "ADM"].map(of);
        use Platform::{Apns, ApnsSandbox, Fcm, Other};
        assert_eq!(platforms, [Fcm, Apns, ApnsSandbox, Other, Other]);
    }

    #[test]
    fn an_endpoint_is_published_to_only_if_a_pattern_says_so() {
        let base = "arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/app/";
        let pattern = |text: &str| text.parse::<EndpointPattern>();
        let (all, one) =
            (pattern(&format!("{base}*")).expect("a pattern"), pattern(&format!("{base}5e")).expect("a pattern"));
        let of = |pattern: &EndpointPattern| ["5e", "5e3e", ""].map(|id| pattern.matches(&format!("{base}{id}")));
        assert_eq!([of(&all), of(&one)], [[true, true, true], [true, false, false]]);
        assert!(!all.matches("arn:aws:sns:eu-west-1:111122223333:endpoint/GCM/apple/5e"));
        for bad in ["", "*", "arn:aws:sns:eu-west-1:111122223333:topic", &format!("{base}*/x"), &format!("{base}?*")] {
            assert_eq!(pattern(bad), Err(InvalidEndpointPattern), "{bad}");
        }
    }

    #[test]
    fn each_platform_is_given_its_own() {
        expect![[r#"
            {"default":"{\"user\":\"bob\",\"id\":\"0198a5c0-7c00-7abc-8def-0123456789ab\",\"conversation\":{\"user\":\"alice\"},\"badge\":50,\"kind\":\"message\"}","GCM":"{\"fcmV1Message\":{\"validate_only\":false,\"message\":{\"data\":{\"vartalap\":\"{\\\"user\\\":\\\"bob\\\",\\\"id\\\":\\\"0198a5c0-7c00-7abc-8def-0123456789ab\\\",\\\"conversation\\\":{\\\"user\\\":\\\"alice\\\"},\\\"badge\\\":50,\\\"kind\\\":\\\"message\\\"}\"},\"android\":{\"priority\":\"high\",\"ttl\":\"3600s\",\"collapse_key\":\"c-alice\"}}}}"}
            AWS.SNS.MOBILE.FCM.TTL=3600"#]].assert_eq(&shown(Platform::Fcm, &notice()));
        expect![[r#"
            {"default":"{\"user\":\"bob\",\"id\":\"0198a5c0-7c00-7abc-8def-0123456789ab\",\"conversation\":{\"user\":\"alice\"},\"badge\":50,\"kind\":\"message\"}","APNS":"{\"aps\":{\"alert\":{\"body\":\"50 new messages\"},\"badge\":50,\"sound\":\"default\",\"thread-id\":\"c-alice\",\"mutable-content\":1},\"vartalap\":{\"user\":\"bob\",\"id\":\"0198a5c0-7c00-7abc-8def-0123456789ab\",\"conversation\":{\"user\":\"alice\"},\"badge\":50,\"kind\":\"message\"}}"}
            AWS.SNS.MOBILE.APNS.PUSH_TYPE=alert
            AWS.SNS.MOBILE.APNS.PRIORITY=10
            AWS.SNS.MOBILE.APNS.COLLAPSE_ID=c-alice
            AWS.SNS.MOBILE.APNS.TTL=3600"#]].assert_eq(&shown(Platform::Apns, &notice()));
        expect![[r#"
            {"default":"{\"user\":\"bob\",\"id\":\"0198a5c0-7c00-7abc-8def-0123456789ab\",\"conversation\":{\"user\":\"alice\"},\"badge\":50,\"kind\":\"silent\"}","APNS_SANDBOX":"{\"aps\":{\"content-available\":1,\"badge\":50},\"vartalap\":{\"user\":\"bob\",\"id\":\"0198a5c0-7c00-7abc-8def-0123456789ab\",\"conversation\":{\"user\":\"alice\"},\"badge\":50,\"kind\":\"silent\"}}"}
            AWS.SNS.MOBILE.APNS.PUSH_TYPE=background
            AWS.SNS.MOBILE.APNS.PRIORITY=5
            AWS.SNS.MOBILE.APNS.COLLAPSE_ID=c-alice
            AWS.SNS.MOBILE.APNS_SANDBOX.TTL=3600"#]].assert_eq(&shown(Platform::ApnsSandbox, &Notice { urgency: Urgency::Silent, ..notice() }));
        expect![[r#"{"default":"{\"user\":\"bob\",\"id\":\"0198a5c0-7c00-7abc-8def-0123456789ab\",\"conversation\":{\"user\":\"alice\"},\"badge\":50,\"kind\":\"message\"}"}"#]].assert_eq(&shown(Platform::Other, &notice()));
    }

    /// SNS takes 256 KB, the services behind it what they take from others.
    #[test]
    fn a_service_behind_sns_is_given_what_it_is_given_directly() {
        let notice = longest();
        let message: Map<String, Value> = serde_json::from_str(&message(Platform::Apns, &notice, NOW)).expect("JSON");
        assert_eq!(message["APNS"], apns::payload(&notice));
    }
}
