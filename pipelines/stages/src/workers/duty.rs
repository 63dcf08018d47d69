//! One duty under one lease: run, prolonged, stopped, given back.

use std::{error::Error, future::Future, pin::Pin, sync::Arc, time::Duration};

use telesift_ports::{
    Leases, catalog,
    imports::ImportError,
    leases::{Fence, Lease, SoleLeases, Term},
    message_store,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::consumer::StageError;

/// What a duty, or a part of one, does.
pub type Work = Pin<Box<dyn Future<Output = Result<(), DutyError>> + Send>>;

/// What may run in one process only.
pub struct Duty {
    pub(super) role: &'static str,
    /// Those it is shared out with; `None`: it lies here, and nobody else would know what to do.
    pub(super) group: Option<&'static str>,
    pub(super) lease: String,
    run: Box<dyn Fn(Held) -> Work + Send + Sync>,
}

/// What a duty is given when its lease was taken.
#[derive(Clone, Debug)]
pub struct Held {
    /// The lease, to be shown to whoever stores an effect.
    pub term: Term,
    /// Once cancelled, the duty is to end in order.
    pub stop: CancellationToken,
}

impl Held {
    /// For a process that is alone: nothing to show, until `stop`.
    pub fn alone(stop: CancellationToken) -> Self {
        Held {
            term: Term::new(Fence::open(), Arc::new(SoleLeases)),
            stop,
        }
    }

    /// The same lease, for something that may end before.
    pub fn child(&self) -> Self {
        Held {
            term: self.term.clone(),
            stop: self.stop.child_token(),
        }
    }

    /// What effects under this lease carry.
    pub fn fence(&self) -> Fence {
        self.term.fence().clone()
    }
}

/// Why a duty ended.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    /// A stage failed.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Imports cannot go on.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Something else failed.
    #[error(transparent)]
    Other(#[from] Box<dyn Error + Send + Sync>),
    /// The lease was lost while the duty ran.
    #[error("the lease `{0}` is lost: another worker may hold it by now")]
    LeaseLost(String),
    /// A duty must run until it is asked to end.
    #[error("`{0}` ended by itself")]
    EndedByItself(String),
    /// A bug.
    #[error("panicked: {0}")]
    Panicked(String),
}

impl DutyError {
    /// Whether another worker goes on, so that nothing is broken.
    pub fn is_handover(&self) -> bool {
        match self {
            DutyError::Stage(e) => e.is_handover(),
            DutyError::Import(e) => matches!(e, ImportError::HandedOver(_)),
            DutyError::LeaseLost(_) => true,
            DutyError::Other(_) | DutyError::EndedByItself(_) | DutyError::Panicked(_) => false,
        }
    }
}

impl From<message_store::Error> for DutyError {
    fn from(error: message_store::Error) -> Self {
        StageError::from(error).into()
    }
}

/// How a duty ended, and under which lease.
pub(super) struct Ended {
    pub(super) lease: String,
    pub(super) outcome: Result<(), DutyError>,
    /// Whether nobody else could have taken it.
    pub(super) is_alone: bool,
}

impl Ended {
    pub(super) fn failed(lease: String, error: DutyError) -> Self {
        Ended {
            lease,
            outcome: Err(error),
            is_alone: false,
        }
    }
}

impl Duty {
    pub(super) fn new<F>(
        role: &'static str,
        group: Option<&'static str>,
        lease: String,
        run: impl Fn(Held) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), DutyError>> + Send + 'static,
    {
        Duty {
            role,
            group,
            lease,
            run: Box::new(move |held| Box::pin(run(held))),
        }
    }
}

/// Runs `duty` under `lease`, asked for at `asked`, until it ends, is asked to, or the lease is lost: then it is dropped
/// where it stands, since nothing it does counts any more.
pub(super) async fn hold(
    duty: Arc<Duty>,
    lease: Lease,
    leases: Arc<dyn Leases>,
    ttl: Duration,
    asked: Instant,
    stop: CancellationToken,
) -> Ended {
    let fence = lease.fence();
    let is_alone = fence.lease().is_none();
    let held = Held {
        term: Term::new(fence, leases.clone()),
        stop: stop.clone(),
    };
    let outcome = tokio::select! {
        biased;
        () = keep(&*leases, &lease, ttl, asked) => Err(DutyError::LeaseLost(lease.name.clone())),
        () = out_of_patience(&stop, ttl) => {
            tracing::warn!(lease = lease.name, "did not end in time, and is left where it stands");
            Ok(())
        }
        outcome = (duty.run)(held) => outcome,
    };
    if let Err(error) = leases.release(&lease).await {
        tracing::debug!(lease = lease.name, %error, "ends when its time is over");
    }
    Ended {
        lease: lease.name,
        outcome,
        is_alone,
    }
}

/// Prolongs the lease for as long as that works; ends when it is lost, or may be: when it could not be prolonged in time.
async fn keep(leases: &dyn Leases, lease: &Lease, ttl: Duration, asked: Instant) {
    let mut ends = asked + ttl;
    loop {
        tokio::time::sleep(ttl / 3).await;
        let now = Instant::now();
        match tokio::time::timeout_at(ends, leases.renew(lease, ttl)).await {
            Ok(Ok(())) => ends = now + ttl,
            Ok(Err(catalog::Error::LeaseLost { .. })) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(lease = lease.name, %error, "the lease is not prolonged yet");
            }
        }
    }
}

async fn out_of_patience(stop: &CancellationToken, limit: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(limit).await;
}

/// Runs several parts of one duty side by side, each as a task of its own; when one fails the others are dropped.
///
/// # Errors
/// That of the first part to fail.
pub async fn together(parts: Vec<Work>) -> Result<(), DutyError> {
    let mut tasks: JoinSet<_> = parts.into_iter().collect();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|panic| Err(DutyError::Panicked(panic.to_string())))?;
    }
    Ok(())
}
