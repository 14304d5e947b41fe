//! TLS of the broker's listeners.

use std::fmt;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::tls::{TlsConfigError, provider};

/// Whether clients show certificates (`ssl.client.auth`).
#[derive(Clone, Debug, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked and may have none; one that is shown must be signed by a CA of this PEM text.
    Requested(Vec<u8>),
    /// They must show one that a CA of this PEM text signed.
    Required(Vec<u8>),
}

/// TLS of a listener, checked and ready; cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// From PEM texts: the listener's certificate chain and its key.
    ///
    /// # Errors
    /// [`TlsConfigError`], which names the text at fault.
    pub fn from_pem(certificate_chain: &[u8], key: &[u8], client_auth: &ClientAuth) -> Result<Self, TlsConfigError> {
        let provider = provider();
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Requested(authorities) | ClientAuth::Required(authorities) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider);
                let verifier = if matches!(client_auth, ClientAuth::Requested(_)) {
                    verifier.allow_unauthenticated()
                } else {
                    verifier
                };
                builder.with_client_cert_verifier(
                    verifier.build().map_err(|error| wrong("the clients' CA certificates", error))?,
                )
            }
        };
        let chain = certificates("the listener's certificate", certificate_chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("the listener's key", error))?;
        Ok(Self { config: Arc::new(builder.with_single_cert(chain, key)?) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the clients' CA certificates", pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found =
        CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|error| wrong(what, error))?;
    if found.is_empty() { Err(wrong(what, "no certificate in it")) } else { Ok(found) }
}

fn wrong(what: &str, reason: impl fmt::Display) -> TlsConfigError {
    TlsConfigError::Pem { what: what.to_owned(), reason: reason.to_string() }
}
