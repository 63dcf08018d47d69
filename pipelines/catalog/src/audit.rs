//! The audit log in its table: a row before the deed, completed after it.

use async_trait::async_trait;
use telesift_ports::catalog::{AuditFilter, AuditLog, AuditOutcome, AuditRecord, Result};

use crate::{
    SqlCatalog,
    records::{damaged, timestamp},
    row::{Arg, Row},
};

const BEGIN_AUDIT: &str = "
    INSERT INTO audit (id, at, actor, actor_name, action, target, address, request, status, code)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// A target that is known already stays.
const END_AUDIT: &str = "
    UPDATE audit SET target = COALESCE(target, $2), status = $3, code = $4 WHERE id = $1";

const AUDITS: &str = "
    SELECT id, at, actor, actor_name, action, target, address, request, status, code FROM audit
    WHERE ($1 IS NULL OR id < $1) AND ($2 IS NULL OR action = $2) AND ($3 IS NULL OR actor = $3)
        AND ($4 IS NULL OR target = $4) AND ($5 IS NULL OR at >= $5) AND ($6 IS NULL OR at < $6)
    ORDER BY id DESC LIMIT $7";

#[async_trait]
impl AuditLog for SqlCatalog {
    async fn begin_audit(&self, record: &AuditRecord) -> Result<()> {
        let outcome = record.outcome.as_ref();
        let args = vec![
            record.id.as_str().into(),
            record.at.into(),
            record.actor.as_deref().into(),
            record.actor_name.as_str().into(),
            record.action.as_str().into(),
            record.target.as_deref().into(),
            record.address.as_deref().into(),
            record.request.as_deref().into(),
            Arg::Int(outcome.map(|o| i64::from(o.status))),
            outcome.and_then(|o| o.code.as_deref()).into(),
        ];
        self.database
            .write(BEGIN_AUDIT, args, || format!("audit/{}", record.id))
            .await?;
        Ok(())
    }

    async fn end_audit(
        &self,
        id: &str,
        target: Option<&str>,
        outcome: &AuditOutcome,
    ) -> Result<()> {
        let args = vec![
            id.into(),
            target.into(),
            i64::from(outcome.status).into(),
            outcome.code.as_deref().into(),
        ];
        self.database.write(END_AUDIT, args, String::new).await?;
        Ok(())
    }

    async fn audits(
        &self,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>> {
        let args = vec![
            after.into(),
            filter.action.as_deref().into(),
            filter.actor.as_deref().into(),
            filter.target.as_deref().into(),
            filter.since.into(),
            filter.until.into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ];
        let rows = self.database.read(AUDITS, args).await?;
        rows.iter().map(record).collect()
    }
}

fn record(row: &Row) -> Result<AuditRecord> {
    let status: Option<i64> = row.get(8)?;
    let outcome = status.map(|status| -> Result<AuditOutcome> {
        Ok(AuditOutcome {
            status: u16::try_from(status).map_err(damaged)?,
            code: row.get(9)?,
        })
    });
    Ok(AuditRecord {
        id: row.get(0)?,
        at: timestamp(row.get(1)?)?,
        actor: row.get(2)?,
        actor_name: row.get(3)?,
        action: row.get(4)?,
        target: row.get(5)?,
        address: row.get(6)?,
        request: row.get(7)?,
        outcome: outcome.transpose()?,
    })
}
