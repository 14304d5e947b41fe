//! `rd_kafka_conf_set_ssl_cert`: a certificate, a key or authorities from memory.

use std::ffi::{c_char, c_int, c_void};

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

/// The content as PEM.
///
/// # Errors
/// A text in librdkafka's form.
fn as_pem(kind: usize, encoding: usize, content: &[u8]) -> Result<String, String> {
    let kind_name = TYPES.get(kind).copied().unwrap_or_default();
    let encoding_name = ENCODINGS.get(encoding).copied().unwrap_or_default();
    let fail =
        |action: &str, why: &str| Err(format!("Failed to {action} {kind_name} (encoding {encoding_name}): {why}"));
    let label = if kind == 1 { "PRIVATE KEY" } else { "CERTIFICATE" };
    match encoding {
        0 => fail("parse PKCS#12", "not supported in this build"),
        // A DER document is one SEQUENCE.
        1 if content.first() != Some(&0x30) => fail("read DER / X.509 ASN.1", "not a DER sequence"),
        1 => Ok(pem(label, content)),
        _ => match std::str::from_utf8(content) {
            Ok(text) if text.contains("-----BEGIN ") && text.contains(label) => Ok(text.to_owned()),
            _ => fail("read PEM", "no start line"),
        },
    }
}

/// DER as PEM.
fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----");
    for (index, chunk) in der.chunks(3).enumerate() {
        if index % 16 == 0 {
            text.push('\n');
        }
        let bits = chunk.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or_default();
            text.push(if at > chunk.len() { '=' } else { letter.into() });
        }
    }
    text + &format!("\n-----END {label}-----\n")
}

/// Sets a certificate (0), a key (1) or authorities (2) from memory, as PKCS#12 (0, which this build refuses), DER (1) or PEM (2); NULL takes it
/// away.
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
            (Some(kind), Some(content), Some(encoding)) => as_pem(kind, encoding, content).map(|pem| (kind, Some(pem))),
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
    fn der_becomes_pem() {
        assert_eq!(pem("X", b"\x30\x01\x02\x03"), "-----BEGIN X-----\nMAECAw==\n-----END X-----\n");
        assert!(as_pem(0, 1, b"PEM?").is_err());
        assert!(as_pem(1, 0, b"\x30").unwrap_err().contains("PKCS#12"));
        assert!(as_pem(0, 2, b"-----BEGIN CERTIFICATE-----\n").is_ok());
    }
}
