//! `send`, `listen` and `chat` as processes, against a server in the test: what they print, what they write to the socket,
//! and their exit codes. The local cloud does not run here.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::{SinkExt, StreamExt};
use protocol::{
    Body, ClientFrame, Code, Delivery, Kind, MessageId, MessageName, Outgoing, Receipt, ReceiptEvent, Recipient, Ref,
    Refusal, Sender, ServerFrame, Shelf, Timestamp, Urgency, UserId,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// A server that does as the test says, and a data folder.
struct Scene {
    listener: TcpListener,
    data: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener, data: tempfile::tempdir().expect("a folder") }
    }

    fn url(&self) -> String {
        format!("ws://{}/local", self.listener.local_addr().expect("an address"))
    }

    /// Starts a command of alice's.
    fn start(&self, args: &[&str]) -> Running {
        self.start_at(&self.url(), args)
    }

    fn start_at(&self, url: &str, args: &[&str]) -> Running {
        self.start_in(url, args, &[])
    }

    fn start_in(&self, url: &str, args: &[&str], environment: &[(&str, &str)]) -> Running {
        let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"alice"}"#));
        let mut command = Command::new(env!("CARGO_BIN_EXE_vartalap"));
        command.args(args).args(["--url", url, "--token", &token]).arg("--data").arg(self.data.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.envs(environment.iter().copied());
        Running(command.spawn().expect("it starts"))
    }

    async fn accept(&self) -> Connection {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        let mut uri = String::new();
        #[expect(clippy::result_large_err, reason = "the type is the library's")]
        let note = |request: &Request, response: Response| {
            uri = request.uri().to_string();
            Ok(response)
        };
        let socket = accept_hdr_async(stream, note).await.expect("a handshake");
        Connection { socket, uri }
    }

    async fn refuse(&self, status: StatusCode) {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        #[expect(clippy::result_large_err, reason = "the type is the library's")]
        let refuse = |_: &Request, _: Response| {
            let mut response = ErrorResponse::new(None);
            *response.status_mut() = status;
            Err(response)
        };
        accept_hdr_async(stream, refuse).await.expect_err("it is refused");
    }

    fn device_file(&self) -> PathBuf {
        self.data.path().join("devices/alice")
    }
}

struct Running(Child);

/// What a process left.
#[derive(Debug)]
struct Left {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Running {
    async fn end(self) -> Left {
        let output = self.0.wait_with_output().await.expect("it ran");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Left { code: ExitStatus::code(&output.status), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Writes to its stdin, which goes on.
    async fn type_on(&mut self, text: &str) {
        let stdin = self.0.stdin.as_mut().expect("a pipe");
        stdin.write_all(text.as_bytes()).await.expect("it reads");
        stdin.flush().await.expect("it reads");
    }

    /// Writes to its stdin, and ends that. A process that ends at once need not have read it.
    async fn type_all(&mut self, text: &str) {
        let _unread = self.0.stdin.take().expect("a pipe").write_all(text.as_bytes()).await;
    }

    /// Reads as much of its stdout as this.
    async fn printed(&mut self, text: &str) {
        let mut read = vec![0; text.len()];
        self.0.stdout.as_mut().expect("a pipe").read_exact(&mut read).await.expect("it prints");
        assert_eq!(String::from_utf8_lossy(&read), text);
    }

    async fn interrupt(&self) {
        let id = self.0.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill").success());
    }
}

struct Connection {
    socket: WebSocketStream<TcpStream>,
    uri: String,
}

impl Connection {
    async fn post(&mut self, frame: ServerFrame) {
        self.socket.send(Message::text(frame.render())).await.expect("it is open");
    }

    async fn deliver(&mut self, messages: Vec<Delivery>) {
        self.post(ServerFrame::Messages { messages, more: None, nonce: None }).await;
    }

    /// The next frame; `None` when the client closes.
    async fn read(&mut self) -> Option<ClientFrame> {
        match self.socket.next().await?.ok()? {
            Message::Text(text) => Some(ClientFrame::parse(&text).expect("a good frame")),
            Message::Close(_) => None,
            other => panic!("{other:?}"),
        }
    }

    /// Every frame until the client closes.
    async fn rest(&mut self) -> Vec<ClientFrame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read().await {
            frames.push(frame);
        }
        // The close is answered by reading on.
        while self.socket.next().await.is_some() {}
        frames
    }

    /// The refs acked until the client closes, which must send nothing else.
    async fn acked_at_last(&mut self) -> Vec<Ref> {
        let refs = |frame| match frame {
            ClientFrame::Ack(ack) => ack.refs,
            other => panic!("{other:?}"),
        };
        self.rest().await.into_iter().flat_map(refs).collect()
    }

    /// Accepts the next `send`.
    async fn accept(&mut self) -> Vec<Outgoing> {
        let Some(ClientFrame::Send(send)) = self.read().await else { panic!("no send") };
        self.accept_send(send).await
    }

    /// Accepts every message until so many came, or the client closes. Answers them, and the refs acked meanwhile.
    async fn accept_until(&mut self, count: usize) -> (Vec<Outgoing>, Vec<Ref>) {
        let (mut sent, mut acked) = (Vec::new(), Vec::new());
        while sent.len() < count {
            match self.read().await {
                Some(ClientFrame::Ack(ack) | ClientFrame::Read(ack)) => acked.extend(ack.refs),
                Some(ClientFrame::Send(send)) => sent.extend(self.accept_send(send).await),
                None => {
                    while self.socket.next().await.is_some() {}
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        (sent, acked)
    }

    async fn accept_send(&mut self, send: protocol::Send) -> Vec<Outgoing> {
        let messages: Vec<Outgoing> = send.messages.into_iter().map(|message| message.expect("good")).collect();
        let ids = messages.iter().map(|message| message.id).collect();
        let at = Timestamp::from_millis(5);
        self.post(ServerFrame::Accepted { ids, refused: Vec::new(), at, nonce: send.nonce }).await;
        messages
    }
}

fn user(name: &str) -> UserId {
    name.parse().expect("a user")
}

/// The receipt `n` for alice, by which `by` has these messages of hers.
fn receipt(n: u64, by: &str, ids: &[MessageId]) -> Delivery {
    let from = || Sender::User(user("alice"));
    let messages = ids.iter().map(|id| MessageName { id: *id, from: from() }).collect();
    let body = Receipt { event: ReceiptEvent::Delivered, by: user(by), messages }.body();
    let message = delivery(n, "");
    let reference = Ref { sender: Sender::System, ..message.reference };
    Delivery { reference, from: Sender::System, kind: Kind::Receipt, body, ..message }
}

/// The `n`th message of bob to alice.
fn delivery(n: u64, text: &str) -> Delivery {
    let id: MessageId = format!("0198a5c0-7c00-7abc-8def-{n:012x}").parse().expect("an id");
    Delivery {
        reference: Ref { id, sender: "bob".parse().expect("a sender"), shelf: Shelf::Own, watched: false },
        id,
        from: "bob".parse().expect("a sender"),
        to: Recipient::User("alice".parse().expect("a user")),
        kind: Kind::Message,
        at: Timestamp::from_millis(5),
        attempt: 1,
        urgency: Urgency::default(),
        body: Body::text(text),
    }
}

#[tokio::test]
async fn send_ends_when_its_message_is_accepted() {
    let scene = Scene::new().await;
    let command = scene.start(&["send", "--to", "bob", "hello"]);
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "not now")]).await;
    let message = connection.accept().await.remove(0);
    assert_eq!(message.body, Body::text("hello"));
    assert_eq!(message.to, Recipient::User("bob".parse().expect("a user")));
    assert!(connection.rest().await.is_empty(), "nothing is acked that nobody saw");
    let left = command.end().await;
    assert_eq!((left.code, left.out, left.err.as_str()), (Some(0), format!("(accepted) {}\n", message.id), ""));
    let device = std::fs::read_to_string(scene.device_file()).expect("a device is kept");
    assert_eq!(connection.uri, format!("/local?device={}", device.trim()));
}

#[tokio::test]
async fn send_prints_json_for_programs() {
    let scene = Scene::new().await;
    let command = scene.start(&["send", "--to", "bob", "hello", "--json"]);
    let mut connection = scene.accept().await;
    let id = connection.accept().await.remove(0).id;
    connection.rest().await;
    assert_eq!(command.end().await.out, format!("{{\"type\":\"accepted\",\"id\":\"{id}\",\"at\":5}}\n"));
}

#[tokio::test]
async fn a_refused_message_is_exit_code_1() {
    let scene = Scene::new().await;
    let command = scene.start(&["send", "--to", "bob", "hello"]);
    let mut connection = scene.accept().await;
    let Some(ClientFrame::Send(send)) = connection.read().await else { panic!("no send") };
    let id = send.messages[0].as_ref().expect("good").id.to_string();
    let refused = vec![Refusal { index: 0, id: Some(id), code: Code::TooLarge, detail: "why".to_owned() }];
    let (ids, at) = (Vec::new(), Timestamp::from_millis(5));
    connection.post(ServerFrame::Accepted { ids, refused, at, nonce: send.nonce }).await;
    connection.rest().await;
    let left = command.end().await;
    assert_eq!((left.code, left.out.as_str()), (Some(1), ""));
    assert_eq!(left.err, "vartalap: the message was refused (too_large): why\n");
}

#[tokio::test]
async fn a_refused_token_is_exit_code_1() {
    let scene = Scene::new().await;
    let command = scene.start(&["send", "--to", "bob", "hello"]);
    scene.refuse(StatusCode::UNAUTHORIZED).await;
    let left = command.end().await;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("pass another --token"), "{left:?}");
}

#[tokio::test]
async fn where_nothing_listens_is_exit_code_3() {
    let scene = Scene::new().await;
    // A port that was free a moment ago, and is again.
    let url = Scene::new().await.url();
    for args in [&["send", "--to", "bob", "hello"][..], &["listen"], &["chat", "--to", "bob"]] {
        let mut command = scene.start_at(&url, args);
        command.type_all("hello\n").await;
        let left = command.end().await;
        assert_eq!(left.code, Some(3), "{left:?}");
        assert!(left.err.contains("start it with `vartalap up`, or pass --url"), "{left:?}");
    }
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    let scene = Scene::new().await;
    for args in [&["send", "--to", "bob"][..], &["listen", "--as", "bob"], &["listen", "--url", "http://h/s"]] {
        let left = scene.start(args).end().await;
        assert_eq!(left.code, Some(2), "{left:?}");
    }
}

#[tokio::test]
async fn listen_ends_after_so_many_messages_with_their_acks_sent() {
    let scene = Scene::new().await;
    let command = scene.start(&["listen", "--count", "2"]);
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "one"), delivery(1, "one"), delivery(2, "two\n"), delivery(3, "three")]).await;
    assert_eq!(connection.acked_at_last().await, [delivery(1, "").reference, delivery(2, "").reference]);
    let left = command.end().await;
    assert_eq!((left.code, left.out.as_str()), (Some(0), "bob: one\nbob: two\\n\n"), "{left:?}");
    assert!(left.err.starts_with("-- connected to ws://127.0.0.1:"), "{left:?}");
}

#[tokio::test]
async fn listen_prints_deliveries_for_programs() {
    let scene = Scene::new().await;
    let command = scene.start(&["listen", "--count", "1", "--json"]);
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "one")]).await;
    connection.rest().await;
    let left = command.end().await;
    assert_eq!(serde_json::from_str::<Delivery>(&left.out).expect("a delivery"), delivery(1, "one"));
    assert!(left.out.starts_with(r#"{"type":"message","#), "{left:?}");
}

#[tokio::test]
async fn listen_without_acks_shows_every_attempt() {
    let scene = Scene::new().await;
    let command = scene.start(&["listen", "--no-ack", "--count", "2"]);
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "one")]).await;
    connection.deliver(vec![Delivery { attempt: 2, ..delivery(1, "one") }]).await;
    assert!(connection.rest().await.is_empty());
    let left = command.end().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    assert_eq!(left.out, "bob: one  (attempt 1, not acked)\nbob: one  (attempt 2, not acked)\n");
}

#[tokio::test]
async fn listen_that_runs_out_of_time_is_exit_code_1() {
    let scene = Scene::new().await;
    let left = scene.start(&["listen", "--count", "3", "--timeout", "1"]).end().await;
    assert_eq!((left.code, left.err.as_str()), (Some(1), "vartalap: timed out after 1 s with 0 of 3 messages\n"));
    let left = scene.start(&["listen", "--timeout", "1"]).end().await;
    assert_eq!((left.code, left.err.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn an_interrupt_ends_listen_with_its_acks_sent() {
    let scene = Scene::new().await;
    let mut command = scene.start(&["listen"]);
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "one")]).await;
    command.printed("bob: one\n").await;
    command.interrupt().await;
    assert_eq!(connection.acked_at_last().await, [delivery(1, "").reference]);
    assert_eq!(command.end().await.code, Some(0));
}

#[tokio::test]
async fn listen_reconnects_and_stops_when_it_is_displaced() {
    let scene = Scene::new().await;
    let command = scene.start(&["listen"]);
    drop(scene.accept().await);
    let mut connection = scene.accept().await;
    connection.post(ServerFrame::Error { code: Code::Displaced, detail: "x".to_owned(), nonce: None }).await;
    connection.rest().await;
    let left = command.end().await;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("trying again in") && left.err.contains("another --device"), "{left:?}");
}

#[tokio::test]
async fn chat_sends_its_input_and_shows_what_arrives() {
    let scene = Scene::new().await;
    let mut command = scene.start(&["chat", "--to", "bob"]);
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "hi")]).await;
    command.printed("bob: hi\n").await;
    command.type_all("hello\n\r\nagain\r\n").await;
    let (sent, acked) = connection.accept_until(usize::MAX).await;
    assert!(sent.iter().all(|line| line.receipts && !line.ephemeral));
    let lines: Vec<Body> = sent.into_iter().map(|line| line.body).collect();
    assert_eq!(lines, [Body::text("hello"), Body::text("again")]);
    assert_eq!(acked, [delivery(1, "").reference]);
    let left = command.end().await;
    assert_eq!((left.code, left.out.as_str()), (Some(0), "(accepted) hello\n(accepted) again\n"), "{left:?}");
}

#[tokio::test]
async fn what_is_on_the_screen_of_chat_counts_as_read() {
    let scene = Scene::new().await;
    let mut command = scene.start(&["chat", "--to", "bob"]);
    let mut connection = scene.accept().await;
    let (told, unknown) = (receipt(1, "bob", &[]), Delivery { kind: Kind::Unknown, ..delivery(2, "what") });
    connection.deliver(vec![told.clone(), unknown.clone(), delivery(3, "hi")]).await;
    command.printed("bob: hi\n").await;
    command.interrupt().await;
    let (mut acked, mut read) = (Vec::new(), Vec::new());
    for frame in connection.rest().await {
        match frame {
            ClientFrame::Ack(ack) => acked.extend(ack.refs),
            ClientFrame::Read(ack) => read.extend(ack.refs),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, [delivery(3, "").reference]);
    assert_eq!(acked, [told.reference, unknown.reference], "nobody has seen these");
    assert_eq!(command.end().await.code, Some(0));
}

#[tokio::test]
async fn chat_marks_what_its_partner_has_once() {
    let scene = Scene::new().await;
    let mut command = scene.start(&["chat", "--to", "bob"]);
    let mut connection = scene.accept().await;
    command.type_on("hello\n").await;
    let (sent, _) = connection.accept_until(1).await;
    command.printed("(accepted) hello\n").await;
    let ids = [sent[0].id, delivery(9, "").id];
    let (other, first, second) = (receipt(1, "carol", &ids), receipt(2, "bob", &ids), receipt(3, "bob", &ids));
    let forged = Delivery { body: first.body.clone(), ..delivery(4, "") };
    connection.deliver(vec![other.clone(), forged.clone()]).await;
    command.printed(&format!("bob: {}\n", forged.body.as_json())).await;
    connection.deliver(vec![first.clone(), second.clone()]).await;
    command.printed("(shown) hello\n").await;
    command.interrupt().await;
    let (sent, mut acked) = connection.accept_until(usize::MAX).await;
    assert!(sent.is_empty(), "no receipt is answered with a message");
    // What was read goes in a frame of its own, before or after.
    acked.sort_unstable();
    assert_eq!(acked, [other, first, second, forged].map(|message| message.reference));
    let left = command.end().await;
    assert_eq!((left.code, left.out.as_str()), (Some(0), ""), "{left:?}");
}

#[tokio::test]
async fn listen_neither_shows_nor_counts_receipts() {
    let scene = Scene::new().await;
    let command = scene.start(&["listen", "--count", "1"]);
    let mut connection = scene.accept().await;
    let told = receipt(1, "bob", &[delivery(9, "").id]);
    connection.deliver(vec![told.clone(), delivery(2, "two")]).await;
    assert_eq!(connection.acked_at_last().await, [told.reference, delivery(2, "").reference]);
    assert_eq!(command.end().await.out, "bob: two\n");
}

#[tokio::test]
async fn an_interrupt_ends_chat_though_its_input_goes_on() {
    let scene = Scene::new().await;
    let mut command = scene.start(&["chat", "--to", "bob"]);
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "hi")]).await;
    command.printed("bob: hi\n").await;
    command.interrupt().await;
    let (sent, acked) = connection.accept_until(usize::MAX).await;
    assert_eq!((sent.len(), acked), (0, vec![delivery(1, "").reference]), "what was shown is told at the end");
    // Its stdin is still open.
    assert_eq!(command.0.wait().await.expect("it ran").code(), Some(0));
}

#[tokio::test]
async fn chat_without_input_says_whether_there_was_a_connection() {
    let scene = Scene::new().await;
    let url = Scene::new().await.url();
    let mut command = scene.start_at(&url, &["chat", "--to", "bob"]);
    command.type_all("").await;
    let left = command.end().await;
    assert_eq!(left.code, Some(3), "{left:?}");
    assert!(left.err.contains("start it with `vartalap up`, or pass --url"), "{left:?}");

    let mut command = scene.start(&["chat", "--to", "bob"]);
    command.type_all("").await;
    let mut connection = scene.accept().await;
    assert!(connection.rest().await.is_empty());
    assert_eq!(command.end().await.code, Some(0));
}

#[tokio::test]
async fn the_environment_sets_a_flag_and_an_empty_value_does_not() {
    for (value, json) in [("1", true), ("true", true), ("", false), ("0", false)] {
        let scene = Scene::new().await;
        let command = scene.start_in(&scene.url(), &["send", "--to", "bob", "hello"], &[("VARTALAP_JSON", value)]);
        let mut connection = scene.accept().await;
        connection.accept().await;
        connection.rest().await;
        let left = command.end().await;
        assert_eq!((left.code, left.out.starts_with('{')), (Some(0), json), "{value:?}: {left:?}");
    }
}

#[tokio::test]
async fn a_closed_stderr_changes_nothing() {
    let scene = Scene::new().await;
    let mut command = scene.start(&["listen", "--count", "1"]);
    drop(command.0.stderr.take());
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "one")]).await;
    assert_eq!(connection.acked_at_last().await, [delivery(1, "").reference]);
    let left = command.end().await;
    assert_eq!((left.code, left.out.as_str()), (Some(0), "bob: one\n"));

    let mut command = scene.start_at(&Scene::new().await.url(), &["listen"]);
    drop(command.0.stderr.take());
    assert_eq!(command.end().await.code, Some(3));
}

#[tokio::test]
async fn a_closed_stdout_is_a_quiet_end() {
    let scene = Scene::new().await;
    let mut command = scene.start(&["listen"]);
    drop(command.0.stdout.take());
    let mut connection = scene.accept().await;
    connection.deliver(vec![delivery(1, "one")]).await;
    assert!(connection.rest().await.is_empty(), "nothing is acked that nobody saw");
    let left = command.end().await;
    assert_eq!((left.code, left.err.lines().count()), (Some(1), 1), "only that it connected: {left:?}");
}
