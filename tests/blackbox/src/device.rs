//! A device of a user on a connection: what a client would do, one thing at a time, and waits that name what they are for.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::frame::{Accepted, Envelope, Frame, Messages, Refused};
use crate::poll::POLL_INTERVAL;
use crate::socket::{Arrived, DEADLINE, Ended, Late, Socket};

/// Most refs in one `ack`.
const MOST_IN_AN_ACK: usize = 100;

/// A connected device. What comes is kept until somebody waits for it, in the order in which it came.
#[derive(Debug)]
pub struct Device {
    socket: Socket,
    arrived: VecDeque<Arrived>,
    /// Refs.
    acked: HashSet<String>,
    /// Senders and ids, by which a client knows a message again.
    known: HashSet<(String, String)>,
    nonces: usize,
}

/// An envelope that was posted, and when it came.
#[derive(Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// What.
    pub envelope: Envelope,
}

/// What a `send` was answered, and when that came.
#[derive(Debug)]
pub struct Answered {
    /// When.
    pub at: Instant,
    /// What.
    pub accepted: Accepted,
}

/// What was posted to a connection before `drained`. That is the drain, and perhaps another attempt at a message for which a device was
/// not known to be away, which may come at any time.
#[derive(Debug)]
pub struct Backlog(pub Vec<Envelope>);

impl Backlog {
    /// The ids that were drained, and the only ones that came.
    pub fn ids(&self) -> BTreeSet<&str> {
        let drained: BTreeSet<&str> = self.0.iter().filter(|one| one.attempt == 0).map(|one| one.id.as_str()).collect();
        let more = self.0.iter().find(|one| !drained.contains(one.id.as_str()));
        assert!(more.is_none(), "it came, and was not drained: {more:?}");
        drained
    }
}

impl Device {
    /// A device on this connection.
    pub fn new(socket: Socket) -> Self {
        Self { socket, arrived: VecDeque::new(), acked: HashSet::new(), known: HashSet::new(), nonces: 0 }
    }

    /// The socket, for frames that no client would send.
    pub fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Closes the connection in order.
    pub async fn close(self) {
        self.socket.close().await;
    }

    // What it says.

    /// Says a frame.
    pub async fn say(&mut self, frame: &Value) {
        self.socket.text(frame.to_string()).await;
    }

    /// Sends messages in one frame, and does not wait for the answer. Answers the frame's nonce.
    pub async fn send_unanswered(&mut self, messages: &[Value]) -> String {
        let nonce = self.nonce();
        self.say(&json!({"action": "send", "messages": messages, "nonce": nonce})).await;
        nonce
    }

    /// Sends messages in one frame.
    pub async fn send(&mut self, messages: &[Value]) -> Accepted {
        let nonce = self.send_unanswered(messages).await;
        self.answered(&nonce).await.accepted
    }

    /// Sends a message that must be accepted. Answers its id.
    pub async fn send_one(&mut self, message: &Value) -> String {
        let accepted = self.send(std::slice::from_ref(message)).await;
        assert_eq!(json!(accepted.ids), json!([message["id"]]), "{accepted:?}");
        assert!(accepted.refused.is_empty(), "{accepted:?}");
        accepted.ids[0].clone()
    }

    /// The answer to the `send` with this nonce.
    pub async fn answered(&mut self, nonce: &str) -> Answered {
        let ours = |frame: &Frame| matches!(frame, Frame::Accepted(one) if one.nonce.as_deref() == Some(nonce));
        let Arrived { at, frame } = self.frame("the answer to a send", ours).await;
        let Frame::Accepted(accepted) = frame else { unreachable!("it was looked for") };
        Answered { at, accepted }
    }

    /// Acks these envelopes.
    pub async fn ack(&mut self, envelopes: &[Envelope]) {
        self.ack_with(&json!({}), envelopes).await;
    }

    /// Acks in frames that have these fields as well.
    pub async fn ack_with(&mut self, fields: &Value, envelopes: &[Envelope]) {
        for chunk in envelopes.chunks(MOST_IN_AN_ACK) {
            let refs: Vec<&str> = chunk.iter().map(|envelope| envelope.reference.as_str()).collect();
            let mut ack = fields.clone();
            ack["action"] = "ack".into();
            ack["refs"] = json!(refs);
            self.say(&ack).await;
            for envelope in chunk {
                self.note_acked(envelope);
            }
        }
    }

    /// Takes note of an ack that was said otherwise.
    pub fn note_acked(&mut self, envelope: &Envelope) {
        self.acked.insert(envelope.reference.clone());
        self.known.insert((envelope.from.clone(), envelope.id.clone()));
    }

    /// One page of what is pending, with the fields of `sync` that are given.
    pub async fn sync(&mut self, fields: &Value) -> Messages {
        let nonce = self.nonce();
        let mut sync = fields.clone();
        sync["action"] = "sync".into();
        sync["nonce"] = nonce.as_str().into();
        self.say(&sync).await;
        let ours = |frame: &Frame| matches!(frame, Frame::Messages(one) if one.nonce.as_ref() == Some(&nonce));
        let Frame::Messages(page) = self.frame("the answer to a sync", ours).await.frame else {
            unreachable!("it was looked for")
        };
        assert!(page.more.is_some() && page.is_oldest_first(), "{page:?}");
        assert!(page.messages.iter().all(|envelope| envelope.attempt == 0), "{page:?}");
        page
    }

    /// Sends a text and answers the error that it leads to.
    pub async fn error_of(&mut self, text: &str) -> Refused {
        self.socket.text(text).await;
        let error = |frame: &Frame| matches!(frame, Frame::Error(_));
        let Frame::Error(refused) = self.frame(&format!("an error for {text:.100}"), error).await.frame else {
            unreachable!("it was looked for")
        };
        refused
    }

    fn nonce(&mut self) -> String {
        self.nonces += 1;
        format!("blackbox-{}", self.nonces)
    }

    // What it waits for.

    /// The next frame that is wanted; others are kept.
    pub async fn frame(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Arrived {
        let by = Instant::now() + DEADLINE;
        loop {
            if let Some(place) = self.arrived.iter().position(|arrived| wanted(&arrived.frame)) {
                return self.arrived.remove(place).expect("it is there");
            }
            self.arrive(what, by, DEADLINE).await;
        }
    }

    /// The next posted envelope that is wanted, `within` a time of its own; others are kept.
    pub async fn envelope(&mut self, what: &str, within: Duration, wanted: impl Fn(&Envelope) -> bool) -> Received {
        let by = Instant::now() + within;
        loop {
            for arrived in &mut self.arrived {
                let Frame::Messages(messages) = &mut arrived.frame else { continue };
                if !messages.is_posted() {
                    continue;
                }
                if let Some(place) = messages.messages.iter().position(&wanted) {
                    return Received { at: arrived.at, envelope: messages.messages.remove(place) };
                }
            }
            self.arrive(what, by, within).await;
        }
    }

    /// The message with this id, whichever attempt it is.
    pub async fn message(&mut self, id: &str) -> Received {
        self.envelope(&format!("the message {id}"), DEADLINE, |envelope| envelope.id == id).await
    }

    /// The next receipt of `event` for this message, past others.
    pub async fn receipt(&mut self, event: &str, id: &str) -> Received {
        let what = format!("the receipt that {id} was {event}");
        let named = |one: &Envelope| {
            let names = one.body["messages"].as_array();
            one.is_receipt()
                && one.body["event"] == event
                && names.is_some_and(|all| all.iter().any(|one| one["id"] == id))
        };
        self.envelope(&what, DEADLINE, named).await
    }

    /// All that is posted before `drained`, each frame oldest first.
    pub async fn backlog(&mut self) -> Backlog {
        let by = Instant::now() + DEADLINE;
        let mut backlog = Vec::new();
        loop {
            match self.arrived.pop_front().map(|arrived| arrived.frame) {
                Some(Frame::Drained { .. }) => return Backlog(backlog),
                Some(Frame::Messages(posted)) => {
                    assert!(posted.is_posted() && posted.is_oldest_first(), "{posted:?}");
                    backlog.extend(posted.messages);
                }
                Some(other) => panic!("{other:?} came before `drained`"),
                None => self.arrive("`drained`", by, DEADLINE).await,
            }
        }
    }

    /// Waits until nothing is pending for it any more.
    ///
    /// A copy of what it has acked is acked as well, as clients do: a record that is received twice puts and posts its message twice, for
    /// a new device even under another ref. But an ack that did not count must show, so what is pending still, or is attempted again, is
    /// not acked again.
    pub async fn nothing_pending(&mut self) {
        let by = Instant::now() + DEADLINE;
        loop {
            let page = self.sync(&json!({})).await;
            self.ack_copies().await;
            if page.messages.is_empty() {
                assert_eq!(page.more, Some(false), "an empty page has nothing after it");
                return;
            }
            let others =
                |one: &&Envelope| !self.acked.contains(&one.reference) && (self.knows(one) || one.is_own_notice());
            let others: Vec<Envelope> = page.messages.iter().filter(others).cloned().collect();
            self.ack(&others).await;
            assert!(Instant::now() < by, "waited {DEADLINE:?} in vain for nothing to be pending: {page:?}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn knows(&self, envelope: &Envelope) -> bool {
        self.known.contains(&(envelope.from.clone(), envelope.id.clone()))
    }

    /// What was posted so far and nobody waited for.
    pub fn posted(&self) -> impl Iterator<Item = &Envelope> {
        self.arrived.iter().flat_map(|arrived| match &arrived.frame {
            Frame::Messages(messages) => messages.messages.as_slice(),
            _ => &[],
        })
    }

    /// Acks copies of what was acked, and a user's own notices. What else was never acked has no business here, a receipt from somebody else
    /// included, and errors have none either.
    async fn ack_copies(&mut self) {
        if let Some(error) = self.arrived.iter().find(|arrived| matches!(arrived.frame, Frame::Error(_))) {
            panic!("an error came that nobody waited for: {error:?}");
        }
        // Any device of a user may be told of another's ack, at any time.
        if let Some(new) = self.posted().find(|envelope| !self.knows(envelope) && !envelope.is_own_notice()) {
            panic!("a message came that nobody waited for: {new:?}");
        }
        let copies: Vec<Envelope> = self.posted().filter(|envelope| envelope.attempt <= 1).cloned().collect();
        self.arrived.retain(|arrived| !matches!(arrived.frame, Frame::Messages(_)));
        self.ack(&copies).await;
    }

    /// Waits for the end of the connection, and answers it with all that came before and was not waited for.
    pub async fn end(&mut self, what: &str, within: Duration) -> (Ended, Vec<Arrived>) {
        let by = Instant::now() + within;
        loop {
            match self.socket.next(by).await {
                Ok(Ok(arrived)) => self.arrived.push_back(arrived),
                Ok(Err(ended)) => return (ended, std::mem::take(&mut self.arrived).into()),
                Err(Late) => panic!("waited {within:?} in vain for {what}; {}", self.meanwhile()),
            }
        }
    }

    async fn arrive(&mut self, what: &str, by: Instant, within: Duration) {
        match self.socket.next(by).await {
            Ok(Ok(arrived)) => self.arrived.push_back(arrived),
            Ok(Err(ended)) => panic!("{ended} before {what}; {}", self.meanwhile()),
            Err(Late) => panic!("waited {within:?} in vain for {what}; {}", self.meanwhile()),
        }
    }

    /// What came and nobody waited for, for a person who wonders.
    fn meanwhile(&self) -> String {
        if self.arrived.is_empty() {
            return "nothing else came".to_owned();
        }
        let mut words = "what else came:".to_owned();
        for arrived in self.arrived.iter().take(10) {
            write!(words, "\n  {:.500}", format!("{:?}", arrived.frame)).expect("a string takes everything");
        }
        words
    }
}
