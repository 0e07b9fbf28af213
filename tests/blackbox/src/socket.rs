//! A socket: any text goes out, and what comes in is noted with its time at the moment it comes. It knows frames, and nothing of what
//! they are about.

use std::fmt;
use std::time::{Duration, Instant};

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as WebSocketFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use url::Url;

use crate::frame::{Frame, MAX_BYTES};

/// Longest wait for anything that follows at once: a cold start of every function on the way, and a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A frame, and when it came.
#[derive(Debug)]
pub struct Arrived {
    /// When.
    pub at: Instant,
    /// What.
    pub frame: Frame,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was closed, with a code if one was given.
    Closed(Option<u16>),
    /// It broke.
    Broken(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(Some(code)) => write!(f, "the connection was closed with {code}"),
            Self::Closed(None) => write!(f, "the connection was closed without a code"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

/// A connection that did not open.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// It was refused.
    #[error("the connection was refused with {0}")]
    Refused(u16),
    /// There was no answer.
    #[error("the connection did not open within {} s", DEADLINE.as_secs())]
    Late,
    /// It was not even refused.
    #[error("the connection could not be opened: {0}")]
    Failed(Error),
}

#[derive(Debug)]
enum Arrival {
    Text(String, Instant),
    Ended(Ended),
}

/// An open connection. Dropping it leaves without a word.
#[derive(Debug)]
pub struct Socket {
    sink: SplitSink<Stream, Message>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    reader: JoinHandle<()>,
    ended: Option<Ended>,
}

impl Socket {
    /// Connects, with the token in the header if there is one.
    ///
    /// # Errors
    /// When it does not open.
    pub async fn open(url: &Url, token: Option<&str>) -> Result<Self, NotOpened> {
        let mut request = url.as_str().into_client_request().map_err(NotOpened::Failed)?;
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let value = value.map_err(|error| NotOpened::Failed(error.into()))?;
            request.headers_mut().insert("authorization", value);
        }
        // Nagle's algorithm would add to what is measured.
        let connecting = connect_async_with_config(request, None, true);
        let (stream, _) = match tokio::time::timeout(DEADLINE, connecting).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(Error::Http(response))) => return Err(NotOpened::Refused(response.status().as_u16())),
            Ok(Err(error)) => return Err(NotOpened::Failed(error)),
            Err(_) => return Err(NotOpened::Late),
        };
        let (sink, stream) = stream.split();
        let (noted, arrivals) = mpsc::unbounded_channel();
        Ok(Self { sink, arrivals, reader: tokio::spawn(read(stream, noted)), ended: None })
    }

    /// Sends a text message in one WebSocket frame.
    pub async fn text(&mut self, text: impl Into<String>) {
        let text = text.into();
        let what = format!("{text:.100} could be sent");
        self.must_send(Message::text(text), &what).await;
    }

    /// Sends a binary message.
    pub async fn binary(&mut self, bytes: Vec<u8>) {
        self.must_send(Message::binary(bytes), "a binary message could be sent").await;
    }

    /// Sends one message in WebSocket frames of `size` bytes, or as many of them as are taken.
    pub async fn fragments(&mut self, text: &str, size: usize) {
        let count = text.len().div_ceil(size);
        for (number, chunk) in text.as_bytes().chunks(size).enumerate() {
            let kind = if number == 0 { Data::Text } else { Data::Continue };
            let frame = WebSocketFrame::message(chunk.to_vec(), OpCode::Data(kind), number + 1 == count);
            // The other side may close before the last of it.
            if self.send(Message::Frame(frame)).await.is_err() {
                return;
            }
        }
    }

    async fn must_send(&mut self, message: Message, what: &str) {
        let Err(error) = self.send(message).await else { return };
        let by = Instant::now() + DEADLINE;
        while let Ok(next) = self.next(by).await {
            if let Err(ended) = next {
                panic!("{ended} before {what}");
            }
        }
        panic!("{error} before {what}");
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        let sent = tokio::time::timeout(DEADLINE, self.sink.send(message)).await;
        sent.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain for the connection to take a frame"))
    }

    /// What comes next, or how the connection ended, now and ever after.
    ///
    /// # Errors
    /// When neither happens in time.
    pub async fn next(&mut self, by: Instant) -> Result<Result<Arrived, Ended>, Late> {
        if let Some(ended) = &self.ended {
            return Ok(Err(ended.clone()));
        }
        let arrival = tokio::time::timeout_at(by.into(), self.arrivals.recv()).await.map_err(|_| Late)?;
        match arrival.unwrap_or(Arrival::Ended(Ended::Broken("nobody reads it".to_owned()))) {
            Arrival::Text(text, at) => {
                assert!(text.len() <= MAX_BYTES, "a frame has {} bytes, and {MAX_BYTES} is the limit", text.len());
                let frame = Frame::read(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
                Ok(Ok(Arrived { at, frame }))
            }
            Arrival::Ended(ended) => {
                self.ended = Some(ended.clone());
                Ok(Err(ended))
            }
        }
    }

    /// Closes it in order.
    pub async fn close(mut self) {
        self.must_send(Message::Close(None), "a close could be sent").await;
        let by = Instant::now() + DEADLINE;
        loop {
            match self.next(by).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return,
                Err(Late) => panic!("waited {DEADLINE:?} in vain for the answer to a close"),
            }
        }
    }
}

/// Nothing came in time.
#[derive(Clone, Copy, Debug)]
pub struct Late;

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Notes what comes, at once: a test may be busy elsewhere.
async fn read(mut stream: SplitStream<Stream>, noted: mpsc::UnboundedSender<Arrival>) {
    let mut ended = Ended::Closed(None);
    // Read on after a close: that sends the answer to it.
    while let Some(message) = stream.next().await {
        match message {
            // Nobody is interested any more when the send fails.
            Ok(Message::Text(text)) => drop(noted.send(Arrival::Text(text.as_str().to_owned(), Instant::now()))),
            Ok(Message::Close(close)) => ended = Ended::Closed(close.map(|close| close.code.into())),
            Ok(Message::Binary(_)) => {
                ended = Ended::Broken("a binary frame came".to_owned());
                break;
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(Error::ConnectionClosed) => break,
            Err(error) => {
                // Once it is closed, how the rest of it ends says nothing more.
                if ended == Ended::Closed(None) {
                    ended = Ended::Broken(error.to_string());
                }
                break;
            }
        }
    }
    drop(noted.send(Arrival::Ended(ended)));
}
