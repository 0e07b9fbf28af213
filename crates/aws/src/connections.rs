//! `@connections` of API Gateway as the `Connections` port. Every answer is an outcome; what follows is decided in `delivery`.

use std::sync::Arc;

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::http::HttpResponse;
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use delivery::{ConnectionId, Connections, Failure, PostOutcome};

use crate::failure::failure;
use crate::meter::{Meter, Unit, steps};

/// API Gateway meters WebSocket traffic in steps of 32 KB.
pub const METERED_BYTES: usize = 32 * 1024;

/// The connections of one stage.
#[derive(Clone, Debug)]
pub struct GatewayConnections {
    client: Client,
    meter: Arc<Meter>,
}

impl GatewayConnections {
    /// The connections that `client` reaches; see [`crate::Clients::connections`].
    pub fn new(client: Client, meter: Arc<Meter>) -> Self {
        Self { client, meter }
    }
}

impl Connections for GatewayConnections {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> PostOutcome {
        let posted =
            self.client.post_to_connection().connection_id(connection.as_str()).data(Blob::new(frame)).send().await;
        let outcome = match &posted {
            Ok(_) => PostOutcome::Posted,
            Err(error) => post_outcome(status(error)),
        };
        // Only what is taken is metered as a message.
        let (unit, quantity) = match outcome {
            PostOutcome::Posted => (Unit::WebSocketMessage, steps(frame.len(), METERED_BYTES)),
            _ => (Unit::Free, 1.0),
        };
        self.meter.count("apigateway", "PostToConnection", unit, quantity);
        if let (PostOutcome::Unknown | PostOutcome::Forbidden, Err(error)) = (outcome, &posted) {
            tracing::warn!(failure = %failure("post a frame", error), "a frame was not answered as taken");
        }
        outcome
    }

    async fn disconnect(&self, connection: &ConnectionId) -> Result<(), Failure> {
        self.meter.count("apigateway", "DeleteConnection", Unit::Free, 1.0);
        match self.client.delete_connection().connection_id(connection.as_str()).send().await {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(410) => Ok(()),
            Err(error) => Err(failure("close a connection", &error)),
        }
    }
}

/// The HTTP status behind an error; `None` if there was no answer.
///
/// Read from the response and not from the modelled error: an answer that the SDK could not parse counts as well.
fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn post_outcome(status: Option<u16>) -> PostOutcome {
    match status {
        Some(410) => PostOutcome::Gone,
        Some(413) => PostOutcome::TooLarge,
        Some(403) => PostOutcome::Forbidden,
        _ => PostOutcome::Unknown,
    }
}
