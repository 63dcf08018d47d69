//! What a replay would make of a unit: whether it is to be asked for anew, who would be asked, and what that would cost.

use std::sync::Arc;

use telesift_ports::{
    extractor::{Answers, ExtractError},
    knowledge::{ReadingRow, UnitRow},
};
use telesift_schemas::{Generation, Offset};
use tokio::sync::{Notify, watch};

use super::{Extract, ExtractConfig, ExtractParts, look_up::LookUps, read::Read};
use crate::consumer::StageError;

/// Looks at units without asking anybody.
pub struct UnitPlanner {
    /// Reads units as the stage does; it never runs.
    reader: Extract,
    news: Arc<Notify>,
}

/// What becomes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    /// It is asked for anew.
    Asked(Answers),
    /// It is left as it is, for this reason.
    Left(&'static str),
    /// The generation has its reading already.
    Done,
    /// Nobody can tell now, because of this.
    Unknown(&'static str),
}

impl UnitPlanner {
    /// Over the parts of the stage; `news` wakes it. Within a runtime: messages of units that are planned at once are looked up
    /// together.
    pub fn new(parts: ExtractParts, news: Arc<Notify>, config: ExtractConfig) -> Self {
        let (_, applied) = watch::channel(Offset::ZERO);
        let look_ups = LookUps::start(parts.store.clone()).into();
        let reader = Extract {
            look_ups,
            ..Extract::new(parts, Vec::new(), news.clone(), applied, config)
        };
        UnitPlanner { reader, news }
    }

    /// What becomes of a unit in a replay that fills `generation`; in a dry run, which fills none.
    ///
    /// One whose answer came from who would be asked now is left as it is; so is one on which a reader's review stands, since
    /// what was reviewed is never overwritten.
    ///
    /// # Errors
    /// If store or catalog fail.
    pub async fn plan(
        &self,
        unit: &UnitRow,
        generation: Option<Generation>,
    ) -> Result<Planned, StageError> {
        let reader = &self.reader;
        let has_read = |row: &ReadingRow| Some(row.generation) == generation;
        let ids = std::slice::from_ref(&unit.id);
        if reader
            .parts
            .catalog
            .readings_of(ids)
            .await?
            .iter()
            .any(has_read)
        {
            return Ok(Planned::Done);
        }
        let before = reader.extraction_of(&unit.id).await?;
        if unit.members.is_empty() {
            return Ok(Planned::Left("gone"));
        }
        let atoms = reader.parts.catalog.atoms_of_units(ids).await?;
        let mut reviews = atoms.iter().filter_map(|stored| stored.review.as_ref());
        if reviews.any(|review| !review.automatic) {
            return Ok(Planned::Left("reviewed"));
        }
        let messages = match reader.read(unit).await? {
            Read::Messages(messages) if messages.is_empty() => return Ok(Planned::Left("gone")),
            Read::Messages(messages) => messages,
            Read::NotThere(_) => return Ok(Planned::Left("not_stored_yet")),
        };
        let asked = reader.unit(unit, &messages).await?;
        let plan = match reader.parts.extractor.plan(&asked).await {
            Ok(plan) => plan,
            Err(ExtractError::Off) => return Ok(Planned::Left("off")),
            Err(error) => {
                tracing::warn!(%error, unit = unit.id, "who would be asked cannot be told");
                return Ok(Planned::Unknown("extractor_unavailable"));
            }
        };
        Ok(match before {
            Some(before) if before.extractor == plan.by => Planned::Left("known"),
            _ => Planned::Asked(plan.from),
        })
    }

    /// Tells the stage that units are due.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }
}
