//! Calls that a group's coordinator answers: find it, ask it, and ask again where it has moved or is still loading.

use std::marker::PhantomData;
use std::time::Duration;

use felice_client_core::backoff::Backoff;
pub use felice_client_core::client::CallTarget;
use felice_client_core::client::{CallOptions, decode_answer};
use felice_client_core::connection::EncodeRequest;
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, Request, encode_request};
use felice_protocol::primitives::{EncodeError, Frame};

use super::check;
use crate::client::{Client, seed};
use crate::clock;

/// A request whose fields depend on the version that both sides know.
pub(crate) struct ByVersion<R, F> {
    build: F,
    max_version: i16,
    of: PhantomData<fn() -> R>,
}

impl<R: Request, F: Fn(i16) -> R + Send> ByVersion<R, F> {
    pub(super) fn new(build: F) -> Self {
        Self { build, max_version: R::MAX_VERSION, of: PhantomData }
    }

    /// In this version or a lower one.
    pub(crate) fn up_to(build: F, max_version: i16) -> Self {
        Self { max_version: max_version.min(R::MAX_VERSION), ..Self::new(build) }
    }
}

impl<R: Request, F: Fn(i16) -> R + Send> EncodeRequest for ByVersion<R, F> {
    fn api(&self) -> (ApiKey, i16, i16) {
        (R::API_KEY, R::MIN_VERSION, self.max_version)
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        encode_request(correlation_id, Some(client_id), version, &(self.build)(version))
    }
}

/// The broker that coordinates a group.
async fn find(client: &Client, group: &str, timeout: Duration) -> Result<i32, Error> {
    let key = group.to_owned();
    let request = ByVersion::new(move |version| match version {
        ..4 => FindCoordinatorRequest { key: key.as_str().into(), ..Default::default() },
        4.. => FindCoordinatorRequest { coordinator_keys: vec![key.as_str().into()], ..Default::default() },
    });
    let options = CallOptions { timeout, ..client.options(CallTarget::Any) };
    let response: FindCoordinatorResponse =
        decode_answer::<FindCoordinatorRequest>(client.call_encoded(Box::new(request), options).await?)?;
    let (code, message, node) = match response.coordinators.into_iter().next() {
        Some(found) => (found.error_code, found.error_message, found.node_id),
        None => (response.error_code, response.error_message, response.node_id),
    };
    check(code, message.as_deref())?;
    Ok(node)
}

/// Whether the answer says: not this broker, or not yet.
fn is_elsewhere(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_COORDINATOR
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::UNKNOWN_LEADER_EPOCH
    )
}

/// Sends a request to the group's coordinator, until one takes it or `default.api.timeout.ms` is over. `code` names the answer's error that
/// decides about that.
pub(super) async fn ask<R, F>(
    client: &Client,
    group: &str,
    max_version: i16,
    build: F,
    code: impl Fn(&R::Response) -> ErrorCode,
) -> Result<R::Response, Error>
where
    R: Request + Send + 'static,
    F: Fn(i16) -> R + Send + Clone + 'static,
{
    let all = client.options(CallTarget::Any).timeout;
    let deadline = clock::instant() + all;
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), seed());
    loop {
        let left = clock::until(deadline);
        let answer = match find(client, group, left).await {
            Ok(node) => {
                let options =
                    CallOptions { timeout: clock::until(deadline), ..client.options(CallTarget::Broker(node)) };
                let request = Box::new(ByVersion::up_to(build.clone(), max_version));
                decode_answer::<R>(client.call_encoded(request, options).await?)
            }
            Err(error) => Err(error),
        };
        let again = match &answer {
            Ok(response) => Some(code(response)).filter(|code| is_elsewhere(*code)),
            Err(error) => error.code().filter(|code| is_elsewhere(*code)),
        };
        let Some(code) = again else { return answer };
        let pause = backoff.next();
        if clock::instant() + pause >= deadline {
            let seconds = all.as_secs_f32();
            let last = Error::from_code(code, None);
            return Err(Error::new(
                ErrorKind::Timeout,
                format!("no coordinator of group {group:?} in {seconds} s; last: {last}"),
            )
            .code_of(code)
            .caused_by(last));
        }
        client.driver().timeout(pause, std::future::pending::<()>()).await;
    }
}

/// Sends a request, whose fields may depend on the version, in `max_version` or a lower one, and waits so long for its answer.
///
/// # Errors
/// Where no answer came in time.
pub async fn call<R, F>(
    client: &Client,
    target: CallTarget,
    timeout: Duration,
    max_version: i16,
    build: F,
) -> Result<R::Response, Error>
where
    R: Request + Send + 'static,
    F: Fn(i16) -> R + Send + 'static,
{
    let options = CallOptions { target, timeout, retry: true, fail_fast: false };
    decode_answer::<R>(client.call_encoded(Box::new(ByVersion::up_to(build, max_version)), options).await?)
}
