//! Rule sets and activations as rows of both databases.

use async_trait::async_trait;
use telesift_ports::{
    catalog::Result,
    rules::{ActivationRow, RulesCatalog, RulesRow},
};
use telesift_schemas::{Offset, PartitionId};

use crate::{
    SqlCatalog,
    records::{json, timestamp, to_int, to_json, unsigned},
    row::{Arg, Row},
};

/// No row if there is one of that version or decision.
const INSERT_RULES: &str = "
    INSERT INTO rule_sets (decision, version, name, data, source, made_by, made_at, note)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT DO NOTHING";

const RULES_LIST: &str = "
    SELECT decision, version, name, data, source, made_by, made_at, note FROM rule_sets
    WHERE $1 IS NULL OR decision < $1
    ORDER BY decision DESC LIMIT $2";

/// No row if there is one of that decision.
const INSERT_ACTIVATION: &str = "
    INSERT INTO rule_activations (decision, version, shipped, positions, made_by, made_at, note)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING";

const ACTIVATIONS: &str = "
    SELECT decision, version, shipped, positions, made_by, made_at, note FROM rule_activations
    WHERE $1 IS NULL OR decision < $1
    ORDER BY decision DESC LIMIT $2";

#[async_trait]
impl RulesCatalog for SqlCatalog {
    async fn put_rules(&self, row: &RulesRow) -> Result<()> {
        let args = vec![
            to_int(row.decision.0)?,
            row.version.as_str().into(),
            row.name.as_str().into(),
            row.data.as_str().into(),
            row.source.as_str().into(),
            row.by.as_str().into(),
            row.at.into(),
            row.note.as_deref().into(),
        ];
        self.database
            .write(INSERT_RULES, args, || format!("rules/{}", row.version))
            .await?;
        Ok(())
    }

    async fn rules_list(&self, before: Option<Offset>, limit: usize) -> Result<Vec<RulesRow>> {
        let rows = self.database.read(RULES_LIST, page(before, limit)?).await?;
        rows.iter().map(rules).collect()
    }

    async fn put_activation(&self, row: &ActivationRow) -> Result<()> {
        let from: Vec<(u32, u64)> = row.from.iter().map(|(p, o)| (p.0, o.0)).collect();
        let args = vec![
            to_int(row.decision.0)?,
            row.version.as_str().into(),
            i64::from(row.shipped).into(),
            to_json(&from)?,
            row.by.as_str().into(),
            row.at.into(),
            row.note.as_deref().into(),
        ];
        self.database
            .write(INSERT_ACTIVATION, args, || {
                format!("activation/{}", row.decision)
            })
            .await?;
        Ok(())
    }

    async fn activations(
        &self,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<ActivationRow>> {
        let rows = self
            .database
            .read(ACTIVATIONS, page(before, limit)?)
            .await?;
        rows.iter().map(activation).collect()
    }
}

fn page(before: Option<Offset>, limit: usize) -> Result<Vec<Arg>> {
    let before = match before {
        Some(offset) => to_int(offset.0)?,
        None => Arg::Int(None),
    };
    Ok(vec![
        before,
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ])
}

fn rules(row: &Row) -> Result<RulesRow> {
    Ok(RulesRow {
        decision: Offset(unsigned(row, 0)?),
        version: row.get(1)?,
        name: row.get(2)?,
        data: row.get(3)?,
        source: row.get(4)?,
        by: row.get(5)?,
        at: timestamp(row.get(6)?)?,
        note: row.get(7)?,
    })
}

fn activation(row: &Row) -> Result<ActivationRow> {
    let from: Vec<(u32, u64)> = json(&row.get::<String>(3)?)?;
    Ok(ActivationRow {
        decision: Offset(unsigned(row, 0)?),
        version: row.get(1)?,
        shipped: row.get::<i64>(2)? != 0,
        from: from
            .into_iter()
            .map(|(p, o)| (PartitionId(p), Offset(o)))
            .collect(),
        by: row.get(4)?,
        at: timestamp(row.get(5)?)?,
        note: row.get(6)?,
    })
}
