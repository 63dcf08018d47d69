//! What generations read of units, in their table.

use std::collections::BTreeSet;

use telesift_ports::{
    catalog::Result,
    knowledge::{KnowledgeChange, ReadingChange, ReadingRow},
};
use telesift_schemas::{Generation, Offset};

use super::{generation, queries, statement};
use crate::{
    SqlCatalog,
    database::Statement,
    records::{damaged, json, to_json},
    row::{Arg, Row},
};

impl SqlCatalog {
    pub(super) async fn list_readings(&self, units: &[String]) -> Result<Vec<ReadingRow>> {
        let mut found = Vec::new();
        let each = |row: &Row| {
            let offset = row.get::<Option<i64>>(2)?.map(u64::try_from);
            found.push(ReadingRow {
                generation: generation(row.get(0)?)?,
                unit: row.get(1)?,
                offset: offset.transpose().map_err(damaged)?.map(Offset),
            });
            Ok(())
        };
        self.read_ids(&queries::READINGS, units, each).await?;
        found.sort_by(|a, b| (&a.unit, a.generation).cmp(&(&b.unit, b.generation)));
        Ok(found)
    }

    pub(super) async fn list_units_read_by(
        &self,
        generations: &[Generation],
    ) -> Result<Vec<String>> {
        let mut units = BTreeSet::new();
        for generation in generations {
            let args = vec![i64::from(generation.0).into()];
            for row in &self.database.read(queries::UNITS_READ_BY, args).await? {
                units.insert(row.get::<String>(0)?);
            }
        }
        Ok(units.into_iter().collect())
    }

    pub(super) async fn whose_readings(&self) -> Result<Vec<Generation>> {
        let rows = self.database.read(queries::IN_FORCE, Vec::new()).await?;
        let stored = rows.first().map(|row| json(&row.get::<String>(0)?));
        Ok(stored.transpose()?.unwrap_or_default())
    }

    pub(super) async fn forget_readings(&self, generation: Generation) -> Result<()> {
        let args = vec![i64::from(generation.0).into()];
        self.database
            .write(queries::REMOVE_READINGS, args, String::new)
            .await?;
        Ok(())
    }
}

/// What a step changes of the readings, and whose count.
pub(super) fn statements(change: &KnowledgeChange, all: &mut Vec<Statement>) -> Result<()> {
    for reading in &change.readings {
        all.push(match reading {
            ReadingChange::Put(row) => {
                let offset = row.offset.map(|o| i64::try_from(o.0)).transpose();
                let args = vec![
                    i64::from(row.generation.0).into(),
                    row.unit.as_str().into(),
                    Arg::Int(offset.map_err(damaged)?),
                ];
                statement(queries::PUT_READING, args)
            }
            ReadingChange::Dropped(unit) => {
                statement(queries::DROP_READINGS, vec![unit.as_str().into()])
            }
        });
    }
    if let Some(in_force) = &change.in_force {
        all.push(statement(queries::PUT_IN_FORCE, vec![to_json(in_force)?]));
    }
    Ok(())
}
