//! One file per subcommand.

pub(crate) mod atoms;
pub(crate) mod audit;
pub(crate) mod bots;
pub(crate) mod chats;
mod cluster_log;
pub(crate) mod costs;
pub(crate) mod dead_letters;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod feedback;
mod filters;
pub(crate) mod gaps;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod pipelines;
mod print;
pub(crate) mod providers;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod smartmodules;
pub(crate) mod story;
pub(crate) mod subjects;
pub(crate) mod tail;
pub(crate) mod topics;
pub(crate) mod windows;

use std::future::Future;

use anyhow::{Context, Result};

/// A cluster tool's runtime: connections to a cluster are served by more than one thread.
fn block_on_cluster<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(future)
}

/// Runs a client command on a small runtime.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(future)
}
