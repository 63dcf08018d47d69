//! In-memory implementations of the ports: product code for tests and dry runs. Nothing here survives the process.
