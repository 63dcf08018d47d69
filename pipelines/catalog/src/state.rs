//! The state of a log that keeps none itself: a table of keys and values, changed together under guards.

use std::{collections::BTreeMap, sync::LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Leases as _, StateStore, catalog,
    leases::Fence,
    record_log::StateWrite,
    state_store::{Error, Result},
};

use crate::{
    SqlCatalog,
    bundle::{self, Bundle},
    database::Statement,
    leases,
    row::Row,
};

const GET: &str = "SELECT value FROM log_state WHERE key = $1";

const LIST: &str = "
    SELECT key, value FROM log_state
    WHERE key >= $1 AND substr(key, 1, CAST($2 AS INTEGER)) = $1
    ORDER BY key";

static PUT: LazyLock<Bundle> =
    LazyLock::new(|| bundle::replaces("log_state", &["key", "value"], &["key"]));

const REMOVE: &str = "DELETE FROM log_state WHERE key = $1";

/// Changes a row, and so holds it until the end of the transaction, if the value is as expected.
const HOLD: &str = "UPDATE log_state SET value = value WHERE key = $1 AND value = $2";

/// Changes a row, and so keeps others from doing the same, if there is none yet.
const CLAIM: &str = "
    INSERT INTO log_state (key, value) VALUES ($1, $2)
    ON CONFLICT (key) DO NOTHING";

#[async_trait]
impl StateStore for SqlCatalog {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let rows = self.database.read(GET, vec![key.into()]).await;
        let rows = rows.map_err(|e| error(e, false))?;
        rows.first().map(|row| value(row, 0)).transpose()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        let n_chars = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
        let args = vec![prefix.into(), n_chars.into()];
        let rows = self.database.read(LIST, args).await;
        let rows = rows.map_err(|e| error(e, false))?;
        let pair = |row: &Row| {
            let key = row.get::<String>(0).map_err(|e| error(e, false))?;
            Ok((key, value(row, 1)?))
        };
        rows.iter().map(pair).collect()
    }

    async fn compare_and_set_under(
        &self,
        guards: &[StateWrite],
        writes: &[StateWrite],
        fence: &Fence,
    ) -> Result<()> {
        let writes: BTreeMap<&str, Option<&Bytes>> = writes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_ref()))
            .collect();
        // In one order everywhere, so that no two wait for each other.
        let mut guards: Vec<&StateWrite> = guards.iter().collect();
        guards.sort_by(|a, b| a.0.cmp(&b.0));
        if guards.is_empty() && writes.is_empty() {
            // Nothing is changed that the lease would have to be held for.
            return self.check(fence).await.map_err(|e| error(e, false));
        }
        let lease = leases::hold(fence).map_err(|e| error(e, false))?;
        let n_leases = usize::from(lease.is_some());
        let mut statements: Vec<Statement> = lease.into_iter().collect();
        statements.extend(guards.iter().map(|guard| hold(guard)));
        let claimed = guards.iter().filter(|(_, expected)| expected.is_none());
        let unwritten = claimed.filter(|(key, _)| !writes.contains_key(key.as_str()));
        let gone = writes.iter().filter(|(_, value)| value.is_none());
        let gone = unwritten
            .map(|(key, _)| key.as_str())
            .chain(gone.map(|(key, _)| *key));
        statements.extend(gone.map(remove));
        let put: Vec<_> = writes
            .iter()
            .filter_map(|(key, value)| Some((*key, (*value)?)))
            .collect();
        let pushed = bundle::push(&mut statements, &put, &PUT, |(key, value)| {
            Ok([(*key).into(), value.to_vec().into()])
        });
        pushed.map_err(|e| error(e, false))?;
        let refused = self.database.change(statements).await;
        match refused.map_err(|e| error(e, true))? {
            None => Ok(()),
            Some(i) if i < n_leases => Err(error(fence.lost(), false)),
            Some(i) => Err(Error::GuardFailed {
                key: guards
                    .get(i - n_leases)
                    .map(|(key, _)| key.clone())
                    .unwrap_or_default(),
            }),
        }
    }
}

/// The statement that checks a guard.
fn hold((key, expected): &StateWrite) -> Statement {
    let (sql, value) = match expected {
        Some(value) => (HOLD, value.to_vec()),
        None => (CLAIM, Vec::new()),
    };
    Statement {
        sql,
        args: vec![key.as_str().into(), value.into()],
        must_change: true,
    }
}

fn remove(key: &str) -> Statement {
    Statement {
        sql: REMOVE,
        args: vec![key.into()],
        must_change: false,
    }
}

fn value(row: &Row, index: usize) -> Result<Bytes> {
    let bytes = row.get::<Vec<u8>>(index).map_err(|e| error(e, false))?;
    Ok(bytes.into())
}

/// `ambiguous`: a write whose answer is lost may have happened.
fn error(error: catalog::Error, ambiguous: bool) -> Error {
    match error {
        catalog::Error::Unavailable(reason) => Error::Unavailable { reason, ambiguous },
        catalog::Error::Conflict { what } => Error::GuardFailed { key: what },
        catalog::Error::LeaseLost { name } => Error::LeaseLost { name },
        other => Error::Damaged(other.to_string()),
    }
}
