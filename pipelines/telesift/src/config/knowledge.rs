//! The sections `[units]` and `[extract]`: which messages belong together, and how they are read.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
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
            "extract.same_atom and extract.same_subject are numbers from 0 to 1"
        );
        Ok(())
    }
}

impl From<&Extract> for ExtractConfig {
    fn from(from: &Extract) -> Self {
        ExtractConfig {
            workers: from.workers,
            max_unusable: from.max_unusable,
            max_text_chars: from.max_text_chars,
            patience: Duration::from_secs(from.patience_s),
            same_atom: from.same_atom,
            same_subject: from.same_subject,
            ..ExtractConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use telesift_models::HashEmbedder;
    use telesift_stages::extract::ExtractConfig;

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

    fn cosine((a, b): (&str, &str)) -> f32 {
        let embedder = HashEmbedder::default();
        let (a, b) = (embedder.vector(a), embedder.vector(b));
        a.iter().zip(&b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn the_thresholds_that_ship_tell_what_is_the_same_from_what_is_not() {
        let config = Config::from_parts(None, std::iter::empty()).unwrap();
        let config = ExtractConfig::from(&config.extract);
        let cases = [
            (&SAME_CLAIMS[..], &OTHER_CLAIMS[..], config.same_atom),
            (&SAME_SUBJECTS[..], &OTHER_SUBJECTS[..], config.same_subject),
        ];
        let mut wrong = Vec::new();
        for (same, other, threshold) in cases {
            let (same, other) = (same.iter(), other.iter());
            let all = same.map(|p| (p, true)).chain(other.map(|p| (p, false)));
            for (pair, is_same) in all {
                let similarity = cosine(*pair);
                if (similarity >= threshold) != is_same {
                    wrong.push(format!("{pair:?}: {similarity:.3}, same: {is_same}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
