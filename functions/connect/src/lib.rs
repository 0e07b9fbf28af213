//! `connect`: runs the three events around a connection: the authorizer (who is it), `$connect` (register the device's connection,
//! then enqueue a Drain), `$disconnect` (unregister it, if it is still the registered one).
//!
//! What a token must be is in [`token`]; where keys come from is in [`jwks`]; which device a client is, and how it speaks, is in [`client`].

pub mod client;
pub mod jwks;
mod settings;
pub mod token;

use delivery::drain::DELAY;
use delivery::{Connection, Connections, Dialect, Directory, Drain, Invocation, Job, Queue, Registration, Scheduled};
use lambda::HandlerError;
use lambda::websocket::{CONTEXT_ACKS, CONTEXT_DEVICE, CONTEXT_DIALECT, CONTEXT_USER, Inbound, inbound, response};
use protocol::{Code, ServerFrame};
use serde_json::{Value, json};

use crate::client::Admitted;

pub use settings::Settings;
pub use token::{Authorizer, TokenRules};

/// The function, on the ports that it uses.
#[derive(Debug)]
pub struct Connect<D, Q, C> {
    /// Judges tokens.
    pub authorizer: Authorizer,
    /// Where connections are registered.
    pub directory: D,
    /// The delivery queue.
    pub queue: Q,
    /// Where a displaced connection is told so.
    pub connections: C,
}

impl<D: Directory, Q: Queue, C: Connections> Connect<D, Q, C> {
    /// Handles an authorizer event with a policy, and `$connect` and `$disconnect` with a status.
    ///
    /// # Errors
    /// [`HandlerError::Unauthorized`] for a missing or bad token, [`HandlerError::Unavailable`] when keys, directory or queue are
    /// out of reach, [`HandlerError::WrongShape`] for any other event.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        // Only the authorizer's event has a type of its own.
        if event.get("type").and_then(Value::as_str) == Some("REQUEST") {
            return self.authorize(event, invocation).await;
        }
        let inbound = inbound(event)?;
        match inbound.route_key.as_str() {
            "$connect" => self.connect(inbound, invocation).await,
            "$disconnect" => self.disconnect(inbound, invocation).await,
            other => Err(HandlerError::WrongShape(format!("the route `{other}`"))),
        }
    }

    /// Allows the user behind the token on every route of the stage. User and device travel on in the context.
    async fn authorize(&self, event: Value, invocation: Invocation) -> Result<Value, HandlerError> {
        let request = token::request(event)?;
        let user = self.authorizer.user(&request, invocation.now).await?;
        let mut context = json!({CONTEXT_USER: user.as_str()});
        // A device that is missing or malformed is for `$connect` to refuse: here the only answers are about the token.
        if let Some(Admitted { device, dialect, wants_acks }) = request.client.admit() {
            context[CONTEXT_DEVICE] = device.as_str().into();
            // Texts, since nothing else reaches a function as what it was.
            if let Some(word) = dialect.word() {
                context[CONTEXT_DIALECT] = word.into();
            }
            if wants_acks {
                context[CONTEXT_ACKS] = "true".into();
            }
        }
        Ok(json!({
            "principalId": user.as_str(),
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": request.stage_resource}],
            },
            "context": context,
        }))
    }

    /// Registers, then enqueues the Drain: whoever puts an envelope afterwards sees the connection, and the Drain sees
    /// whatever was put before.
    async fn connect(&self, inbound: Inbound, invocation: Invocation) -> Result<Value, HandlerError> {
        let Some(address) = inbound.address else {
            let detail = "connect with ?device=DEVICE, 1-64 of [A-Za-z0-9_-], made by the client and kept";
            return Ok(response(400, Some(detail.to_owned())));
        };
        let displaced = match self.directory.register(&address, &inbound.connection, invocation.now).await? {
            Registration::Registered { displaced } => displaced,
            Registration::Superseded => {
                return Ok(response(409, Some("a newer connection of this device is registered".to_owned())));
            }
        };
        let drain = Scheduled {
            job: Job::Drain(Drain {
                user: address.user.clone(),
                device: address.device.clone(),
                connection: inbound.connection.id.clone(),
                after: None,
            }),
            delay: DELAY,
        };
        if let Some(failure) = self.queue.send(&[drain]).await.into_iter().find_map(Result::err) {
            // Without a Drain the connection must not open, so it must not stay registered either.
            self.directory.unregister(&address, &inbound.connection.id).await?;
            return Err(failure.into());
        }
        self.displace(displaced).await;
        Ok(response(200, None))
    }

    /// Tells a displaced connection so and closes it. If that fails it is useless anyhow: it is registered no more.
    ///
    /// An old client is left alone, as the server that this one replaces did: it would not understand, it would come back, and two of
    /// one user would displace each other for ever. What it says is still heard, and it is told nothing any more.
    async fn displace(&self, displaced: Option<Connection>) {
        let Some(connection) = displaced.filter(|displaced| displaced.dialect == Dialect::Current) else { return };
        let frame = ServerFrame::Error {
            code: Code::Displaced,
            detail: "another connection of this device took over; do not reconnect".to_owned(),
            nonce: None,
        };
        self.connections.post(&connection.id, &frame.render()).await;
        if let Err(failure) = self.connections.disconnect(&connection.id).await {
            tracing::warn!(%failure, "a displaced connection could not be closed");
        }
    }

    async fn disconnect(&self, inbound: Inbound, invocation: Invocation) -> Result<Value, HandlerError> {
        if let Some(address) = inbound.address {
            self.directory.left(&address, &inbound.connection.id, invocation.now).await?;
        }
        Ok(response(200, None))
    }
}
