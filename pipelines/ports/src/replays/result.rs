//! What a dry run of `screen` finds: changes, samples, cost, and how either rule set does against the labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telesift_schemas::{Class, MessageKey, Origin};

mod labels;
mod reading;

pub use labels::{Confusion, LabelCounts, Quality, SpamCounts};
pub use reading::Reading;

/// The same of the rules compared with and of the new ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin<T> {
    /// Under the rules compared with.
    pub base: T,
    /// Under the new rules.
    pub new: T,
}

impl<T> Twin<T> {
    /// The same question to both.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Twin<U> {
        Twin {
            base: f(self.base),
            new: f(self.new),
        }
    }

    /// Both by reference.
    pub fn as_ref(&self) -> Twin<&T> {
        Twin {
            base: &self.base,
            new: &self.new,
        }
    }
}

/// Counts of a dry run; a sum over the records passed, so that it does not depend on how the range was cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScreenDiff {
    /// What became of each offset.
    pub ledger: ReplayLedger,
    /// Messages judged alike to the last bit: class, score, factors and flags.
    pub identical: u64,
    /// Messages per change: `noise->signal` and its like by class, `ham->spam` and `spam->ham` by flag.
    pub diff: BTreeMap<String, u64>,
    /// What would go on to enrichment.
    pub cost: Twin<Passing>,
    /// Both rule sets against the labels there are.
    pub labels: LabelCounts,
    /// Of a replay of `extract`: what is asked for, and what that costs at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
}

/// Conservation: `received = judged + skipped + failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayLedger {
    /// Offsets passed.
    pub received: u64,
    /// Message versions that both rule sets judged.
    pub judged: u64,
    /// Offsets without a message, by reason; `evicted` and its like are gaps of the log.
    pub skipped: BTreeMap<String, u64>,
    /// Records a chain failed on, by the code of the dead letter they would become.
    pub failed: BTreeMap<String, u64>,
}

impl ReplayLedger {
    /// Counts `n` offsets skipped for `reason`.
    pub fn skip(&mut self, reason: &str, n: u64) {
        self.received += n;
        *self.skipped.entry(reason.to_owned()).or_default() += n;
    }

    /// Counts one record a chain failed on.
    pub fn fail(&mut self, code: &str) {
        self.received += 1;
        *self.failed.entry(code.to_owned()).or_default() += 1;
    }

    /// Whether every offset is accounted for.
    pub fn is_conserved(&self) -> bool {
        let sum = |map: &BTreeMap<String, u64>| map.values().sum::<u64>();
        self.received == self.judged + sum(&self.skipped) + sum(&self.failed)
    }
}

/// Message versions that pass the noise filter, and how much text they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passing {
    /// Message versions.
    pub messages: u64,
    /// Unicode characters of their texts.
    pub characters: u64,
    /// By [`estimated_tokens`].
    pub estimated_tokens: u64,
}

impl Passing {
    /// Counts one message.
    pub fn add(&mut self, text: &str) {
        self.messages += 1;
        self.characters += text.chars().count() as u64;
        self.estimated_tokens += estimated_tokens(text);
    }
}

/// About how many tokens a language model makes of `text`: one per 4 ASCII characters and one per 2 others, rounded up.
///
/// Source: the providers' rule of thumb of 4 characters per token for English; byte-pair vocabularies trained mostly on
/// English need about twice as many for Cyrillic. An order of cost, not a bill: real counts differ by a third either way.
pub fn estimated_tokens(text: &str) -> u64 {
    let (mut n_ascii, mut n_other) = (0u64, 0u64);
    for c in text.chars() {
        *(if c.is_ascii() {
            &mut n_ascii
        } else {
            &mut n_other
        }) += 1;
    }
    (n_ascii + 2 * n_other).div_ceil(4)
}

/// Samples per change, named as in [`ScreenDiff::diff`].
pub type Samples = BTreeMap<String, Vec<Sample>>;

/// A message that the two rule sets judge differently. Its text is not kept here: it is looked up when the sample is shown,
/// so that what was erased since is not shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The message.
    pub message: MessageKey,
    /// Its edit, as in [`telesift_schemas::Message::edit`].
    pub edit: i64,
    /// The raw record it came from.
    pub origin: Origin,
    /// The judgement of the rules compared with.
    pub base: Verdict,
    /// The judgement of the new rules.
    pub new: Verdict,
    /// Factors whose contribution changed, the greatest change first; a few.
    pub factors: Vec<FactorChange>,
}

/// What one rule set says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its class.
    pub class: Class,
    /// 0..1.
    pub score: f64,
    /// Whether it is flagged as spam.
    pub spam: bool,
}

/// One factor under both rule sets, in logits; 0 where it did not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactorChange {
    /// Its name.
    pub name: String,
    /// Contribution under the rules compared with.
    pub base: f64,
    /// Contribution under the new rules.
    pub new: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_estimated_by_script() {
        assert_eq!(estimated_tokens(""), 0);
        assert_eq!(estimated_tokens("ok"), 1);
        assert_eq!(estimated_tokens("deploy at noon!!"), 4);
        assert_eq!(estimated_tokens("деплой о полудні"), 8);
    }

    #[test]
    fn a_ledger_tells_when_an_offset_is_lost() {
        let mut ledger = ReplayLedger::default();
        ledger.skip("evicted", 3);
        ledger.fail("guest_trap");
        assert!(ledger.is_conserved());
        ledger.received += 1;
        assert!(!ledger.is_conserved());
    }
}
