//! A socket that sends any text and waits, with a deadline, for what must come.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::deployment::{DEADLINE, new_id};

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(ws: &str, query: &str, token: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("{ws}?{query}").into_client_request()?;
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        }
        let (stream, _) = connect_async(request).await?;
        Ok(Self(stream))
    }

    pub(crate) async fn text(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.expect("sent");
    }

    pub(crate) async fn binary(&mut self, bytes: Vec<u8>) {
        self.0.send(Message::binary(bytes)).await.expect("sent");
    }

    /// Sends one message in WebSocket frames of `size` bytes.
    pub(crate) async fn fragments(&mut self, text: &str, size: usize) {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.into_iter().enumerate() {
            let kind = if index == 0 { Data::Text } else { Data::Continue };
            let frame = Frame::message(chunk.to_vec(), OpCode::Data(kind), index == last);
            // The other side may close before the last of it.
            if self.0.send(Message::Frame(frame)).await.is_err() {
                return;
            }
        }
    }

    async fn next(&mut self, what: &str) -> Message {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => return message,
                    Some(Err(error)) => panic!("the socket failed before {what}: {error}"),
                    None => panic!("the socket ended before {what}"),
                }
            }
        };
        tokio::time::timeout(DEADLINE, next).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// The next frame, whatever it says.
    pub(crate) async fn raw(&mut self) -> String {
        match self.next("a frame").await {
            Message::Text(text) => text.to_string(),
            other => panic!("not a frame: {other:?}"),
        }
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Value {
        serde_json::from_str(&self.raw().await).expect("JSON")
    }

    /// The next frame of a type, past any others.
    pub(crate) async fn frame_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Past the drain of this connection.
    pub(crate) async fn drained(mut self) -> Self {
        self.frame_of("drained").await;
        self
    }

    /// Sends a frame and answers the next frame.
    pub(crate) async fn ask(&mut self, frame: &Value) -> Value {
        self.text(frame.to_string()).await;
        self.frame().await
    }

    /// Sends a text to a user and answers the message's id, once it is accepted.
    pub(crate) async fn send_to(&mut self, user: &str, text: &str) -> String {
        let id = new_id().to_string();
        self.send_message(json!({"id": id, "to": {"user": user}, "body": text})).await;
        id
    }

    pub(crate) async fn send_message(&mut self, message: Value) {
        self.text(json!({"action": "send", "messages": [message]}).to_string()).await;
        let accepted = self.frame_of("accepted").await;
        assert_eq!(accepted["ids"], json!([message["id"]]), "{accepted}");
    }

    /// The next envelopes, past other frames.
    pub(crate) async fn messages(&mut self) -> Vec<Value> {
        self.frame_of("messages").await["messages"].as_array().expect("a list").clone()
    }

    pub(crate) async fn ack(&mut self, messages: &[Value]) {
        let refs: Vec<&Value> = messages.iter().map(|message| &message["ref"]).collect();
        self.text(json!({"action": "ack", "refs": refs}).to_string()).await;
    }

    /// The code with which the socket is closed, past any frames.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(close) = self.next("the close").await {
                return close.expect("a code").code.into();
            }
        }
    }
}
