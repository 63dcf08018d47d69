//! Leases in a table, told the time by the database.

use std::time::Duration;

use async_trait::async_trait;
use telesift_ports::{
    catalog::{Error, Result},
    leases::{Fence, Lease, Leases, Worker},
};

use crate::{
    SqlCatalog,
    database::Statement,
    queries::leases as queries,
    records::{json, timestamp, to_int, to_json, unsigned},
    row::{Arg, Row},
};

#[async_trait]
impl Leases for SqlCatalog {
    async fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>> {
        let args = vec![name.into(), owner.into(), microseconds(ttl)];
        self.leases
            .write(queries::ACQUIRE, args, String::new)
            .await?;
        // Whether this call took it or an earlier one did whose answer was lost.
        let args = vec![name.into(), owner.into()];
        let rows = self.leases.read(queries::LEASE_OF, args).await?;
        rows.first().map(lease).transpose()
    }

    async fn renew(&self, held: &Lease, ttl: Duration) -> Result<()> {
        let mut args = key(&held.name, held.token)?;
        args.push(microseconds(ttl));
        match self.leases.write(queries::RENEW, args, String::new).await? {
            0 => Err(held.fence().lost()),
            _ => Ok(()),
        }
    }

    async fn release(&self, held: &Lease) -> Result<()> {
        let args = key(&held.name, held.token)?;
        self.leases
            .write(queries::RELEASE, args, String::new)
            .await?;
        Ok(())
    }

    async fn check(&self, fence: &Fence) -> Result<()> {
        let Some((name, token)) = fence.lease() else {
            return Ok(());
        };
        let args = key(name, token)?;
        match self.leases.read(queries::CHECK, args).await?.is_empty() {
            true => Err(fence.lost()),
            false => Ok(()),
        }
    }

    async fn held_leases(&self) -> Result<Vec<Lease>> {
        let rows = self.leases.read(queries::HELD, Vec::new()).await?;
        rows.iter().map(lease).collect()
    }

    async fn report_worker(&self, id: &str, roles: &[String], ttl: Duration) -> Result<()> {
        let args = vec![id.into(), to_json(&roles)?, microseconds(ttl)];
        self.leases
            .write(queries::REPORT_WORKER, args, String::new)
            .await?;
        Ok(())
    }

    async fn retire_worker(&self, id: &str) -> Result<()> {
        self.leases
            .write(queries::RETIRE_WORKER, vec![id.into()], String::new)
            .await?;
        self.leases
            .write(queries::FORGET_WORKERS, Vec::new(), String::new)
            .await?;
        Ok(())
    }

    async fn live_workers(&self) -> Result<Vec<Worker>> {
        let rows = self.leases.read(queries::LIVE_WORKERS, Vec::new()).await?;
        rows.iter().map(worker).collect()
    }
}

/// The arguments of a position commit that name its lease: `NULL`s for an open fence.
pub(crate) fn fence_args(fence: &Fence) -> Result<[Arg; 2]> {
    Ok(match fence.lease() {
        Some((name, token)) => [name.into(), to_int(token)?],
        None => [Arg::Text(None), Arg::Int(None)],
    })
}

/// The statement that keeps a lease to the end of a transaction which is pointless without; `None` for an open fence.
pub(crate) fn hold(fence: &Fence) -> Result<Option<Statement>> {
    let Some((name, token)) = fence.lease() else {
        return Ok(None);
    };
    Ok(Some(Statement {
        sql: queries::HOLD,
        args: key(name, token)?,
        must_change: true,
    }))
}

/// Why a position commit changed nothing: the lease behind it is lost, or the position is not the one expected.
pub(crate) async fn refusal(catalog: &SqlCatalog, fence: &Fence, what: String) -> Error {
    match catalog.check(fence).await {
        Ok(()) => Error::Conflict { what },
        Err(lost_or_silent) => lost_or_silent,
    }
}

fn key(name: &str, token: u64) -> Result<Vec<Arg>> {
    Ok(vec![name.into(), to_int(token)?])
}

pub(crate) fn microseconds(ttl: Duration) -> Arg {
    // A century is for ever, and keeps the sum in range.
    const FOR_EVER: i64 = 100 * 365 * 86_400 * 1_000_000;
    i64::try_from(ttl.as_micros())
        .unwrap_or(FOR_EVER)
        .min(FOR_EVER)
        .into()
}

/// Columns: `name, owner, token, since`.
fn lease(row: &Row) -> Result<Lease> {
    Ok(Lease {
        name: row.get(0)?,
        owner: row.get(1)?,
        token: unsigned(row, 2)?,
        since: timestamp(row.get(3)?)?,
    })
}

/// Columns: `id, roles, since`.
fn worker(row: &Row) -> Result<Worker> {
    Ok(Worker {
        id: row.get(0)?,
        roles: json(&row.get::<String>(1)?)?,
        since: timestamp(row.get(2)?)?,
    })
}
