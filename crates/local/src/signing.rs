//! The issuer of the local cloud: one key in the data folder, the tokens that it signs, and the JWKS by which they are judged. It judges no
//! token, and a token that it signed cannot be withdrawn.
//!
//! It signs by ES256, as an issuer whom nobody else knows. A folder may be told another issuer: an address, under which somebody publishes the
//! key set. Then it signs by RS256, since that is all that the JWT authorizer of API Gateway's HTTP APIs takes.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::{Timestamp, UserId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::LocalError;
use crate::storage;

/// `iss` of every token, unless the folder has been told another one.
pub const ISSUER: &str = "vartalap-local";

/// `aud` of every token.
pub const AUDIENCE: &str = "vartalap";

/// The file within the data folder of the key that signs as [`ISSUER`].
const FILE: &str = "signing-key.pem";

/// That of the key that signs as another issuer.
const RS256_FILE: &str = "signing-key-rs256.pem";

/// That of the other issuer's name.
const ISSUER_FILE: &str = "issuer";

/// A private key. `Debug` does not show it.
pub struct SigningKey {
    algorithm: Algorithm,
    issuer: String,
    private: EncodingKey,
    public: Jwk,
    id: String,
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("failed to sign a token")]
pub struct NotSigned(#[source] jsonwebtoken::errors::Error);

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'a str,
    aud: &'static str,
    iat: u64,
    exp: u64,
}

impl SigningKey {
    /// Reads the key of a data folder, making both if need be. Of several processes that do so at once, all get the same key. The
    /// file is readable by its owner alone.
    ///
    /// # Errors
    /// [`LocalError::Folder`] when the folder cannot be written or read, [`LocalError::Key`] when the file is not such a key.
    pub fn load_or_create(data: &Path) -> Result<Self, LocalError> {
        let folder = |source| LocalError::Folder { folder: data.to_owned(), source };
        storage::make_folder(data).map_err(folder)?;
        let (algorithm, file, issuer) = match fs::read_to_string(data.join(ISSUER_FILE)) {
            // Whoever wrote it by hand may have ended the line.
            Ok(issuer) => (Algorithm::RS256, RS256_FILE, issuer.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Algorithm::ES256, FILE, ISSUER.to_owned()),
            Err(error) => return Err(folder(error)),
        };
        let invalid = || LocalError::Key { path: data.join(file), algorithm };
        let make = || new_key(algorithm).map(|der| pem(&der)).map_err(|_| invalid());
        let pem = storage::read_or_publish(data, file, make)?;
        Self::from_pem(&pem, algorithm, issuer).map_err(|_| invalid())
    }

    /// The same, and from now on for everybody, as another issuer. A local cloud that ran on the folder would go on as the old one, and
    /// refuse the tokens of the new, so none may.
    ///
    /// # Errors
    /// [`LocalError::Locked`] when a local cloud runs on the folder, and as [`Self::load_or_create`].
    pub fn of_issuer(data: &Path, issuer: &str) -> Result<Self, LocalError> {
        let _lock = storage::lock(data)?;
        storage::replace(data, ISSUER_FILE, issuer)?;
        Self::load_or_create(data)
    }

    fn from_pem(pem: &[u8], algorithm: Algorithm, issuer: String) -> Result<Self, jsonwebtoken::errors::Error> {
        let private =
            if algorithm == Algorithm::RS256 { EncodingKey::from_rsa_pem(pem) } else { EncodingKey::from_ec_pem(pem) };
        let private = private?;
        let mut public = Jwk::from_encoding_key(&private, algorithm)?;
        let id = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { algorithm, issuer, private, public, id })
    }

    /// `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token that speaks for `user` from `now`, for `ttl` (whole seconds).
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn token(&self, user: &UserId, ttl: Duration, now: Timestamp) -> Result<String, NotSigned> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        let claims = Claims {
            sub: user.as_str(),
            iss: &self.issuer,
            aud: AUDIENCE,
            iat: now.as_secs(),
            exp: now.as_secs().saturating_add(ttl.as_secs()),
        };
        jsonwebtoken::encode(&header, &claims, &self.private).map_err(NotSigned)
    }

    /// The public key as a JWKS.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.public]})
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// A new private key in PKCS#8.
fn new_key(algorithm: Algorithm) -> Result<Vec<u8>, Unspecified> {
    if algorithm == Algorithm::RS256 {
        let der = KeyPair::generate(KeySize::Rsa2048)?.as_der()?;
        return Ok(der.as_ref().to_vec());
    }
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    Ok(pair.to_pkcs8v1()?.as_ref().to_vec())
}

/// PKCS#8 in the lines of 64 characters that PEM wants.
fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for (index, character) in encoded.chars().enumerate() {
        text.push(character);
        if index % 64 == 63 {
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n-----END PRIVATE KEY-----\n"
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    use super::*;

    fn assert_judged_by_its_jwks(key: &SigningKey, algorithm: Algorithm, issuer: &str) {
        let alice: UserId = "alice".parse().expect("a user");
        let now = lambda::start::invocation().now;
        let token = key.token(&alice, Duration::from_secs(60), now).expect("a token");

        let jwks: JwkSet = serde_json::from_value(key.jwks()).expect("a JWKS");
        let kid = decode_header(&token).expect("a header").kid.expect("a key id");
        let public = DecodingKey::from_jwk(jwks.find(&kid).expect("the key")).expect("a public key");
        let mut rules = Validation::new(algorithm);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[issuer]);
        let claims = decode::<Value>(&token, &public, &rules).expect("a good token").claims;
        assert_eq!(claims["sub"], "alice");
        assert_eq!(claims["exp"], now.as_secs() + 60);
        assert!(!jwks_shows_private_part(&key.jwks()));
    }

    #[test]
    fn a_token_is_judged_by_the_jwks() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = SigningKey::load_or_create(folder.path()).expect("a key");
        assert_judged_by_its_jwks(&key, Algorithm::ES256, ISSUER);
    }

    #[test]
    fn a_folder_that_was_told_an_issuer_signs_as_that_one_from_then_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = ("http://127.0.0.1:1/bucket", "https://issuer.example/");
        let first = SigningKey::of_issuer(folder.path(), one).expect("a key");
        assert_judged_by_its_jwks(&first, Algorithm::RS256, one);
        let again = SigningKey::load_or_create(folder.path()).expect("a key");
        assert_eq!((again.issuer(), &again.id), (one, &first.id));
        let moved = SigningKey::of_issuer(folder.path(), other).expect("a key");
        assert_eq!((moved.issuer(), &moved.id), (other, &first.id), "the key stays");
        assert_judged_by_its_jwks(&moved, Algorithm::RS256, other);

        fs::write(folder.path().join(ISSUER_FILE), format!("{one}\n")).expect("written by hand");
        assert_eq!(SigningKey::load_or_create(folder.path()).expect("a key").issuer(), one);
        fs::remove_file(folder.path().join(ISSUER_FILE)).expect("it was there");
        assert_eq!(SigningKey::load_or_create(folder.path()).expect("a key").issuer(), ISSUER, "the way back");
    }

    #[test]
    fn a_folder_in_use_is_not_told_an_issuer() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = storage::lock(folder.path()).expect("free");
        let error = SigningKey::of_issuer(folder.path(), "https://issuer.example").expect_err("in use");
        assert!(matches!(error, LocalError::Locked { .. }), "{error}");
        assert_eq!(SigningKey::load_or_create(folder.path()).expect("a key").issuer(), ISSUER);
        drop(lock);
        for _ in 0..2 {
            SigningKey::of_issuer(folder.path(), "https://issuer.example").expect("free");
        }
    }

    fn jwks_shows_private_part(jwks: &Value) -> bool {
        ["d", "p", "q"].iter().any(|part| jwks["keys"][0].get(part).is_some())
    }

    #[test]
    fn racing_commands_agree_on_one_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let keys: Vec<String> = std::thread::scope(|scope| {
            let load = || SigningKey::load_or_create(&data).expect("a key").id;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(fs::read_dir(&data).expect("a folder").count(), 1, "no draft is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_and_its_folder_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        SigningKey::load_or_create(&data).expect("a key");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join(FILE))), (0o700, 0o600));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_written_is_told_as_such() {
        use std::error::Error;
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).expect("a mode");
        if fs::write(folder.path().join("probe"), "").is_ok() {
            println!("skipped: modes do not bind this user");
            return;
        }
        let error = SigningKey::load_or_create(folder.path()).expect_err("no key");
        let cause = error.source().expect("a cause").to_string();
        assert!(cause.contains("denied"), "{cause}");
    }

    #[test]
    fn a_file_that_is_no_key_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "not a key").expect("a file");
        let error = SigningKey::load_or_create(folder.path()).expect_err("no key").to_string();
        assert!(error.contains(FILE), "{error}");
    }
}
