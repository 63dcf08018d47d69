//! Units of conversation in their tables.

use std::collections::BTreeMap;

use async_trait::async_trait;
use telesift_ports::{
    catalog::Result,
    knowledge::{Moved, UnitCatalog, UnitCounts, UnitRow, UnitState},
    leases::Fence,
};
use telesift_schemas::{
    ChatId, Class, Generation, MessageKey, Offset, Origin, PartitionId, Timestamp, Topic,
};

use super::{generation, id_lists, queries, statement, unknown};
use crate::{
    SqlCatalog,
    bundle::push,
    records::{damaged, json, timestamp, to_int, to_json, unsigned},
    row::{Arg, Row},
    stories::{count, key, list},
};

#[async_trait]
impl UnitCatalog for SqlCatalog {
    async fn put_units(&self, units: &[UnitRow], moved: &[Moved], fence: &Fence) -> Result<()> {
        let mut statements = Vec::new();
        push(&mut statements, units, &queries::PUT_UNITS, row)?;
        let ids: Vec<String> = units.iter().map(|unit| unit.id.clone()).collect();
        let drops = id_lists(&ids).into_iter();
        statements.extend(drops.map(|ids| statement(&queries::DROP_MEMBERS, ids)));
        // A message stands in one unit: the last that says so.
        let members = units
            .iter()
            .flat_map(|unit| unit.members.iter().map(move |m| (m.message, unit)));
        let unit_of: BTreeMap<MessageKey, &UnitRow> = members.collect();
        let members: Vec<_> = unit_of.into_iter().collect();
        push(
            &mut statements,
            &members,
            &queries::PUT_MEMBERS,
            |(message, unit)| {
                Ok([
                    message.chat.0.into(),
                    message.message_id.into(),
                    unit.id.as_str().into(),
                ])
            },
        )?;
        self.move_stages(moved, fence, statements).await
    }

    async fn units(&self, ids: &[String]) -> Result<Vec<UnitRow>> {
        let mut found = Vec::new();
        let each = |row: &Row| {
            found.push(unit(row)?);
            Ok(())
        };
        self.read_ids(&queries::UNITS, ids, each).await?;
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    async fn units_of(&self, messages: &[MessageKey]) -> Result<Vec<(MessageKey, String)>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let asked = messages.iter().flat_map(|key| [key.chat.0, key.message_id]);
        let [keys, _] = list(asked);
        let args = vec![keys, count(messages.len())];
        let rows = self.database.read(queries::UNITS_OF, args).await?;
        let pair = |row: &Row| Ok((key(row, 0)?, row.get(2)?));
        let mut found: Vec<_> = rows.iter().map(pair).collect::<Result<_>>()?;
        found.sort();
        Ok(found)
    }

    async fn due_units(&self, now: Timestamp, limit: usize) -> Result<Vec<UnitRow>> {
        let args = vec![now.into(), count(limit)];
        let rows = self.database.read(queries::DUE_UNITS, args).await?;
        rows.iter().map(unit).collect()
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let rows = self
            .database
            .read(queries::NEXT_DUE, vec![now.into()])
            .await?;
        rows.first().map(|row| timestamp(row.get(0)?)).transpose()
    }

    async fn settle_unit(&self, unit: &UnitRow) -> Result<bool> {
        let n = self
            .database
            .write(queries::SETTLE_UNIT, settle_args(unit)?, String::new)
            .await?;
        Ok(n > 0)
    }

    async fn settle_units(&self, units: &[UnitRow]) -> Result<()> {
        let settle = |unit| Ok(statement(queries::SETTLE_UNIT, settle_args(unit)?));
        let statements = units.iter().map(settle).collect::<Result<Vec<_>>>()?;
        if !statements.is_empty() {
            self.database.change(statements).await?;
        }
        Ok(())
    }

    async fn read_again(&self, ids: &[String], generation: Generation) -> Result<()> {
        let mark = |id: &String| {
            let args = vec![id.as_str().into(), i64::from(generation.0).into()];
            statement(queries::READ_AGAIN, args)
        };
        let statements: Vec<_> = ids.iter().map(mark).collect();
        if !statements.is_empty() {
            self.database.change(statements).await?;
        }
        Ok(())
    }

    async fn n_read_again(&self, generation: Generation) -> Result<u64> {
        let args = vec![i64::from(generation.0).into()];
        let rows = self.database.read(queries::N_READ_AGAIN, args).await?;
        rows.first().map_or(Ok(0), |row| unsigned(row, 0))
    }

    async fn end_reading(&self, generation: Generation) -> Result<()> {
        let args = vec![i64::from(generation.0).into()];
        self.database
            .write(queries::END_READING, args, String::new)
            .await?;
        Ok(())
    }

    async fn wake_units(&self, chat: Option<ChatId>) -> Result<()> {
        let args = vec![Arg::Int(chat.map(|chat| chat.0))];
        self.database
            .write(queries::WAKE_UNITS, args, String::new)
            .await?;
        Ok(())
    }

    async fn unit_at(&self, partition: u32, offset: Offset) -> Result<Option<UnitRow>> {
        let args = vec![i64::from(partition).into(), to_int(offset.0)?];
        let rows = self.database.read(queries::UNIT_AT, args).await?;
        rows.first().map(unit).transpose()
    }

    async fn unit_counts(&self) -> Result<UnitCounts> {
        let rows = self.database.read(queries::UNIT_COUNTS, Vec::new()).await?;
        let mut counts = UnitCounts::default();
        for row in &rows {
            let n = unsigned(row, 1)?;
            match state(&row.get::<String>(0)?)? {
                UnitState::Due => counts.due = n,
                UnitState::Done => counts.done = n,
                UnitState::Failed => counts.failed = n,
            }
        }
        let rows = self.database.read(queries::PASSED_BY, Vec::new()).await?;
        for row in &rows {
            counts.passed_by.insert(row.get(0)?, unsigned(row, 1)?);
        }
        Ok(counts)
    }
}

/// The values of a row of `units`.
fn row(unit: &UnitRow) -> Result<[Arg; 14]> {
    Ok([
        unit.id.as_str().into(),
        to_json(&unit.chat)?,
        to_json(&unit.members)?,
        (unit.class as i64).into(),
        unit.newest.into(),
        unit.origin.topic.as_str().into(),
        i64::from(unit.origin.partition.0).into(),
        to_int(unit.origin.offset.0)?,
        to_int(unit.revision)?,
        unit.state.as_str().into(),
        i64::from(unit.attempts).into(),
        unit.not_before.into(),
        unit.note.as_deref().into(),
        Arg::Int(unit.again.map(|g| i64::from(g.0))),
    ])
}

/// Columns: `id, chat, members, class_rank, newest, topic, partition_id, origin_offset, revision, state, attempts, not_before,
/// note, again`.
fn unit(row: &Row) -> Result<UnitRow> {
    let rank: i64 = row.get(3)?;
    let class = Class::ALL.into_iter().find(|c| *c as i64 == rank);
    let small = |index| u32::try_from(row.get::<i64>(index)?).map_err(damaged);
    Ok(UnitRow {
        id: row.get(0)?,
        chat: json(&row.get::<String>(1)?)?,
        members: json(&row.get::<String>(2)?)?,
        class: class.ok_or_else(|| damaged(format!("no class of rank {rank}")))?,
        newest: timestamp(row.get(4)?)?,
        origin: Origin {
            topic: Topic::new(row.get::<String>(5)?),
            partition: PartitionId(small(6)?),
            offset: Offset(unsigned(row, 7)?),
        },
        revision: unsigned(row, 8)?,
        state: state(&row.get::<String>(9)?)?,
        attempts: small(10)?,
        not_before: row.get::<Option<i64>>(11)?.map(timestamp).transpose()?,
        note: row.get(12)?,
        again: row.get::<Option<i64>>(13)?.map(generation).transpose()?,
    })
}

fn state(name: &str) -> Result<UnitState> {
    let found = UnitState::ALL.into_iter().find(|s| s.as_str() == name);
    found.ok_or_else(|| unknown("state of a unit", name))
}

fn settle_args(unit: &UnitRow) -> Result<Vec<Arg>> {
    Ok(vec![
        unit.id.as_str().into(),
        to_int(unit.revision)?,
        unit.state.as_str().into(),
        i64::from(unit.attempts).into(),
        unit.not_before.into(),
        unit.note.as_deref().into(),
    ])
}
