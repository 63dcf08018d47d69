//! On the shared data: held-out importance, spam in folds, and honest texts of other registers.

use telesift_learn::{
    Labelled, corpus,
    evaluation::evaluate,
    fit::{Example, sigmoid},
    folds::fold_of,
    metrics::{Binary, mean_and_interval},
    spam,
    train::{self, SPAM, spam_samples},
};
use telesift_signal_score::Rules;

use crate::support::{groups, judge, posts, prior, shared, signal_score};

#[test]
fn importance_is_told_better_than_by_length_on_what_was_held_out() {
    let Some(shared) = shared() else { return };
    let mut further = corpus::further(&shared).unwrap();
    let held_out = further.hold_out();
    let rules = prior();
    let mut sources = corpus::own(&signal_score().join("training")).unwrap();
    sources.extend([further.importance, further.spam]);
    let trained = train::Importance::learn(&sources, &rules);
    let of = |lang: Option<&str>| -> Vec<Labelled> {
        let wanted = |l: &&Labelled| lang.is_none_or(|lang| l.lang == lang);
        held_out.iter().filter(wanted).cloned().collect()
    };
    let mut figures = Vec::new();
    for lang in [None, Some("uk"), Some("en")] {
        let labels = of(lang);
        let length = evaluate(&labels, &rules).length_baseline.macro_f1;
        let confusion = trained.judge(&labels, &rules);
        eprintln!(
            "held out, {}: n {}, macro F1 {:.3}, by length alone {length:.3}; {:?}",
            lang.unwrap_or("all"),
            confusion.n(),
            confusion.macro_f1(),
            confusion.counts,
        );
        figures.push(confusion.macro_f1());
    }
    assert!(figures[0] >= 0.87, "{figures:.3?}");
}

#[test]
fn spam_is_found_in_folds_and_honest_messages_are_left_alone() {
    let Some(shared) = shared() else { return };
    let mut sources = corpus::own(&signal_score().join("training")).unwrap();
    let further = corpus::further(&shared).unwrap();
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
    assert!(recall >= 0.85, "{recalls:.3?}");
    assert!(false_positive <= 0.02, "{flagged:.3?}");
}

#[test]
fn honest_texts_of_other_registers_are_seldom_flagged() {
    let Some(shared) = shared() else { return };
    for (name, texts) in [("posts", posts(&shared)), ("groups", groups(&shared))] {
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
    let further = corpus::further(&shared).unwrap();
    sources.extend([further.importance, further.spam]);
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
    let labels = corpus::further(&shared).unwrap().hold_out();
    let proposal = telesift_learn::proposal::propose(&labels, &Rules::default()).unwrap();
    let effect = proposal.effect;
    eprintln!(
        "learned from labels: macro F1 {:.3} -> {:.3}",
        effect.before.macro_f1, effect.after.macro_f1
    );
    assert_eq!(effect.n as usize, labels.len());
}
