//! What Felice does not do: transactions, ACLs, SCRAM users, consumers of share groups and what a mock cluster would do for them. Objects that only hold data work; requests are answered
//! as librdkafka answers for what a broker or a build does not support, so that nobody waits for ever. The reasons stand in `docs/capi.md`.

pub mod acls;
pub mod mock_share;
pub mod scram;
pub mod share;
pub mod transactions;

use crate::admin::options::AdminOptions;
use crate::admin::result::Kind;
use crate::admin::{Failure, Run, Target, launch};
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::queue::QueueRef;
use crate::types::RespErr;
use felice::protocol::messages::MetadataRequest;

/// The error of a call that is not there.
pub(crate) fn error(what: &str) -> *mut ErrorObject {
    ErrorObject::new(RespErr::UNSUPPORTED_FEATURE, format!("{what} not supported in this build")).give()
}

/// Starts a request that ends with "unsupported" once the controller is there, and with the usual error where it is not.
///
/// # Safety
/// As for [`launch`].
pub(crate) unsafe fn refuse(
    rk: *mut Kafka,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
    kind: &'static Kind,
    what: &'static str,
    check: impl FnOnce() -> Result<(), Failure>,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, kind, |run: Run| {
            check()?;
            Ok(Box::pin(async move {
                let nothing = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
                run.ask(Target::Controller, nothing).await?;
                Err(Failure::new(RespErr::UNSUPPORTED_FEATURE, format!("{what} not supported in this build")))
            }))
        });
    }
}
