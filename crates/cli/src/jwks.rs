//! `vartalap jwks`: the public half of the signing key, for a deployment without an issuer. It publishes nothing itself.

use std::io::Write;
use std::path::PathBuf;

use crate::exit::Failure;

/// Print the key set (JWKS) that the tokens of `vartalap token` are judged by, and nothing else.
///
/// To try a deployment before there is an issuer, publish this where the deployment can fetch it, and deploy with that address as
/// JwksUrl, `vartalap-local` as Issuer and `vartalap` as Audience. Whoever has the data folder can then be any user.
#[derive(Debug, clap::Args)]
pub(crate) struct JwksArgs {
    /// Folder with the signing key; both are made if there are none yet.
    #[arg(long, env = "VARTALAP_DATA", default_value = ".vartalap")]
    data: PathBuf,
}

/// Prints the key set in one line.
pub(crate) fn run(args: &JwksArgs) -> Result<(), Failure> {
    let key = local::SigningKey::load_or_create(&args.data).map_err(|error| Failure::Key(error.into()))?;
    writeln!(std::io::stdout(), "{}", key.jwks()).map_err(Failure::Output)
}
