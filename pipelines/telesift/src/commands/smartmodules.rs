//! `telesift smartmodules`: the SmartModules this binary carries, on a Fluvio cluster.

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};
use telesift_bundle::SmartModule;
use telesift_log_fluvio::{FluvioLog, RegisteredModule};

use super::{block_on_cluster, cluster_log, print};
use crate::cli::{Connection, SmartmodulesAction, SmartmodulesArgs};

pub(crate) fn run(connection: Connection, args: SmartmodulesArgs) -> Result<()> {
    let (SmartmodulesAction::Push(config)
    | SmartmodulesAction::List(config)
    | SmartmodulesAction::Verify(config)) = &args.action;
    let config = cluster_log::config(config)?;
    block_on_cluster(async {
        let log = cluster_log::open(&config).await?;
        if matches!(args.action, SmartmodulesAction::Push(_)) {
            push(&log).await?;
        }
        let compared = compare(&log.smartmodules().await?);
        for (module, state) in &compared {
            show(&connection, module, *state)?;
        }
        let n_off = compared.iter().filter(|(_, s)| *s != State::Same).count();
        match &args.action {
            SmartmodulesAction::List(_) => Ok(()),
            _ if n_off == 0 => Ok(()),
            _ => bail!(
                "{n_off} SmartModules of the cluster are not those of this binary; `telesift smartmodules push` registers them"
            ),
        }
    })
}

/// A module of the binary, beside that of the same name on the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Same,
    Other,
    Absent,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Same => "same",
            State::Other => "other",
            State::Absent => "absent",
        }
    }
}

async fn push(log: &FluvioLog) -> Result<()> {
    for (module, state) in compare(&log.smartmodules().await?) {
        if state != State::Same {
            log.put_smartmodule(module.name, module.wasm).await?;
        }
    }
    Ok(())
}

pub(super) fn compare(registered: &[RegisteredModule]) -> Vec<(&'static SmartModule, State)> {
    let state = |module: &SmartModule| {
        let Some(found) = registered.iter().find(|r| r.name == module.name) else {
            return State::Absent;
        };
        let digest = found
            .wasm
            .as_deref()
            .map(|w| hex::encode(Sha256::digest(w)));
        match digest.as_deref() == Some(module.sha256) {
            true => State::Same,
            false => State::Other,
        }
    };
    let modules = telesift_bundle::ALL.iter();
    modules.map(|module| (module, state(module))).collect()
}

fn show(connection: &Connection, module: &SmartModule, state: State) -> Result<()> {
    if connection.json {
        return print::json(&serde_json::json!({
            "name": module.name, "sha256": module.sha256, "bytes": module.wasm.len(), "cluster": state.as_str(),
        }));
    }
    print::line(format!(
        "{:<14} {:<7} {:>8}  {}",
        module.name,
        state.as_str(),
        module.wasm.len(),
        module.sha256
    ))
}
