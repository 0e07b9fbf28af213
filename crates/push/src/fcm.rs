//! Firebase Cloud Messaging, HTTP v1: the message, the access token, and what an answer means. The app shows the
//! notification: the message has data alone.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::{Timestamp, Urgency};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::answer::{Answer, is_later, later, word};
use crate::content::{content, ttl};
use crate::credentials::{Credentials, InvalidCredentials};
use crate::http::{body, secret_header, unanswered};
use crate::secret::Secret;
use delivery::Notice;

/// What the access token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long a grant is asked for, in seconds: the longest that Google gives.
const GRANT_SECS: u64 = 3_600;

/// How long before its end an access token is no longer used, in seconds.
const MARGIN_SECS: u64 = 300;

/// How soon after a grant another is asked for, in seconds, whatever FCM says of the access token.
const GRANT_PAUSE_SECS: u64 = 60;

/// A message of FCM, without what wraps it.
#[derive(Debug, Serialize)]
pub(crate) struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    data: Data,
    android: Android<'a>,
}

#[derive(Debug, Serialize)]
struct Data {
    vartalap: String,
}

#[derive(Debug, Serialize)]
struct Android<'a> {
    priority: &'static str,
    ttl: String,
    collapse_key: &'a str,
}

/// The message of a notice to the device `token`, or to the one that whoever carries it knows.
pub(crate) fn message<'a>(notice: &'a Notice, token: Option<&'a str>, now: Timestamp) -> Message<'a> {
    let priority = match notice.urgency {
        Urgency::Urgent => "high",
        Urgency::Quiet | Urgency::Silent => "normal",
    };
    Message {
        token,
        // FCM carries texts only.
        data: Data { vartalap: content(notice).get().to_owned() },
        android: Android { priority, ttl: format!("{}s", ttl(notice, now)), collapse_key: &notice.collapse },
    }
}

/// FCM with one project's credentials.
#[derive(Debug)]
pub(crate) struct Fcm {
    http: Client,
    base: Url,
    credentials: Credentials<ServiceAccount>,
}

/// A service account, and the access token that it was granted last.
struct ServiceAccount {
    key: EncodingKey,
    key_id: Option<String>,
    email: String,
    project: String,
    /// Where access tokens are granted, and the audience of the assertion: exactly as it was written.
    token_url: Url,
    token_uri: String,
    access: Mutex<Option<Access>>,
}

#[derive(Clone)]
struct Access {
    token: String,
    granted_at: u64,
    until: u64,
}

/// Why there is no answer yet.
enum Failed {
    /// The service account was rejected; what to say if there is no other.
    Credentials(String),
    Answer(Answer),
}

impl Fcm {
    pub(crate) fn new(http: Client, base: Url, secret: Secret) -> Self {
        Self { http, base, credentials: Credentials::new(secret, service_account) }
    }

    pub(crate) async fn push(&self, token: &str, notice: &Notice, now: Timestamp) -> Answer {
        let account = match self.credentials.get(now).await {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        let failed = match self.push_by(&account, token, notice, now).await {
            Ok(answer) => return answer,
            Err(failed) => failed,
        };
        let advice = match failed {
            Failed::Answer(answer) => return answer,
            Failed::Credentials(advice) => advice,
        };
        let Some(account) = self.credentials.instead_of(&account, now).await else { return Answer::Refused(advice) };
        match self.push_by(&account, token, notice, now).await {
            Ok(answer) | Err(Failed::Answer(answer)) => answer,
            Err(Failed::Credentials(advice)) => Answer::Refused(advice),
        }
    }

    async fn push_by(
        &self,
        account: &ServiceAccount,
        token: &str,
        notice: &Notice,
        now: Timestamp,
    ) -> Result<Answer, Failed> {
        #[derive(Serialize)]
        struct Request<'a> {
            message: Message<'a>,
        }
        let mut url = self.base.clone();
        url.set_path(&format!("/v1/projects/{}/messages:send", account.project));
        let request = Request { message: message(notice, Some(token), now) };
        let request = self.http.post(url).json(&request);
        let mut rejected = None;
        loop {
            let access = account.access(&self.http, rejected.as_deref(), now).await?;
            let attempt = request.try_clone().expect("a body of bytes can be sent again");
            let attempt = attempt.header("authorization", secret_header(&format!("Bearer {access}")));
            let response = attempt.send().await.map_err(|error| Failed::Answer(unanswered("FCM", error)))?;
            let (status, headers) = (response.status(), response.headers().clone());
            if status.is_success() {
                return Ok(Answer::Taken);
            }
            let error = ServiceError::read(&body(response).await);
            if status == StatusCode::UNAUTHORIZED && error.code() != "THIRD_PARTY_AUTH_ERROR" && rejected.is_none() {
                rejected = Some(access);
                continue;
            }
            return Ok(if is_later(status) { later(&headers, now) } else { error.answer(status) });
        }
    }
}

impl ServiceAccount {
    /// An access token other than `rejected`.
    async fn access(&self, http: &Client, rejected: Option<&str>, now: Timestamp) -> Result<String, Failed> {
        let now_secs = now.as_secs();
        let mut access = self.access.lock().await;
        if let Some(access) = access.as_ref().filter(|access| now_secs + MARGIN_SECS < access.until) {
            if rejected != Some(access.token.as_str()) {
                return Ok(access.token.clone());
            }
            if now_secs < access.granted_at + GRANT_PAUSE_SECS {
                let advice = "FCM (401) rejects an access token that it was given just now: see that the clocks agree and \
                              that the service account is of the project";
                // Or the account is another by now, which the secret tells.
                return Err(Failed::Credentials(advice.to_owned()));
            }
        }
        let granted = self.grant(http, now).await?;
        Ok(access.insert(granted).token.clone())
    }

    /// An access token by RFC 7523, as Google grants it to service accounts.
    async fn grant(&self, http: &Client, now: Timestamp) -> Result<Access, Failed> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            scope: &'a str,
            aud: &'a str,
            iat: u64,
            exp: u64,
        }
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u64,
        }
        #[derive(Default, Deserialize)]
        struct Denied {
            error: String,
        }
        const SERVICE: &str = "the token endpoint of Google";

        let granted_at = now.as_secs();
        let claims = Claims {
            iss: &self.email,
            scope: SCOPE,
            aud: &self.token_uri,
            iat: granted_at,
            exp: granted_at + GRANT_SECS,
        };
        let header = Header { kid: self.key_id.clone(), ..Header::new(Algorithm::RS256) };
        let unsigned = |_| Failed::Credentials("the private key of the FCM service account cannot sign".to_owned());
        let assertion = jsonwebtoken::encode(&header, &claims, &self.key).map_err(unsigned)?;
        let response = http
            .post(self.token_url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"))
            .send()
            .await
            .map_err(|error| Failed::Answer(unanswered(SERVICE, error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(response).await;
        if status.is_success() {
            let granted: Granted = serde_json::from_slice(&body)
                .ok()
                .filter(|granted: &Granted| granted.access_token.bytes().all(|byte| byte.is_ascii_graphic()))
                .ok_or_else(|| Failed::Answer(Answer::Refused(format!("{SERVICE} gave no access token"))))?;
            return Ok(Access { token: granted.access_token, granted_at, until: granted_at + granted.expires_in });
        }
        if is_later(status) {
            return Err(Failed::Answer(later(&headers, now)));
        }
        let denied: Denied = serde_json::from_slice(&body).unwrap_or_default();
        let (status, code) = (status.as_u16(), word(&denied.error));
        Err(Failed::Credentials(format!(
            "{SERVICE} rejects the FCM service account ({status} {code}): see that its key was not deleted, put the current JSON \
             into the secret, and see that the clock is right"
        )))
    }
}

/// Reads the JSON of a service account as Google gives it.
fn service_account(text: &str) -> Result<ServiceAccount, InvalidCredentials> {
    const INVALID: InvalidCredentials = InvalidCredentials(
        "FCM credentials are the JSON of a service account as Google gives it, with client_email, private_key, project_id and token_uri",
    );
    #[derive(Deserialize)]
    struct File {
        client_email: String,
        private_key: String,
        private_key_id: Option<String>,
        project_id: String,
        token_uri: String,
    }
    let file: File = serde_json::from_str(text).map_err(|_| INVALID)?;
    let is_project = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    if file.project_id.is_empty() || !file.project_id.bytes().all(is_project) {
        return Err(INVALID);
    }
    Ok(ServiceAccount {
        key: EncodingKey::from_rsa_pem(file.private_key.as_bytes()).map_err(|_| INVALID)?,
        key_id: file.private_key_id,
        email: file.client_email,
        project: file.project_id,
        token_url: Url::parse(&file.token_uri).map_err(|_| INVALID)?,
        token_uri: file.token_uri,
        access: Mutex::new(None),
    })
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceAccount")
    }
}

/// What FCM says of a message that it did not take.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ServiceError {
    error: ErrorBody,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: String,
    status: String,
    details: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    error_code: Option<String>,
    field_violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation {
    field: String,
}

impl ServiceError {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// FCM's own code, which is finer than that of Google's APIs.
    fn code(&self) -> &str {
        self.error.details.iter().find_map(|detail| detail.error_code.as_deref()).unwrap_or(&self.error.status)
    }

    /// Whether it is about the registration token. FCM names the field or says it in words.
    fn is_about_token(&self) -> bool {
        let mut fields = self.error.details.iter().flat_map(|detail| &detail.field_violations);
        fields.any(|violation| violation.field == "message.token") || self.error.message.contains("registration token")
    }

    fn answer(&self, status: StatusCode) -> Answer {
        let advice = match (status.as_u16(), self.code()) {
            (404, "UNREGISTERED") | (403, "SENDER_ID_MISMATCH") => return Answer::Dead,
            (400, "INVALID_ARGUMENT") if self.is_about_token() => return Answer::Dead,
            (401, "THIRD_PARTY_AUTH_ERROR") => {
                "give the Firebase project the APNs key or the web push certificate of the app"
            }
            (401, _) => "see that the clock is right and that the service account is of the project",
            (403, _) => "give the service account the role Firebase Cloud Messaging API Admin, and enable that API",
            (404, _) => "see that project_id of the service account is that of the Firebase project",
            _ => "this is a fault of Vartalap's",
        };
        Answer::Refused(format!("FCM refused a message ({} {}): {advice}", status.as_u16(), word(self.code())))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::content::tests::{NOW, longest, notice};

    fn render(notice: &Notice) -> String {
        serde_json::to_string_pretty(&message(notice, Some("dW9:APA91b"), NOW)).expect("JSON")
    }

    #[test]
    fn a_message_is_data_alone() {
        expect![[r#"
            {
              "token": "dW9:APA91b",
              "data": {
                "vartalap": "{\"user\":\"bob\",\"id\":\"0198a5c0-7c00-7abc-8def-0123456789ab\",\"conversation\":{\"user\":\"alice\"},\"badge\":50,\"kind\":\"message\"}"
              },
              "android": {
                "priority": "high",
                "ttl": "3600s",
                "collapse_key": "c-alice"
              }
            }"#]]
        .assert_eq(&render(&notice()));
        for urgency in [Urgency::Quiet, Urgency::Silent] {
            assert!(render(&Notice { urgency, ..notice() }).contains(r#""priority": "normal""#), "{urgency:?}");
        }
    }

    /// FCM counts keys and values of the data.
    #[test]
    fn the_longest_content_fits() {
        let longest = longest();
        assert!("vartalap".len() + message(&longest, None, NOW).data.vartalap.len() <= 4_096);
    }

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let of = |status: u16, json: &str| {
            ServiceError::read(json.as_bytes()).answer(StatusCode::from_u16(status).expect("a status"))
        };
        let coded = |status: &str, code: &str| {
            format!(
                r#"{{"error":{{"message":"x","status":"{status}","details":[{{"@type":"x"}},{{"errorCode":"{code}"}}]}}}}"#
            )
        };
        assert_eq!(of(404, &coded("NOT_FOUND", "UNREGISTERED")), Answer::Dead);
        assert_eq!(of(403, &coded("PERMISSION_DENIED", "SENDER_ID_MISMATCH")), Answer::Dead);
        let said = r#"{"error":{"code":400,"message":"The registration token is not a valid FCM registration token","status":"INVALID_ARGUMENT",
            "details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"INVALID_ARGUMENT"}]}}"#;
        assert_eq!(of(400, said), Answer::Dead);
        let named = r#"{"error":{"message":"x","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"message.token","description":"x"}]}]}}"#;
        assert_eq!(of(400, named), Answer::Dead);
        let refused = [
            (400, coded("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
            (401, coded("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR")),
            (403, coded("PERMISSION_DENIED", "")),
            (404, r#"{"error":{"message":"secret of a device","status":"NOT_FOUND"}}"#.to_owned()),
            (418, "<html>".to_owned()),
        ];
        let refused = refused.map(|(status, json)| format!("{:?}", of(status, &json))).join("\n");
        expect![[r#"
            Refused("FCM refused a message (400 INVALID_ARGUMENT): this is a fault of Vartalap's")
            Refused("FCM refused a message (401 THIRD_PARTY_AUTH_ERROR): give the Firebase project the APNs key or the web push certificate of the app")
            Refused("FCM refused a message (403 no code): give the service account the role Firebase Cloud Messaging API Admin, and enable that API")
            Refused("FCM refused a message (404 NOT_FOUND): see that project_id of the service account is that of the Firebase project")
            Refused("FCM refused a message (418 no code): this is a fault of Vartalap's")"#]]
        .assert_eq(&refused);
    }

    #[test]
    fn what_is_no_service_account_is_refused_without_quoting_it() {
        for bad in ["", "{}", r#"{"client_email":"a","private_key":"secret","project_id":"p","token_uri":"https://t"}"#]
        {
            let invalid = service_account(bad).expect_err(bad);
            assert!(!invalid.to_string().contains("secret"));
        }
    }
}
