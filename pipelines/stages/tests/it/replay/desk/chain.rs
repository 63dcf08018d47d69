//! A chain whose records say how they want to be scored.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use telesift_ports::{
    SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
};
use telesift_schemas::DeadLetterCode;

/// Called before each batch, with the number of batches before it.
pub(super) type OnBatch = Arc<dyn Fn(usize) + Send + Sync>;

/// A chain that takes each record's word for its score, and cuts it into classes by its rules.
pub(super) struct Cutter {
    pub(super) rules: Value,
    pub(super) on_batch: Option<OnBatch>,
    pub(super) n_batches: usize,
}

impl SmartModuleChain for Cutter {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        if let Some(on_batch) = &self.on_batch {
            on_batch(self.n_batches);
        }
        self.n_batches += 1;
        Ok(inputs.iter().map(|i| self.outcome(&i.value)).collect())
    }
}

impl Cutter {
    fn outcome(&self, value: &Bytes) -> ChainOutcome {
        match value.as_ref() {
            b"filter" => return ChainOutcome::Filtered,
            b"trap" => {
                return ChainOutcome::Failed {
                    module: "cutter".into(),
                    code: DeadLetterCode::GuestTrap,
                    message: "as told".into(),
                };
            }
            b"hang" => loop {
                std::thread::park();
            },
            _ => {}
        }
        let Ok(mut message) = serde_json::from_slice::<Value>(value) else {
            return ChainOutcome::Value(value.clone());
        };
        if let Some(score) = message["wants"].as_f64() {
            message["screen"] = self.screen(score);
        }
        ChainOutcome::Value(message.to_string().into())
    }

    fn screen(&self, score: f64) -> Value {
        let is_over = |name: &str| score >= self.rules[name].as_f64().unwrap();
        let class = match (is_over("weak"), is_over("signal")) {
            (_, true) => "signal",
            (true, false) => "weak_signal",
            (false, false) => "noise",
        };
        let cut = ["noise", "weak_signal", "signal"]
            .iter()
            .position(|c| *c == class);
        json!({"class": class, "score": score, "factors": {"cut": cut}, "flags": [], "rules": "r"})
    }
}
