//! The chains of the rule sets in use: built when a set first screens something, kept while it may screen more.

use std::sync::Arc;

use telesift_ports::{SmartModuleChain, chain::ChainError, rules::RuleSet};

use super::ChainFactory;

/// At a change of rules the old chain and the new one, and one more for a change back soon after.
const MAX_READY: usize = 3;

pub(super) struct Chains {
    factory: ChainFactory,
    /// By the identity of their set, the one used last at the end.
    ready: Vec<(String, Box<dyn SmartModuleChain>)>,
}

impl Chains {
    pub(super) fn new(factory: ChainFactory) -> Self {
        Chains {
            factory,
            ready: Vec::new(),
        }
    }

    /// Whether the chain of that set is ready.
    pub(super) fn has(&self, version: &str) -> bool {
        self.ready.iter().any(|(of, _)| of == version)
    }

    /// Takes the chain of that set, if it is ready.
    pub(super) fn take(&mut self, version: &str) -> Option<Box<dyn SmartModuleChain>> {
        let at = self.ready.iter().position(|(of, _)| of == version)?;
        Some(self.ready.remove(at).1)
    }

    /// Builds the chain of a set on a blocking thread: compiling the modules takes from a tenth of a second to seconds, and
    /// leases must be prolonged meanwhile.
    pub(super) fn build(
        &self,
        set: Arc<RuleSet>,
    ) -> impl Future<Output = Result<Box<dyn SmartModuleChain>, ChainError>> + Send + use<> {
        let factory = self.factory.clone();
        async move {
            let built = tokio::task::spawn_blocking(move || factory(&set)).await;
            built.unwrap_or_else(|_| Err(ChainError("building the chain panicked".to_owned())))
        }
    }

    /// Puts a chain back; the one not used for longest goes if there are too many.
    pub(super) fn put(&mut self, version: String, chain: Box<dyn SmartModuleChain>) {
        if self.ready.len() >= MAX_READY {
            self.ready.remove(0);
        }
        self.ready.push((version, chain));
    }
}
