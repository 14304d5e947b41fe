//! What to do about a connection that does not come to be, or ends at once: the commonest mistakes, recognised by what they look like on the wire.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::connect_error::{Attempt, Cause, ConnectErrorKind, Phase};

/// What kind of failure an attempt was.
pub(crate) fn kind_of(attempt: &Attempt) -> ConnectErrorKind {
    match &attempt.cause {
        Cause::Address(_) => ConnectErrorKind::InvalidAddress,
        Cause::NoAddress => ConnectErrorKind::UnknownHost,
        Cause::ServerName(_) => ConnectErrorKind::Tls,
        Cause::TimedOut(_) => ConnectErrorKind::TimedOut,
        Cause::Tls(error) => kind_of_tls(error),
        Cause::Io(error) => match (attempt.phase, error.kind()) {
            (Phase::Dns, _) => ConnectErrorKind::UnknownHost,
            (Phase::Tls, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                ConnectErrorKind::PlaintextExpected
            }
            (_, io::ErrorKind::ConnectionRefused) => ConnectErrorKind::Refused,
            (_, io::ErrorKind::TimedOut) => ConnectErrorKind::TimedOut,
            _ => ConnectErrorKind::Other,
        },
    }
}

fn kind_of_tls(error: &TlsError) -> ConnectErrorKind {
    match error {
        // A Kafka or HTTP listener's plain bytes are no TLS record.
        TlsError::InvalidMessage(_) => ConnectErrorKind::PlaintextExpected,
        TlsError::InvalidCertificate(error) => match error {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                ConnectErrorKind::CertificateWrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => ConnectErrorKind::CertificateExpired,
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_) => {
                ConnectErrorKind::CertificateNotTrusted
            }
            _ => ConnectErrorKind::Tls,
        },
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnknownCA
            // Somebody else's authority by the same name.
            | AlertDescription::DecryptError,
        ) => ConnectErrorKind::ClientCertificate,
        _ => ConnectErrorKind::Tls,
    }
}

/// What to do about an attempt at `target`.
pub(crate) fn for_attempt(target: &str, attempt: &Attempt) -> Option<String> {
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    Some(match kind_of(attempt) {
        ConnectErrorKind::InvalidAddress => "write host:port, several with commas between them".to_owned(),
        ConnectErrorKind::UnknownHost => format!(
            "the name {host} is not known here: check its spelling; if a broker advertised it, its advertised.listeners name an address for another network"
        ),
        ConnectErrorKind::Refused => {
            format!(
                "nothing listens on {target}: is the broker running, and is this the port of its listener for clients?"
            )
        }
        ConnectErrorKind::TimedOut if attempt.phase == Phase::Tls => {
            format!(
                "{target} accepts connections but does not answer TLS: a listener without TLS waits like this; try security.protocol=PLAINTEXT"
            )
        }
        ConnectErrorKind::TimedOut => {
            format!("{target} does not answer at all: a firewall or a wrong address swallows packets like this")
        }
        ConnectErrorKind::PlaintextExpected => match attempt.cause {
            Cause::Tls(_) => format!(
                "{target} does not speak TLS: use security.protocol=PLAINTEXT (SASL_PLAINTEXT with SASL), or the port of its TLS listener"
            ),
            _ => format!(
                "{target} closed the connection during the TLS handshake, as a listener without TLS does: use security.protocol=PLAINTEXT (SASL_PLAINTEXT with SASL), \
                 or the port of its TLS listener"
            ),
        },
        ConnectErrorKind::Tls if matches!(attempt.cause, Cause::ServerName(_)) => {
            "set the server name that the certificate is for".to_owned()
        }
        ConnectErrorKind::CertificateNotTrusted
        | ConnectErrorKind::CertificateWrongName
        | ConnectErrorKind::CertificateExpired
        | ConnectErrorKind::ClientCertificate => match &attempt.cause {
            Cause::Tls(error) => return for_tls(error),
            _ => return None,
        },
        ConnectErrorKind::Tls => match &attempt.cause {
            Cause::Tls(error) => return for_tls(error),
            _ => return None,
        },
        ConnectErrorKind::Other => return None,
    })
}

/// What to do about an error of TLS, in a handshake or later: with TLS 1.3 a server refuses a client's certificate only after the handshake, so
/// that the first read fails.
pub fn for_tls(error: &TlsError) -> Option<String> {
    Some(match kind_of_tls(error) {
        ConnectErrorKind::CertificateNotTrusted => {
            "nobody you trust signed the broker's certificate: set ssl.ca.location (ssl.truststore.location) to the certificate of its CA, in PEM".to_owned()
        }
        ConnectErrorKind::CertificateWrongName => match error {
            TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) if !presented.is_empty() => {
                format!("the broker's certificate is for {}: connect by one of these names, or set the server name", presented.join(", "))
            }
            _ => "the broker's certificate is for another name: connect by the name in the certificate, or set the server name".to_owned(),
        },
        ConnectErrorKind::CertificateExpired => "the broker's certificate is not valid now: renew it, or set this machine's clock".to_owned(),
        ConnectErrorKind::ClientCertificate => {
            "the broker wants a certificate from you and did not get one it accepts: set ssl.certificate.location and ssl.key.location to one signed by a CA that it trusts"
                .to_owned()
        }
        _ => match error {
            TlsError::AlertReceived(AlertDescription::HandshakeFailure) => {
                "the broker ended the handshake: it may want a certificate from you, or offer no TLS version or cipher in common (1.2 and 1.3 are offered)".to_owned()
            }
            TlsError::AlertReceived(AlertDescription::ProtocolVersion) | TlsError::PeerIncompatible(_) => {
                "no TLS version or cipher in common: TLS 1.2 and 1.3 are offered".to_owned()
            }
            _ => return None,
        },
    })
}

/// What to do about an I/O error on a connection, if TLS is what it hides.
pub fn for_io(error: &io::Error) -> Option<String> {
    for_tls(error.get_ref()?.downcast_ref::<TlsError>()?)
}

/// Whether TLS is what an I/O error on a connection hides.
pub fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TlsError>())
}

/// What to do about a connection that the broker closes before it answers the first request.
pub fn closed_before_first_answer(is_tls: bool) -> &'static str {
    if is_tls {
        "the broker closed the connection before its first answer: it may want SASL (security.protocol=SASL_SSL), or a client certificate"
    } else {
        "the broker closed the connection before its first answer: this is how a TLS listener treats a client without TLS (try security.protocol=SSL), \
         and one with SASL a client without it (SASL_PLAINTEXT or SASL_SSL)"
    }
}
