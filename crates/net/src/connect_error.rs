//! Why a connection did not come to be.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::address::AddressError;
use crate::hint;

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading `host:port`.
    Address,
    /// Looking the name up.
    Dns,
    /// Connecting the socket.
    Tcp,
    /// Agreeing on TLS.
    Tls,
}

/// What went wrong in one attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The text is not `host:port`.
    #[error(transparent)]
    Address(AddressError),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The system's answer.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// TLS's answer.
    #[error("{0}")]
    Tls(#[source] Box<rustls::Error>),
    /// No certificate can be for this name.
    #[error("\"{0}\" cannot be the name in a certificate")]
    ServerName(String),
    /// Nothing happened in the time there was.
    #[error("no answer within {0:.1?}")]
    TimedOut(Duration),
}

impl Cause {
    /// `tokio-rustls` hides TLS's own error in one of I/O.
    pub(crate) fn from_tls(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(tls) => Self::Tls(Box::new(tls)),
            Err(error) => Self::Io(error),
        }
    }
}

/// One try at one address.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The address, once one was known.
    pub address: Option<SocketAddr>,
    /// How far it came.
    pub phase: Phase,
    /// Why it went no further.
    pub cause: Cause,
}

impl Attempt {
    pub(crate) fn new(address: Option<SocketAddr>, phase: Phase, cause: Cause) -> Self {
        Self { address, phase, cause }
    }
}

/// Kinds of failures to connect, each with a name that can be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// Not `host:port`.
    InvalidAddress,
    /// The name is not known.
    UnknownHost,
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// We speak TLS, the listener does not.
    PlaintextExpected,
    /// Nobody we trust signed the certificate.
    CertificateNotTrusted,
    /// The certificate is for another name.
    CertificateWrongName,
    /// The certificate's time is over or has not begun.
    CertificateExpired,
    /// The listener wants a certificate from us, or did not accept ours.
    ClientCertificate,
    /// TLS failed otherwise.
    Tls,
    /// Anything else the system says.
    Other,
}

impl ConnectErrorKind {
    /// A name to search for, such as `certificate-not-trusted`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidAddress => "invalid-address",
            Self::UnknownHost => "unknown-host",
            Self::Refused => "connection-refused",
            Self::TimedOut => "connect-timeout",
            Self::PlaintextExpected => "plaintext-expected",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::CertificateWrongName => "certificate-wrong-name",
            Self::CertificateExpired => "certificate-expired",
            Self::ClientCertificate => "client-certificate",
            Self::Tls => "tls",
            Self::Other => "connect",
        }
    }
}

/// No address of a broker could be connected to. Keeps every attempt.
#[derive(Debug)]
pub struct ConnectError {
    target: String,
    tls: bool,
    attempts: Vec<Attempt>,
}

impl ConnectError {
    pub(crate) fn new(target: String, tls: bool, attempts: Vec<Attempt>) -> Self {
        Self { target, tls, attempts }
    }

    /// The `host:port` that was asked for.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether TLS was to be used.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Every attempt, in the order in which they were made; at least one.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The attempt that says most: the last of those that came furthest.
    pub fn decisive(&self) -> Option<&Attempt> {
        self.attempts.iter().max_by_key(|attempt| attempt.phase as u8)
    }

    /// What kind of failure the decisive attempt was.
    pub fn kind(&self) -> ConnectErrorKind {
        self.decisive().map_or(ConnectErrorKind::Other, hint::kind_of)
    }

    /// What to do about it, in a sentence or two.
    pub fn hint(&self) -> Option<String> {
        self.decisive().and_then(|attempt| hint::for_attempt(&self.target, attempt))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Dns => "name look-up",
            Self::Tcp => "connection",
            Self::Tls => "TLS handshake",
        })
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}: {} failed: {}", self.phase, self.cause),
            None => write!(f, "{} failed: {}", self.phase, self.cause),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not connect to {}", self.target)?;
        for (index, attempt) in self.attempts.iter().enumerate() {
            write!(f, "{}{attempt}", if index == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.decisive().map(|attempt| &attempt.cause as _)
    }
}
