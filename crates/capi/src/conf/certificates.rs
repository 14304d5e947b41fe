//! `rd_kafka_conf_set_ssl_cert`: a certificate, a key or authorities from memory.

use std::ffi::{c_char, c_int, c_void};

use felice::raw::tls::{Authorities, Identity, armored, check_certificates};

use super::{Conf, ConfRes};
use crate::boundary::{bytes, guard, write_text};

/// What was set, PEM.
#[derive(Clone, Default)]
pub(super) struct Certificates {
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) ca: Option<String>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificates")
    }
}

const TYPES: [&str; 3] = ["public-key", "private-key", "CA"];
const ENCODINGS: [&str; 3] = ["PKCS#12", "DER", "PEM"];

/// The content as PEM; the password opens PKCS#12.
///
/// # Errors
/// A text in librdkafka's form.
fn as_pem(kind: usize, encoding: usize, content: &[u8], password: Option<&str>) -> Result<String, String> {
    let kind_name = TYPES.get(kind).copied().unwrap_or_default();
    let encoding_name = ENCODINGS.get(encoding).copied().unwrap_or_default();
    let fail =
        |action: &str, why: &str| Err(format!("Failed to {action} {kind_name} (encoding {encoding_name}): {why}"));
    let label = if kind == 1 { "PRIVATE KEY" } else { "CERTIFICATE" };
    match encoding {
        0 => opened(kind, content, password).or_else(|error| fail("parse PKCS#12", &error)),
        // A DER document is one SEQUENCE.
        1 if content.first() != Some(&0x30) => fail("read DER / X.509 ASN.1", "not a DER sequence"),
        1 => Ok(armored(label, content)),
        _ => match std::str::from_utf8(content) {
            Ok(text) if text.contains("-----BEGIN ") && text.contains(label) => match check_certificates(content) {
                Err((_, error)) if kind != 1 => fail("read PEM", &error),
                _ => Ok(text.to_owned()),
            },
            _ => fail("read PEM", "no start line"),
        },
    }
}

/// What PKCS#12 holds, as PEM.
fn opened(kind: usize, content: &[u8], password: Option<&str>) -> Result<String, String> {
    let origin = "the content";
    let opened = match kind {
        2 => Authorities::from_trust_store(origin, content, password).map(|authorities| authorities.to_pem()),
        _ => Identity::from_key_store(origin, content, password).map(|identity| match identity.to_pem() {
            (chain, _) if kind == 0 => chain,
            (_, key) => key,
        }),
    };
    opened.map_err(|error| error.to_string())
}

impl Conf {
    /// What librdkafka accepts and our client does not: a certificate without its key, which nobody is then shown. Gives whether it is so.
    ///
    /// # Errors
    /// A text in librdkafka's form, where the certificate cannot be read.
    pub(super) fn is_certificate_alone(&self) -> Result<bool, String> {
        let has_key = self.text("ssl.key.pem").is_some()
            || self.text("ssl.key.location").is_some()
            || self.certificates.key.is_some();
        if let Some(pem) = self.text("ssl.certificate.pem")
            && let Err((place, error)) = check_certificates(pem.as_bytes())
        {
            let what = if place == 0 { "certificate" } else { "certificate chain" };
            return Err(format!("ssl.certificate.pem failed: error reading {what}: error: {error}"));
        }
        Ok(!has_key)
    }
}

/// Sets a certificate (0), a key (1) or authorities (2) from memory, as PKCS#12 (0, opened with `ssl.key.password`), DER (1) or PEM (2); NULL takes
/// it away.
///
/// # Safety
/// `conf` came from `rd_kafka_conf_new`; `buffer` is NULL or has `size` bytes; `errstr` is NULL or has `errstr_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_ssl_cert(
    conf: *mut Conf,
    cert_type: c_int,
    cert_enc: c_int,
    buffer: *const c_void,
    size: usize,
    errstr: *mut c_char,
    errstr_size: usize,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        // SAFETY: the caller vouches for both.
        let (conf, content) = unsafe { (conf.as_mut(), bytes(buffer, size)) };
        let Some(conf) = conf else { return ConfRes::INVALID };
        let kind = usize::try_from(cert_type).ok().filter(|kind| *kind < TYPES.len());
        let encoding = usize::try_from(cert_enc).ok().filter(|encoding| *encoding < ENCODINGS.len());
        let result = match (kind, content, encoding) {
            (None, _, _) => Err(format!("Invalid certificate type {cert_type}")),
            (Some(kind), None, _) => Ok((kind, None)),
            (Some(_), Some(_), None) => Err(format!("Invalid certificate encoding {cert_enc}")),
            (Some(kind), Some(content), Some(encoding)) => {
                as_pem(kind, encoding, content, conf.text("ssl.key.password")).map(|pem| (kind, Some(pem)))
            }
        };
        match result {
            Ok((kind, pem)) => {
                match kind {
                    0 => conf.certificates.certificate = pem,
                    1 => conf.certificates.key = pem,
                    _ => conf.certificates.ca = pem,
                }
                ConfRes::OK
            }
            Err(text) => {
                // SAFETY: the caller vouches for the buffer.
                unsafe { write_text(errstr, errstr_size, &text) };
                ConfRes::INVALID
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(as_pem(0, 1, b"\x30\x01\x02", None).unwrap().starts_with("-----BEGIN CERTIFICATE-----\nMAEC\n"));
        assert!(as_pem(0, 1, b"PEM?", None).is_err());
        assert!(
            as_pem(1, 0, b"\x30", None)
                .unwrap_err()
                .starts_with("Failed to parse PKCS#12 private-key (encoding PKCS#12): ")
        );
        let text = as_pem(0, 2, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None).unwrap_err();
        assert!(text.starts_with("Failed to read PEM public-key (encoding PEM): "), "{text}");
        assert!(!text.ends_with(": "), "{text}");
    }
}
