//! On the shared data: held-out importance, spam in folds, and honest texts of other registers.

use std::path::Path;

use telesift_learn::{
    Labelled, corpus,
    fit::{Example, sigmoid},
    folds::fold_of,
    gathered, length,
    metrics::{Binary, Confusion, mean_and_interval},
    spam,
    train::{self, SPAM, spam_samples},
};
use telesift_signal_score::Rules;

use crate::support::{judge, prior, shared, signal_score};

/// Macro F1 on a held-out part of `importance`, and that of two cuts on length fitted to the rest: over all, in uk, in en.
fn held_out(shared: &Path, seed: u64) -> [(f64, f64); 3] {
    let mut further = corpus::further(shared, &signal_score().join("training")).unwrap();
    let held_out = further.hold_out_by(seed);
    let rest: Vec<&Labelled> = further.importance.labels.iter().collect();
    let cuts = length::fit(&rest);
    let mut sources = corpus::own(&signal_score().join("training")).unwrap();
    sources.extend(further.into_sources());
    let trained = train::Importance::learn(&sources, &prior());
    ["", "uk", "en"].map(|lang| {
        let wanted = held_out
            .iter()
            .filter(|l| lang.is_empty() || l.lang == lang);
        let labels: Vec<Labelled> = wanted.cloned().collect();
        let mut by_length = Confusion::default();
        for label in &labels {
            let size = label.text.chars().count();
            by_length.add(label.class.unwrap(), length::class_of(size, cuts));
        }
        let confusion = trained.judge(&labels, &prior());
        let f1 = (confusion.macro_f1(), by_length.macro_f1());
        eprintln!(
            "held out by {seed}, {}: n {}, macro F1 {:.3}, by length alone {:.3}; {:?}",
            if lang.is_empty() { "all" } else { lang },
            confusion.n(),
            f1.0,
            f1.1,
            confusion.counts,
        );
        f1
    })
}

#[test]
fn importance_is_told_better_than_by_length_on_what_was_held_out() {
    let Some(shared) = shared() else { return };
    // The split of seed 0 was fixed before the first training; the others say how much of it is luck.
    let splits: Vec<[(f64, f64); 3]> = (0..3).map(|seed| held_out(&shared, seed)).collect();
    let [all, uk, en] = splits[0];
    assert!(all.0 >= 0.95 && all.0 > all.1, "{all:.3?}");
    assert!(uk.0 >= 0.95 && uk.0 > uk.1, "{uk:.3?}");
    assert!(en.0 >= 0.93 && en.0 > en.1, "{en:.3?}");
    let mean = |of: fn(&(f64, f64)) -> f64| {
        splits.iter().map(|split| of(&split[0])).sum::<f64>() / splits.len() as f64
    };
    let (ours, length) = (mean(|f| f.0), mean(|f| f.1));
    eprintln!("mean over the splits: {ours:.3}, by length alone {length:.3}");
    assert!(ours > length, "{splits:.3?}");
}

#[test]
fn spam_is_found_in_folds_and_honest_messages_are_left_alone() {
    let Some(shared) = shared() else { return };
    let mut sources = corpus::own(&signal_score().join("training")).unwrap();
    let further = corpus::further(&shared, &signal_score().join("training")).unwrap();
    let rules = prior();
    sources.push(further.spam);
    let by_source: Vec<_> = sources
        .iter()
        .map(|source| spam_samples(source, &rules))
        .collect();
    let threshold = Rules::default().spam_from();

    let (mut recalls, mut flagged) = (Vec::new(), Vec::new());
    for fold in 0..5 {
        let is_out = |text: &str| fold_of(text, 5) == fold;
        let training: Vec<Example> = by_source
            .iter()
            .flatten()
            .filter(|s| !is_out(&s.label.text))
            .map(|s| s.example.clone())
            .collect();
        let fitted = spam::train(&training, &rules, SPAM);
        let mut counts = Binary::default();
        for sample in by_source
            .last()
            .unwrap()
            .iter()
            .filter(|s| is_out(&s.label.text))
        {
            let called = sigmoid(fitted.logit(&sample.example)) >= threshold;
            if called != (sample.example.level == 1) {
                eprintln!(
                    "  wrong: {called} {:?}",
                    sample.label.text.chars().take(120).collect::<String>()
                );
            }
            counts.add(sample.example.level == 1, called);
        }
        recalls.push(counts.figures().recall);
        flagged.push(counts.false_positive_rate());
    }
    let ((recall, recall_half), (false_positive, half)) =
        (mean_and_interval(&recalls), mean_and_interval(&flagged));
    eprintln!(
        "spam, 5 folds: recall {recall:.3} ± {recall_half:.3}, ham flagged {false_positive:.3} ± {half:.3}"
    );
    assert!(recall >= 0.89, "{recalls:.3?}");
    assert!(false_positive <= 0.02, "{flagged:.3?}");
}

#[test]
fn honest_texts_of_other_registers_are_seldom_flagged() {
    let Some(shared) = shared() else { return };
    for (name, texts) in [
        ("posts", gathered::posts(&shared).unwrap()),
        ("groups", gathered::groups(&shared).unwrap()),
    ] {
        let flagged: Vec<&String> = texts.iter().filter(|text| judge(text).is_spam).collect();
        let share = flagged.len() as f64 / texts.len() as f64;
        eprintln!(
            "{name}: {} of {} flagged as spam ({:.2} %)",
            flagged.len(),
            texts.len(),
            share * 100.0
        );
        for text in flagged.iter().take(8) {
            eprintln!(
                "    {}",
                text.chars()
                    .take(140)
                    .collect::<String>()
                    .replace('\n', " ")
            );
        }
        assert!(share <= 0.03, "{name}: {share:.4}");
    }
}

#[test]
fn the_model_that_ships_is_what_training_gives() {
    let Some(shared) = shared() else { return };
    let mut sources = corpus::own(&signal_score().join("training")).unwrap();
    let further = corpus::further(&shared, &signal_score().join("training")).unwrap();
    sources.extend(further.into_sources());
    let trained = train::train(&sources, &prior());
    let ships = std::fs::read(signal_score().join("model/ngrams.bin")).unwrap();
    assert!(
        trained.model == ships,
        "run `make model MORE=../shared/data`"
    );
    assert!(ships.len() <= 300_000, "{} bytes", ships.len());
    let rules = std::fs::read_to_string(signal_score().join("rules/default.toml")).unwrap();
    assert_eq!(
        telesift_learn::rule_file::with_learned(&rules, &trained).unwrap(),
        rules
    );
}

#[test]
fn a_rule_set_from_labels_of_a_chat_is_measured() {
    let Some(shared) = shared() else { return };
    let labels = corpus::further(&shared, &signal_score().join("training"))
        .unwrap()
        .hold_out();
    let proposal = telesift_learn::proposal::propose(&labels, &Rules::default()).unwrap();
    let effect = proposal.effect;
    eprintln!(
        "learned from labels: macro F1 {:.3} -> {:.3}",
        effect.before.macro_f1, effect.after.macro_f1
    );
    assert_eq!(effect.n as usize, labels.len());
}
