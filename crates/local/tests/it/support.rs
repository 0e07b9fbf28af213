//! A local cloud in memory and clients of it, for tests. Every wait has a deadline and says what it waited for.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use local::{Options, Ready, Running, SigningKey};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `what`.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Options for any free port and a data folder.
pub(crate) fn options(data: &Path) -> Options {
    Options { port: 0, data: data.to_owned(), ..Options::default() }
}

/// A local cloud in memory, and the folder of its key.
pub(crate) async fn in_memory() -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let running = local::start(Options { memory: true, ..options(folder.path()) }).await.expect("a start");
    (running, folder)
}

/// A token for `user`.
pub(crate) fn token(ready: &Ready, user: &str) -> String {
    let key = SigningKey::load_or_create(&ready.data).expect("a key");
    let user = user.parse().expect("a user");
    key.token(&user, Duration::from_secs(3600), lambda::start::invocation().now).expect("a token")
}

/// The status of a handshake that is refused, and the body of the answer.
pub(crate) async fn refusal(url: &str, token: Option<&str>) -> (u16, String) {
    let mut request = url.into_client_request().expect("a request");
    if let Some(token) = token {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    }
    match within("the handshake", connect_async(request)).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8_lossy(body).into_owned())
        }
        other => panic!("the handshake was not refused: {other:?}"),
    }
}

/// A GET, as JSON.
pub(crate) async fn get(running: &Running, path: &str) -> Value {
    let response = within(path, reqwest::get(format!("{}{path}", running.ready.http))).await.expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    within(path, response.json()).await.expect("JSON")
}

/// Asks again until the answer is not empty.
pub(crate) async fn filled(running: &Running, path: &str) -> Value {
    within(path, async {
        loop {
            let answer = get(running, path).await;
            if answer != json!([]) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// An id of now, since ids have a window.
pub(crate) fn message_id(n: u64) -> String {
    let hex = format!("{:012x}", lambda::start::invocation().now.as_millis());
    format!("{}-{}-7abc-8def-{n:012x}", &hex[..8], &hex[8..])
}

/// A frame that sends one message to a user.
pub(crate) fn send(id: &str, to: &str) -> String {
    json!({"action": "send", "messages": [{"id": id, "to": {"user": to}, "body": "hi"}]}).to_string()
}

/// Changes the faults and answers what was said to that.
pub(crate) async fn change_faults(running: &Running, json: &'static str) -> reqwest::Response {
    let url = format!("{}/_local/faults", running.ready.http);
    within("an answer", reqwest::Client::new().post(url).body(json).send()).await.expect("an answer")
}

/// One open socket.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// Connects a device, with the token in the query.
    pub(crate) async fn connect(ready: &Ready, user: &str, device: &str) -> Self {
        Self::connect_to(format!("{}?device={device}&access_token={}", ready.ws, token(ready, user))).await
    }

    /// Connects to a URL that says all there is to say.
    pub(crate) async fn connect_to(url: String) -> Self {
        let (socket, _) = within("the handshake", connect_async(url)).await.expect("a connection");
        Self { socket }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        within("a send", self.socket.send(message.into())).await.expect("a send");
    }

    /// Sends a text in frames of at most `bytes`.
    pub(crate) async fn send_in_frames(&mut self, text: &str, bytes: usize) {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(bytes).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let data = if index == 0 { Data::Text } else { Data::Continue };
            let frame = Frame::message(chunk.to_vec(), OpCode::Data(data), index + 1 == chunks.len());
            self.send(Message::Frame(frame)).await;
        }
    }

    /// The next text, as JSON.
    pub(crate) async fn next(&mut self) -> Value {
        match within("a frame", self.socket.next()).await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("no text came: {other:?}"),
        }
    }

    /// The next text of this type, as JSON; others are skipped.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The code that the server closes with; texts before it are skipped.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match within("a close", self.socket.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(_))) => {}
                other => panic!("no close came: {other:?}"),
            }
        }
    }
}
