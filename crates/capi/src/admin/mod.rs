//! The Admin API: requests about topics, configurations, records, the cluster and groups, whose results come as events to a queue.
//!
//! Each call checks its arguments, starts a task on the client's driver and returns; the task pushes the result, whatever comes of it.
//!
//! - `objects`: what the objects of this API have in common; [`names`]: names of its numbers
//! - [`options`]: how a request is made; `run`: one that is under way; [`result`]: what comes of it
//! - [`topics`], [`configs`], [`records`], [`describe`], [`groups`], [`group_offsets`]: the requests

pub mod configs;
pub mod describe;
pub mod group_offsets;
pub mod groups;
pub mod names;
mod objects;
pub mod options;
pub mod records;
pub mod result;
mod run;
pub mod topics;

pub(crate) use objects::{Array, c_text, destroyers, getters, lend, taken};
pub(crate) use result::{AdminResult, Items};
pub(crate) use run::{Failure, Requests, Run, Target, Work, launch};
