//! The audit log in a map by id.

use async_trait::async_trait;

use super::{MemoryCatalog, newest_first};
use crate::catalog::{AuditFilter, AuditLog, AuditOutcome, AuditRecord, Error, Result};

#[async_trait]
impl AuditLog for MemoryCatalog {
    async fn begin_audit(&self, record: &AuditRecord) -> Result<()> {
        let mut tables = self.tables();
        if tables.audit.contains_key(&record.id) {
            return Err(Error::Conflict {
                what: format!("audit/{}", record.id),
            });
        }
        tables.audit.insert(record.id.clone(), record.clone());
        Ok(())
    }

    async fn end_audit(
        &self,
        id: &str,
        target: Option<&str>,
        outcome: &AuditOutcome,
    ) -> Result<()> {
        if let Some(record) = self.tables().audit.get_mut(id) {
            record.target = record.target.take().or(target.map(str::to_owned));
            record.outcome = Some(outcome.clone());
        }
        Ok(())
    }

    async fn audits(
        &self,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>> {
        let tables = self.tables();
        Ok(newest_first(&tables.audit, after)
            .filter(|record| filter.matches(record))
            .take(limit)
            .cloned()
            .collect())
    }
}
