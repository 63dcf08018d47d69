//! SmartModule misbehave: passes records on, and fails on those that hold its marker; for tests only.

#[cfg(target_arch = "wasm32")]
mod guest;
