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

/// From which cosine on two claims are one, and two names one subject, by this model: as `pairs.tsv` of the extractor has it. All
/// that the e5 family sees is alike: `frontend` and `backend` have 0.96. For a model that was not measured: rather too few.
fn likeness(model: &str) -> (f32, f32) {
    let is_e5 = || {
        model
            .split(['-', '_', '/', '.', ':', '@'])
            .any(|part| part == "e5")
    };
    match model {
        model if model.starts_with("hash") => (0.97, 0.85),
        model if model.starts_with("all-MiniLM-L6-v2") => (0.995, 0.86),
        _ if is_e5() => (0.99, 0.972),
        _ => (0.99, 0.98),
    }
}

#[cfg(test)]
mod tests;
