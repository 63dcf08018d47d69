//! A short message that matters scores higher than a long one that does not.

use std::collections::BTreeMap;

use crate::support::{judge, signal_score};

#[test]
fn content_beats_length_in_each_language() {
    let file = std::fs::read_to_string(signal_score().join("eval/pairs.jsonl")).unwrap();
    let mut right: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for line in file.lines() {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        let score = |key: &str| judge(pair[key].as_str().unwrap()).logit;
        let (n, all) = right
            .entry(pair["lang"].as_str().unwrap().to_owned())
            .or_default();
        *all += 1;
        *n += u32::from(score("matters") > score("noise"));
    }
    eprintln!("pairs told right: {right:?}");
    assert_eq!(right.values().map(|(_, all)| all).sum::<u32>(), 300);
    for (lang, (n, all)) in right {
        assert!(n * 100 >= all * 93, "{lang}: {n} of {all}");
    }
}
