//! `eval screen`: labelled messages and a rule set come in; figures, a baseline and the worst mistakes leave.

use std::collections::BTreeMap;

use serde::Serialize;
use telesift_schemas::Class;
use telesift_signal_score::{Factor, MessageView, Rules, Scored, explain};

use crate::{
    labels::Labelled,
    length,
    metrics::{Binary, CalibrationBin, ClassFigures, Confusion, calibration, calibration_error},
};

/// What a rule set makes of labelled messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// `name@version+hash` of the rules.
    pub rules: String,
    /// Labels with a class.
    pub n_classed: u64,
    /// Truth and call, classes ascending.
    pub confusion: Confusion,
    /// The share called right.
    pub accuracy: f64,
    /// The mean F1 of the classes that occur.
    pub macro_f1: f64,
    /// Figures of each class.
    pub classes: BTreeMap<&'static str, ClassFigures>,
    /// The same per language, languages in order.
    pub languages: BTreeMap<String, LanguageFigures>,
    /// Scores beside how often messages with such a score are not noise.
    pub calibration: Vec<CalibrationBin>,
    /// Expected calibration error; see [`calibration_error`].
    pub calibration_error: f64,
    /// What two cuts on the length alone come to, each fold judged by cuts from the others.
    pub length_baseline: Baseline,
    /// The flag `spam`, over the labels that say whether it is.
    pub spam: Option<SpamFigures>,
    /// The mistakes furthest off, worst first.
    pub worst: Vec<Mistake>,
}

/// Figures of one language.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanguageFigures {
    /// Labels with a class.
    pub n: u64,
    /// The share called right.
    pub accuracy: f64,
    /// The mean F1 of the classes that occur.
    pub macro_f1: f64,
    /// Figures of each class.
    pub classes: BTreeMap<&'static str, ClassFigures>,
    /// The baseline's mean F1.
    pub length_macro_f1: f64,
}

/// What a rule on length alone comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// The share called right.
    pub accuracy: f64,
    /// The mean F1 of the classes that occur.
    pub macro_f1: f64,
    /// Fewest characters of a `weak_signal` and of a `signal`, fitted to all.
    pub cuts: (usize, usize),
}

/// Figures of the flag `spam`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SpamFigures {
    /// Counts.
    pub counts: Binary,
    /// Precision, recall and F1 of spam.
    pub figures: ClassFigures,
    /// The share of honest messages flagged.
    pub false_positive_rate: f64,
}

/// A message called what it is not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// Its text, cut to 200 characters.
    pub text: String,
    /// Its language.
    pub lang: String,
    /// What it is.
    pub truth: Class,
    /// What it was called.
    pub called: Class,
    /// Its score.
    pub score: f64,
    /// The factors that counted most, with their contributions in logits.
    pub because: Vec<(String, f64)>,
    /// The words and n-grams that made them.
    pub evidence: Vec<String>,
}

/// Mistakes shown.
const MAX_WORST: usize = 20;

/// Judges every labelled message by `rules` and compares.
pub fn evaluate(labels: &[Labelled], rules: &Rules) -> Evaluation {
    let judged: Vec<Judged<'_>> = labels
        .iter()
        .map(|label| Judged::new(label, rules))
        .collect();
    let classed: Vec<&Judged<'_>> = judged.iter().filter(|j| j.label.class.is_some()).collect();
    let by_length = length::out_of_fold(&classed.iter().map(|j| j.label).collect::<Vec<_>>());

    let all = confusion(&classed);
    let scores: Vec<(f64, bool)> = classed
        .iter()
        .map(|j| (j.scored.score, j.label.class != Some(Class::Noise)))
        .collect();
    let bins = calibration(&scores);
    Evaluation {
        rules: rules.version().to_owned(),
        n_classed: all.n(),
        confusion: all,
        accuracy: all.accuracy(),
        macro_f1: all.macro_f1(),
        classes: classes(&all),
        languages: languages(&classed, &by_length),
        calibration_error: calibration_error(&bins),
        calibration: bins,
        length_baseline: baseline(&classed, &by_length),
        spam: spam(&judged),
        worst: worst(&classed, rules),
    }
}

struct Judged<'a> {
    label: &'a Labelled,
    scored: Scored,
}

impl<'a> Judged<'a> {
    fn new(label: &'a Labelled, rules: &Rules) -> Self {
        let scored = Scored::new(&view(label), rules);
        Judged { label, scored }
    }

    /// How far the score lies from where the truth would put it.
    fn distance(&self) -> f64 {
        match self.label.class {
            Some(Class::Noise) => self.scored.score,
            Some(Class::Signal) => 1.0 - self.scored.score,
            // Between the two: at most a half off, so that it ranks behind plain mistakes.
            _ => (self.scored.score - 0.5).abs(),
        }
    }
}

fn view(label: &Labelled) -> MessageView<'_> {
    let mut view = MessageView::of_text(&label.text);
    view.chat = label.chat;
    view
}

fn confusion(judged: &[&Judged<'_>]) -> Confusion {
    let mut confusion = Confusion::default();
    for one in judged {
        if let Some(truth) = one.label.class {
            confusion.add(truth, one.scored.class);
        }
    }
    confusion
}

fn classes(confusion: &Confusion) -> BTreeMap<&'static str, ClassFigures> {
    Class::ALL
        .map(|class| (class.as_str(), confusion.of(class)))
        .into()
}

fn languages(judged: &[&Judged<'_>], by_length: &[Class]) -> BTreeMap<String, LanguageFigures> {
    let mut names: Vec<&str> = judged.iter().map(|j| j.label.lang.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let figures = |name: &str| {
        let (mut own, mut length) = (Vec::new(), Confusion::default());
        for (one, called) in judged.iter().zip(by_length) {
            if let (true, Some(truth)) = (one.label.lang == name, one.label.class) {
                own.push(*one);
                length.add(truth, *called);
            }
        }
        let own = confusion(&own);
        LanguageFigures {
            n: own.n(),
            accuracy: own.accuracy(),
            macro_f1: own.macro_f1(),
            classes: classes(&own),
            length_macro_f1: length.macro_f1(),
        }
    };
    names
        .into_iter()
        .map(|name| (name.to_owned(), figures(name)))
        .collect()
}

fn baseline(judged: &[&Judged<'_>], by_length: &[Class]) -> Baseline {
    let mut confusion = Confusion::default();
    for (one, called) in judged.iter().zip(by_length) {
        if let Some(truth) = one.label.class {
            confusion.add(truth, *called);
        }
    }
    let labels: Vec<&Labelled> = judged.iter().map(|j| j.label).collect();
    Baseline {
        accuracy: confusion.accuracy(),
        macro_f1: confusion.macro_f1(),
        cuts: length::fit(&labels),
    }
}

fn spam(judged: &[Judged<'_>]) -> Option<SpamFigures> {
    let mut counts = Binary::default();
    for one in judged {
        if let Some(truth) = one.label.spam {
            counts.add(truth, one.scored.is_spam);
        }
    }
    let some = counts != Binary::default();
    some.then(|| SpamFigures {
        counts,
        figures: counts.figures(),
        false_positive_rate: counts.false_positive_rate(),
    })
}

fn worst(judged: &[&Judged<'_>], rules: &Rules) -> Vec<Mistake> {
    let mut wrong: Vec<&&Judged<'_>> = judged
        .iter()
        .filter(|j| j.label.class.is_some_and(|truth| truth != j.scored.class))
        .collect();
    wrong.sort_by(|a, b| b.distance().total_cmp(&a.distance()));
    let mistake = |one: &&&Judged<'_>| {
        let explained = explain(&view(one.label), rules);
        let strongest = explained
            .factors
            .iter()
            .filter(|f| f.contribution != 0.0)
            .take(4);
        Mistake {
            text: one.label.text.chars().take(200).collect(),
            lang: one.label.lang.clone(),
            truth: one.label.class.unwrap_or(Class::Noise),
            called: one.scored.class,
            score: one.scored.score,
            because: strongest
                .clone()
                .map(|f| (f.name.to_owned(), f.contribution))
                .collect(),
            evidence: strongest
                .filter(|f| f.name == Factor::Model.name() || !f.evidence.is_empty())
                .flat_map(|f| f.evidence.iter().take(4).cloned())
                .collect(),
        }
    };
    wrong.iter().take(MAX_WORST).map(mistake).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels;

    fn figures() -> Evaluation {
        let lines = [
            r#"{"text":"Критична помилка: падає сервер","lang":"uk","class":"signal","spam":false}"#,
            r#"{"text":"дякую!","lang":"uk","class":"noise"}"#,
            r#"{"text":"ok","lang":"en","class":"signal"}"#,
            r#"{"text":"Заработок от 500$ в неделю, доход, пишите в лс @manager","lang":"ru","spam":true}"#,
        ];
        let labels = labels::read(lines.join("\n").as_bytes()).unwrap();
        evaluate(&labels, &Rules::default())
    }

    #[test]
    fn every_label_is_counted_where_it_belongs() {
        let evaluation = figures();
        assert_eq!(evaluation.n_classed, 3);
        assert_eq!(evaluation.languages["uk"].accuracy, 1.0);
        assert_eq!(evaluation.languages["en"].accuracy, 0.0);
        assert_eq!(evaluation.spam.unwrap().counts.true_positive, 1);
        assert_eq!(
            evaluation.calibration.iter().map(|bin| bin.n).sum::<u64>(),
            3
        );
    }

    #[test]
    fn a_mistake_is_shown_with_its_reason() {
        let evaluation = figures();
        let [mistake] = evaluation.worst.as_slice() else {
            panic!("{:?}", evaluation.worst);
        };
        assert_eq!(
            (mistake.text.as_str(), mistake.called),
            ("ok", Class::Noise)
        );
        assert!(!mistake.because.is_empty());
    }
}
