//! The SmartModules of this tree, compiled to wasm and carried in the binary.

/// A compiled SmartModule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmartModule {
    /// Its name in chains, commands and on a cluster.
    pub name: &'static str,
    /// The module.
    pub wasm: &'static [u8],
    /// SHA-256 of `wasm`, in lower-case hexadecimal: what `fluvio smartmodule` users can compare.
    pub sha256: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// The SmartModule called `name`.
pub fn find(name: &str) -> Option<&'static SmartModule> {
    ALL.iter().find(|module| module.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_smartmodule_of_the_product_is_there() {
        for name in ["normalize", "signal-score", "noise-filter"] {
            let module = find(name).unwrap();
            assert!(module.wasm.starts_with(b"\0asm"), "{name} is no wasm");
            assert_eq!(module.sha256.len(), 64);
        }
        assert_eq!(NORMALIZE, find("normalize").unwrap().wasm);
    }

    #[test]
    fn guests_are_small_enough_to_carry() {
        for module in ALL {
            assert!(
                module.wasm.len() < 2_000_000,
                "{}: {} bytes",
                module.name,
                module.wasm.len()
            );
        }
    }

    #[test]
    fn guests_hold_no_path_of_the_machine_that_built_them() {
        let home = env!("CARGO_MANIFEST_DIR")
            .split('/')
            .take(3)
            .collect::<Vec<_>>()
            .join("/");
        for module in ALL {
            let found = module
                .wasm
                .windows(home.len())
                .any(|w| w == home.as_bytes());
            assert!(!found, "{} holds {home}", module.name);
        }
    }
}
