//! SmartModuleChain on fluvio-smartengine; the only crate that knows wasmtime.
