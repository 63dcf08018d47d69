//! Rules as versioned data: thresholds, weights and word lists, read from TOML or JSON and checked.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};
use telesift_schemas::ChatId;
use telesift_text::fold;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Factor, factors::TERM_UNITS, lexicon::Lexicon, model, spam::SpamCue};

#[cfg(not(target_arch = "wasm32"))]
mod change;
mod chats;
mod lists;
mod terms;
#[cfg(test)]
mod tests;

#[cfg(not(target_arch = "wasm32"))]
pub use change::Change;
pub(crate) use chats::ChatRules;
pub(crate) use lists::List;
use terms::Terms;

/// Part of the version of every rule set: raised when the code gives other results from the same rules.
const REVISION: u32 = 6;

/// The rules that ship with this version.
const DEFAULT: &str = include_str!(concat!(env!("OUT_DIR"), "/default.json"));

/// A rule set, checked and ready to use.
#[derive(Clone, Debug)]
pub struct Rules {
    version: String,
    set: RuleSet,
    weights: [f64; Factor::COUNT],
    spam_weights: [f64; SpamCue::COUNT],
    lexicon: Lexicon,
    terms: Terms,
    everywhere: ChatRules,
    chats: HashMap<ChatId, ChatRules>,
}

/// A rule set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RuleError {
    /// The line of the file it is about, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// The data of a rule set. What a set of one's own leaves out is that of the default rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSet {
    name: String,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bias: Option<f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    thresholds: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    weights: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spam: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lexicons: BTreeMap<String, Vec<String>>,
    /// Weights of single words, in logits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    terms: BTreeMap<String, f64>,
    /// What is different in a chat, by its id: `bias` and thresholds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    chats: BTreeMap<String, BTreeMap<String, f64>>,
}

/// Scores and probabilities at which something holds.
const THRESHOLDS: [&str; 3] = ["weak_signal", "signal", "spam"];

impl Default for Rules {
    /// The rules that ship.
    fn default() -> Self {
        static SHIPPED: OnceLock<Rules> = OnceLock::new();
        let shipped = || {
            let set = default_set().clone();
            Rules::check(set, DEFAULT).expect("the shipped rules are tested")
        };
        SHIPPED.get_or_init(shipped).clone()
    }
}

/// The weights that ship, which the n-grams were learned with.
pub(crate) struct Shipped {
    pub(crate) bias: f64,
    pub(crate) weights: [f64; Factor::COUNT],
}

pub(crate) fn shipped() -> &'static Shipped {
    static SHIPPED: OnceLock<Shipped> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let set = default_set();
        Shipped {
            bias: set.bias.unwrap_or_default(),
            weights: std::array::from_fn(|i| set.weights[Factor::ALL[i].name()]),
        }
    })
}

fn default_set() -> &'static RuleSet {
    static SET: OnceLock<RuleSet> = OnceLock::new();
    SET.get_or_init(|| serde_json::from_str(DEFAULT).expect("the shipped rules are tested"))
}

impl Rules {
    /// Reads a rule set in JSON, as [`to_json`](Self::to_json) writes it. A set may leave out what it shares with the
    /// default rules; a list it has replaces the whole list of that name.
    ///
    /// # Errors
    /// When it is not JSON, holds an unknown key, a number out of range or a word that can never match.
    pub fn from_json(json: &str) -> Result<Self, RuleError> {
        let set = serde_json::from_str(json).map_err(|error| RuleError {
            line: Some(error.line()).filter(|line| *line > 0),
            reason: error.to_string(),
        })?;
        Self::check(set, json)
    }

    /// Reads a rule set in TOML, the form people write.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn from_toml(text: &str) -> Result<Self, RuleError> {
        let set = toml::from_str(text).map_err(|error| RuleError {
            line: error
                .span()
                .map(|span| 1 + text[..span.start].matches('\n').count()),
            reason: error.message().to_owned(),
        })?;
        Self::check(set, text)
    }

    /// The whole rule set as JSON, in one spelling: what the guest's param `rules` takes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.set).expect("maps of texts and finite numbers are JSON")
    }

    /// `name@version+hash`; the hash is over the data and over the revision of the code that reads it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// At or above this score a message is `weak_signal`.
    pub fn weak_signal_from(&self) -> f64 {
        self.set.thresholds["weak_signal"]
    }

    /// At or above this score a message is `signal`.
    pub fn signal_from(&self) -> f64 {
        self.set.thresholds["signal"]
    }

    /// At or above this probability a message is flagged as spam.
    pub fn spam_from(&self) -> f64 {
        self.set.thresholds["spam"]
    }

    /// What holds in the chat.
    pub(crate) fn chat(&self, chat: Option<ChatId>) -> ChatRules {
        let own = chat.and_then(|chat| self.chats.get(&chat));
        own.copied().unwrap_or(self.everywhere)
    }

    /// What is added to the logit of every message of the chat.
    pub fn chat_bias(&self, chat: ChatId) -> f64 {
        self.chat(Some(chat)).bias
    }

    /// What a folded word adds by the rules' own terms, in logits.
    pub fn term(&self, word: &str) -> f64 {
        self.term_weight(word).unwrap_or(0) as f64 / TERM_UNITS
    }

    /// The weight of a folded word by the rules' own terms, in ten-thousandths of a logit.
    pub(crate) fn term_weight(&self, word: &str) -> Option<i64> {
        self.terms.weight(word)
    }

    /// What every message starts with, in logits.
    pub fn bias(&self) -> f64 {
        self.set.bias.unwrap_or_default()
    }

    /// Logits per unit of the factor's value.
    pub fn weight(&self, factor: Factor) -> f64 {
        self.weights[factor as usize]
    }

    /// What every message starts with in the judgement on spam, in logits.
    pub fn spam_bias(&self) -> f64 {
        self.set.spam["bias"]
    }

    /// Logits per unit of the cue's value.
    pub fn spam_weight(&self, cue: SpamCue) -> f64 {
        self.spam_weights[cue as usize]
    }

    pub(crate) fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    fn check(set: RuleSet, text: &str) -> Result<Self, RuleError> {
        let blame = |key: &str, reason: String| RuleError {
            line: line_of(text, key),
            reason,
        };
        check_data(&set).map_err(|(key, reason)| blame(&key, reason))?;
        let set = set.over(default_set());
        let (weak, signal) = (set.thresholds["weak_signal"], set.thresholds["signal"]);
        if weak > signal {
            let reason = format!("threshold `weak_signal` ({weak}) is above `signal` ({signal})");
            return Err(blame("weak_signal", reason));
        }
        let entries = || {
            List::ALL.iter().flat_map(|list| {
                let words = set.lexicons.get(list.name()).into_iter().flatten();
                words.map(move |word| (*list as usize, folded(word)))
            })
        };
        let entries: Vec<(usize, String)> = entries().collect();
        Ok(Rules {
            version: set.version_text(),
            weights: std::array::from_fn(|i| set.weights[Factor::ALL[i].name()]),
            spam_weights: std::array::from_fn(|i| set.spam[SpamCue::ALL[i].name()]),
            terms: Terms::new(&set.terms),
            everywhere: ChatRules::everywhere(&set.thresholds),
            chats: chats::read(&set.chats, &set.thresholds)
                .map_err(|(key, reason)| blame(&key, reason))?,
            lexicon: Lexicon::new(entries.iter().map(|(list, word)| (*list, word.as_str()))),
            set,
        })
    }
}

impl RuleSet {
    /// This set, with what it leaves out taken from `base`.
    fn over(mut self, base: &RuleSet) -> Self {
        fn fill<T: Clone>(map: &mut BTreeMap<String, T>, base: &BTreeMap<String, T>) {
            for (key, value) in base {
                map.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        self.bias = self.bias.or(base.bias);
        fill(&mut self.thresholds, &base.thresholds);
        fill(&mut self.weights, &base.weights);
        fill(&mut self.spam, &base.spam);
        fill(&mut self.lexicons, &base.lexicons);
        self
    }

    fn version_text(&self) -> String {
        let data = (
            REVISION,
            &self.bias,
            &self.thresholds,
            &self.weights,
            &self.spam,
            &self.lexicons,
            &self.terms,
            &self.chats,
            model::digest(),
        );
        let bytes = serde_json::to_vec(&data).expect("maps of texts and finite numbers are JSON");
        let hash = xxh3_64(&bytes) >> 32;
        format!("{}@{}+{hash:08x}", self.name, self.version)
    }
}

/// Checks each value by itself; an error is the key to blame and the reason.
fn check_data(set: &RuleSet) -> Result<(), (String, String)> {
    let bad = |key: &str, reason: String| Err((key.to_owned(), reason));
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if set.name.is_empty() || !set.name.chars().all(is_name) {
        return bad(
            "name",
            format!("`{}` is no name of a-z, 0-9, - and _", set.name),
        );
    }
    let numbers = set
        .weights
        .iter()
        .chain(&set.spam)
        .map(|(k, v)| (k.as_str(), *v));
    for (key, value) in numbers.chain(set.bias.map(|bias| ("bias", bias))) {
        if !(-20.0..=20.0).contains(&value) {
            return bad(
                key,
                format!("`{key}` is {value}; it must be from -20 to 20"),
            );
        }
    }
    for (key, value) in &set.thresholds {
        if !THRESHOLDS.contains(&key.as_str()) {
            return bad(key, format!("there is no threshold `{key}`"));
        }
        if !(0.0..=1.0).contains(value) {
            return bad(
                key,
                format!("threshold `{key}` is {value}; it must be from 0 to 1"),
            );
        }
    }
    if let Some(key) = set
        .weights
        .keys()
        .find(|k| !Factor::ALL.iter().any(|f| f.name() == *k))
    {
        return bad(key, format!("there is no factor `{key}`"));
    }
    let is_cue = |key: &str| key == "bias" || SpamCue::ALL.iter().any(|c| c.name() == key);
    if let Some(key) = set.spam.keys().find(|k| !is_cue(k)) {
        return bad(key, format!("there is no cue of spam `{key}`"));
    }
    for (key, weight) in &set.terms {
        if !is_entry(key) {
            return bad(key, format!("term `{key}` is no single word"));
        }
        if !(-20.0..=20.0).contains(weight) {
            return bad(
                key,
                format!("term `{key}` is {weight}; it must be from -20 to 20"),
            );
        }
    }
    for (key, words) in &set.lexicons {
        if !List::ALL.iter().any(|list| list.name() == key) {
            return bad(key, format!("there is no word list `{key}`"));
        }
        if let Some(word) = words.iter().find(|word| !is_entry(word)) {
            return bad(
                word,
                format!("word list `{key}`: `{word}` is no single word"),
            );
        }
    }
    Ok(())
}

/// Whether a word can match the entry: a single word, `*` at its end at most.
fn is_entry(entry: &str) -> bool {
    let word = entry.strip_suffix('*').unwrap_or(entry);
    !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c == '*')
}

/// The line where `key` first stands in `text`, from 1.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let at = text.match_indices(key).map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + key.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })?;
    Some(1 + text[..at].matches('\n').count())
}

fn folded(entry: &str) -> String {
    match entry.strip_suffix('*') {
        Some(beginning) => fold(beginning) + "*",
        None => fold(entry),
    }
}
