//! SmartModuleChain on fluvio-smartengine; the only crate that knows wasmtime.
//!
//! Records with true offsets come in, one outcome per record leaves. Each module of a chain is a fluvio-smartengine
//! chain of its own, and the records are handed from one to the next here, as fluvio-smartengine does inside a longer
//! chain. So it is known which module failed on which record, what the modules before it made of the others is kept, and
//! after a trap one module is rebuilt and not all.

mod chain;
mod explain;
mod module;
mod rules;
mod spec;
mod telemetry;

pub use chain::EngineChain;
pub use explain::NativeExplainer;
pub use rules::ShippedRules;
pub use spec::{ChainSpec, ModuleSpec, ModuleVersion};
