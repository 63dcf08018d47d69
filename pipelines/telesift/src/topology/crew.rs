//! Who runs which stage: this process everything, or several of them a share each.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use telesift_catalog::SqlCatalog;
use telesift_ports::{Leases, leases::SoleLeases};
use telesift_stages::{Crew, WorkerConfig, workers::DutyError};
use tokio_util::sync::CancellationToken;

use crate::{cli::Role, config::Config};

/// What a process takes part in.
#[derive(Clone, Debug)]
pub(crate) struct Roles(BTreeSet<&'static str>);

impl Roles {
    /// Everything.
    pub(crate) fn all() -> Self {
        Roles(Role::EACH.iter().map(|role| role.name()).collect())
    }

    /// Whether that role is among them.
    pub(crate) fn contains(&self, role: &str) -> bool {
        self.0.contains(role)
    }

    /// These.
    pub(crate) fn of(roles: &[Role]) -> Self {
        Roles(roles.iter().map(|role| role.name()).collect())
    }
}

/// The crew of this process, without duties yet.
pub(super) fn of(config: &Config, roles: &Roles, database: &Arc<SqlCatalog>) -> Crew {
    let leases: Arc<dyn Leases> = match config.is_shared() {
        true => database.clone(),
        // The log's directory is locked: nobody else is there.
        false => Arc::new(SoleLeases),
    };
    let worker = WorkerConfig {
        id: worker_id(&config.workers.name),
        roles: roles.0.clone(),
        lease: Duration::from_millis(config.workers.lease_ms),
    };
    Crew::new(worker, leases)
}

/// Runs the crew; a failed stage keeps its type, by which the server decides whether a new process is needed.
pub(super) async fn run(crew: Crew, stop: CancellationToken) -> Result<()> {
    match crew.run(stop).await {
        Ok(()) => Ok(()),
        Err(DutyError::Stage(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

/// Unique to this run: the name of the machine, or the configured one, the process, and a few random digits.
fn worker_id(name: &str) -> String {
    let host = match name {
        "" => std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default(),
        name => name.to_owned(),
    };
    let host = match host.trim() {
        "" => "worker",
        host => host,
    };
    format!(
        "{host}/{}-{:08x}",
        std::process::id(),
        rand::random::<u32>()
    )
}

/// What names the data directory of `spool` among those of others. It is kept beside it, so that a process that starts
/// again goes by the same name.
pub(super) fn spool_id(spool: &Path) -> Result<String> {
    let file = spool.with_extension("id");
    let id = match std::fs::read_to_string(&file) {
        Ok(id) => id,
        Err(_) => {
            let id = uuid::Uuid::new_v4().to_string();
            std::fs::write(&file, &id)
                .with_context(|| format!("cannot write {}", file.display()))?;
            id
        }
    };
    Ok(id.trim().to_owned())
}
