//! TLS of the broker's listeners.

use std::fmt;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::stores::{Authorities, Identity};
use crate::tls::{TlsConfigError, provider};

/// Whether clients show certificates (`ssl.client.auth`).
#[derive(Clone, Debug, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked and may have none; one that is shown must be signed by one of these.
    Requested(Authorities),
    /// They must show one that one of these has signed.
    Required(Authorities),
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
    /// With the listener's certificate and key.
    ///
    /// # Errors
    /// [`TlsConfigError`], which says what does not go together.
    pub fn new(identity: Identity, client_auth: &ClientAuth) -> Result<Self, TlsConfigError> {
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
        Ok(Self { config: Arc::new(builder.with_single_cert(identity.chain, identity.key)?) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn roots(authorities: &Authorities) -> Result<RootCertStore, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in &authorities.0 {
        roots.add(certificate.clone())?;
    }
    Ok(roots)
}

fn wrong(what: &str, reason: impl fmt::Display) -> TlsConfigError {
    TlsConfigError::Pem { what: what.to_owned(), reason: reason.to_string() }
}
