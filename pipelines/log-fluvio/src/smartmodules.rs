//! SmartModules registered on the cluster, for reads with Fluvio's own tools.

use fluvio::metadata::smartmodule::{SmartModuleSpec, SmartModuleWasm};
use telesift_ports::record_log::Result;

use crate::{FluvioLog, error::unavailable};

/// A SmartModule on the cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisteredModule {
    /// Its name there.
    pub name: String,
    /// Its code. Absent if the cluster tells the size only.
    pub wasm: Option<Vec<u8>>,
}

impl FluvioLog {
    /// Registers `wasm` as `name`, in the place of what was registered under that name.
    ///
    /// # Errors
    /// If the cluster cannot be reached or refuses it.
    pub async fn put_smartmodule(&self, name: &str, wasm: &[u8]) -> Result<()> {
        let wasm = SmartModuleWasm::from_raw_wasm_bytes(wasm).map_err(unavailable)?;
        let spec = SmartModuleSpec {
            wasm,
            ..SmartModuleSpec::default()
        };
        self.cluster().put_smartmodule(name, &spec).await
    }

    /// What is registered, by name.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub async fn smartmodules(&self) -> Result<Vec<RegisteredModule>> {
        let mut found: Vec<RegisteredModule> = self
            .cluster()
            .smartmodules()
            .await?
            .into_iter()
            .map(|module| RegisteredModule {
                name: module.name,
                wasm: module
                    .spec
                    .wasm
                    .as_raw_wasm()
                    .ok()
                    .filter(|w| !w.is_empty()),
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}
