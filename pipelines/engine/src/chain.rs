//! The chain: records go through its modules, one after the other, and none is lost on the way.

use bytes::Bytes;
use fluvio_smartengine::SmartEngine;
use telesift_ports::chain::{ChainError, ChainInput, ChainOutcome, SmartModuleChain};

use crate::{ChainSpec, ModuleVersion, module::Module};

/// A [`SmartModuleChain`] on fluvio-smartengine. The modules are compiled once, when it is made (some hundred
/// milliseconds each), and again after a trap.
#[derive(Debug)]
pub struct EngineChain {
    modules: Vec<Module>,
}

impl EngineChain {
    /// Compiles the modules and calls their `init`.
    ///
    /// # Errors
    /// When a module is no SmartModule, or its `init` refuses its params; the error names the module.
    pub fn new(spec: ChainSpec) -> Result<Self, ChainError> {
        let engine = SmartEngine::new();
        let limit = spec.memory_limit_bytes;
        let modules = spec
            .modules
            .into_iter()
            .map(|module| Module::new(engine.clone(), module, limit))
            .collect::<Result<_, _>>()?;
        Ok(EngineChain { modules })
    }

    /// The versions of the modules, in order, for provenance.
    pub fn describe(&self) -> Vec<ModuleVersion> {
        self.modules.iter().map(Module::version).collect()
    }
}

impl SmartModuleChain for EngineChain {
    /// Offsets must ascend, as they do in a partition.
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        let mut outcomes = vec![ChainOutcome::Filtered; inputs.len()];
        let mut live: Vec<Live<'_>> = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| Live {
                index,
                input,
                value: input.value.clone(),
            })
            .collect();
        for module in &mut self.modules {
            live = module.run(live, &mut outcomes)?;
        }
        for Live { index, value, .. } in live {
            outcomes[index] = ChainOutcome::Value(value);
        }
        Ok(outcomes)
    }
}

/// A record that is still in the chain.
#[derive(Clone, Debug)]
pub(crate) struct Live<'a> {
    /// Its place in the inputs.
    pub(crate) index: usize,
    /// What came in.
    pub(crate) input: &'a ChainInput,
    /// What the modules so far have made of it.
    pub(crate) value: Bytes,
}
