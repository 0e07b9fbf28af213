//! Ctrl-C, and being asked to end. What to do then is for each command to say.

use std::io;

/// Requests to end, from when this is made: one that comes before anybody waits for it is not lost.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interrupts {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Requests to end, from when this is made: one that comes before anybody waits for it is not lost.
#[cfg(windows)]
#[derive(Debug)]
pub(crate) struct Interrupts(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Interrupts {
    pub(crate) fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        let _closed = self.0.recv().await;
    }
}
