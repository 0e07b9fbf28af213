//! Who a command is on the wire: the user, the device name that is kept for them, and where tokens come from. It connects
//! to nothing.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use client::TokenSource;
use protocol::{DeviceId, UserId};

use crate::exit::Failure;
use crate::token;

/// Lifetime of the tokens that commands make for themselves, a new one at each connect.
const OWN_TOKEN_TTL: Duration = Duration::from_secs(60 * 60);

/// Longest part of a file's path, in bytes, with room below the usual limit of 255.
const MAX_NAME_BYTES: usize = 200;

/// A token from the command line. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// The user that the token names, unverified: the server verifies. `None` when it is not a JWT with a good `sub`.
    fn subject(&self) -> Option<UserId> {
        #[derive(serde::Deserialize)]
        struct Claims {
            sub: UserId,
        }
        let payload = BASE64_URL_SAFE_NO_PAD.decode(self.0.split('.').nth(1)?).ok()?;
        serde_json::from_slice(&payload).ok().map(|claims: Claims| claims.sub)
    }
}

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" => Err("the token is empty"),
            token => Ok(Self(token.to_owned())),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// The user to act as: whom the token names, or else who was named.
pub(crate) fn user(named: Option<&UserId>, token: Option<&Token>) -> Result<UserId, Failure> {
    match (named, token.and_then(Token::subject)) {
        (Some(named), Some(subject)) if *named != subject => Err(Failure::Usage(format!(
            "the token is for {subject}, not for {named}; leave out --as, or get another token"
        ))),
        (_, Some(user)) => Ok(user),
        (Some(user), None) => Ok(user.clone()),
        (None, None) => Err(Failure::Usage("the token does not say for whom it is; pass --as USER too".to_owned())),
    }
}

/// Tokens for `user`: the one given, or local ones.
pub(crate) fn tokens(given: Option<&Token>, data: &Path, user: &UserId) -> TokenSource {
    if let Some(Token(token)) = given {
        return TokenSource::fixed(token.clone());
    }
    let (data, user) = (data.to_owned(), user.clone());
    TokenSource::new(move || {
        std::future::ready(token::mint(&data, &user, OWN_TOKEN_TTL, client::now()).map_err(Into::into))
    })
}

/// The device name that is kept for `user` in the data folder; made at random the first time. Two commands that start at
/// once get the same one.
pub(crate) fn device(data: &Path, user: &UserId) -> Result<DeviceId, Failure> {
    let path = device_path(data, user);
    kept(&path).map_err(|source| Failure::Data { path, source })
}

fn kept(path: &Path) -> io::Result<DeviceId> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => return read?.trim().parse().map_err(|error| io::Error::new(ErrorKind::InvalidData, error)),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    local::make_folder(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{:032x}", fastrand::u128(..))?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(raced) if raced.error.kind() == ErrorKind::AlreadyExists => {}
        Err(failed) => return Err(failed.error),
    }
    kept(path)
}

/// `DATA/devices/USER`, escaped: user ids may contain what file names must not, and differ in case only. A part that another
/// one follows ends in `+`, which no last part does, so no user's file is another's folder.
fn device_path(data: &Path, user: &UserId) -> PathBuf {
    let mut escaped = String::new();
    for byte in user.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02x}")),
        }
    }
    let mut path = data.join("devices");
    let mut rest = escaped.as_str();
    while rest.len() > MAX_NAME_BYTES {
        let (part, others) = rest.split_at(MAX_NAME_BYTES);
        path.push(format!("{part}+"));
        rest = others;
    }
    path.join(rest)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn user_id(text: &str) -> UserId {
        text.parse().expect("a user id")
    }

    fn jwt(claims: &str) -> Token {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims)).parse().expect("a token")
    }

    #[test]
    fn a_device_is_kept_for_each_user() {
        let data = tempfile::tempdir().expect("a folder");
        let alice = device(data.path(), &user_id("alice")).expect("a device");
        assert_eq!(device(data.path(), &user_id("alice")).expect("a device"), alice);
        assert_ne!(device(data.path(), &user_id("bob")).expect("a device"), alice);
        assert_eq!(alice.as_str().len(), 32);
    }

    #[test]
    fn commands_that_start_at_once_get_the_same_device() {
        let data = tempfile::tempdir().expect("a folder");
        let devices: HashSet<DeviceId> = std::thread::scope(|scope| {
            let race = || device(data.path(), &user_id("alice")).expect("a device");
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(devices.len(), 1);
        assert_eq!(
            std::fs::read_dir(data.path().join("devices")).expect("a folder").count(),
            1,
            "nothing is left over"
        );
    }

    #[test]
    fn every_user_id_has_a_path_of_its_own() {
        let data = Path::new("d");
        assert_eq!(device_path(data, &user_id("alice")), Path::new("d/devices/alice"));
        assert_eq!(device_path(data, &user_id("..")), Path::new("d/devices/%2e%2e"));
        assert_eq!(device_path(data, &user_id("Bob|x@y")), Path::new("d/devices/%42ob%7cx%40y"));
        let long = device_path(data, &user_id(&"A".repeat(128)));
        assert!(long.components().all(|part| part.as_os_str().len() < 255) && long.components().count() == 4);
        assert!(!long.starts_with(device_path(data, &user_id(&"A".repeat(66)))));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_data_folder_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let above = tempfile::tempdir().expect("a folder");
        let data = above.path().join("data");
        device(&data, &user_id("alice")).expect("a device");
        let mode = std::fs::metadata(&data).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_broken_device_file_is_told() {
        let data = tempfile::tempdir().expect("a folder");
        let path = device_path(data.path(), &user_id("alice"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, "not a device\n").expect("written");
        assert!(matches!(device(data.path(), &user_id("alice")), Err(Failure::Data { .. })));
    }

    #[test]
    fn the_user_is_whom_the_token_names() {
        let (alice, bob) = (user_id("alice"), user_id("bob"));
        let token = jwt(r#"{"sub":"alice","exp":1}"#);
        assert_eq!(user(None, Some(&token)).expect("alice"), alice);
        assert_eq!(user(Some(&alice), Some(&token)).expect("alice"), alice);
        assert!(matches!(user(Some(&bob), Some(&token)), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_token_that_names_nobody_needs_a_user() {
        for token in [jwt("{}"), jwt(r#"{"sub":"not a user"}"#), "opaque".parse().expect("a token")] {
            assert!(matches!(user(None, Some(&token)), Err(Failure::Usage(_))));
            assert_eq!(user(Some(&user_id("bob")), Some(&token)).expect("bob"), user_id("bob"));
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        assert_eq!(format!("{:?}", "secret".parse::<Token>()), "Ok(Token)");
    }
}
