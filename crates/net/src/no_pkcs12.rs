//! What stands for [`pkcs12`](self) in a build without that cargo feature: it says so.

use rustls_pki_types::CertificateDer;

use crate::stores::{Identity, Source};
use crate::tls::TlsConfigError;

const WHY: &str = "it is PKCS#12 or DER: this build reads PEM; build with the cargo feature `pkcs12`, or make it PEM with \
                   `openssl pkcs12 -in STORE -out STORE.pem` (`openssl x509 -inform der` for a single certificate)";

pub(crate) fn identity(store: &Source, _password: Option<&str>) -> Result<Identity, TlsConfigError> {
    Err(store.wrong(WHY))
}

pub(crate) fn certificates(
    source: &Source,
    _password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    Err(source.wrong(WHY))
}
