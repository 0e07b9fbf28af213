//! The dead letters of a local cloud, over its `/_local` interface. It filters and prints nothing.

use std::time::Duration;

use delivery::DeadLetter;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use crate::exit::Failure;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Most of an answer that is no answer of a local cloud, in characters.
const MAX_DETAIL: usize = 200;

/// A local cloud.
#[derive(Debug)]
pub(crate) struct LocalCloud {
    base: Url,
    http: Client,
}

#[derive(Deserialize)]
struct Redriven {
    redriven: Vec<String>,
}

impl LocalCloud {
    /// The one at `url`: its base, or its socket, since other commands take that.
    pub(crate) fn at(url: &str) -> Result<Self, Failure> {
        let wrong =
            || Failure::Usage(format!("--url: {url} is no URL of a local cloud, such as http://127.0.0.1:8080"));
        let parsed = Url::parse(url).map_err(|_| wrong())?;
        let scheme = match parsed.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            _ => return Err(wrong()),
        };
        let mut base = parsed.join("/").map_err(|_| wrong())?;
        base.set_scheme(scheme).map_err(|()| wrong())?;
        let http = Client::builder().no_proxy().timeout(TIMEOUT).build();
        let http = http.map_err(|source| Failure::NoLocalCloud { url: base.to_string(), source })?;
        Ok(Self { base, http })
    }

    /// All of them, oldest first.
    pub(crate) async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Failure> {
        let text = self.answer(self.http.get(self.url(&["_local", "dead-letters"]))).await?;
        self.read(&text)
    }

    /// One record as it is, if it is there.
    pub(crate) async fn raw(&self, id: &str) -> Result<Option<String>, Failure> {
        let url = self.url(&["_local", "dead-letters", id, "raw"]);
        let (status, text) = self.answer_or_none(self.http.get(url)).await?;
        Ok((status != StatusCode::NOT_FOUND).then_some(text))
    }

    /// Sends back those of `ids` that are there, and answers which were.
    pub(crate) async fn redrive(&self, ids: impl Iterator<Item = &str>) -> Result<Vec<String>, Failure> {
        let ids: Vec<&str> = ids.collect();
        let request = self.http.post(self.url(&["_local", "dead-letters", "redrive"]));
        let text = self.answer(request.body(json!({"ids": ids}).to_string())).await?;
        self.read::<Redriven>(&text).map(|answer| answer.redriven)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }

    async fn answer(&self, request: RequestBuilder) -> Result<String, Failure> {
        match self.answer_or_none(request).await? {
            (status @ StatusCode::NOT_FOUND, text) => Err(self.not_one(&format!("{status}: {text}"))),
            (_, text) => Ok(text),
        }
    }

    /// The answer, which may be that there is no such thing.
    async fn answer_or_none(&self, request: RequestBuilder) -> Result<(StatusCode, String), Failure> {
        let silent =
            |error: reqwest::Error| Failure::NoLocalCloud { url: self.base.to_string(), source: error.without_url() };
        let response = request.send().await.map_err(silent)?;
        let status = response.status();
        let text = response.text().await.map_err(silent)?;
        match status.is_success() || status == StatusCode::NOT_FOUND {
            true => Ok((status, text)),
            false => Err(self.not_one(&format!("{status}: {text}"))),
        }
    }

    fn read<'a, T: Deserialize<'a>>(&self, text: &'a str) -> Result<T, Failure> {
        serde_json::from_str(text).map_err(|error| self.not_one(&format!("an answer that cannot be read: {error}")))
    }

    fn not_one(&self, answered: &str) -> Failure {
        let detail = answered.trim_end().chars().take(MAX_DETAIL).map(|c| if c.is_control() { ' ' } else { c });
        Failure::NotALocalCloud { url: self.base.to_string(), detail: detail.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_cloud_is_known_by_its_base_or_its_socket() {
        for (url, base) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("ws://127.0.0.1:8080/local", "http://127.0.0.1:8080/"),
            ("wss://chat.example/local?a=b", "https://chat.example/"),
        ] {
            let cloud = LocalCloud::at(url).expect("a URL");
            assert_eq!(cloud.base.as_str(), base);
            assert_eq!(cloud.url(&["a", "b/c?"]).as_str(), format!("{base}a/b%2Fc%3F"));
        }
        for bad in ["", "127.0.0.1:8080", "ftp://h", "file:///x"] {
            assert!(matches!(LocalCloud::at(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }
}
