//! ES256 tokens (RFC 7515, 7518). Signatures are deterministic (RFC 6979): the same key and claims are the same token
//! in every process, which random signatures would not be.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use serde::Serialize;

/// A private key on P-256. `Debug` does not show it.
pub(crate) struct Es256(SigningKey);

impl Es256 {
    /// The key of a PEM file of PKCS #8 (`BEGIN PRIVATE KEY`).
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        SigningKey::from_pkcs8_pem(pem).ok().map(Self)
    }

    /// The key of 32 bytes in base64url.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        SigningKey::from_slice(&bytes).ok().map(Self)
    }

    /// The public key: a point of 65 bytes in base64url.
    pub(crate) fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.verifying_key().to_encoded_point(false))
    }

    /// A signed token.
    pub(crate) fn token(&self, header: &impl Serialize, claims: &impl Serialize) -> String {
        let part =
            |json: Result<Vec<u8>, _>| URL_SAFE_NO_PAD.encode(json.expect("strings and numbers are always JSON"));
        let signed = format!("{}.{}", part(serde_json::to_vec(header)), part(serde_json::to_vec(claims)));
        let signature: Signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

impl fmt::Debug for Es256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Es256")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6979, A.2.5: the key, and the signature of "sample" with SHA-256.
    #[test]
    fn signatures_are_those_of_rfc_6979() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
        };
        let key = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let key = Es256::from_base64(&URL_SAFE_NO_PAD.encode(key)).expect("a key");
        let signature: Signature = key.0.sign(b"sample");
        let expected = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
                        F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
        assert_eq!(signature.to_bytes().to_vec(), hex(expected));
    }

    #[test]
    fn a_text_that_is_no_key_is_none() {
        assert!(Es256::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").is_none());
        assert!(Es256::from_base64("AAAA").is_none());
        assert!(Es256::from_base64(&"A".repeat(43)).is_none(), "zero is no key");
    }
}
