//! Toy rules under the real keeper.

use std::sync::Arc;

use telesift_ports::{
    RuleReader, SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    memory::{ManualClock, MemoryCatalog, MemoryLog, MemoryRules},
    rules::{InvalidRules, RuleSet, RuleSource},
};
use telesift_stages::decisions::rules::{RulesBook, RulesKeeper};

/// Toy rules; those that ship are what the messages here were screened with.
struct LengthRules;

impl RuleReader for LengthRules {
    fn shipped(&self) -> RuleSet {
        RuleSet {
            version: "length@1+0".into(),
            ..MemoryRules::default().shipped()
        }
    }

    fn read(&self, source: RuleSource<'_>) -> Result<RuleSet, InvalidRules> {
        MemoryRules::default().read(source)
    }

    fn to_toml(&self, data: &str) -> Result<String, InvalidRules> {
        MemoryRules::default().to_toml(data)
    }
}

/// Keeps rules; sets called `refused` are what no SmartModule starts with.
pub(super) async fn keeper(
    log: &Arc<MemoryLog>,
    catalog: &Arc<MemoryCatalog>,
    clock: &Arc<ManualClock>,
) -> RulesKeeper {
    let reader: Arc<dyn RuleReader> = Arc::new(LengthRules);
    let book = RulesBook::load(log.clone(), reader.clone()).await.unwrap();
    RulesKeeper::new(
        Arc::new(book),
        log.clone(),
        catalog.clone(),
        reader,
        Arc::new(|set| match set.name() {
            "refused" => Err(ChainError("module `length`: out of words".into())),
            _ => Ok(Box::new(Passing) as Box<dyn SmartModuleChain>),
        }),
        clock.clone(),
    )
}

/// Lets everything pass.
struct Passing;

impl SmartModuleChain for Passing {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        let value = |input: &ChainInput| ChainOutcome::Value(input.value.clone());
        Ok(inputs.iter().map(value).collect())
    }
}
