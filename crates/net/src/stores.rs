//! Certificates and keys as they lie in files: PEM, with the key encrypted or not, and PKCS#12. Java's JKS is named as what it is.

use std::fmt;

use base64::Engine as _;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::pkcs12;
use crate::tls::TlsConfigError;

/// Bytes of a file or a text, and where they came from, for errors.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) origin: String,
    pub(crate) bytes: Vec<u8>,
}

impl Source {
    pub(crate) fn new(origin: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { origin: origin.into(), bytes: bytes.into() }
    }

    pub(crate) fn wrong(&self, reason: impl fmt::Display) -> TlsConfigError {
        TlsConfigError::Pem { what: self.origin.clone(), reason: reason.to_string() }
    }

    fn is_pkcs12(&self) -> bool {
        // DER of a sequence; a single certificate begins so as well, and then is refused as what it is not.
        matches!(self.bytes.as_slice(), [0x30, 0x80..=0x84, ..])
    }
}

/// Who we are: a certificate chain, our own first, and its key.
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Identity {
    /// From PEM texts; the password is that of an encrypted key (PKCS#8).
    ///
    /// # Errors
    /// [`TlsConfigError::Pem`], which names the text at fault and what to do.
    pub fn from_pem(chain: &[u8], key: &[u8], password: Option<&str>) -> Result<Self, TlsConfigError> {
        let chain = Source::new("the certificate", chain);
        Self::of_parts(&chain, &Source::new("the key", key), password)
    }

    /// From one file that holds both: PEM, as Kafka's PEM key stores are (KIP-651), or PKCS#12. The password is that of the file, or of the key in it.
    ///
    /// # Errors
    /// [`TlsConfigError::Pem`], which names the file by `origin`, and what to do.
    pub fn from_key_store(origin: &str, bytes: &[u8], password: Option<&str>) -> Result<Self, TlsConfigError> {
        Self::of_store(&Source::new(origin, bytes), password)
    }

    /// As PEM texts: the chain, and the key in the clear.
    pub fn to_pem(&self) -> (String, String) {
        let label = match &self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        let chain = self.chain.iter().map(|der| armored("CERTIFICATE", der)).collect();
        (chain, armored(label, self.key.secret_der()))
    }

    pub(crate) fn of_parts(chain: &Source, key: &Source, password: Option<&str>) -> Result<Self, TlsConfigError> {
        Ok(Self { chain: certificates(chain, None)?, key: private_key(key, password)? })
    }

    pub(crate) fn of_store(store: &Source, password: Option<&str>) -> Result<Self, TlsConfigError> {
        if !store.is_pkcs12() {
            return Self::of_parts(store, store, password);
        }
        pkcs12::identity(store, password)
    }
}

/// DER between PEM's lines of this label.
pub fn armored(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    text + &format!("-----END {label}-----\n")
}

/// Looks whether a PEM text holds certificates, each of which can be read.
///
/// # Errors
/// Which of them cannot, counted from 0, and why.
pub fn check_certificates(pem: &[u8]) -> Result<(), (usize, String)> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let read = certificate.map_err(|error| error.to_string());
        read.and_then(|der| ParsedCertificate::try_from(&der).map(drop).map_err(|error| error.to_string()))
            .map_err(|error| (count, error))?;
        count += 1;
    }
    if count == 0 { Err((0, "no certificate in it".to_owned())) } else { Ok(()) }
}

/// Whom we trust: certificates of authorities.
#[derive(Clone, Debug)]
pub struct Authorities(pub(crate) Vec<CertificateDer<'static>>);

impl Authorities {
    /// As PEM text.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(|der| armored("CERTIFICATE", der)).collect()
    }

    /// From a PEM text.
    ///
    /// # Errors
    /// [`TlsConfigError::Pem`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsConfigError> {
        Self::from_trust_store("the CA certificates", pem, None)
    }

    /// From a file, PEM or PKCS#12, which has a password.
    ///
    /// # Errors
    /// [`TlsConfigError::Pem`], which names the file by `origin`, and what to do.
    pub fn from_trust_store(origin: &str, bytes: &[u8], password: Option<&str>) -> Result<Self, TlsConfigError> {
        certificates(&Source::new(origin, bytes), password).map(Self)
    }
}

/// All certificates in a file or text; at least one.
pub(crate) fn certificates(
    source: &Source,
    password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found = if source.is_pkcs12() {
        pkcs12::certificates(source, password)?
    } else {
        CertificateDer::pem_slice_iter(&source.bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| source.wrong(error))?
    };
    if found.is_empty() {
        Err(source.wrong(format!("no certificate in it{}", format_note(&source.bytes))))
    } else {
        Ok(found)
    }
}

/// The first key of a PEM text.
fn private_key(source: &Source, password: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    if let Some(encrypted) = encrypted_key(&source.bytes) {
        let password = password.filter(|password| !password.is_empty());
        let Some(password) = password else {
            return Err(source.wrong("the key is encrypted: set ssl.key.password"));
        };
        let opened = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_slice())
            .map_err(|error| source.wrong(format!("the encrypted key cannot be read: {error}")))?
            .decrypt(password)
            .map_err(|error| {
                source.wrong(format!(
                    "the key cannot be decrypted: check ssl.key.password; where that is right, its encryption is not \
                     supported ({error}): `openssl pkcs8 -topk8 -in KEY -out NEW` writes one that is"
                ))
            })?;
        return Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into());
    }
    PrivateKeyDer::from_pem_slice(&source.bytes).map_err(|error| {
        if source.bytes.windows(10).any(|window| window == b",ENCRYPTED") {
            source.wrong(
                "the key is encrypted in OpenSSL's old way, which is not supported: `openssl pkcs8 -topk8 -in KEY -out NEW` writes the newer one",
            )
        } else {
            source.wrong(format!("no private key in it ({error}){}", format_note(&source.bytes)))
        }
    })
}

/// What stands between the lines of `ENCRYPTED PRIVATE KEY`, which rustls's reader of PEM passes over.
fn encrypted_key(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, behind) = text.split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let (body, _) = behind.split_once("-----END ENCRYPTED PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).ok()
}

/// Java's key stores are the usual mistake.
fn format_note(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] => {
            ": this is a Java key store (JKS); make it PKCS#12 with `keytool -importkeystore -srckeystore OLD -destkeystore NEW -deststoretype PKCS12`"
        }
        _ => "",
    }
}
