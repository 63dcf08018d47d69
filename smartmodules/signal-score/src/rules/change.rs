//! Rule sets made from others, and written the way people write them.

use std::collections::BTreeMap;

use telesift_schemas::ChatId;

use super::{RuleError, RuleSet, Rules, default_set};
use crate::Factor;

/// What is to be different in a rule set; all else stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// The intercept, in logits.
    pub bias: Option<f64>,
    /// The score from which a message is `signal`.
    pub signal_from: Option<f64>,
    /// Logits per unit of a factor's value.
    pub weights: Vec<(Factor, f64)>,
    /// Logits of single words.
    pub terms: Vec<(String, f64)>,
    /// Logits added in a chat.
    pub chats: Vec<(ChatId, f64)>,
}

impl Rules {
    /// The name of the set.
    pub fn name(&self) -> &str {
        &self.set.name
    }

    /// The set with `change`, as the next version of it.
    ///
    /// # Errors
    /// When a number of the change is out of range or a term can never match.
    pub fn with(&self, change: &Change) -> Result<Rules, RuleError> {
        let mut set = self.set.clone();
        set.version += 1;
        set.bias = change.bias.or(set.bias);
        if let Some(signal) = change.signal_from {
            set.thresholds.insert("signal".to_owned(), signal);
        }
        let weights = change
            .weights
            .iter()
            .map(|(f, w)| (f.name().to_owned(), *w));
        set.weights.extend(weights);
        set.terms.extend(change.terms.iter().cloned());
        for (chat, bias) in &change.chats {
            let own = set.chats.entry(chat.to_string()).or_default();
            own.insert("bias".to_owned(), *bias);
        }
        let json = serde_json::to_string(&set).expect("maps of texts and finite numbers are JSON");
        Rules::check(set, &json)
    }

    /// The rule set as TOML, but for what is that of the default rules.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.set.but(default_set())).expect("maps of texts and numbers are TOML")
    }
}

impl RuleSet {
    /// This set without what it shares with `base`.
    fn but(&self, base: &RuleSet) -> RuleSet {
        fn rest<T: Clone + PartialEq>(
            map: &BTreeMap<String, T>,
            base: &BTreeMap<String, T>,
        ) -> BTreeMap<String, T> {
            let differs = |(key, value): &(&String, &T)| base.get(*key) != Some(*value);
            let own = map.iter().filter(differs);
            own.map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        }
        RuleSet {
            name: self.name.clone(),
            version: self.version,
            bias: self.bias.filter(|bias| Some(*bias) != base.bias),
            thresholds: rest(&self.thresholds, &base.thresholds),
            weights: rest(&self.weights, &base.weights),
            spam: rest(&self.spam, &base.spam),
            lexicons: rest(&self.lexicons, &base.lexicons),
            terms: rest(&self.terms, &base.terms),
            chats: rest(&self.chats, &base.chats),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_set_is_the_next_version_and_reads_what_it_writes() {
        let change = Change {
            signal_from: Some(0.9),
            weights: vec![(Factor::Tech, 0.25)],
            terms: vec![("деплой*".to_owned(), 0.5)],
            chats: vec![(ChatId(-1001234567890), -1.5)],
            ..Change::default()
        };
        let changed = Rules::default().with(&change).unwrap();
        assert!(changed.version().starts_with("default@2+"));
        assert_eq!(changed.weight(Factor::Tech), 0.25);
        assert_eq!(changed.chat(Some(ChatId(-1001234567890))).bias, -1.5);
        let toml = changed.to_toml();
        assert!(toml.lines().count() < 20, "only what differs: {toml}");
        assert_eq!(
            Rules::from_toml(&toml).unwrap().version(),
            changed.version()
        );
    }

    #[test]
    fn a_change_out_of_range_is_refused() {
        let change = Change {
            terms: vec![("two words".to_owned(), 0.5)],
            ..Change::default()
        };
        assert!(Rules::default().with(&change).is_err());
    }
}
