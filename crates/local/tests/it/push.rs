//! The stand-ins of the push services over HTTP: what can be asked of them, and what is wrong with bad requests. What is pushed is tested from
//! end to end.

use serde_json::{Value, json};

use crate::support::{get, in_memory, token, within};

async fn post(base: &str, path: &str, body: &str) -> (u16, String) {
    let request = reqwest::Client::new().post(format!("{base}/_local/push/{path}")).body(body.to_owned());
    let response = within("an answer", request.send()).await.expect("an answer");
    let status = response.status().as_u16();
    (status, within("a text", response.text()).await.expect("a text"))
}

#[tokio::test]
async fn a_target_is_made_as_a_device_registers_it() {
    let (running, _folder) = in_memory().await;
    let base = &running.ready.http;
    for (asked, service, topic) in [
        (json!({"service": "fcm"}), "fcm", Value::Null),
        (json!({"service": "apns"}), "apns", json!("com.example.chat")),
        (json!({"service": "apns", "topic": "org.example.app"}), "apns", json!("org.example.app")),
        (json!({"service": "webpush"}), "webpush", Value::Null),
    ] {
        let (status, target) = post(base, "targets", &asked.to_string()).await;
        let target: Value = serde_json::from_str(&target).expect("JSON");
        assert_eq!((status, &target["service"], &target["topic"]), (200, &json!(service), &topic));
        serde_json::from_value::<protocol::PushTarget>(target).expect("what the HTTP API takes");
    }
    for bad in [
        "",
        "[]",
        r#"{"service":"sns"}"#,
        r#"{"service":"fcm","topic":"com.example"}"#,
        r#"{"service":"apns","topic":"a/b"}"#,
    ] {
        let (status, usage) = post(base, "targets", bad).await;
        assert!(status == 400 && usage.contains("say which service"), "{bad}: {status} {usage}");
    }
}

#[tokio::test]
async fn pages_subscribe_with_the_key_of_the_stand_ins() {
    let (running, _folder) = in_memory().await;
    let url = format!("{}/v1/push", running.ready.http);
    let asked = reqwest::Client::new().get(url).bearer_auth(token(&running.ready, "bob")).send();
    let answer = within("the key", asked).await.expect("an answer");
    let key: Value = within("JSON", answer.json()).await.expect("JSON");
    assert_eq!(key, get(&running, "/_local/push").await);
    assert!(key["vapid"].is_string(), "{key}");
}

#[tokio::test]
async fn a_bad_fault_is_refused_with_what_to_send() {
    let (running, _folder) = in_memory().await;
    let base = &running.ready.http;
    for (bad, why) in [
        ("", "EOF"),
        (r#"{"fault":"slow"}"#, "either service or target"),
        (r#"{"service":"fcm","target":"x","fault":"slow"}"#, "either service or target"),
        (r#"{"service":"pigeon","fault":"slow"}"#, "pigeon"),
        (r#"{"service":"fcm","fault":"sloth"}"#, "sloth"),
        (r#"{"service":"fcm","fault":"slow","ms":60001}"#, "0 to 60000"),
        (r#"{"service":"fcm","fault":"unavailable","retry_after":3601}"#, "0 to 3600"),
        (r#"{"target":"x","fault":"rotated_credentials"}"#, "fcm, apns or webpush"),
    ] {
        let (status, usage) = post(base, "faults", bad).await;
        assert!(status == 400 && usage.contains(why) && usage.contains("never_answers"), "{bad}: {status} {usage}");
    }
    let good = r#"{"service":"token_endpoint","fault":"unavailable","retry_after":3600,"times":1}"#;
    assert_eq!(post(base, "faults", good).await, (204, String::new()));
}
