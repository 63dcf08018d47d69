//! Dead letters in their table: one row each, as its last record has it.

use async_trait::async_trait;
use telesift_ports::{
    catalog::Result,
    dead_letters::{LetterCatalog, LetterFilter, LetterRow},
};
use telesift_schemas::{DeadLetterCode, LetterState, Offset, Origin, PartitionId, Topic};

use crate::{
    SqlCatalog,
    records::{damaged, timestamp, to_int, unsigned},
    row::{Arg, Row},
};

/// What was stored of a later record stays.
const PUT_LETTER: &str = "
    INSERT INTO dead_letters (id, stage, topic, partition_id, origin_offset, code, message, attempts, first_at, last_at,
        state, first_record, last_record)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (id) DO UPDATE SET
        code = excluded.code, message = excluded.message, attempts = excluded.attempts, last_at = excluded.last_at,
        state = excluded.state, last_record = excluded.last_record
    WHERE dead_letters.last_record < excluded.last_record";

const LETTER: &str = "
    SELECT id, stage, topic, partition_id, origin_offset, code, message, attempts, first_at, last_at, state,
        first_record, last_record FROM dead_letters
    WHERE id = $1";

/// Narrowed where only one stage, code or state is asked for; the rest of a filter is applied to what comes.
const LETTERS: &str = "
    SELECT id, stage, topic, partition_id, origin_offset, code, message, attempts, first_at, last_at, state,
        first_record, last_record FROM dead_letters
    WHERE ($1 IS NULL OR first_record < $1) AND ($2 IS NULL OR stage = $2) AND ($3 IS NULL OR code = $3)
        AND ($4 IS NULL OR state = $4)
    ORDER BY first_record DESC LIMIT $5";

/// Rows read at once while a filter is applied.
const PAGE: usize = 1_000;

#[async_trait]
impl LetterCatalog for SqlCatalog {
    async fn put_letters(&self, letters: &[LetterRow]) -> Result<()> {
        for letter in letters {
            let args = vec![
                letter.id.as_str().into(),
                letter.stage.as_str().into(),
                letter.origin.topic.as_str().into(),
                i64::from(letter.origin.partition.0).into(),
                to_int(letter.origin.offset.0)?,
                letter.code.as_str().into(),
                letter.message.as_str().into(),
                i64::from(letter.attempts).into(),
                letter.first_at.into(),
                letter.last_at.into(),
                letter.state.as_str().into(),
                to_int(letter.first.0)?,
                to_int(letter.last.0)?,
            ];
            self.database.write(PUT_LETTER, args, String::new).await?;
        }
        Ok(())
    }

    async fn letter(&self, id: &str) -> Result<Option<LetterRow>> {
        let rows = self.database.read(LETTER, vec![id.into()]).await?;
        rows.first().map(letter).transpose()
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<LetterRow>> {
        let (mut found, mut before) = (Vec::new(), before);
        while found.len() < limit {
            let rows = self.database.read(LETTERS, page(filter, before)?).await?;
            for row in &rows {
                let letter = letter(row)?;
                before = Some(letter.first);
                if filter.matches(&letter) && found.len() < limit {
                    found.push(letter);
                }
            }
            if rows.len() < PAGE {
                break;
            }
        }
        Ok(found)
    }
}

fn page(filter: &LetterFilter, before: Option<Offset>) -> Result<Vec<Arg>> {
    fn only<'a, T>(list: &'a [T], name: impl Fn(&'a T) -> &'a str) -> Arg {
        match list {
            [one] => name(one).into(),
            _ => Arg::Text(None),
        }
    }
    Ok(vec![
        before.map_or(Ok(Arg::Int(None)), |offset| to_int(offset.0))?,
        only(&filter.stages, |stage| stage.as_str()),
        only(&filter.codes, |code| code.as_str()),
        only(&filter.states, |state| state.as_str()),
        i64::try_from(PAGE).unwrap_or(i64::MAX).into(),
    ])
}

fn letter(row: &Row) -> Result<LetterRow> {
    let (code, state): (String, String) = (row.get(5)?, row.get(10)?);
    let code = DeadLetterCode::ALL.into_iter().find(|c| c.as_str() == code);
    let state = LetterState::ALL.into_iter().find(|s| s.as_str() == state);
    Ok(LetterRow {
        id: row.get(0)?,
        stage: row.get(1)?,
        origin: Origin {
            topic: Topic::new(row.get::<String>(2)?),
            partition: PartitionId(u32::try_from(row.get::<i64>(3)?).map_err(damaged)?),
            offset: Offset(unsigned(row, 4)?),
        },
        code: code.ok_or_else(|| damaged("no code of a dead letter"))?,
        message: row.get(6)?,
        attempts: u32::try_from(row.get::<i64>(7)?).map_err(damaged)?,
        first_at: timestamp(row.get(8)?)?,
        last_at: timestamp(row.get(9)?)?,
        state: state.ok_or_else(|| damaged("no state of a dead letter"))?,
        first: Offset(unsigned(row, 11)?),
        last: Offset(unsigned(row, 12)?),
    })
}
