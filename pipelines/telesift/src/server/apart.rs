//! Threads of their own for what must answer while the stages work: a batch that keeps every thread of theirs busy for
//! milliseconds keeps nobody waiting.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime that ends when it is dropped, without waiting for what still runs there.
pub(crate) struct Apart {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Apart {
    /// As many threads as the machine has cores, named `name`.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name(name)
            .enable_all()
            .build();
        let runtime = runtime.with_context(|| format!("cannot start the threads of `{name}`"))?;
        Ok(Apart {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn it_works_while_every_other_thread_is_held() {
        let apart = Apart::new("apart").unwrap();
        let (answer, answered) = mpsc::channel();
        let handle = apart.handle().clone();
        // Holds the only thread until the other runtime has answered.
        let held = tokio::spawn(async move {
            handle.spawn(async move { answer.send(()) });
            answered.recv_timeout(Duration::from_secs(60))
        });
        held.await.unwrap().unwrap();
    }
}
