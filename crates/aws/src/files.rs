//! The bytes of attachments in an S3 bucket as the `Files` port: URLs signed with the function's own credentials, so that clients put and get
//! them there. It sends nothing to S3.
//!
//! A URL is good until the credentials that signed it are not, should that come first; Lambda changes them hours before.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use delivery::attachment::{DOWNLOAD_VALIDITY, UPLOAD_VALIDITY, upload_headers};
use delivery::{Attachment, Failure, Files, SignedUrl, Upload};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::Timestamp;

use crate::failure::{failure, refused};

/// What S3 encodes in a query: everything but what RFC 3986 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The name of S3 in a signature.
const SERVICE: &str = "s3";

/// What makes a browser save the file. Shown as a page, what somebody uploaded could do what it likes under the bucket's name.
const SAVED: &str = "response-content-disposition=attachment";

const UPLOAD: &str = "sign an upload";
const DOWNLOAD: &str = "sign a download";

/// A bucket.
#[derive(Clone)]
pub struct S3Files {
    credentials: Option<SharedCredentialsProvider>,
    region: Option<String>,
    /// What an object's key follows, after a slash.
    base: String,
}

/// What is signed.
struct Request<'a> {
    method: &'static str,
    url: &'a str,
    headers: &'a [(&'static str, String)],
    validity: Duration,
}

impl S3Files {
    /// The bucket as the SDK would reach it: under its own name in its region, or under another endpoint in its path, since there no DNS knows
    /// its name.
    pub(crate) fn new(config: &SdkConfig, bucket: &str) -> Self {
        let region = config.region().map(ToString::to_string);
        let base = match config.endpoint_url() {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None => {
                let region = region.as_deref().unwrap_or_default();
                format!("https://{bucket}.s3.{region}.{}", suffix(region))
            }
        };
        Self { credentials: config.credentials_provider(), region, base }
    }

    async fn signed(
        &self,
        operation: &'static str,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<SignedUrl, Failure> {
        let (Some(provider), Some(region)) = (&self.credentials, &self.region) else {
            return Err(refused(operation, "there are no credentials, or no region"));
        };
        let credentials = provider.provide_credentials().await.map_err(|error| failure(operation, &error))?;
        let url = presign(request, credentials, region, now).map_err(|error| failure(operation, &*error))?;
        Ok(SignedUrl { url, expires_at: now.plus(request.validity) })
    }
}

impl fmt::Debug for S3Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Files({})", self.base)
    }
}

/// What the names of a region's endpoints end in.
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// The URL with a signature (version 4) in its query, over the method, the URL and all headers, and over no body: S3 holds that against the
/// signed length alone.
fn presign(
    request: &Request<'_>,
    credentials: Credentials,
    region: &str,
    now: Timestamp,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(request.validity);
    // As S3 has it, and no other service.
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(UNIX_EPOCH + Duration::from_millis(now.as_millis()))
        .settings(settings)
        .build()?
        .into();
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let signable = SignableRequest::new(request.method, request.url, headers, SignableBody::UnsignedPayload)?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    let mut url = request.url.to_owned();
    for (name, value) in instructions.params() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.extend(utf8_percent_encode(name, ENCODED));
        url.push('=');
        url.extend(utf8_percent_encode(value, ENCODED));
    }
    Ok(url)
}

impl Files for S3Files {
    async fn upload(&self, attachment: &Attachment, now: Timestamp) -> Result<Upload, Failure> {
        let url = format!("{}/{}", self.base, attachment.id);
        let headers = upload_headers(&attachment.media_type, attachment.bytes);
        let request = Request { method: "PUT", url: &url, headers: &headers, validity: UPLOAD_VALIDITY };
        let target = self.signed(UPLOAD, &request, now).await?;
        Ok(Upload { target, headers })
    }

    async fn download(&self, attachment: &Attachment, now: Timestamp) -> Result<SignedUrl, Failure> {
        let url = format!("{}/{}?{SAVED}", self.base, attachment.id);
        let request = Request { method: "GET", url: &url, headers: &[], validity: DOWNLOAD_VALIDITY };
        self.signed(DOWNLOAD, &request, now).await
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
