//! What a replay of `extract` comes to: conversations to be asked for, and what that costs.

use serde::{Deserialize, Serialize};
use telesift_schemas::Usage;

use crate::extractor::Answers;

/// Units that are asked for anew, by where their answers come from; of a dry run, that would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// All of them.
    pub units: u64,
    /// Those that need a call.
    pub calls: u64,
    /// Those whose answer was asked for before and kept.
    pub kept: u64,
    /// What the calls cost at most: tokens of texts are estimated, those of answers limited.
    pub most: Usage,
}

impl Reading {
    /// Counts a unit.
    pub fn add(&mut self, from: Answers) {
        self.units += 1;
        match from {
            Answers::Rules => {}
            Answers::Kept => self.kept += 1,
            Answers::Call(most) => {
                self.calls += 1;
                self.most.tokens_in += most.tokens_in;
                self.most.tokens_out += most.tokens_out;
                self.most.micro_usd += most.micro_usd;
            }
        }
    }
}
