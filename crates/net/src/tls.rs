//! TLS of the client: whom to trust, who we are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::stores::{Identity, Source, certificates};

/// Whether a connection is encrypted.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// Bytes as they are.
    #[default]
    Plaintext,
    /// TLS 1.2 or 1.3.
    Tls(TlsConfig),
}

impl Security {
    /// Whether this is TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// TLS of a client, checked and ready; cheap to clone.
#[derive(Clone)]
pub struct TlsConfig {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file that cannot be read.
    #[error("cannot read {what} {path}: {source}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Text that is not the PEM it should be.
    #[error("{what} is not usable: {reason}")]
    Pem {
        /// What it should hold.
        what: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate needs both the certificate and its key; {0} is missing")]
    Half(&'static str),
    /// A key store beside a certificate or key of its own.
    #[error(
        "the client's certificate is given twice: by a key store, and by a certificate and its key; leave one of them out"
    )]
    Twice,
    /// A name that no certificate can be for.
    #[error("\"{0}\" cannot be the name in a certificate")]
    ServerName(String),
    /// What rustls says.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Collects what [`TlsConfig`] is made of.
#[derive(Default)]
pub struct TlsConfigBuilder {
    authorities: Vec<Source>,
    platform_roots: bool,
    certificate: Option<Source>,
    key: Option<Source>,
    key_store: Option<Source>,
    key_password: Option<String>,
    store_password: Option<String>,
    server_name: Option<String>,
    accept_any_name: bool,
    accept_any_certificate: bool,
}

impl fmt::Debug for TlsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigBuilder").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl TlsConfig {
    /// Trusts what this machine trusts: its file of CA certificates, else Mozilla's list.
    ///
    /// # Errors
    /// [`TlsConfigError`] where the machine's file is broken.
    pub fn platform() -> Result<Self, TlsConfigError> {
        Self::builder().build()
    }

    /// A builder. Without any CA it trusts what this machine trusts.
    pub fn builder() -> TlsConfigBuilder {
        TlsConfigBuilder::default()
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    pub(crate) fn server_name_for(&self, host: &str) -> Result<ServerName<'static>, String> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            // A name that ends in a dot is fully qualified; certificates have it without.
            None => ServerName::try_from(host.trim_end_matches('.').to_owned()).map_err(|_| host.to_owned()),
        }
    }
}

impl TlsConfigBuilder {
    /// Trusts the CA certificates of a PEM file (`ssl.ca.location`). May be called again.
    ///
    /// # Errors
    /// [`TlsConfigError::File`].
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        self.authorities.push(read("CA certificates", path.as_ref())?);
        Ok(self)
    }

    /// Trusts the CA certificates of a PEM text (`ssl.ca.pem`). May be called again.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Source::new("the CA certificates' PEM", pem));
        self
    }

    /// Trusts what this machine trusts as well. This is the default where no CA is named.
    pub fn platform_roots(mut self) -> Self {
        self.platform_roots = true;
        self
    }

    /// Shows a certificate: files of its chain and of its key, in PEM.
    ///
    /// # Errors
    /// [`TlsConfigError::File`].
    pub fn client_certificate_files(
        self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        self.certificate_file(certificate)?.key_file(key)
    }

    /// The file of our certificate chain in PEM (`ssl.certificate.location`).
    ///
    /// # Errors
    /// [`TlsConfigError::File`].
    pub fn certificate_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        self.certificate = Some(read("client certificate", path.as_ref())?);
        Ok(self)
    }

    /// The file of our key in PEM (`ssl.key.location`).
    ///
    /// # Errors
    /// [`TlsConfigError::File`].
    pub fn key_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        self.key = Some(read("client key", path.as_ref())?);
        Ok(self)
    }

    /// Our certificate chain as PEM text (`ssl.certificate.pem`).
    pub fn certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificate = Some(Source::new("the client certificate's PEM", pem));
        self
    }

    /// Our key as PEM text (`ssl.key.pem`).
    pub fn key_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.key = Some(Source::new("the client key's PEM", pem));
        self
    }

    /// One file with both our chain and our key: PEM, or PKCS#12 (`ssl.keystore.location`).
    ///
    /// # Errors
    /// [`TlsConfigError::File`].
    pub fn key_store_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        self.key_store = Some(read("key store", path.as_ref())?);
        Ok(self)
    }

    /// The password of the key, where it is encrypted (`ssl.key.password`).
    pub fn key_password(mut self, password: impl Into<String>) -> Self {
        self.key_password = Some(password.into());
        self
    }

    /// The password of the key store (`ssl.keystore.password`).
    pub fn key_store_password(mut self, password: impl Into<String>) -> Self {
        self.store_password = Some(password.into());
        self
    }

    /// The name to expect in the certificate, instead of the one connected to.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Does not compare the certificate's names (`ssl.endpoint.identification.algorithm=none`): whoever has any certificate of a trusted CA can
    /// pose as the broker.
    pub fn danger_accept_any_name(mut self) -> Self {
        self.accept_any_name = true;
        self
    }

    /// Does not check the certificate at all (`enable.ssl.certificate.verification=false`): anyone can pose as the broker.
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.accept_any_certificate = true;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`TlsConfigError`], which names the file or text at fault.
    pub fn build(self) -> Result<TlsConfig, TlsConfigError> {
        let provider = provider();
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = if self.accept_any_certificate {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            let mut roots = RootCertStore::empty();
            for pem in &self.authorities {
                add_authorities(&mut roots, pem)?;
            }
            if self.platform_roots || self.authorities.is_empty() {
                add_platform_roots(&mut roots)?;
            }
            if self.accept_any_name {
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(
                    |error| TlsConfigError::Pem {
                        what: "the list of CA certificates".to_owned(),
                        reason: error.to_string(),
                    },
                )?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
            } else {
                builder.with_root_certificates(roots)
            }
        };
        let config = match self.identity()? {
            Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        let server_name = match self.server_name {
            Some(name) => Some(ServerName::try_from(name.clone()).map_err(|_| TlsConfigError::ServerName(name))?),
            None => None,
        };
        Ok(TlsConfig { config: Arc::new(config), server_name })
    }
}

impl TlsConfigBuilder {
    /// Who we are; `None` for nobody.
    fn identity(&self) -> Result<Option<Identity>, TlsConfigError> {
        let key_password = self.key_password.as_deref();
        match (&self.key_store, &self.certificate, &self.key) {
            (None, None, None) => Ok(None),
            (Some(store), None, None) => {
                Identity::of_store(store, self.store_password.as_deref().or(key_password)).map(Some)
            }
            (Some(_), _, _) => Err(TlsConfigError::Twice),
            (None, Some(certificate), Some(key)) => Identity::of_parts(certificate, key, key_password).map(Some),
            (None, Some(_), None) => Err(TlsConfigError::Half("the key")),
            (None, None, Some(_)) => Err(TlsConfigError::Half("the certificate")),
        }
    }
}

/// The cryptography of both sides. Never the process's default: a host may have installed another.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(what: &'static str, path: &Path) -> Result<Source, TlsConfigError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Source { origin: format!("{what} {}", path.display()), bytes }),
        Err(source) => Err(TlsConfigError::File { what, path: path.to_owned(), source }),
    }
}

fn add_authorities(roots: &mut RootCertStore, pem: &Source) -> Result<(), TlsConfigError> {
    for certificate in certificates(pem, None)? {
        roots
            .add(certificate)
            .map_err(|error| TlsConfigError::Pem { what: pem.origin.clone(), reason: error.to_string() })?;
    }
    Ok(())
}

/// Where systems keep the certificates they trust, after the environment's word.
const PLATFORM_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn add_platform_roots(roots: &mut RootCertStore) -> Result<(), TlsConfigError> {
    if let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        return add_authorities(roots, &read("CA certificates (SSL_CERT_FILE)", Path::new(&path))?);
    }
    for path in PLATFORM_FILES {
        let Ok(bytes) = std::fs::read(path) else { continue };
        // One odd certificate among the system's hundreds is no reason to trust none of them.
        let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).flatten());
        if added > 0 {
            return Ok(());
        }
    }
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(())
}

/// Everything but the name is checked.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is compared last: the chain and the dates are good here.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Nothing is checked but that the other side holds the key of the certificate it shows.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
