//! The certificate that the stand-ins serve with, and the authority that signed it, both made anew at each start. Nothing else is signed with
//! the authority's key, which is not kept.

use std::sync::Arc;
use std::time::Duration;

use protocol::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;

/// How long before the start the certificate is good: clocks of other machines may be behind.
const BEFORE: Duration = Duration::from_secs(86_400);

/// How long after the start it is good. Some platforms refuse one that is good for more than 825 days.
const AFTER: Duration = Duration::from_secs(365 * 86_400);

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Config(#[from] rustls::Error),
}

/// How to serve as `localhost`, and the certificate of the authority in PEM, by which clients know that it is us. `now` is the real time,
/// since clients judge by theirs.
pub(crate) fn make(now: Timestamp) -> Result<(ServerConfig, String), TlsError> {
    let mut root = CertificateParams::default();
    set_validity(&mut root, now);
    root.distinguished_name.push(DnType::CommonName, "Vartalap push stand-ins");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let root_key = KeyPair::generate()?;
    let root_certificate = root.self_signed(&root_key)?;

    // An address among the names becomes an address in the certificate.
    let mut server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    set_validity(&mut server, now);
    server.distinguished_name.push(DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_key = KeyPair::generate()?;
    let server_certificate = server.signed_by(&server_key, &Issuer::new(root, root_key))?;

    // Named, since a process may have linked more than one.
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![server_certificate.der().clone()],
            PrivateKeyDer::Pkcs8(server_key.serialize_der().into()),
        )?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, root_certificate.pem()))
}

fn set_validity(params: &mut CertificateParams, now: Timestamp) {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs());
    (params.not_before, params.not_after) = (now - BEFORE, now + AFTER);
}
