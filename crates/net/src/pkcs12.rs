//! PKCS#12 files: key stores and trust stores. Reading them takes a hundred crates, so it is a cargo feature (`pkcs12`).

use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::stores::{Identity, Source};
use crate::tls::TlsConfigError;

/// The key of a store, with its certificates.
pub(crate) fn identity(store: &Source, password: Option<&str>) -> Result<Identity, TlsConfigError> {
    let policy = p12_keystore::Pkcs12ImportPolicy::Strict;
    let opened = p12_keystore::KeyStore::from_pkcs12(&store.bytes, password.unwrap_or_default(), policy)
        .map_err(|error| not_opened(store, &error))?;
    let (_, chain) = opened.private_key_chain().ok_or_else(|| store.wrong("it has no key with its certificate"))?;
    Ok(Identity {
        chain: chain.certs().iter().map(|certificate| CertificateDer::from(certificate.as_der().to_vec())).collect(),
        key: PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec()).into(),
    })
}

/// All certificates of a store.
pub(crate) fn certificates(
    source: &Source,
    password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let archive = p12_keystore::Pkcs12Archive::from_pkcs12(&source.bytes, password.unwrap_or_default())
        .map_err(|error| not_opened(source, &error))?;
    Ok(archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect())
}

fn not_opened(source: &Source, error: &p12_keystore::error::Error) -> TlsConfigError {
    source.wrong(format!(
        "it cannot be opened as PKCS#12 ({error}): check its password; DER as it is must be made PEM, by `openssl x509 -inform der`"
    ))
}
