//! What `send`, `listen` and `chat` have in common: the options that say where and as whom, and what a change of the
//! connection means for them.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use client::{Acks, Cause, Client, Event, Events, FatalError, Options};
use protocol::{DeviceId, UserId};

use crate::exit::{Failure, chain};
use crate::identity::{self, Token};
use crate::screen;

/// Where to connect, and as whom.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectionArgs {
    /// User to act as. With --token it may be left out.
    #[arg(long = "as", env = "VARTALAP_AS", value_name = "USER", required_unless_present = "token")]
    user: Option<UserId>,
    /// Device to act as; by default one that is made at random and kept for the user in the data folder.
    ///
    /// One device has one connection: a second command of the same user ends the first, unless it has another device.
    #[arg(long, env = "VARTALAP_DEVICE")]
    device: Option<DeviceId>,
    /// Where to connect.
    #[arg(long, env = "VARTALAP_URL", default_value = "ws://127.0.0.1:8080/local")]
    url: String,
    /// Token (JWT) to use; by default one of the local cloud, signed with the key in the data folder.
    #[arg(long, env = "VARTALAP_TOKEN", hide_env_values = true, value_name = "JWT")]
    token: Option<Token>,
    /// Folder of the local cloud.
    #[arg(long, env = "VARTALAP_DATA", default_value = ".vartalap")]
    data: PathBuf,
    /// Print for programs: one JSON object per line, told apart by its `type`.
    #[arg(long, env = "VARTALAP_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

impl ConnectionArgs {
    /// Starts a client. Whether it connects, the watch will tell from its events.
    pub(crate) fn connect(&self, acks: Acks) -> Result<(Client, Events, Watch), Failure> {
        let user = identity::user(self.user.as_ref(), self.token.as_ref())?;
        let device = match &self.device {
            Some(device) => device.clone(),
            None => identity::device(&self.data, &user)?,
        };
        let tokens = identity::tokens(self.token.as_ref(), &self.data, &user);
        let options =
            Options::new(&self.url, &device, tokens).map_err(|error| Failure::Usage(format!("--url: {error}")))?;
        let (client, events) = Client::connect(options.acks(acks));
        let local_token = self.token.is_none();
        let watch = Watch { url: self.url.clone(), user, device, local_token, connected: false, quiet: false };
        Ok((client, events, watch))
    }
}

/// Follows a connection through its events.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) url: String,
    user: UserId,
    device: DeviceId,
    local_token: bool,
    connected: bool,
    quiet: bool,
}

impl Watch {
    /// Changes are not told.
    pub(crate) fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Whether there has been a connection.
    pub(crate) fn has_connected(&self) -> bool {
        self.connected
    }

    /// Tells a change of the connection on stderr. A client that never got through, and one that has ended, is a failure.
    pub(crate) fn observe(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Connected => {
                self.connected = true;
                self.tell(&format!("connected to {} as {}, device {}", self.url, self.user, self.device));
                Ok(())
            }
            Event::Disconnected { cause, .. } if !self.connected => Err(self.unreachable(cause)),
            Event::Disconnected { cause: Cause::Aged, .. } => Ok(()),
            Event::Disconnected { retry_in, cause } => {
                self.tell(&format!("{}; trying again in {:.1} s", chain(&cause), retry_in.as_secs_f32()));
                Ok(())
            }
            Event::Displaced => Err(Failure::Displaced { device: self.device.clone() }),
            Event::Fatal(error) => Err(self.refused(error)),
            Event::Drained
            | Event::Message(_)
            | Event::Accepted { .. }
            | Event::Refused { .. }
            | Event::Stale { .. } => Ok(()),
        }
    }

    fn tell(&self, change: &str) {
        if !self.quiet {
            screen::tell(&format!("-- {change}"));
        }
    }

    /// No connection could be made.
    pub(crate) fn unreachable(&self, cause: Cause) -> Failure {
        let url = self.url.clone();
        match cause {
            Cause::Unreachable(source) => Failure::NothingListens { url, source },
            // It is one of this command's own, unless the token source was another one's.
            Cause::Token(error) => error.downcast().map_or_else(Failure::Key, |failure| *failure),
            source => Failure::CannotConnect { url, source },
        }
    }

    fn refused(&self, source: FatalError) -> Failure {
        let hint = if self.local_token {
            "the token made with the key in the data folder was not accepted; pass the same --data as `vartalap up`, or, for \
             another server, --token"
        } else {
            "the token was not accepted; pass another --token"
        };
        Failure::TokenRefused { hint, source }
    }
}
