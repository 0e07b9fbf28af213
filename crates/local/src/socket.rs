//! One socket: frames in and out, the limits that close it, and the close itself. It asks the gateway for every answer.
//!
//! Frames of one socket are handled one after the other, the next one read only when the one before is answered. So the messages of a
//! sender reach the queue in the order in which they were sent, and a client that sends faster than it is served fills its own
//! socket instead of our memory. API Gateway promises no such order.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws::meter::Unit;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite;

use crate::connections::Opened;
use crate::gateway::Admitted;
use crate::lifecycle::Stage;
use crate::options::Limits;

/// A client that takes nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the client has to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How many frames are written before they are flushed together.
const FLUSHED_FRAMES: usize = 32;

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The client closed it, with this code: its own, 1005 for a close without one, 1006 for no close at all.
    Client(u16),
    /// We close it, with this code and reason.
    Ours(u16, &'static str),
    /// Nothing more can be sent.
    Lost,
}

const BINARY: Ending = Ending::Ours(1003, "binary frames are not supported");
const TOO_BIG: Ending = Ending::Ours(1009, "message too big");
const NOT_TEXT: Ending = Ending::Ours(1007, "not UTF-8");
const MALFORMED: Ending = Ending::Ours(1002, "protocol error");
const IDLE: Ending = Ending::Ours(1001, "idle for too long");
const OUTLIVED: Ending = Ending::Ours(1001, "open for too long");
const GOING_AWAY: Ending = Ending::Ours(1001, "going away");
const DISCONNECTED: Ending = Ending::Ours(1000, "disconnected");

/// When a message last travelled, either way.
struct Activity(Mutex<Instant>);

impl Activity {
    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a socket from its opening to its end.
pub(crate) async fn serve(socket: WebSocket, mut admitted: Admitted) {
    let opened_at = Instant::now();
    let gateway = admitted.gateway.clone();
    let mut opened = gateway.connections.open(admitted.caller.connection.clone());
    let Some(outgoing) = opened.outgoing.take() else { return };
    let activity = Activity(Mutex::new(opened_at));
    let (sink, mut stream) = socket.split();
    let (finish, finishing) = oneshot::channel();

    let mut writing = std::pin::pin!(write(sink, outgoing, finishing, &activity));
    let ending = tokio::select! {
        ending = read(&mut stream, &admitted, &opened, &activity) => ending,
        ending = limited(&activity, opened_at, &gateway.limits) => ending,
        ending = told(&opened, &admitted) => ending,
        _ = &mut writing => Ending::Lost,
    };
    // From here on it is gone for whoever posts.
    drop(opened);
    if ending != Ending::Lost && finish.send(ending).is_ok() {
        writing.await;
        // Reading on sends what tungstenite answers to the client's close, and waits for the client's answer to ours.
        let rest = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, rest).await;
    }
    match ending {
        Ending::Ours(code, reason) => admitted.ended = (code, reason),
        Ending::Client(code) => admitted.ended = (code, "the client closed the connection"),
        Ending::Lost => {}
    }
    let minutes = (opened_at.elapsed().as_secs_f64() / 60.0).ceil();
    gateway.meter.count("apigateway", "ConnectionMinutes", Unit::ConnectionMinute, minutes);
}

async fn read(
    stream: &mut SplitStream<WebSocket>,
    admitted: &Admitted,
    opened: &Opened,
    activity: &Activity,
) -> Ending {
    let lifecycle = &admitted.gateway.functions.lifecycle;
    loop {
        let message = tokio::select! {
            biased;
            // No new frame is taken; answers and posts still go out until the connection is closed.
            () = lifecycle.reached(Stage::Draining) => std::future::pending().await,
            message = stream.next() => message,
        };
        let frame = match message {
            Some(Ok(Message::Text(frame))) => frame,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return BINARY,
            Some(Ok(Message::Close(frame))) => return Ending::Client(frame.map_or(1005, |frame| frame.code)),
            None => return Ending::Client(1006),
            Some(Err(error)) => return broken(error),
        };
        activity.touch();
        if let Some(answer) = admitted.gateway.message(&admitted.caller, &frame).await
            && opened.answers.send(answer).await.is_err()
        {
            return Ending::Lost;
        }
    }
}

/// What a client is owed whose frames cannot be read any further.
fn broken(error: axum::Error) -> Ending {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => TOO_BIG,
        Some(tungstenite::Error::Utf8(_)) => NOT_TEXT,
        Some(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            Ending::Client(1006)
        }
        Some(tungstenite::Error::Protocol(_)) => MALFORMED,
        _ => Ending::Lost,
    }
}

/// Waits until the connection is idle or open for too long.
async fn limited(activity: &Activity, opened_at: Instant, limits: &Limits) -> Ending {
    let end = opened_at + limits.connection_lifetime;
    loop {
        let idle = activity.last() + limits.idle;
        tokio::time::sleep_until(idle.min(end)).await;
        let now = Instant::now();
        if now >= end {
            return OUTLIVED;
        }
        if now >= activity.last() + limits.idle {
            return IDLE;
        }
    }
}

/// Waits until somebody disconnects the connection, or the run ends.
async fn told(opened: &Opened, admitted: &Admitted) -> Ending {
    let mut disconnected = opened.disconnected.clone();
    tokio::select! {
        Ok(_) = disconnected.wait_for(|disconnected| *disconnected) => DISCONNECTED,
        () = admitted.gateway.functions.lifecycle.reached(Stage::Closing) => GOING_AWAY,
    }
}

/// Sends what is queued, in order, until told to finish; then what is still queued, and the close. Ends early if the client takes
/// nothing.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut outgoing: mpsc::Receiver<String>,
    mut finishing: oneshot::Receiver<Ending>,
    activity: &Activity,
) {
    let mut frames = Vec::new();
    let ending = loop {
        tokio::select! {
            biased;
            ending = &mut finishing => break ending,
            _ = outgoing.recv_many(&mut frames, FLUSHED_FRAMES) => {}
        }
        activity.touch();
        let messages = frames.drain(..).map(|frame| Message::Text(frame.into()));
        if !send(&mut sink, messages).await {
            return;
        }
    };
    let mut last = Vec::new();
    while let Ok(frame) = outgoing.try_recv() {
        last.push(Message::Text(frame.into()));
    }
    if let Ok(Ending::Ours(code, reason)) = ending {
        last.push(Message::Close(Some(CloseFrame { code, reason: reason.into() })));
    }
    send(&mut sink, last.into_iter()).await;
}

/// Whether all of it was sent.
async fn send(sink: &mut SplitSink<WebSocket, Message>, messages: impl Iterator<Item = Message>) -> bool {
    let sent = async {
        for message in messages {
            sink.feed(message).await?;
        }
        sink.flush().await
    };
    matches!(tokio::time::timeout(WRITE_TIMEOUT, sent).await, Ok(Ok(())))
}
