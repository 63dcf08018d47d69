//! The SmartModules of this tree, compiled to wasm and carried in the binary.
