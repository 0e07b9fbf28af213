//! Opens a connection: a stream, TLS, the token, the WebSocket handshake; and says of each failure whether to try again.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config, tungstenite};
use url::Url;

use crate::event::{BoxError, Cause, FatalError};
use crate::network::Network;
use crate::options::Options;

/// How long a connection may take to open: the name, TCP, TLS, and a server that may start cold.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest message read, in bytes. The server's frames are much smaller; it bounds what a broken server can cost.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// An open connection.
pub(crate) type Socket<S> = WebSocketStream<MaybeTlsStream<S>>;

/// Why a connection did not open.
#[derive(Debug)]
pub(crate) enum DialError {
    Again(Cause),
    Never(FatalError),
}

/// Opens a connection with a new token.
pub(crate) async fn dial<N: Network>(options: &Options, network: &N) -> Result<Socket<N::Stream>, DialError> {
    tokio::time::timeout(CONNECT_TIMEOUT, open(options, network))
        .await
        .unwrap_or(Err(DialError::Again(Cause::TimedOut)))
}

async fn open<N: Network>(options: &Options, network: &N) -> Result<Socket<N::Stream>, DialError> {
    let token = options.tokens.token().await.map_err(|error| DialError::Again(Cause::Token(error)))?;
    let request = request(&options.url, &token)?;
    let stream = network.reach(&options.url).await.map_err(|error| DialError::Again(Cause::Unreachable(error)))?;
    let connector = match options.url.scheme() {
        "wss" => Connector::Rustls(tls().map_err(|error| handshake(error.into()))?),
        _ => Connector::Plain,
    };
    let limits =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (socket, _response) =
        client_async_tls_with_config(request, stream, Some(limits), Some(connector)).await.map_err(refused)?;
    Ok(socket)
}

fn request(url: &Url, token: &str) -> Result<Request, DialError> {
    let mut request = url.as_str().into_client_request().map_err(|error| handshake(error.into()))?;
    let mut bearer =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| DialError::Never(FatalError::InvalidToken))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    Ok(request)
}

/// The cryptography is named, since rustls cannot choose when a build has two.
fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn refused(error: tungstenite::Error) -> DialError {
    match error {
        tungstenite::Error::Http(response) => match response.status() {
            StatusCode::UNAUTHORIZED => DialError::Never(FatalError::TokenRefused),
            StatusCode::FORBIDDEN => DialError::Never(FatalError::Forbidden),
            status => DialError::Again(Cause::Status(status.as_u16())),
        },
        tungstenite::Error::Io(error) => handshake(error.into()),
        other => handshake(other.into()),
    }
}

fn handshake(error: BoxError) -> DialError {
    DialError::Again(Cause::Handshake(error))
}
