//! From `-b` and `-X` to a client; from a client's error to what the tool says.

use felice::{Client, Error, ErrorKind};

use crate::args::Connection;
use crate::failure::{Exit, Failure};

/// A client of the cluster that the command line names.
pub(crate) async fn client(connection: &Connection) -> Result<Client, Failure> {
    let bootstrap = ("bootstrap.servers".to_owned(), connection.bootstrap.clone());
    let properties = std::iter::once(bootstrap).chain(connection.properties.iter().cloned());
    let builder = Client::from_properties(properties).map_err(|e| failure(&e))?;
    builder.connect().await.map_err(|e| failure(&e))
}

/// Says what a client's error means, with the evidence that it kept.
pub(crate) fn failure(error: &Error) -> Failure {
    let (exit, id) = match error.kind() {
        ErrorKind::Connect => (Exit::NoConnection, "no-connection"),
        ErrorKind::Tls => (Exit::NoConnection, "tls"),
        ErrorKind::Authentication => (Exit::NoConnection, "authentication"),
        ErrorKind::UnknownTopic => (Exit::NotFound, "unknown-topic"),
        ErrorKind::Timeout => (Exit::TimedOut, "timed-out"),
        ErrorKind::Config => (Exit::Usage, "property"),
        ErrorKind::RecordTooLarge => (Exit::SomeFailed, "record-too-large"),
        ErrorKind::OffsetOutOfRange => (Exit::SomeFailed, "offset-out-of-range"),
        ErrorKind::LogTruncated => (Exit::SomeFailed, "log-truncated"),
        ErrorKind::Unsupported => (Exit::SomeFailed, "unsupported"),
        ErrorKind::Decode => (Exit::SomeFailed, "bad-bytes"),
        _ => (Exit::SomeFailed, "broker"),
    };
    let mut failure = Failure::new(exit, id, error);
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !failure.what.contains(&text) && !failure.evidence.contains(&text) {
            failure = failure.evidence(text);
        }
        source = cause.source();
    }
    match error.hint() {
        Some(hint) => failure.fix(hint),
        None => failure,
    }
}
