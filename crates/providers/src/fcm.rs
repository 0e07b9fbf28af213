//! Firebase Cloud Messaging, HTTP v1: who may send, and to which registrations. What a message may look like is in `message`, how an access
//! token is had in `oauth`.

mod message;
mod oauth;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jsonwebtoken::DecodingKey;
use protocol::Timestamp;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use self::message::Message;
use crate::faults::{Fault, with_retry_after};
use crate::journal::{Entry, Journal};
use crate::providers::{Shared, lock};
use crate::received::{Received, Service};
use crate::tokens;

const PROJECT: &str = "vartalap-local";

const CLIENT_EMAIL: &str = "push@vartalap-local.iam.gserviceaccount.com";

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// The service, and the one project that it knows.
pub(crate) struct Fcm {
    /// Made when it is first asked for: an RSA key takes its time.
    account: Mutex<Option<Account>>,
    access: Mutex<HashMap<String, Access>>,
    /// Every registration token, and whether the app is still there.
    registrations: Mutex<HashMap<String, bool>>,
    journal: Arc<Journal>,
}

/// The service account that may send.
struct Account {
    key_id: String,
    private: String,
    public: DecodingKey,
}

/// What an access token is good for.
struct Access {
    expires_at: Timestamp,
    may_send: bool,
}

/// An error in Google's form.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    /// The name of the status in `google.rpc.Code`.
    code: &'static str,
    message: String,
    details: Vec<Value>,
}

impl Fcm {
    /// The service as it was left.
    pub(crate) fn new(journal: &Arc<Journal>, kept: &[Entry]) -> Self {
        let registrations = kept.iter().filter_map(|entry| match entry {
            Entry::Fcm { token, is_there } => Some((token.clone(), *is_there)),
            _ => None,
        });
        Self {
            account: Mutex::default(),
            access: Mutex::default(),
            registrations: Mutex::new(registrations.collect()),
            journal: Arc::clone(journal),
        }
    }

    /// The service account as Google gives it to download.
    pub(crate) fn credentials(&self, origin: &str) -> String {
        let mut account = lock(&self.account);
        let account = account.get_or_insert_with(Account::new);
        json!({
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": account.key_id,
            "private_key": account.private,
            "client_email": CLIENT_EMAIL,
            "client_id": "100000000000000000000",
            "auth_uri": format!("{origin}/o/oauth2/auth"),
            "token_uri": format!("{origin}{}", oauth::PATH),
            "universe_domain": "googleapis.com",
        })
        .to_string()
    }

    /// A key is deleted, and with it what it had access to. The next is made when it is asked for.
    pub(crate) fn rotate(&self) {
        *lock(&self.account) = None;
        lock(&self.access).clear();
    }

    /// An app that registers.
    pub(crate) fn register(&self) -> String {
        let token = format!("{}:APA91b{}", tokens::base64url::<16>(), tokens::base64url::<102>());
        lock(&self.registrations).insert(token.clone(), true);
        self.journal.keep(&Entry::Fcm { token: token.clone(), is_there: true });
        token
    }

    /// The app of `token` is removed, if there is one.
    pub(crate) fn unregister(&self, token: &str) {
        if let Some(is_there) = lock(&self.registrations).get_mut(token)
            && std::mem::take(is_there)
        {
            self.journal.keep(&Entry::Fcm { token: token.to_owned(), is_there: false });
        }
    }

    fn authorize(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), Refusal> {
        let token = bearer(headers).ok_or_else(|| unauthenticated("CREDENTIALS_MISSING"))?;
        let access = lock(&self.access);
        let access = access.get(token).ok_or_else(|| unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED"))?;
        if access.expires_at <= now {
            return Err(unauthenticated("ACCESS_TOKEN_EXPIRED"));
        }
        if access.may_send { Ok(()) } else { Err(scope_insufficient()) }
    }

    /// Whether the app of the token is there: what is not is told alike, if it was never there or is no longer.
    fn find(&self, token: &str) -> Result<(), Refusal> {
        if lock(&self.registrations).get(token).copied().unwrap_or_default() {
            return Ok(());
        }
        let message = "Requested entity was not found.".to_owned();
        Err(Refusal { status: StatusCode::NOT_FOUND, code: "NOT_FOUND", message, details: vec![fcm("UNREGISTERED")] })
    }
}

impl std::fmt::Debug for Fcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fcm")
    }
}

impl Account {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("the library makes RSA keys of 2,048 bits");
        Self {
            key_id: tokens::hex::<20>(),
            private: key.serialize_pem(),
            public: DecodingKey::from_rsa_der(key.public_key_raw()),
        }
    }
}

/// The routes of the service and of its token endpoint.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    let send = post(send);
    Router::new().route("/v1/projects/{project}/messages:send", send).route(oauth::PATH, post(oauth::grant))
}

async fn send(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let target = body.as_ref().and_then(|body| body["message"]["token"].as_str());
    let answer = match shared.faults.of_push(Service::Fcm, target).await {
        Some(Fault::Unregistered) => {
            shared.fcm.unregister(target.unwrap_or_default());
            take(&shared, &project, &headers, body)
        }
        Some(Fault::TooManyRequests { retry_after }) => return limited(retry_after),
        Some(Fault::Unavailable { retry_after }) => {
            let refusal =
                broken(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is currently unavailable.");
            return with_retry_after(refusal.into_response(), retry_after);
        }
        Some(Fault::InternalError) => {
            Err(broken(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error encountered."))
        }
        Some(Fault::ExpiredCredentials) => {
            lock(&shared.fcm.access).remove(bearer(&headers).unwrap_or_default());
            Err(unauthenticated("ACCESS_TOKEN_EXPIRED"))
        }
        Some(Fault::Slow(_) | Fault::NeverAnswers) | None => take(&shared, &project, &headers, body),
    };
    match answer {
        Ok(id) => Json(json!({"name": format!("projects/{PROJECT}/messages/{id}")})).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Judges a message and keeps it. Its id is answered.
fn take(shared: &Shared, project: &str, headers: &HeaderMap, body: Option<Value>) -> Result<String, Refusal> {
    let now = (shared.clock)();
    shared.fcm.authorize(headers, now)?;
    if project != PROJECT {
        return Err(not_the_project(project));
    }
    let message = Message::read(body)?;
    shared.fcm.find(&message.token)?;
    if message.validate_only {
        return Ok("fake_message_id".to_owned());
    }
    shared.received.add(Received {
        service: Service::Fcm,
        target: message.token,
        content: message.content,
        message: message.whole,
        collapse: message.collapse,
        priority: message.priority.to_owned(),
        push_type: None,
        ttl: message.ttl,
        at: now,
    });
    Ok(format!("0:{}%{}", now.as_millis(), tokens::hex::<8>()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The detail that FCM adds to an error.
fn fcm(code: &str) -> Value {
    json!({"@type": FCM_ERROR, "errorCode": code})
}

/// The detail of Google's JSON gateway, that says which field is wrong.
fn violation(field: &str, description: &str) -> Value {
    json!({"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": description}]})
}

fn broken(status: StatusCode, code: &'static str, message: &str) -> Refusal {
    Refusal { status, code, message: message.to_owned(), details: vec![fcm(code)] }
}

fn limited(retry_after: Option<Duration>) -> Response {
    let message = "Resource has been exhausted (e.g. check quota).".to_owned();
    let details = vec![fcm("QUOTA_EXCEEDED")];
    let refusal = Refusal { status: StatusCode::TOO_MANY_REQUESTS, code: "RESOURCE_EXHAUSTED", message, details };
    with_retry_after(refusal.into_response(), retry_after)
}

fn unauthenticated(reason: &str) -> Refusal {
    let message = if reason == "CREDENTIALS_MISSING" {
        "Request is missing required authentication credential. Expected OAuth 2 access token."
    } else {
        "Request had invalid authentication credentials. Expected OAuth 2 access token."
    };
    let details = vec![json!({"@type": ERROR_INFO, "reason": reason, "domain": "googleapis.com"})];
    Refusal { status: StatusCode::UNAUTHORIZED, code: "UNAUTHENTICATED", message: message.to_owned(), details }
}

fn scope_insufficient() -> Refusal {
    let message = "Request had insufficient authentication scopes.".to_owned();
    let reason = "ACCESS_TOKEN_SCOPE_INSUFFICIENT";
    let details = vec![json!({"@type": ERROR_INFO, "reason": reason, "domain": "googleapis.com"})];
    Refusal { status: StatusCode::FORBIDDEN, code: "PERMISSION_DENIED", message, details }
}

fn not_the_project(project: &str) -> Refusal {
    let permission = "cloudmessaging.messages.create";
    let message = format!(
        "Permission '{permission}' denied on resource '//cloudresourcemanager.googleapis.com/projects/{project}' (or it may not exist)."
    );
    let details = vec![
        json!({"@type": ERROR_INFO, "reason": "IAM_PERMISSION_DENIED", "domain": "cloudresourcemanager.googleapis.com"}),
    ];
    Refusal { status: StatusCode::FORBIDDEN, code: "PERMISSION_DENIED", message, details }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, details } = self;
        let mut error = json!({"code": status.as_u16(), "message": message, "status": code});
        if !details.is_empty() {
            error["details"] = Value::Array(details);
        }
        let body = Json(json!({"error": error}));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = r#"Bearer realm="https://accounts.google.com/", error="invalid_token""#;
            return (status, [(WWW_AUTHENTICATE, challenge)], body).into_response();
        }
        (status, body).into_response()
    }
}
