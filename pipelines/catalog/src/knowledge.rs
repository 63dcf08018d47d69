//! What is known in its tables: units, atoms, subjects, and the transactions that move them on with their stages.

mod atoms;
mod queries;
mod read;
mod readings;
mod units;

use std::sync::LazyLock;

use telesift_ports::{
    catalog::{Error, Result},
    knowledge::Moved,
    leases::Fence,
};
use telesift_schemas::Generation;

use crate::{
    SqlCatalog,
    database::Statement,
    leases, move_stage,
    records::damaged,
    row::{Arg, Row},
};

impl SqlCatalog {
    /// Runs `statements` and moves stages, in one transaction; a lost lease or another position refuses all of it.
    async fn move_stages(
        &self,
        moved: &[Moved],
        fence: &Fence,
        statements: Vec<Statement>,
    ) -> Result<()> {
        let mut all: Vec<Statement> = moved
            .iter()
            .map(|step| move_stage(&step.key, step.expected, &step.state, fence))
            .collect::<Result<_>>()?;
        all.extend(statements);
        match self.database.change(all).await? {
            None => Ok(()),
            Some(i) => {
                let what = moved.get(i).map(|m| m.key.state_key()).unwrap_or_default();
                Err(leases::refusal(self, fence, what).await)
            }
        }
    }

    /// The rows of an [`in_list`] for all of `ids`, in portions.
    async fn read_ids(
        &self,
        sql: &'static LazyLock<String>,
        ids: &[String],
        mut each: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        for args in id_lists(ids) {
            for row in &self.database.read(sql, args).await? {
                each(row)?;
            }
        }
        Ok(())
    }
}

/// Ids one query asks for; a shorter list repeats its last one.
const LOOK_UP: usize = 100;

/// `ids`, each once, as the arguments of an [`in_list`], as often as it takes.
fn id_lists(ids: &[String]) -> Vec<Vec<Arg>> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let portions = ids.chunks(LOOK_UP).map(|part| {
        let filling = part.last().into_iter().cycle();
        let part = part.iter().chain(filling).take(LOOK_UP);
        part.map(|id| Arg::from(id.as_str())).collect()
    });
    portions.collect()
}

/// `select` … `IN` a list of [`LOOK_UP`].
fn in_list(select: &str) -> String {
    let places: Vec<String> = (1..=LOOK_UP).map(|i| format!("${i}")).collect();
    format!("{select} IN ({})", places.join(", "))
}

fn statement(sql: &'static str, args: Vec<Arg>) -> Statement {
    Statement {
        sql,
        args,
        must_change: false,
    }
}

fn flag(is_so: bool) -> Arg {
    i64::from(is_so).into()
}

fn generation(number: i64) -> Result<Generation> {
    u32::try_from(number).map(Generation).map_err(damaged)
}

fn unknown(what: &str, name: &str) -> Error {
    Error::Damaged(format!("no {what}: `{name}`"))
}
