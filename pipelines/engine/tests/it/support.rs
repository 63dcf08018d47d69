//! Chains and records for the tests.

use telesift_engine::{ChainSpec, EngineChain, ModuleSpec};
use telesift_ports::{
    SmartModuleChain,
    chain::{ChainInput, ChainOutcome},
};
use telesift_schemas::{DeadLetterCode, Offset};

pub(crate) fn module(name: &str) -> ModuleSpec {
    ModuleSpec::new(name, telesift_bundle::find(name).unwrap().wasm)
}

/// A guest that does `mode` to records that hold `marker`.
pub(crate) fn misbehave(mode: &str, marker: &str) -> ModuleSpec {
    let mut spec = module("misbehave")
        .with_param("mode", mode)
        .with_param("marker", marker);
    spec.name = format!("misbehave-{mode}");
    spec
}

pub(crate) fn chain(modules: Vec<ModuleSpec>) -> EngineChain {
    EngineChain::new(ChainSpec::new(modules)).unwrap()
}

/// Records with these values, at offsets with gaps.
pub(crate) fn inputs<V: AsRef<[u8]>>(values: &[V]) -> Vec<ChainInput> {
    let input = |(i, value): (usize, &V)| ChainInput {
        offset: Offset(3 * i as u64),
        key: format!("-100{i}").into_bytes().into(),
        value: value.as_ref().to_vec().into(),
    };
    values.iter().enumerate().map(input).collect()
}

pub(crate) fn process(chain: &mut EngineChain, values: &[impl AsRef<[u8]>]) -> Vec<ChainOutcome> {
    chain.process(&inputs(values)).unwrap()
}

pub(crate) fn value(bytes: impl AsRef<[u8]>) -> ChainOutcome {
    ChainOutcome::Value(bytes.as_ref().to_vec().into())
}

/// Module and code of a failure.
pub(crate) fn failure(outcome: &ChainOutcome) -> Option<(&str, DeadLetterCode)> {
    match outcome {
        ChainOutcome::Failed { module, code, .. } => Some((module, *code)),
        _ => None,
    }
}
