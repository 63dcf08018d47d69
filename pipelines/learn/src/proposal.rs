//! `rules learn`: the labels of a deployment and its rules come in; a proposed next version and its measured effect leave.
//!
//! What is learned is what a person can read and change: weights of factors, weights of single words, an offset per chat,
//! and the score from which a message is signal. Everything is held near the rules in force, so that few labels change
//! little; the effect is measured on labels that each version had not seen.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use telesift_schemas::{ChatId, Class};
use telesift_signal_score::{Change, Factor, MessageView, RuleError, Rules, Scored, features};

use crate::{
    fit::{Example, Fitted, Options, fit, sigmoid},
    folds::fold_of,
    labels::Labelled,
    metrics::{Binary, ClassFigures, Confusion, mean_and_interval},
};

/// A next version of the rules, and what it would do.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The proposed set.
    pub rules: Rules,
    /// What changed, for people.
    pub change: Change,
    /// The measured effect.
    pub effect: Effect,
}

/// The rules in force and the proposed way of learning, on labels neither was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Labels used.
    pub n: u64,
    /// The rules in force.
    pub before: Figures,
    /// What is learned from the other folds.
    pub after: Figures,
    /// Gain in mean F1 per fold: mean, and half the width of its 95 % interval.
    pub gain: (f64, f64),
    /// Labels per chat, with the share called right before and after.
    pub chats: BTreeMap<String, ChatEffect>,
}

/// Figures of one version.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The share called right.
    pub accuracy: f64,
    /// The mean F1 of the classes that occur.
    pub macro_f1: f64,
    /// What is not noise: precision, recall, F1.
    pub kept: ClassFigures,
    /// Truth and call.
    pub confusion: Confusion,
}

/// The effect in a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ChatEffect {
    /// Labels.
    pub n: u64,
    /// The share called right before.
    pub before: f64,
    /// The share called right after.
    pub after: f64,
}

/// Why nothing can be learned.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// Too few labels.
    #[error("{n} labelled messages are too few to learn from; label at least {MIN_LABELS}")]
    TooFew {
        /// How many there are.
        n: usize,
    },
    /// All of one class.
    #[error("all labels are of one class; label some of another, too")]
    OneClass,
    /// What was learned makes no rule set.
    #[error("what was learned makes no rule set: {0}")]
    Rules(#[from] RuleError),
}

/// Fewest labels to learn from.
pub const MIN_LABELS: usize = 30;
/// A word must occur in so many labelled messages to get a weight.
const MIN_TERM_MESSAGES: usize = 4;
/// Most words that get a weight.
const MAX_TERMS: usize = 60;
/// A chat must have so many labels to get an offset.
const MIN_CHAT_LABELS: usize = 10;
/// Folds of the measurement.
const N_FOLDS: u64 = 5;
/// Changes below this, in logits, are left out.
const LEAST: f64 = 0.05;

/// Labels are few: a weight moves by one logit only where several labels ask for it.
const OPTIONS: Options = Options {
    gram_penalty: 0.0,
    dense_penalty: 2.0,
    second_cut: 1.0,
    apart: false,
    n_steps: 300,
};

/// Learns a next version of `rules` from `labels` that have a class.
///
/// # Errors
/// When there are too few labels, or all of one class.
pub fn propose(labels: &[Labelled], rules: &Rules) -> Result<Proposal, ProposalError> {
    let rows: Vec<Row<'_>> = labels
        .iter()
        .filter_map(|label| Row::new(label, rules))
        .collect();
    if rows.len() < MIN_LABELS {
        return Err(ProposalError::TooFew { n: rows.len() });
    }
    if rows.iter().all(|row| row.class == rows[0].class) {
        return Err(ProposalError::OneClass);
    }
    let effect = effect(&rows, rules);
    let change = Learned::new(&rows.iter().collect::<Vec<_>>(), rules).change(rules);
    Ok(Proposal {
        rules: rules.with(&change)?,
        change,
        effect,
    })
}

/// A label with what it is learned from.
struct Row<'a> {
    label: &'a Labelled,
    class: Class,
    called: Class,
    values: [f64; Factor::COUNT],
    words: Vec<String>,
}

impl<'a> Row<'a> {
    fn new(label: &'a Labelled, rules: &Rules) -> Option<Self> {
        let mut view = MessageView::of_text(&label.text);
        view.chat = label.chat;
        let scored = Scored::new(&view, rules);
        let features = features(&view, rules);
        Some(Row {
            label,
            class: label.class?,
            called: scored.class,
            values: features.values,
            words: features.words,
        })
    }
}

/// What some rows teach: which columns there are, and their weights.
struct Learned {
    terms: Vec<String>,
    chats: Vec<ChatId>,
    fitted: Fitted,
}

impl Learned {
    fn new(rows: &[&Row<'_>], rules: &Rules) -> Self {
        let (terms, chats) = (telling_words(rows), chats(rows));
        let examples: Vec<Example> = rows
            .iter()
            .map(|row| example(row, &terms, &chats))
            .collect();
        let n_new = terms.len() + chats.len();
        let known = Factor::ALL.iter().map(|factor| rules.weight(*factor));
        let start = Fitted {
            bias: rules.bias(),
            gap: libm::log(rules.signal_from() / (1.0 - rules.signal_from()).max(1e-6)),
            dense: known.chain(std::iter::repeat_n(0.0, n_new)).collect(),
            grams: Vec::new(),
            second_grams: Vec::new(),
        };
        Learned {
            fitted: fit(&examples, &start, false, OPTIONS),
            terms,
            chats,
        }
    }

    fn call(&self, row: &Row<'_>, rules: &Rules) -> Class {
        let logit = self.fitted.logit(&example(row, &self.terms, &self.chats));
        crate::screening::class_of(logit, rules.weak_signal_from(), self.signal_from(rules))
    }

    fn signal_from(&self, rules: &Rules) -> f64 {
        let learned = libm::round(sigmoid(self.fitted.gap) * 100.0) / 100.0;
        learned.clamp(rules.weak_signal_from(), 0.99)
    }

    /// The learned weights that differ, to two decimals.
    fn change(&self, rules: &Rules) -> Change {
        let round = |x: f64| libm::round(x.clamp(-20.0, 20.0) * 100.0) / 100.0;
        let differs = |new: f64, old: f64| (new - old).abs() >= LEAST;
        let (known, new) = self.fitted.dense.split_at(Factor::COUNT);
        let (terms, chats) = new.split_at(self.terms.len());
        let weights = Factor::ALL.iter().zip(known);
        Change {
            bias: Some(round(self.fitted.bias)).filter(|bias| differs(*bias, rules.bias())),
            signal_from: Some(self.signal_from(rules)),
            weights: weights
                .filter(|(factor, weight)| differs(**weight, rules.weight(**factor)))
                .map(|(factor, weight)| (*factor, round(*weight)))
                .collect(),
            terms: self
                .terms
                .iter()
                .zip(terms)
                .filter(|(_, weight)| weight.abs() >= LEAST)
                .map(|(term, weight)| (term.clone(), round(rules.term(term) + *weight)))
                .collect(),
            chats: self
                .chats
                .iter()
                .zip(chats)
                .filter(|(_, bias)| bias.abs() >= LEAST)
                .map(|(chat, bias)| (*chat, round(rules.chat_bias(*chat) + *bias)))
                .collect(),
        }
    }
}

fn example(row: &Row<'_>, terms: &[String], chats: &[ChatId]) -> Example {
    let flag = |on: bool| if on { 1.0 } else { 0.0 };
    let terms = terms.iter().map(|term| flag(row.words.contains(term)));
    let chats = chats.iter().map(|chat| flag(row.label.chat == Some(*chat)));
    Example {
        dense: row
            .values
            .iter()
            .copied()
            .chain(terms)
            .chain(chats)
            .collect(),
        buckets: Vec::new(),
        level: row.class as u8,
        weight: 1.0,
    }
}

/// The words that go with a mistake of the rules most often: their number of mistakes in one direction beyond the other.
fn telling_words(rows: &[&Row<'_>]) -> Vec<String> {
    let mut counts: HashMap<&str, (usize, i64)> = HashMap::new();
    for row in rows {
        let unique: HashSet<&str> = row.words.iter().map(String::as_str).collect();
        for word in unique.into_iter().filter(|w| is_word(w)) {
            let (n, lean) = counts.entry(word).or_default();
            *n += 1;
            *lean += row.class as i64 - row.called as i64;
        }
    }
    let mut telling: Vec<(&str, usize, i64)> = counts
        .into_iter()
        .filter(|(_, (n, lean))| *n >= MIN_TERM_MESSAGES && lean.unsigned_abs() as usize * 3 >= *n)
        .map(|(word, (n, lean))| (word, n, lean))
        .collect();
    telling.sort_by(|a, b| b.2.abs().cmp(&a.2.abs()).then(a.0.cmp(b.0)));
    let words = telling.into_iter().take(MAX_TERMS);
    words.map(|(word, ..)| word.to_owned()).collect()
}

/// Three letters and more: shorter ones are function words, and stand-ins such as `<link>` are no words.
fn is_word(word: &str) -> bool {
    word.chars().count() >= 3 && word.chars().all(char::is_alphanumeric)
}

/// The chats with enough labels, in order.
fn chats(rows: &[&Row<'_>]) -> Vec<ChatId> {
    let mut counts: BTreeMap<ChatId, usize> = BTreeMap::new();
    for chat in rows.iter().filter_map(|row| row.label.chat) {
        *counts.entry(chat).or_default() += 1;
    }
    let enough = counts.into_iter().filter(|(_, n)| *n >= MIN_CHAT_LABELS);
    enough.map(|(chat, _)| chat).collect()
}

fn effect(rows: &[Row<'_>], rules: &Rules) -> Effect {
    let (mut before, mut after) = (Confusion::default(), Confusion::default());
    let mut gains = Vec::new();
    let mut chats: BTreeMap<String, ChatEffect> = BTreeMap::new();
    for fold in 0..N_FOLDS {
        let (out, seen): (Vec<&Row<'_>>, Vec<&Row<'_>>) = rows
            .iter()
            .partition(|row| fold_of(&row.label.text, N_FOLDS) == fold);
        if out.is_empty() || seen.is_empty() {
            continue;
        }
        let learned = Learned::new(&seen, rules);
        let (mut old, mut new) = (Confusion::default(), Confusion::default());
        for row in out {
            let called = learned.call(row, rules);
            old.add(row.class, row.called);
            new.add(row.class, called);
            if let Some(chat) = row.label.chat {
                let effect = chats.entry(chat.to_string()).or_default();
                effect.n += 1;
                effect.before += f64::from(u8::from(row.called == row.class));
                effect.after += f64::from(u8::from(called == row.class));
            }
        }
        gains.push(new.macro_f1() - old.macro_f1());
        before.merge(&old);
        after.merge(&new);
    }
    for effect in chats.values_mut() {
        effect.before /= effect.n as f64;
        effect.after /= effect.n as f64;
    }
    Effect {
        n: rows.len() as u64,
        before: figures(before),
        after: figures(after),
        gain: mean_and_interval(&gains),
        chats,
    }
}

fn figures(confusion: Confusion) -> Figures {
    let mut kept = Binary::default();
    for truth in Class::ALL {
        for called in Class::ALL {
            let n = confusion.counts[truth as usize][called as usize];
            kept.add_many(truth != Class::Noise, called != Class::Noise, n);
        }
    }
    Figures {
        accuracy: confusion.accuracy(),
        macro_f1: confusion.macro_f1(),
        kept: kept.figures(),
        confusion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chat where the deployment cares for football and not for servers.
    fn labels() -> Vec<Labelled> {
        let label = |text: String, class| Labelled {
            text,
            lang: "en".into(),
            class: Some(class),
            spam: None,
            chat: Some(ChatId(-1001)),
        };
        (0..60)
            .flat_map(|i| {
                [
                    label(
                        format!("transfer rumour number {i}: the striker may sign"),
                        Class::Signal,
                    ),
                    label(
                        format!("server node {i} is down again, pager rang"),
                        Class::Noise,
                    ),
                ]
            })
            .collect()
    }

    #[test]
    fn a_proposal_follows_the_labels_and_says_by_how_much() {
        let rules = Rules::default();
        let proposal = propose(&labels(), &rules).unwrap();
        let effect = &proposal.effect;
        assert!(
            effect.after.macro_f1 > effect.before.macro_f1 + 0.2,
            "{effect:?}"
        );
        assert_eq!(effect.n, 120);
        let mut view = MessageView::of_text("server node 77 is down again, pager rang");
        view.chat = Some(ChatId(-1001));
        assert_ne!(Scored::new(&view, &rules).class, Class::Noise);
        assert_eq!(Scored::new(&view, &proposal.rules).class, Class::Noise);
        assert!(!proposal.change.terms.is_empty());
    }

    #[test]
    fn the_same_labels_give_the_same_proposal() {
        let rules = Rules::default();
        let version = || {
            propose(&labels(), &rules)
                .unwrap()
                .rules
                .version()
                .to_owned()
        };
        assert_eq!(version(), version());
        assert!(version().starts_with("default@2+"));
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused_with_advice() {
        let few = propose(&labels()[..10], &Rules::default()).unwrap_err();
        assert!(few.to_string().contains("at least 30"), "{few}");
        let one: Vec<Labelled> = labels().into_iter().step_by(2).collect();
        assert!(matches!(
            propose(&one, &Rules::default()),
            Err(ProposalError::OneClass)
        ));
    }
}
