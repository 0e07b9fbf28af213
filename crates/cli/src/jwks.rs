//! `vartalap jwks`: the public half of the signing key, for a deployment without an issuer. It publishes nothing itself.

use std::io::Write;
use std::path::PathBuf;

use local::SigningKey;

use crate::exit::Failure;

/// Print the key set (JWKS) that the tokens of `vartalap token` are judged by, and nothing else.
///
/// To try a deployment before there is an issuer, publish this where the deployment can fetch it, and deploy with that address as
/// JwksUrl, `vartalap-local` as Issuer and `vartalap` as Audience. Whoever has the data folder can then be any user.
///
/// That is enough for sockets. For the HTTP API as well, the issuer has to be an address: say it with --issuer, here and as Issuer, and publish
/// the key set under it as `.well-known/jwks.json`, beside a `.well-known/openid-configuration` that has `issuer` and `jwks_uri`.
#[derive(Debug, clap::Args)]
pub(crate) struct JwksArgs {
    /// Folder with the signing key; both are made if there are none yet.
    #[arg(long, env = "VARTALAP_DATA", default_value = ".vartalap")]
    data: PathBuf,
    /// Who issues the tokens of this folder from now on: the URL under which the key set will be. They are signed by RS256 then.
    ///
    /// To go back, delete the file `issuer` in the folder. Do either while no local cloud runs on it.
    #[arg(long, value_name = "URL", value_parser = issuer)]
    pub(crate) issuer: Option<String>,
}

/// An issuer is compared to the letter, so what was written is kept and not what the URL comes to.
fn issuer(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    if ["http", "https"].contains(&url.scheme()) && text == text.trim() {
        Ok(text.to_owned())
    } else {
        Err("it begins with http:// or https://".to_owned())
    }
}

/// Prints the key set in one line.
pub(crate) fn run(args: &JwksArgs) -> Result<(), Failure> {
    let key = match &args.issuer {
        Some(issuer) => SigningKey::of_issuer(&args.data, issuer),
        None => SigningKey::load_or_create(&args.data),
    };
    let key = key.map_err(|error| Failure::Key(error.into()))?;
    writeln!(std::io::stdout(), "{}", key.jwks()).map_err(Failure::Output)
}
