//! The client over a WebSocket to a server in the same process, under a clock that moves only when all wait.

use std::io;

use protocol::limits::CONNECTION_LIFETIME;
use protocol::{ClientFrame, Code, Delivery, MessageId, Recipient, Ref, ServerFrame, Timestamp};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use url::Url;

use super::*;
use crate::ack_buffer::ACK_DELAY;
use crate::options::{Acks, TokenSource};
use crate::outbox::SendError;
use crate::sync_passes::DRAIN_TIMEOUT;
use crate::testing::{delivery, user};
use crate::{Client, Event, Events, FatalError};

/// Hands the far end of each stream to the test; refuses when nobody listens.
struct Wire(mpsc::UnboundedSender<DuplexStream>);

impl Network for Wire {
    type Stream = DuplexStream;

    async fn reach(&self, _url: &Url) -> io::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.0.send(far).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(near)
    }
}

struct Server(mpsc::UnboundedReceiver<DuplexStream>);

struct Connection {
    socket: WebSocketStream<DuplexStream>,
    uri: String,
    authorization: String,
}

impl Server {
    /// The next connection, with its handshake done.
    async fn accept(&mut self) -> Connection {
        let stream = self.0.recv().await.expect("a connection");
        let (mut uri, mut authorization) = (String::new(), String::new());
        #[expect(clippy::result_large_err, reason = "the type is the library's")]
        let note = |request: &Request, response: Response| {
            uri = request.uri().to_string();
            authorization = request.headers()["authorization"].to_str().expect("text").to_owned();
            Ok(response)
        };
        let socket = accept_hdr_async(stream, note).await.expect("a handshake");
        Connection { socket, uri, authorization }
    }

    /// Answers the next connection's handshake with an HTTP status.
    async fn refuse(&mut self, status: StatusCode) {
        let stream = self.0.recv().await.expect("a connection");
        #[expect(clippy::result_large_err, reason = "the type is the library's")]
        let refuse = |_: &Request, _: Response| {
            let mut response = ErrorResponse::new(None);
            *response.status_mut() = status;
            Err(response)
        };
        accept_hdr_async(stream, refuse).await.expect_err("it is refused");
    }
}

impl Connection {
    async fn post(&mut self, frame: ServerFrame) {
        self.socket.send(Message::text(frame.render())).await.expect("it is open");
    }

    async fn deliver(&mut self, messages: Vec<Delivery>) {
        self.post(ServerFrame::Messages { messages, more: None, nonce: None }).await;
    }

    async fn drained(&mut self) {
        self.post(ServerFrame::Drained { reconnect_by: clock::now().plus(CONNECTION_LIFETIME) }).await;
    }

    /// The next frame; `None` when the client closes.
    async fn read(&mut self) -> Option<ClientFrame> {
        match self.socket.next().await?.ok()? {
            Message::Text(text) => Some(ClientFrame::parse(&text).expect("a good frame")),
            Message::Close(_) => None,
            other => panic!("{other:?}"),
        }
    }

    async fn acked(&mut self) -> Vec<Ref> {
        match self.read().await {
            Some(ClientFrame::Ack(ack)) => ack.refs,
            other => panic!("{other:?}"),
        }
    }

    /// The ids of the next `send`, and what accepts them.
    async fn sent(&mut self) -> (Vec<MessageId>, ServerFrame) {
        let Some(ClientFrame::Send(send)) = self.read().await else { panic!("no send") };
        let ids: Vec<MessageId> = send.messages.iter().map(|message| message.as_ref().expect("good").id).collect();
        let at = Timestamp::from_millis(1);
        (ids.clone(), ServerFrame::Accepted { ids, refused: Vec::new(), at, nonce: send.nonce })
    }
}

fn start(acks: Acks) -> (Client, Events, Server) {
    let calls = std::sync::atomic::AtomicU32::new(0);
    let tokens = TokenSource::new(move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::future::ready(Ok(format!("token-{call}")))
    });
    start_with(acks, tokens)
}

fn start_with(acks: Acks, tokens: TokenSource) -> (Client, Events, Server) {
    let (streams, server) = mpsc::unbounded_channel();
    let options = Options::new("ws://chat.example/prod", &"phone".parse().expect("a device"), tokens);
    let (client, events) = Client::over(options.expect("options").acks(acks), Wire(streams));
    (client, events, Server(server))
}

async fn next(events: &mut Events) -> Event {
    events.next().await.expect("the client goes on")
}

/// The next event, which must be of this kind.
macro_rules! expect_event {
    ($events:expr, $pattern:pat $(=> $value:expr)?) => {
        match next(&mut $events).await {
            $pattern => ($($value)?),
            other => panic!("{other:?}"),
        }
    };
}

fn bob() -> Recipient {
    Recipient::User(user("bob"))
}

#[tokio::test(start_paused = true)]
async fn it_reconnects_with_a_new_token_and_sends_the_outbox_again() {
    let (client, mut events, mut server) = start(Acks::OnTake);
    let id = client.send(bob(), protocol::Body::text("hello")).expect("queued");
    let mut connection = server.accept().await;
    assert_eq!((connection.uri.as_str(), connection.authorization.as_str()), ("/prod?device=phone", "Bearer token-0"));
    assert_eq!(connection.sent().await.0, [id]);
    drop(connection);

    let mut connection = server.accept().await;
    assert_eq!(connection.authorization, "Bearer token-1");
    let (ids, accepted) = connection.sent().await;
    assert_eq!(ids, [id], "the same id");
    connection.post(accepted).await;
    expect_event!(events, Event::Connected);
    expect_event!(events, Event::Disconnected { .. });
    expect_event!(events, Event::Connected);
    assert_eq!(expect_event!(events, Event::Accepted { id, .. } => id), id);
    assert!(client.outstanding().is_none());
}

#[tokio::test(start_paused = true)]
async fn it_tries_until_there_is_a_server() {
    let (_client, mut events, mut server) = start(Acks::OnTake);
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS, StatusCode::CONFLICT] {
        server.refuse(status).await;
        let cause = expect_event!(events, Event::Disconnected { cause, .. } => cause);
        assert!(matches!(cause, Cause::Status(code) if code == status.as_u16()), "{cause:?}");
    }
    let mut connection = server.accept().await;
    connection.drained().await;
    expect_event!(events, Event::Connected);
    expect_event!(events, Event::Drained);
    drop((connection, server));
    expect_event!(events, Event::Disconnected { .. });
    let cause = expect_event!(events, Event::Disconnected { cause, .. } => cause);
    assert!(matches!(cause, Cause::Unreachable(_)), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_the_end() {
    for (status, forbidden) in [(StatusCode::UNAUTHORIZED, false), (StatusCode::FORBIDDEN, true)] {
        let (client, mut events, mut server) = start(Acks::OnTake);
        server.refuse(status).await;
        let error = expect_event!(events, Event::Fatal(error) => error);
        assert_eq!(matches!(error, FatalError::Forbidden), forbidden, "{error:?}");
        assert!(events.next().await.is_none());
        assert!(server.0.recv().await.is_none(), "it does not come back");
        assert_eq!(client.send(bob(), protocol::Body::text("x")), Err(SendError::Ended));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_source_that_fails_is_asked_again_and_a_token_that_is_none_ends() {
    let calls = std::sync::atomic::AtomicU32::new(0);
    let tokens = TokenSource::new(move || {
        let first = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        std::future::ready(if first { Err("the provider is down".into()) } else { Ok("a\nb".to_owned()) })
    });
    let (_client, mut events, _server) = start_with(Acks::OnTake, tokens);
    expect_event!(events, Event::Disconnected { cause: Cause::Token(_), .. });
    expect_event!(events, Event::Fatal(FatalError::InvalidToken));
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn displaced_stops_it() {
    let (_client, mut events, mut server) = start(Acks::OnTake);
    let mut connection = server.accept().await;
    connection.post(ServerFrame::Error { code: Code::Displaced, detail: "x".to_owned(), nonce: None }).await;
    assert!(connection.read().await.is_none(), "it closes");
    expect_event!(events, Event::Connected);
    expect_event!(events, Event::Displaced);
    assert!(events.next().await.is_none());
    assert!(server.0.recv().await.is_none(), "it does not come back");
}

#[tokio::test(start_paused = true)]
async fn acks_are_coalesced_and_duplicates_are_acked_again_but_not_shown() {
    let (_client, mut events, mut server) = start(Acks::OnTake);
    let mut connection = server.accept().await;
    connection.drained().await;
    for n in 1..=3 {
        connection.deliver(vec![delivery("alice", n)]).await;
    }
    expect_event!(events, Event::Connected);
    expect_event!(events, Event::Drained);
    let taken = Instant::now();
    for n in 1..=3 {
        let message = expect_event!(events, Event::Message(message) => message);
        assert_eq!(message, delivery("alice", n));
    }
    let refs: Vec<Ref> = (1..=3).map(|n| delivery("alice", n).reference).collect();
    assert_eq!(connection.acked().await, refs);
    assert_eq!(taken.elapsed(), ACK_DELAY, "one frame after the wait");

    connection.deliver(vec![Delivery { attempt: 2, ..delivery("alice", 2) }, delivery("alice", 4)]).await;
    assert_eq!(expect_event!(events, Event::Message(message) => message), delivery("alice", 4));
    assert_eq!(connection.acked().await, [delivery("alice", 2).reference, delivery("alice", 4).reference]);
}

#[tokio::test(start_paused = true)]
async fn fifty_acks_do_not_wait() {
    let (_client, mut events, mut server) = start(Acks::OnTake);
    let mut connection = server.accept().await;
    connection.drained().await;
    connection.deliver((0..60).map(|n| delivery("alice", n)).collect()).await;
    expect_event!(events, Event::Connected);
    expect_event!(events, Event::Drained);
    let taken = Instant::now();
    for _ in 0..60 {
        expect_event!(events, Event::Message(_));
    }
    assert_eq!((connection.acked().await.len(), taken.elapsed()), (50, Duration::ZERO));
    assert_eq!((connection.acked().await.len(), taken.elapsed()), (10, ACK_DELAY));
}

#[tokio::test(start_paused = true)]
async fn it_syncs_when_no_drain_comes() {
    let (_client, mut events, mut server) = start(Acks::Manual);
    let mut connection = server.accept().await;
    let opened = Instant::now();
    for (page, more) in [(0_u64, true), (1, true), (2, false)] {
        let Some(ClientFrame::Sync(sync)) = connection.read().await else { panic!("no sync") };
        assert_eq!(opened.elapsed(), DRAIN_TIMEOUT, "pages follow at once");
        assert_eq!(sync.after, page.checked_sub(1).map(|page| delivery("alice", page).reference));
        let messages = vec![delivery("alice", page)];
        connection.post(ServerFrame::Messages { messages, more: Some(more), nonce: sync.nonce }).await;
    }
    expect_event!(events, Event::Connected);
    for page in 0..3 {
        assert_eq!(expect_event!(events, Event::Message(message) => message), delivery("alice", page));
    }
    expect_event!(events, Event::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_left() {
    let (_client, mut events, mut server) = start(Acks::OnTake);
    let mut silent = server.accept().await;
    expect_event!(events, Event::Connected);
    let cause = expect_event!(events, Event::Disconnected { cause, .. } => cause);
    assert!(matches!(cause, Cause::Unanswered), "{cause:?}");
    for _ in 0..3 {
        assert!(matches!(silent.read().await, Some(ClientFrame::Sync(_))));
    }
    server.accept().await;
}

#[tokio::test(start_paused = true)]
async fn it_moves_to_a_new_connection_before_the_server_cuts_the_old_one() {
    let (_client, mut events, mut server) = start(Acks::OnTake);
    let mut connection = server.accept().await;
    let opened = Instant::now();
    connection.drained().await;
    let mut heartbeats = 0;
    while let Some(frame) = connection.read().await {
        let ClientFrame::Sync(sync) = frame else { panic!("{frame:?}") };
        heartbeats += 1;
        connection.post(ServerFrame::Messages { messages: Vec::new(), more: Some(false), nonce: sync.nonce }).await;
    }
    assert!(opened.elapsed() < CONNECTION_LIFETIME && opened.elapsed() > CONNECTION_LIFETIME * 9 / 10);
    assert!((12..=24).contains(&heartbeats), "{heartbeats} heartbeats");
    drop(connection);
    server.accept().await;
    expect_event!(events, Event::Connected);
    expect_event!(events, Event::Drained);
    expect_event!(events, Event::Disconnected { retry_in: Duration::ZERO, cause: Cause::Aged });
    expect_event!(events, Event::Connected);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_acks_and_outbox() {
    let (client, mut events, mut server) = start(Acks::Manual);
    let mut connection = server.accept().await;
    connection.drained().await;
    connection.deliver(vec![delivery("alice", 1)]).await;
    let id = client.send(bob(), protocol::Body::text("hello")).expect("queued");
    let (ids, accepted) = connection.sent().await;
    assert_eq!(ids, [id]);
    while !matches!(next(&mut events).await, Event::Message(_)) {}
    client.ack(&delivery("alice", 1).reference);
    let started = Instant::now();
    let closing = tokio::spawn(async move { client.close(Duration::from_secs(5)).await });
    assert_eq!(connection.acked().await, [delivery("alice", 1).reference]);
    assert_eq!(started.elapsed(), Duration::ZERO, "the ack does not wait for others");
    connection.post(accepted).await;
    assert!(connection.read().await.is_none(), "it closes");
    assert!(closing.await.expect("it ends").is_none());
    expect_event!(events, Event::Accepted { .. });
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_ever() {
    let (client, _events, server) = start(Acks::OnTake);
    drop(server);
    client.send(bob(), protocol::Body::text("hello")).expect("queued");
    let started = Instant::now();
    assert_eq!(client.close(Duration::from_secs(5)).await.unaccepted, 1);
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes() {
    let (client, mut events, mut server) = start(Acks::OnTake);
    let mut connection = server.accept().await;
    drop(client.clone());
    connection.drained().await;
    expect_event!(events, Event::Connected);
    expect_event!(events, Event::Drained);
    drop(client);
    assert!(connection.read().await.is_none(), "it closes");
    assert!(events.next().await.is_none());
}

/// In real time, but nothing here waits for a timer.
#[tokio::test]
async fn it_works_over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/local", listener.local_addr().expect("an address"));
    let tokens = TokenSource::fixed("t".to_owned());
    let options = Options::new(&url, &"phone".parse().expect("a device"), tokens).expect("options");
    let (client, mut events) = Client::connect(options.clone());
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
    expect_event!(events, Event::Connected);
    let id = client.send(bob(), protocol::Body::text("hello")).expect("queued");
    let text = socket.next().await.expect("a frame").expect("open").into_text().expect("text");
    assert!(text.contains(&id.to_string()));

    drop((listener, socket));
    let (_client, mut events) = Client::connect(options);
    let cause = expect_event!(events, Event::Disconnected { cause, .. } => cause);
    assert!(matches!(cause, Cause::Unreachable(_)), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn wss_speaks_tls() {
    let (streams, mut server) = mpsc::unbounded_channel();
    let tokens = TokenSource::fixed("t".to_owned());
    let options = Options::new("wss://chat.example/prod", &"phone".parse().expect("a device"), tokens);
    let (_client, mut events) = Client::over(options.expect("options"), Wire(streams));
    let mut stream: DuplexStream = server.recv().await.expect("a connection");
    assert_eq!(stream.read_u8().await.expect("a byte"), 0x16, "a TLS handshake record");
    drop(stream);
    expect_event!(events, Event::Disconnected { cause: Cause::Handshake(_), .. });
}
