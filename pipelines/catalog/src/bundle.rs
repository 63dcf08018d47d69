//! Many rows in few statements: each statement is a way to the database and back, which others wait for meanwhile.

use telesift_ports::catalog::Result;

use crate::{database::Statement, row::Arg};

/// Rows of one statement: the largest that fits the rest is taken, so that a batch needs few.
pub(crate) const CHUNKS: [usize; 3] = [256, 16, 1];

/// A statement for each of [`CHUNKS`].
pub(crate) type Bundle = [String; 3];

/// Inserts rows of `columns` into `table`, with `on_conflict` after them. A row that is there twice must not be brought twice.
pub(crate) fn inserts(table: &str, columns: &[&str], on_conflict: &str) -> Bundle {
    CHUNKS.map(|n| format!("{} {on_conflict}", insert(table, columns, n)))
}

/// What takes the place of a stored row of the same `key`: all other columns.
pub(crate) fn replaces(table: &str, columns: &[&str], key: &[&str]) -> Bundle {
    let others = columns.iter().filter(|column| !key.contains(column));
    let replaced: Vec<String> = others.map(|c| format!("{c} = excluded.{c}")).collect();
    let (key, replaced) = (key.join(", "), replaced.join(", "));
    let on_conflict = format!("ON CONFLICT ({key}) DO UPDATE SET {replaced}");
    inserts(table, columns, &on_conflict)
}

fn insert(table: &str, columns: &[&str], n_rows: usize) -> String {
    let width = columns.len();
    let rows = (0..n_rows).map(|row| {
        let values = (1..=width).map(|column| format!("${}", row * width + column));
        format!("({})", values.collect::<Vec<_>>().join(", "))
    });
    let rows: Vec<String> = rows.collect();
    format!(
        "INSERT INTO {table} ({}) VALUES {}",
        columns.join(", "),
        rows.join(", ")
    )
}

/// The statements that write `rows`, as few as the sizes allow.
pub(crate) fn push<T, const N: usize>(
    statements: &mut Vec<Statement>,
    mut rows: &[T],
    bundle: &'static Bundle,
    args: impl Fn(&T) -> Result<[Arg; N]>,
) -> Result<()> {
    for (size, sql) in CHUNKS.into_iter().zip(bundle) {
        while rows.len() >= size {
            let (chunk, rest) = rows.split_at(size);
            let mut bound = Vec::with_capacity(size * N);
            for row in chunk {
                bound.extend(args(row)?);
            }
            statements.push(Statement {
                sql,
                args: bound,
                must_change: false,
            });
            rows = rest;
        }
    }
    Ok(())
}
