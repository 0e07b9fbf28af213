//! Byte streams to a host. What is said over them is not known here.

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::{Host, Url};

/// How a byte stream to the host of a URL is opened: over TCP, or within a test.
pub(crate) trait Network: Send + Sync + 'static {
    /// The stream.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens one. TLS comes on top of it.
    fn reach(&self, url: &Url) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// The internet.
#[derive(Debug)]
pub(crate) struct Tcp;

impl Network for Tcp {
    type Stream = TcpStream;

    async fn reach(&self, url: &Url) -> io::Result<TcpStream> {
        let port = url.port().unwrap_or(if url.scheme() == "wss" { 443 } else { 80 });
        let stream = match url.host() {
            Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
            Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
            Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
            None => Err(io::Error::from(io::ErrorKind::AddrNotAvailable)),
        }?;
        // Frames are small and whole; nothing is gained by waiting for more.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
