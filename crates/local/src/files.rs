//! The bytes of attachments as the `Files` port: URLs of this server that are signed as S3's are, and judged when somebody comes with one.
//! What is done then is in `door`, and where the bytes lie in `store`.

mod door;
mod store;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use delivery::attachment::{DOWNLOAD_VALIDITY, UPLOAD_VALIDITY, upload_headers};
use delivery::{Attachment, Failure, Files, SignedUrl, Upload};
use protocol::{AttachmentId, MediaType, Timestamp};

use crate::error::LocalError;
use crate::storage;

pub(crate) use door::{PATH, download, preflight, upload};
pub(crate) use store::FileStore;

/// The key's file within the data folder.
const KEY_FILE: &str = "attachment-key";

const KEY_BYTES: usize = 32;

/// The signer, and what judges what it signed. Clones share everything.
#[derive(Clone)]
pub(crate) struct LocalFiles {
    key: hmac::Key,
    /// What every URL begins with: this server.
    base: Arc<str>,
    pub(crate) store: FileStore,
}

/// What a signature is over, beside the method: everything that whoever comes with it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    id: AttachmentId,
    media_type: MediaType,
    bytes: u64,
    expires_at: Timestamp,
}

impl LocalFiles {
    /// Files in a folder or in memory, under a key from the folder, so that URLs outlive the process as the files do.
    ///
    /// # Errors
    /// [`LocalError::Folder`] when the folder cannot be used, [`LocalError::AttachmentKey`] when its key is none.
    pub(crate) fn open(data: Option<&Path>, base: &str) -> Result<Self, LocalError> {
        let key = match data {
            Some(data) => load_or_create(data)?,
            None => fresh().map_err(|()| LocalError::AttachmentKey { path: KEY_FILE.into() })?.to_vec(),
        };
        let store = FileStore::open(data)?;
        Ok(Self { key: hmac::Key::new(HMAC_SHA256, &key), base: base.into(), store })
    }

    fn sign(&self, method: &str, permit: &Permit) -> SignedUrl {
        let Permit { id, media_type, bytes, expires_at } = permit;
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, signed(method, permit).as_bytes()));
        // A type has no character with a meaning of its own in a query but `+`, `&` and `#`.
        let media_type = media_type.as_str().replace('+', "%2B").replace('&', "%26").replace('#', "%23");
        let expires = expires_at.as_millis();
        let query = format!("bytes={bytes}&type={media_type}&expires={expires}&signature={signature}");
        SignedUrl { url: format!("{}{PATH}/{id}?{query}", self.base), expires_at: *expires_at }
    }

    /// What a request with this path and query is allowed to do, if somebody was given the URL for this method and it is still good.
    pub(crate) fn judge(
        &self,
        method: &str,
        id: &str,
        query: &HashMap<String, String>,
        now: Timestamp,
    ) -> Result<Permit, &'static str> {
        const FORGED: &str = "the signature is not over this request";
        let read = || {
            let number = |name: &str| query.get(name)?.parse::<u64>().ok();
            let permit = Permit {
                id: id.parse().ok()?,
                media_type: query.get("type")?.parse().ok()?,
                bytes: number("bytes")?,
                expires_at: Timestamp::from_millis(number("expires")?),
            };
            Some((permit, URL_SAFE_NO_PAD.decode(query.get("signature")?).ok()?))
        };
        let (permit, signature) = read().ok_or(FORGED)?;
        hmac::verify(&self.key, signed(method, &permit).as_bytes(), &signature).map_err(|_| FORGED)?;
        if permit.expires_at <= now { Err("the URL has expired; ask for another one") } else { Ok(permit) }
    }
}

impl Permit {
    fn new(attachment: &Attachment, expires_at: Timestamp) -> Self {
        let Attachment { id, media_type, bytes, .. } = attachment;
        Self { id: *id, media_type: media_type.clone(), bytes: *bytes, expires_at }
    }
}

impl Files for LocalFiles {
    async fn upload(&self, attachment: &Attachment, now: Timestamp) -> Result<Upload, Failure> {
        let target = self.sign("PUT", &Permit::new(attachment, now.plus(UPLOAD_VALIDITY)));
        Ok(Upload { target, headers: upload_headers(&attachment.media_type, attachment.bytes) })
    }

    async fn download(&self, attachment: &Attachment, now: Timestamp) -> Result<SignedUrl, Failure> {
        Ok(self.sign("GET", &Permit::new(attachment, now.plus(DOWNLOAD_VALIDITY))))
    }
}

impl fmt::Debug for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalFiles")
    }
}

/// No part has a line break, so no two permits are the same text.
fn signed(method: &str, permit: &Permit) -> String {
    let Permit { id, media_type, bytes, expires_at } = permit;
    format!("{method}\n{id}\n{media_type}\n{bytes}\n{}", expires_at.as_millis())
}

fn fresh() -> Result<[u8; KEY_BYTES], ()> {
    let mut key = [0; KEY_BYTES];
    rand::fill(&mut key).map_err(|_| ())?;
    Ok(key)
}

/// Reads the key of a data folder, making it if need be.
fn load_or_create(data: &Path) -> Result<Vec<u8>, LocalError> {
    let invalid = || LocalError::AttachmentKey { path: data.join(KEY_FILE) };
    let make = || fresh().map(|key| URL_SAFE_NO_PAD.encode(key)).map_err(|()| invalid());
    let text = storage::read_or_publish(data, KEY_FILE, make)?;
    let key = URL_SAFE_NO_PAD.decode(text.trim_ascii()).map_err(|_| invalid())?;
    if key.len() == KEY_BYTES { Ok(key) } else { Err(invalid()) }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
