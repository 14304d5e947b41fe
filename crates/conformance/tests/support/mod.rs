//! What the conformance tests share: asking whether to run, and skipping visibly.

use felice_conformance::{Extent, Failure, wanted};

/// The value, or `None` with a visible line when the machine lacks something.
///
/// # Panics
/// When it was tried and failed.
pub(crate) fn unless_skipped<T>(test: &str, result: Result<T, Failure>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Failure::Skip(skip)) => {
            skip.announce(test);
            None
        }
        Err(Failure::Failed(error)) => panic!("{test}: {error:#}"),
    }
}

/// How much was asked for; `None` with a visible line when nothing was.
pub(crate) fn asked_for(test: &str) -> Option<Extent> {
    unless_skipped(test, wanted().map_err(Failure::from))
}
