//! The thresholds from which on claims are one, and subjects, measured on pairs that mean the same and that do not.

use std::{collections::BTreeMap, path::PathBuf};

use telesift_models::{HashEmbedder, LocalEmbedder};
use telesift_ports::embedder::{Embedder as _, Purpose};

use crate::config::Config;

/// `what`, `how`, language, and the two of them; see the head of the file.
const PAIRS: &str = include_str!("../../../../extract/eval/pairs.tsv");

/// What a threshold makes of pairs of one kind.
#[derive(Debug, Default)]
struct Judged {
    n: usize,
    n_same: usize,
    /// The least alike of those that mean the same, or the most alike of those that do not.
    worst: Option<(f32, String)>,
}

/// What the thresholds of the model of this id make of all pairs, by (what, how).
fn judged(
    model: &str,
    embed: impl Fn(&[&str]) -> Vec<Vec<f32>>,
) -> BTreeMap<(&'static str, &'static str), Judged> {
    let config = Config::from_parts(None, std::iter::empty()).unwrap();
    let config = config.extract.beside(model);
    let mut all: BTreeMap<_, Judged> = BTreeMap::new();
    let lines = PAIRS.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let parts: Vec<&'static str> = line.split('\t').collect();
        let [what, how, _, a, b] = parts[..] else {
            panic!("five columns: {line}");
        };
        // Claims are compared with their titles before them.
        let said = |text: &str| match what {
            "claim" => format!("{text}\n{text}"),
            _ => text.to_owned(),
        };
        let threshold = match what {
            "claim" => config.same_atom,
            "subject" => config.same_subject,
            other => panic!("neither claim nor subject: {other}"),
        };
        let vectors = embed(&[&said(a), &said(b)]);
        let likeness: f32 = vectors[0].iter().zip(&vectors[1]).map(|(x, y)| x * y).sum();
        let judged = all.entry((what, how)).or_default();
        judged.n += 1;
        judged.n_same += usize::from(likeness >= threshold);
        let is_worse = |worst: f32| match how {
            "other" => likeness > worst,
            _ => likeness < worst,
        };
        if judged
            .worst
            .as_ref()
            .is_none_or(|(worst, _)| is_worse(*worst))
        {
            judged.worst = Some((likeness, format!("{a} / {b}")));
        }
    }
    for (of, judged) in &all {
        eprintln!("{model} {of:?}: {judged:?}");
    }
    all
}

fn local() -> Option<LocalEmbedder> {
    let Some(folder) = std::env::var_os("TELESIFT_TEST_MODEL").map(PathBuf::from) else {
        eprintln!("skipped: TELESIFT_TEST_MODEL names no folder with all-MiniLM-L6-v2");
        return None;
    };
    Some(LocalEmbedder::load(&folder, None).unwrap())
}

#[test]
fn hash_takes_the_same_words_for_the_same_and_nothing_else() {
    let embedder = HashEmbedder::default();
    let embed = |texts: &[&str]| texts.iter().map(|t| embedder.vector(t)).collect();
    let all = judged(&embedder.model().id, embed);
    for what in ["claim", "subject"] {
        assert_eq!(all[&(what, "other")].n_same, 0, "{what}");
        let same = &all[&(what, "same")];
        assert!(same.n_same * 3 >= same.n * 2, "{what}: {same:?}");
    }
}

/// It calls nothing the same that is not; what is said in two ways it may keep twice.
#[test]
fn the_local_model_never_calls_the_same_what_is_not() {
    let Some(embedder) = local() else { return };
    let embed = |texts: &[&str]| embedder.vectors(texts, Purpose::Passage).unwrap();
    let all = judged("all-MiniLM-L6-v2@any", embed);
    for what in ["claim", "subject"] {
        assert_eq!(all[&(what, "other")].n_same, 0, "{what}");
        assert!(all[&(what, "same")].n_same > 0, "{what}");
    }
}
