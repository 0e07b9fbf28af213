//! The task that keeps a connection: it dials, moves frames between the socket and the [`Core`], and waits. It decides
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

use crate::client::Shared;
use crate::clock;
use crate::core::{Core, Step};
use crate::dial::{DialError, dial};
use crate::event::{BoxError, Cause};
use crate::network::Network;
use crate::options::Options;

/// A frame that is not written within this time is stuck in a dead connection.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may take to answer a close.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What follows a connection.
enum After {
    Retry(Cause),
    End,
}

/// Whatever ends the task, nobody waits for it any longer.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.report(|core, _| core.end_silently());
    }
}

/// Connects, and connects again, until the client is closed, displaced or refused.
pub(crate) async fn drive<N: Network>(shared: Arc<Shared>, options: Options, network: N) {
    let _guard = EndGuard(Arc::clone(&shared));
    loop {
        let dialled = tokio::select! {
            dialled = dial(&options, &network) => dialled,
            () = shared.closing() => return,
        };
        let after = match dialled {
            Ok(socket) => serve(&shared, socket).await,
            Err(DialError::Again(cause)) => After::Retry(cause),
            Err(DialError::Never(error)) => {
                shared.report(|core, _| core.fatal(error));
                After::End
            }
        };
        let After::Retry(cause) = after else { return };
        tracing::debug!(%cause, "no connection");
        let retry_in = shared.report(|core, now| core.lost(cause, now));
        tokio::select! {
            () = sleep(retry_in) => {}
            () = shared.closing() => return,
        }
    }
}

/// Lives with one connection.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, mut socket: WebSocketStream<S>) -> After {
    shared.report(Core::opened);
    loop {
        match shared.report(Core::poll) {
            Step::Write(frame) => match write(&mut socket, frame).await {
                Ok(()) => shared.report(|core, _| core.written()),
                Err(cause) => return After::Retry(cause),
            },
            Step::Leave(cause) => {
                close(&mut socket).await;
                return After::Retry(cause);
            }
            Step::Close => {
                close(&mut socket).await;
                return After::End;
            }
            Step::Wait(until) => tokio::select! {
                read = socket.next() => match text_of(read) {
                    Ok(None) => {}
                    Ok(Some(text)) => {
                        let ended = shared.report(|core, now| {
                            core.received(&text, now, clock::now());
                            core.has_ended()
                        });
                        if ended {
                            close(&mut socket).await;
                            return After::End;
                        }
                    }
                    Err(cause) => return After::Retry(cause),
                },
                () = sleep_until(until) => {}
                () = shared.changed() => {}
            },
        }
    }
}

async fn write<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, frame: String) -> Result<(), Cause> {
    match timeout(WRITE_TIMEOUT, socket.send(Message::text(frame))).await {
        Ok(written) => written.map_err(broken),
        Err(_elapsed) => Err(Cause::Unanswered),
    }
}

/// The text of what was read, if it has one. The socket answers pings and closes by itself.
fn text_of(read: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Utf8Bytes>, Cause> {
    match read {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Close(frame))) => Err(Cause::Closed(frame.map(|CloseFrame { code, .. }| code.into()))),
        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Err(error)) => Err(broken(error)),
        None => Err(Cause::Closed(None)),
    }
}

fn broken(error: tungstenite::Error) -> Cause {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Cause::Closed(None),
        other => Cause::Broken(BoxError::from(other)),
    }
}

/// Closes properly: the server's answer says that it has read every frame before. That it also ends the stream is not waited
/// for.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    let closed = async {
        let answered = |read: &_| !matches!(read, Some(Ok(message)) if !matches!(message, Message::Close(_)));
        if socket.close(None).await.is_ok() {
            while !answered(&socket.next().await) {}
        }
    };
    if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
        tracing::debug!("the server did not answer the close");
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
