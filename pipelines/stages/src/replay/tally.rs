//! Judgements in, counts and samples out: a sum that does not depend on the order or on where the range was cut.

use std::collections::BTreeSet;

use telesift_ports::{
    record_log::UniqueKey,
    replays::{FactorChange, Label, ReplayProgress, Sample, Twin, Verdict},
};
use telesift_schemas::{Class, Origin, Screen, flags};

use super::judge::Judged;

/// Samples kept of each change.
const SAMPLES_PER_CHANGE: usize = 20;
/// Changed factors kept of a sample.
const SAMPLE_FACTORS: usize = 5;

/// Counts one message that both rule sets judged.
pub(super) fn add(
    progress: &mut ReplayProgress,
    judged: &Judged,
    origin: &Origin,
    label: Option<Label>,
) {
    progress.result.ledger.received += 1;
    progress.result.ledger.judged += 1;
    compare(progress, judged, origin, label);
}

/// Counts how the two judgements of one message differ.
pub(super) fn compare(
    progress: &mut ReplayProgress,
    judged: &Judged,
    origin: &Origin,
    label: Option<Label>,
) {
    let result = &mut progress.result;
    let verdicts = judged.screens.as_ref().map(verdict);
    if is_identical(&judged.screens.base, &judged.screens.new) {
        result.identical += 1;
    }
    for (verdict, passing) in [
        (verdicts.base, &mut result.cost.base),
        (verdicts.new, &mut result.cost.new),
    ] {
        if verdict.class != Class::Noise {
            passing.add(&judged.text);
        }
    }
    if let Some(label) = label {
        result.labels.add(label, verdicts);
    }
    for change in changes(verdicts) {
        *result.diff.entry(change.clone()).or_default() += 1;
        let samples = progress.samples.entry(change.clone()).or_default();
        offer(samples, &change, origin, || {
            sample(judged, origin, verdicts)
        });
    }
}

fn verdict(screen: &Screen) -> Verdict {
    Verdict {
        class: screen.class,
        score: screen.score,
        spam: screen.flags.iter().any(|flag| flag == flags::SPAM),
    }
}

/// All but the version of the rules, to the last bit.
fn is_identical(base: &Screen, new: &Screen) -> bool {
    let bits = |screen: &Screen| {
        let factors = screen.factors.values().map(|c| c.to_bits());
        (screen.score.to_bits(), factors.collect::<Vec<_>>())
    };
    base.class == new.class
        && base.flags == new.flags
        && base.factors.keys().eq(new.factors.keys())
        && bits(base) == bits(new)
}

/// What changed, by name.
fn changes(verdicts: Twin<Verdict>) -> impl Iterator<Item = String> {
    let Twin { base, new } = verdicts;
    let class = (base.class != new.class)
        .then(|| format!("{}->{}", base.class.as_str(), new.class.as_str()));
    let name = |spam| if spam { "spam" } else { "ham" };
    let spam = (base.spam != new.spam).then(|| format!("{}->{}", name(base.spam), name(new.spam)));
    class.into_iter().chain(spam)
}

/// Keeps the sample if its rank is among the lowest. A rank is a hash of change and origin, so each message of a change
/// is as likely to be kept as any other, the choice is the same whatever the order, and no state but the samples is
/// needed to go on.
///
/// Source: E. Cohen, H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.
fn offer(samples: &mut Vec<Sample>, change: &str, origin: &Origin, make: impl FnOnce() -> Sample) {
    let own = rank(change, origin);
    let place = samples.partition_point(|s| rank(change, &s.origin) < own);
    if place < SAMPLES_PER_CHANGE {
        samples.insert(place, make());
        samples.truncate(SAMPLES_PER_CHANGE);
    }
}

fn rank(change: &str, origin: &Origin) -> [u8; 16] {
    let (partition, offset) = (origin.partition.to_string(), origin.offset.to_string());
    UniqueKey::new("replay-sample", &[change, &partition, &offset]).0
}

fn sample(judged: &Judged, origin: &Origin, verdicts: Twin<Verdict>) -> Sample {
    Sample {
        message: judged.key,
        edit: judged.edit,
        origin: origin.clone(),
        base: verdicts.base,
        new: verdicts.new,
        factors: changed_factors(&judged.screens.base, &judged.screens.new),
    }
}

fn changed_factors(base: &Screen, new: &Screen) -> Vec<FactorChange> {
    let names: BTreeSet<&String> = base.factors.keys().chain(new.factors.keys()).collect();
    let of = |screen: &Screen, name: &String| screen.factors.get(name).copied().unwrap_or(0.0);
    let mut changed: Vec<FactorChange> = names
        .into_iter()
        .map(|name| FactorChange {
            name: name.clone(),
            base: of(base, name),
            new: of(new, name),
        })
        .filter(|f| f.base != f.new)
        .collect();
    changed.sort_by(|a, b| {
        let size = |f: &FactorChange| (f.new - f.base).abs();
        size(b).total_cmp(&size(a))
    });
    changed.truncate(SAMPLE_FACTORS);
    changed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use telesift_schemas::{Offset, PartitionId, Topic};

    use super::*;

    fn screen(class: Class, score: f64, factors: &[(&str, f64)]) -> Screen {
        Screen {
            class,
            score,
            factors: factors.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect(),
            flags: Vec::new(),
            spam_score: None,
            rules: "r@1+0".to_owned(),
        }
    }

    fn judged(base: Screen, new: Screen) -> Judged {
        Judged {
            key: "7:1".parse().unwrap(),
            edit: 0,
            text: "сервер впав".to_owned(),
            screens: Twin { base, new },
        }
    }

    fn origin(offset: u64) -> Origin {
        Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(0),
            offset: Offset(offset),
        }
    }

    fn kept(offsets: impl Iterator<Item = u64>) -> Vec<u64> {
        let change = judged(
            screen(Class::Noise, 0.1, &[]),
            screen(Class::Signal, 0.9, &[]),
        );
        let mut progress = ReplayProgress::default();
        for offset in offsets {
            add(&mut progress, &change, &origin(offset), None);
        }
        let samples = &progress.samples["noise->signal"];
        samples.iter().map(|s| s.origin.offset.0).collect()
    }

    #[test]
    fn samples_are_few_even_and_the_same_in_any_order() {
        let forwards = kept(0..1_000);
        assert_eq!(forwards.len(), SAMPLES_PER_CHANGE);
        assert_eq!(forwards, kept((0..1_000).rev()));
        let n_early = forwards.iter().filter(|o| **o < 500).count();
        assert!((4..=16).contains(&n_early), "{forwards:?}");
    }

    #[test]
    fn the_greatest_changes_of_factors_come_first() {
        let base = screen(
            Class::Noise,
            0.1,
            &[("link", 0.5), ("tech", 0.7), ("thanks", -3.0)],
        );
        let new = screen(
            Class::Signal,
            0.9,
            &[("link", 0.6), ("tech", 0.7), ("incident", 1.9)],
        );
        let names: Vec<String> = changed_factors(&base, &new)
            .into_iter()
            .map(|f| f.name)
            .collect();
        assert_eq!(names, ["thanks", "incident", "link"]);
    }

    #[test]
    fn identical_means_every_bit_and_not_the_name_of_the_rules() {
        let base = screen(Class::Noise, 0.1, &[("link", 0.5)]);
        let renamed = Screen {
            rules: "other@2+1".to_owned(),
            ..base.clone()
        };
        assert!(is_identical(&base, &renamed));
        let mut nearly = base.clone();
        nearly.factors = BTreeMap::from([("link".to_owned(), 0.5 + f64::EPSILON)]);
        assert!(!is_identical(&base, &nearly));
    }

    #[test]
    fn a_spam_flag_is_a_change_of_its_own() {
        let base = screen(Class::Signal, 0.9, &[]);
        let mut new = screen(Class::Noise, 0.1, &[]);
        new.flags.push(flags::SPAM.to_owned());
        let mut progress = ReplayProgress::default();
        add(&mut progress, &judged(base, new), &origin(0), None);
        let names: Vec<&str> = progress.result.diff.keys().map(String::as_str).collect();
        assert_eq!(names, ["ham->spam", "signal->noise"]);
        assert_eq!(progress.result.cost.base.messages, 1);
        assert_eq!(progress.result.cost.new.messages, 0);
    }
}
