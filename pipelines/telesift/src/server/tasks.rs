//! The parts of a server as tasks: started by name, watched, stopped together.

use std::{
    fmt::Display,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use telesift_api::{Health, HealthCheck};
use telesift_stages::StageError;
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Why a server's run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By a signal.
    Asked,
    /// A SmartModule hangs: only a new process gets rid of it.
    Hung(String),
    /// A part failed in a way no retry mends.
    Failed(anyhow::Error),
}

/// Named tasks that share one stop token.
pub(crate) struct Tasks {
    set: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
    parts: Arc<Parts>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Tasks {
            set: JoinSet::new(),
            stop: CancellationToken::new(),
            parts: Arc::default(),
        }
    }

    /// Starts `task` under `name`; it must end once its token is cancelled.
    pub(crate) fn spawn<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let future = task(self.stop.clone());
        self.set.spawn(async move { (name, future.await) });
    }

    /// The same on another runtime than the caller's.
    pub(crate) fn spawn_on<F>(
        &mut self,
        runtime: &Handle,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let future = task(self.stop.clone());
        let named = async move { (name, future.await) };
        self.set.spawn_on(named, runtime);
    }

    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Has `/readyz` ask `check` each time, which must not block for long.
    pub(crate) fn look_at<E: Display>(
        &self,
        name: &'static str,
        check: impl Fn() -> Result<(), E> + Send + Sync + 'static,
    ) {
        let check = move || match check() {
            Ok(()) => HealthCheck::ok(name),
            Err(failure) => HealthCheck::failed(name, failure.to_string()),
        };
        if let Ok(mut looked_at) = self.parts.looked_at.lock() {
            looked_at.push(Box::new(check));
        }
    }

    /// What `/readyz` asks.
    pub(crate) fn health(&self) -> Arc<dyn Health> {
        self.parts.clone()
    }

    /// Waits until a part fails. Parts that end without being asked to count as failed too.
    pub(crate) async fn first_failure(&mut self) -> Ended {
        let (name, error) = match self.set.join_next().await {
            Some(Ok((name, Ok(())))) => (name, anyhow::anyhow!("ended by itself")),
            Some(Ok((name, Err(error)))) => (name, error),
            Some(Err(panic)) => ("a part", anyhow::anyhow!("panicked: {panic}")),
            None => ("every part", anyhow::anyhow!("ended")),
        };
        self.parts.failed(name, format!("{error:#}"));
        match error.downcast_ref::<StageError>() {
            Some(hung @ StageError::Hung { .. }) => Ended::Hung(hung.to_string()),
            _ => Ended::Failed(error.context(format!("`{name}` stopped"))),
        }
    }

    /// Asks every part to stop; `false` if some did not within `limit`.
    pub(crate) async fn stop(mut self, limit: Duration) -> bool {
        self.stop.cancel();
        let all = async { while self.set.join_next().await.is_some() {} };
        tokio::time::timeout(limit, all).await.is_ok()
    }
}

/// What `/readyz` is told of.
#[derive(Default)]
struct Parts {
    failed: Mutex<Vec<HealthCheck>>,
    looked_at: Mutex<Vec<Box<dyn Fn() -> HealthCheck + Send + Sync>>>,
}

impl Parts {
    fn failed(&self, name: &str, failure: String) {
        if let Ok(mut failed) = self.failed.lock() {
            failed.push(HealthCheck::failed(name, failure));
        }
    }
}

#[async_trait]
impl Health for Parts {
    async fn checks(&self) -> Vec<HealthCheck> {
        let looked_at = self
            .looked_at
            .lock()
            .map(|all| all.iter().map(|c| c()).collect());
        let mut checks: Vec<HealthCheck> = looked_at.unwrap_or_default();
        checks.extend(self.failed.lock().map(|f| f.clone()).unwrap_or_default());
        checks
    }
}
