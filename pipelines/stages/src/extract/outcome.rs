//! What becomes of a unit that was worked on.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use bytes::Bytes;
use telesift_ports::{
    extractor::ExtractError,
    knowledge::{ExtractionRow, UnitRow, UnitState},
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{DeadLetterCode, Timestamp, TopicPartition};

use super::{Extract, STAGE};
use crate::{
    consumer::StageError,
    dead_letter::{self, Refusal},
};

/// The longest pause after failures of a provider that does not say when to come back.
const MAX_AWAY: Duration = Duration::from_secs(300);

/// Why nothing is made of a unit: nobody may read its chat; another that tells the same was read; none of its messages is left.
pub(super) const OFF: &str = "off";
pub(super) const SAME_STORY: &str = "same_story";
pub(super) const GONE: &str = "gone";

/// How work on a unit ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its extraction is applied.
    Done,
    /// Nothing is made of it, for this reason.
    PassedBy(&'static str),
    /// It waits; nothing is wrong with it.
    Later {
        /// How long.
        delay: Duration,
        /// For what.
        note: String,
    },
    /// It waits until then.
    Until {
        /// When.
        until: Timestamp,
        /// For what.
        note: String,
    },
    /// Its answer could not be used; it is asked for again after this long.
    Again {
        /// How long.
        delay: Duration,
        /// What was wrong.
        note: String,
    },
    /// It is given up.
    Refused(Refusal),
}

/// Who failed last time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    /// Failures in a row, of which those at once count as one.
    n: u32,
    /// Until when further failures are the same one.
    until: Instant,
}

impl Outcome {
    /// Of a unit of which this counts.
    pub(super) fn of(extraction: &ExtractionRow) -> Self {
        match extraction {
            same if same.same_as.is_some() => Outcome::PassedBy(SAME_STORY),
            empty if empty.members.is_empty() => Outcome::PassedBy(GONE),
            unread if unread.extractor.is_nobody() => Outcome::PassedBy(OFF),
            _ => Outcome::Done,
        }
    }
}

impl Extract {
    /// Counts a failure of `extractor`; which one in a row it is, from 0, and how long to leave him alone.
    fn is_away(&self, extractor: String) -> (u32, Duration) {
        let now = Instant::now();
        let mut all = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&extractor).copied();
        let n = match known {
            None => 0,
            Some(away) if now < away.until => away.n,
            Some(away) => (away.n + 1).min(16),
        };
        let pause = Duration::from_secs(1).saturating_mul(1 << n).min(MAX_AWAY);
        let until = match known {
            Some(away) if away.n == n => away.until,
            _ => now + pause,
        };
        all.insert(extractor, Away { n, until });
        (n, pause)
    }

    /// `extractor` has answered.
    pub(super) fn is_back(&self, extractor: &str) {
        let mut all = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(extractor);
    }

    /// What an extractor's error means for a unit.
    pub(super) fn failed(&self, unit: &UnitRow, error: ExtractError) -> Outcome {
        let note = error.to_string();
        match error {
            // Noted before it comes to this.
            ExtractError::Off => Outcome::PassedBy(OFF),
            ExtractError::Held { until, .. } => Outcome::Until { until, note },
            ExtractError::Unavailable {
                extractor,
                retry_after,
                ..
            } => {
                let (n, pause) = self.is_away(extractor);
                // A tenth more or less, so that not all units come back at once.
                let spread = jitter(&unit.id, n);
                let delay = retry_after
                    .unwrap_or(Duration::ZERO)
                    .max(pause.mul_f64(spread));
                Outcome::Later { delay, note }
            }
            ExtractError::Unusable { .. } if unit.attempts + 1 < self.config.max_unusable => {
                Outcome::Again {
                    delay: Duration::from_secs(1 << unit.attempts.min(6)),
                    note,
                }
            }
            ExtractError::Unusable { .. } => Outcome::Refused(Refusal {
                code: DeadLetterCode::ModelUnusable,
                message: note,
                attempts: unit.attempts + 1,
            }),
            ExtractError::Refused { .. } => Outcome::Refused(Refusal {
                code: DeadLetterCode::ModelRefused,
                message: note,
                attempts: unit.attempts + 1,
            }),
        }
    }

    /// The unit as its outcome leaves it, to be noted unless it changed meanwhile: then it is due anyway.
    pub(super) async fn settled(
        &self,
        unit: &UnitRow,
        outcome: Outcome,
    ) -> Result<UnitRow, StageError> {
        let now = self.parts.clock.now();
        let mut row = unit.clone();
        let later = |delay: Duration| {
            let ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millisecond(now.as_millisecond().saturating_add(ms))
                .unwrap_or(Timestamp::MAX)
        };
        (row.not_before, row.note) = (None, None);
        match outcome {
            Outcome::Done => row.state = UnitState::Done,
            Outcome::PassedBy(reason) => {
                (row.state, row.note) = (UnitState::Done, Some(reason.to_owned()));
            }
            Outcome::Later { delay, note } => {
                (row.not_before, row.note) = (Some(later(delay)), Some(note));
            }
            Outcome::Until { until, note } => {
                // Not before the next look: one held until a moment that has passed must not spin.
                let soon = later(Duration::from_millis(100));
                (row.not_before, row.note) = (Some(until.max(soon)), Some(note));
            }
            Outcome::Again { delay, note } => {
                row.attempts += 1;
                (row.not_before, row.note) = (Some(later(delay)), Some(note));
            }
            Outcome::Refused(refusal) => {
                row.attempts = refusal.attempts;
                row.state = UnitState::Failed;
                row.note = Some(refusal.message.clone());
                self.bury(unit, refusal).await?;
            }
        }
        Ok(row)
    }

    /// The letter is of the record that closed the unit.
    async fn bury(&self, unit: &UnitRow, refusal: Refusal) -> Result<(), StageError> {
        let origin = &unit.origin;
        let at = TopicPartition::new(origin.topic.clone(), origin.partition);
        let now = self.parts.clock.now();
        // What is in question is which messages were read; what they say stands at their origins.
        let members = serde_json::json!({"unit": unit.id, "members": unit.members});
        let record = StoredRecord {
            offset: origin.offset,
            appended_at: now,
            key: Bytes::from(unit.chat.id.to_string()),
            value: members.to_string().into(),
        };
        let letter = dead_letter::append(STAGE, &at, &record, refusal, now);
        self.parts
            .log
            .commit(Transaction::appends(vec![letter]))
            .await?;
        Ok(())
    }
}

/// 0.9 to 1.1, by the unit and the number of the try.
fn jitter(unit: &str, n: u32) -> f64 {
    let sum: u32 = unit.bytes().map(u32::from).sum();
    0.9 + f64::from((sum + n * 37) % 21) / 100.0
}
