//! The HTTP API of a deployment, asked as a client asks: a token, a method, a path, and JSON both ways. What is asked there is a test's business.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use url::Url;

/// Longest time for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Where it is.
#[derive(Debug)]
pub(crate) struct HttpApi {
    http: reqwest::Client,
    url: Url,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its header `allow`.
    pub allow: Option<String>,
    /// Its body; null if it has none.
    pub body: Value,
}

impl Answer {
    /// The code of an error.
    pub fn code(&self) -> Option<&str> {
        self.body["code"].as_str()
    }
}

impl HttpApi {
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub(crate) fn at(url: Url) -> Result<Self, reqwest::Error> {
        // What is tested is the deployment, not a proxy that the environment names.
        let http = reqwest::Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?;
        Ok(Self { http, url })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.http
    }

    /// Asks with this token, if any. A body that is a string is sent as its text, anything but null as JSON.
    ///
    /// # Errors
    /// When there is no answer, or one that is not JSON.
    pub(crate) async fn ask(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Answer, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.url.as_str().trim_end_matches('/')));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            request = request.header("content-type", "application/json").body(text);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let allow = response.headers().get("allow").and_then(|allow| allow.to_str().ok()).map(str::to_owned);
        let body = if status == 204 { Value::Null } else { response.json().await? };
        Ok(Answer { status, allow, body })
    }
}
