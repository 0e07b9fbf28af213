//! `vartalap token`, and the tokens that the other commands make for themselves. It knows nothing of how a token is signed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::{Timestamp, UserId};

use crate::exit::Failure;

/// Longest that a token is good for.
const MAX_TTL: Duration = Duration::from_secs(365 * 86_400);

/// Print a token for a user of the local cloud, and nothing else.
///
/// It is signed with the key in the data folder, which is made if there is none yet; `vartalap up` on the same folder
/// accepts it.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// Whose token.
    user: UserId,
    /// How long it is good for, such as 12h, 30m, 90s or 1d; 365d at most.
    #[arg(long, default_value = "12h", value_parser = parse_ttl)]
    ttl: Duration,
    /// Folder of the local cloud.
    #[arg(long, env = "VARTALAP_DATA", default_value = ".vartalap")]
    data: PathBuf,
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(ttl) if (Duration::from_secs(1)..=MAX_TTL).contains(&ttl) => Ok(ttl),
        Ok(_) => Err("a token lives for a second at least and for 365 days at most".to_owned()),
        Err(error) => Err(format!("{error}; write a duration such as 12h, 30m or 90s")),
    }
}

/// Prints the token.
pub(crate) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let token = mint(&args.data, &args.user, args.ttl, client::now())?;
    writeln!(std::io::stdout(), "{token}").map_err(Failure::Output)
}

/// A token for `user`, good for `ttl` from `now`, signed with the key in `data`.
pub(crate) fn mint(data: &Path, user: &UserId, ttl: Duration, now: Timestamp) -> Result<String, Failure> {
    let key = local::SigningKey::load_or_create(data).map_err(|error| Failure::Key(error.into()))?;
    key.token(user, ttl, now).map_err(|error| Failure::Key(error.into()))
}
