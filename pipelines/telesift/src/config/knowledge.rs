//! The sections `[units]` and `[extract]`: which messages belong together, and how they are read.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
use telesift_api::ConversationBounds;
use telesift_stages::{extract::ExtractConfig, units::UnitsConfig};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Units {
    gap_min: u32,
    max_messages: usize,
    max_chars: usize,
    settle_ms: u32,
}

impl Units {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.gap_min >= 1 && self.max_messages >= 1 && self.max_chars >= 1,
            "units.gap_min, units.max_messages and units.max_chars must be at least 1"
        );
        Ok(())
    }

    /// What estimates take for one conversation.
    pub(crate) fn bounds(&self) -> ConversationBounds {
        ConversationBounds {
            gap_s: i64::from(self.gap_min) * 60,
            max_messages: self.max_messages,
            max_chars: self.max_chars,
        }
    }
}

impl From<&Units> for UnitsConfig {
    fn from(from: &Units) -> Self {
        UnitsConfig {
            gap_s: i64::from(from.gap_min) * 60,
            max_messages: from.max_messages,
            max_chars: from.max_chars,
            settle_ms: i64::from(from.settle_ms),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extract {
    pub(crate) workers: usize,
    max_unusable: u32,
    max_text_chars: usize,
    patience_s: u64,
    same_atom: f32,
    same_subject: f32,
}

impl Extract {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.workers >= 1 && self.max_unusable >= 1 && self.max_text_chars >= 1,
            "extract.workers, extract.max_unusable and extract.max_text_chars must be at least 1"
        );
        let is_cosine = |x: f32| (0.0..=1.0).contains(&x);
        ensure!(
            is_cosine(self.same_atom) && is_cosine(self.same_subject),
            "extract.same_atom and extract.same_subject are numbers from 0 (as measured for the model) to 1"
        );
        Ok(())
    }
}

impl Extract {
    /// How the stage works beside the embedding model of this id.
    pub(crate) fn beside(&self, model: &str) -> ExtractConfig {
        let (same_atom, same_subject) = likeness(model);
        let said = |said: f32, measured: f32| if said > 0.0 { said } else { measured };
        ExtractConfig {
            workers: self.workers,
            max_unusable: self.max_unusable,
            max_text_chars: self.max_text_chars,
            patience: Duration::from_secs(self.patience_s),
            same_atom: said(self.same_atom, same_atom),
            same_subject: said(self.same_subject, same_subject),
            ..ExtractConfig::default()
        }
    }
}

/// From which cosine on two claims are one, and two names one subject, by this model: as the pairs of the tests below have it.
/// For a model that was not measured: rather too few.
fn likeness(model: &str) -> (f32, f32) {
    match model {
        model if model.starts_with("hash") => (0.97, 0.85),
        model if model.starts_with("all-MiniLM-L6-v2") => (0.985, 0.86),
        _ => (0.985, 0.95),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use telesift_models::{HashEmbedder, LocalEmbedder};
    use telesift_ports::embedder::{Embedder as _, Purpose};

    use crate::config::Config;

    const SAME_CLAIMS: [(&str, &str); 3] = [
        (
            "Оплата падає на телефонах після оновлення",
            "оплата падає на телефонах після оновлення!",
        ),
        (
            "Оплата падает на телефонах",
            "Оплата  падает на телефонах 😡",
        ),
        (
            "Payments fail on phones after the update",
            "payments failed on phones, after the updates",
        ),
    ];
    const OTHER_CLAIMS: [(&str, &str); 7] = [
        (
            "Оплата падає на телефонах після оновлення",
            "Оплата падає на планшетах після оновлення",
        ),
        (
            "Реліз переносимо на п'ятницю",
            "Реліз переносимо на понеділок",
        ),
        (
            "Релиз переносим на пятницу",
            "Релиз переносим на понедельник",
        ),
        (
            "We move the release to Friday",
            "We move the release to Monday",
        ),
        ("We use Postgres 15", "We use Postgres 16"),
        ("Payments fail on phones", "Deliveries fail on phones"),
        ("Оплата работает", "Оплата не работает"),
    ];
    const SAME_SUBJECTS: [(&str, &str); 3] = [
        ("оплата карткою", "оплати картками"),
        ("доставка заказов", "доставки заказа"),
        ("Kubernetes cluster", "kubernetes clusters"),
    ];
    const OTHER_SUBJECTS: [(&str, &str); 5] = [
        ("backup", "backend"),
        ("сервер оплати", "сервер доставки"),
        ("база данных", "база знаний"),
        ("card payments", "card delivery"),
        ("оплата", "доставка"),
    ];

    /// Pairs a model of English tells apart by meaning, beside those above.
    const MORE_SAME_SUBJECTS: [(&str, &str); 3] = [
        ("card payments", "payment by card"),
        ("backups", "backup"),
        ("mobile app", "mobile application"),
    ];
    const MORE_OTHER_CLAIMS: [(&str, &str); 5] = [
        (
            "The backup job failed on db-2",
            "The backup job failed on db-3",
        ),
        ("Login works again", "Login does not work"),
        ("The export takes 4 minutes", "The export takes 40 minutes"),
        (
            "Customers in Spain were charged twice",
            "Customers in Italy were charged twice",
        ),
        ("We decided to keep Postgres", "We decided to drop Postgres"),
    ];
    const MORE_OTHER_SUBJECTS: [(&str, &str); 6] = [
        ("frontend", "backend"),
        ("mobile app", "web app"),
        ("database", "data warehouse"),
        ("release", "deployment"),
        ("login", "logging"),
        ("payments", "invoices"),
    ];

    type Pairs = [(&'static str, &'static str)];

    /// The pairs a model takes for what they are not.
    fn wrong(
        embed: impl Fn(&[&str]) -> Vec<Vec<f32>>,
        threshold: f32,
        same: &[&Pairs],
        other: &[&Pairs],
    ) -> Vec<String> {
        let pairs = |lists: &[&Pairs]| lists.concat();
        let all = pairs(same).into_iter().map(|p| (p, true));
        let all = all.chain(pairs(other).into_iter().map(|p| (p, false)));
        let judge = |((a, b), is_same): ((&str, &str), bool)| {
            let vectors = embed(&[a, b]);
            let similarity: f32 = vectors[0].iter().zip(&vectors[1]).map(|(x, y)| x * y).sum();
            let is_wrong = (similarity >= threshold) != is_same;
            is_wrong.then(|| format!("{a} / {b}: {similarity:.3}, same: {is_same}"))
        };
        all.filter_map(judge).collect()
    }

    #[test]
    fn the_thresholds_of_hash_tell_what_is_the_same_from_what_is_not() {
        let config = Config::from_parts(None, std::iter::empty()).unwrap();
        let embedder = HashEmbedder::default();
        let config = config.extract.beside(&embedder.model().id);
        let embed = |texts: &[&str]| texts.iter().map(|t| embedder.vector(t)).collect();
        let claims = wrong(embed, config.same_atom, &[&SAME_CLAIMS], &[&OTHER_CLAIMS]);
        assert!(claims.is_empty(), "{claims:#?}");
        let (same, other) = ([&SAME_SUBJECTS[..]], [&OTHER_SUBJECTS[..]]);
        let subjects = wrong(embed, config.same_subject, &same, &other);
        assert!(subjects.is_empty(), "{subjects:#?}");
    }

    /// It calls nothing the same that is not; what it says in two ways it may keep twice.
    #[test]
    fn the_thresholds_of_the_local_model_never_call_the_same_what_is_not() {
        let Some(folder) = std::env::var_os("TELESIFT_TEST_MODEL").map(PathBuf::from) else {
            return eprintln!("skipped: TELESIFT_TEST_MODEL names no folder with all-MiniLM-L6-v2");
        };
        let config = Config::from_parts(None, std::iter::empty()).unwrap();
        let config = config.extract.beside("all-MiniLM-L6-v2@any");
        let embedder = LocalEmbedder::load(&folder, None).unwrap();
        let embed = |texts: &[&str]| embedder.vectors(texts, Purpose::Passage).unwrap();
        // Claims are compared with their titles before them.
        let twice = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|t| format!("{t}\n{t}")).collect();
            embed(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let other = [&OTHER_CLAIMS[..], &MORE_OTHER_CLAIMS];
        let claims = wrong(twice, config.same_atom, &[], &other);
        assert!(claims.is_empty(), "{claims:#?}");
        let same = [&SAME_SUBJECTS[..], &MORE_SAME_SUBJECTS];
        let other = [&OTHER_SUBJECTS[..], &MORE_OTHER_SUBJECTS];
        let subjects = wrong(embed, config.same_subject, &same, &other);
        assert!(subjects.is_empty(), "{subjects:#?}");
    }
}
