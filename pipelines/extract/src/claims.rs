//! Sentences to claims: what kind, how sure, about what, and how they hang together.

use std::collections::HashMap;

use telesift_ports::extractor::{Claim, ClaimedQuote, Unit, UnitMessage};
use telesift_schemas::{AtomKind, ChatKind, LinkKind};

use crate::{
    cues,
    sentences::sentences,
    subjects::subject,
    titles::{flat, title},
    words::{Word, words},
};

/// Below this confidence nothing is claimed.
const MIN_CONFIDENCE: f64 = 0.5;
/// Claims of one message at most, the surest first.
const MAX_PER_MESSAGE: usize = 3;
/// Claims of one unit at most, the surest first.
const MAX_PER_UNIT: usize = 16;
/// Fewer words do not say what about.
const MIN_WORDS: usize = 4;
/// Below this importance an answer without any cue claims nothing.
const MIN_PLAIN_SCORE: f64 = 0.6;
/// Weight that a sentence needs for even odds.
const EVEN: f64 = 2.4;

/// Kinds that declarative sentences compete for; of equals the first wins.
const DECLARED: [AtomKind; 7] = [
    AtomKind::Decision,
    AtomKind::Insight,
    AtomKind::Solution,
    AtomKind::Problem,
    AtomKind::Pattern,
    AtomKind::Requirement,
    AtomKind::Task,
];

/// A claim with what is needed to weigh it against others.
struct Found {
    message: usize,
    claim: Claim,
}

/// What `unit` claims, in the order of its messages.
pub(crate) fn claims(unit: &Unit) -> Vec<Claim> {
    let around: Vec<Word> = unit.messages.iter().flat_map(|m| words(&m.text)).collect();
    let places: HashMap<i64, usize> = unit
        .messages
        .iter()
        .enumerate()
        .map(|(i, m)| (m.id.message_id, i))
        .collect();
    let mut found: Vec<Found> = Vec::new();
    for (i, message) in unit.messages.iter().enumerate() {
        let answered = message
            .reply_to
            .and_then(|id| places.get(&id).copied())
            .filter(|&at| at < i);
        let kinds_answered: Vec<AtomKind> = found
            .iter()
            .filter(|f| Some(f.message) == answered)
            .map(|f| f.claim.kind)
            .collect();
        let is_answered = unit.messages[i + 1..]
            .iter()
            .any(|m| m.reply_to == Some(message.id.message_id));
        let seen = Seen {
            unit,
            message,
            around: &around,
            answered: answered.map(|at| &unit.messages[at]),
            kinds_answered: &kinds_answered,
            is_answered,
        };
        found.extend(
            seen.claims()
                .into_iter()
                .map(|claim| Found { message: i, claim }),
        );
    }
    keep_surest(&mut found);
    link(unit, &places, &mut found);
    found.into_iter().map(|f| f.claim).collect()
}

/// A message with what stands around it.
struct Seen<'a> {
    unit: &'a Unit,
    message: &'a UnitMessage,
    around: &'a [Word],
    /// The message it answers.
    answered: Option<&'a UnitMessage>,
    /// Kinds of the claims of that message.
    kinds_answered: &'a [AtomKind],
    is_answered: bool,
}

impl Seen<'_> {
    /// One claim per kind, the surest.
    fn claims(&self) -> Vec<Claim> {
        let text = &self.message.text;
        let all: Vec<_> = sentences(text);
        let mut claims: Vec<Claim> = Vec::new();
        for range in &all {
            let sentence = &text[range.clone()];
            let words = words(sentence);
            let Some((kind, confidence)) = self.judge(sentence, &words) else {
                continue;
            };
            let claim = self.claim(kind, confidence, sentence, &words);
            match claims.iter_mut().find(|c| c.kind == kind) {
                Some(other) if other.confidence < claim.confidence => *other = claim,
                Some(_) => {}
                None => claims.push(claim),
            }
        }
        if claims.is_empty()
            && let Some(claim) = self.plain_answer(text, &all)
        {
            claims.push(claim);
        }
        claims.sort_by(|a, b| {
            b.confidence
                .partial_cmp(&a.confidence)
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        claims.truncate(MAX_PER_MESSAGE);
        claims
    }

    /// What kind of claim a sentence makes and how sure that is, 0..1; `None` if none, or not sure enough.
    fn judge(&self, sentence: &str, words: &[Word]) -> Option<(AtomKind, f64)> {
        if words.len() < MIN_WORDS || is_code(sentence) {
            return None;
        }
        let (kind, weight) = match sentence
            .trim_end_matches([')', '»', '"', ' '])
            .ends_with('?')
        {
            true => (AtomKind::Question, self.question(words)?),
            false => self.declared(words)?,
        };
        let confidence = probability(weight + self.standing(words));
        (confidence >= MIN_CONFIDENCE).then_some((kind, confidence))
    }

    /// The weight of a question. Channels ask their readers, who do not answer there.
    fn question(&self, words: &[Word]) -> Option<f64> {
        if self.unit.chat.kind == ChatKind::Channel {
            return None;
        }
        let hit = cues::of(AtomKind::Question).find(words);
        let substance = words.iter().filter(|w| w.has_content()).count();
        if hit.weight < 0.0 || substance < 2 {
            return None;
        }
        // What somebody answers, or asks about a claim, needs no word that asks.
        let answered = if self.is_answered { 1.0 } else { 0.0 };
        let about = match self.answered {
            _ if !self.kinds_answered.is_empty() => 1.0,
            Some(message) if message.score >= MIN_PLAIN_SCORE => 0.6,
            _ => 0.0,
        };
        Some(hit.weight.min(2.5) + answered + about + 0.1 * substance.min(5) as f64)
    }

    /// The kind with the greatest weight. What is said in answer to a problem or a question rather mends or explains it.
    fn declared(&self, words: &[Word]) -> Option<(AtomKind, f64)> {
        let is_answer = self
            .kinds_answered
            .iter()
            .any(|k| matches!(k, AtomKind::Problem | AtomKind::Question));
        let mut best: Option<(AtomKind, f64)> = None;
        for kind in DECLARED {
            let hit = cues::of(kind).find(words);
            let rest = words
                .iter()
                .enumerate()
                .filter(|(i, w)| w.has_content() && !hit.words.contains(i));
            if hit.weight <= 0.0 || rest.count() < 2 {
                continue;
            }
            // Words of a second cue say the same again: they count for less.
            let mut weight = hit.weight.min(2.5) + (hit.weight - 2.5).max(0.0) * 0.5;
            if is_answer && kind == AtomKind::Solution {
                weight += 1.0;
            }
            if is_answer && matches!(kind, AtomKind::Requirement | AtomKind::Pattern) {
                weight -= 1.0;
            }
            if best.is_none_or(|(_, most)| weight > most) {
                best = Some((kind, weight));
            }
        }
        best
    }

    /// What the message itself adds: how important the screen found it, and how long the sentence is.
    fn standing(&self, words: &[Word]) -> f64 {
        let importance = (self.message.score - 0.5).clamp(-0.5, 0.5) * 1.6;
        let length = match words.len() {
            0..6 => -0.4,
            6..=45 => 0.0,
            _ => -0.4,
        };
        importance + length
    }

    /// An answer to a question, or what is said of a problem, without any cue: its longest sentence.
    fn plain_answer(&self, text: &str, all: &[std::ops::Range<usize>]) -> Option<Claim> {
        let is_about = |kinds: &[AtomKind]| self.kinds_answered.iter().any(|k| kinds.contains(k));
        let kind = match () {
            () if is_about(&[AtomKind::Question]) => AtomKind::Solution,
            () if is_about(&[AtomKind::Problem, AtomKind::Pattern]) => AtomKind::Insight,
            () => return None,
        };
        if self.message.score < MIN_PLAIN_SCORE {
            return None;
        }
        let range = all.iter().max_by_key(|r| r.len())?;
        let sentence = &text[range.clone()];
        let words = words(sentence);
        let is_enough =
            words.len() >= 6 && !sentence.trim_end().ends_with('?') && !is_code(sentence);
        is_enough
            .then(|| {
                let confidence = probability(EVEN + 0.2 + self.standing(&words));
                self.claim(kind, confidence, sentence, &words)
            })
            .filter(|claim| claim.confidence >= Some(MIN_CONFIDENCE))
    }

    fn claim(&self, kind: AtomKind, confidence: f64, sentence: &str, words: &[Word]) -> Claim {
        let lang = self.message.lang.as_str();
        Claim {
            kind,
            title: title(sentence),
            content: flat(sentence),
            confidence: Some((confidence * 1_000.0).round() / 1_000.0),
            subject: subject(&self.unit.subjects, words, self.around, sentence, lang),
            quotes: vec![ClaimedQuote {
                message_id: self.message.id.message_id,
                quote: sentence.to_owned(),
            }],
            links: Vec::new(),
        }
    }
}

/// Whether a line is rather code than something said: by its signs.
fn is_code(sentence: &str) -> bool {
    let (mut n_signs, mut n, mut before) = (0, 0, ' ');
    for c in sentence.chars().filter(|c| !c.is_whitespace()) {
        let is_call = c == '(' && before.is_alphanumeric();
        n_signs += usize::from(is_call || "{}[];=<>$".contains(c));
        n += 1;
        before = c;
    }
    n_signs * 12 >= n
}

/// The logistic function around [`EVEN`].
fn probability(weight: f64) -> f64 {
    1.0 / (1.0 + (EVEN - weight).exp())
}

/// Leaves the surest claims of the unit, in the order they stand.
fn keep_surest(found: &mut Vec<Found>) {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|&a, &b| {
        let confidence = |i: usize| found[i].claim.confidence.unwrap_or(0.0);
        confidence(b)
            .partial_cmp(&confidence(a))
            .unwrap_or(std::cmp::Ordering::Equal)
            .then(a.cmp(&b))
    });
    order.truncate(MAX_PER_UNIT);
    let mut i = 0;
    found.retain(|_| {
        i += 1;
        order.contains(&(i - 1))
    });
}

/// Links claims of an answer to those of what it answers, and causes and remedies to the problem named before them in the
/// same message.
fn link(unit: &Unit, places: &HashMap<i64, usize>, found: &mut [Found]) {
    let kinds: Vec<(usize, AtomKind)> = found.iter().map(|f| (f.message, f.claim.kind)).collect();
    for (i, one) in found.iter_mut().enumerate() {
        let answered = unit.messages[one.message]
            .reply_to
            .and_then(|id| places.get(&id));
        for (j, &(message, kind)) in kinds.iter().enumerate() {
            let is_near = Some(&message) == answered || (message == one.message && j != i);
            if let Some(link) = relation(one.claim.kind, kind).filter(|_| is_near) {
                one.claim.links.push((link, j));
            }
        }
    }
}

fn relation(of: AtomKind, to: AtomKind) -> Option<LinkKind> {
    match (of, to) {
        (AtomKind::Solution, AtomKind::Problem) => Some(LinkKind::Solves),
        (AtomKind::Solution | AtomKind::Insight | AtomKind::Decision, AtomKind::Question) => {
            Some(LinkKind::Answers)
        }
        (AtomKind::Insight, AtomKind::Problem) => Some(LinkKind::Explains),
        (AtomKind::Task, AtomKind::Problem | AtomKind::Question) => Some(LinkKind::Relates),
        _ => None,
    }
}
