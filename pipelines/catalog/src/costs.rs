//! The ledger of calls and the budgets in their tables: a budget is one row, raised by a statement that looks before it adds.

use async_trait::async_trait;
use telesift_ports::{
    catalog::Result,
    providers::{
        Budget, BudgetRefusal, BudgetScope, CallRow, CostBy, CostFilter, CostLedger, CostRow,
        Limits, Reservation, Spent, day_of,
    },
};
use telesift_schemas::{ChatId, Timestamp, Usage};

use crate::{
    SqlCatalog,
    database::Statement,
    records::{damaged, to_int},
    row::{Arg, Row},
};

const SEED: &str = "
    INSERT INTO budget_days (day, scope, tokens, micro_usd) VALUES ($1, $2, 0, 0)
    ON CONFLICT (day, scope) DO NOTHING";

/// Nothing is changed where a limit is passed, unless it is the day's first.
const RESERVE: &str = "
    UPDATE budget_days SET tokens = tokens + $3, micro_usd = micro_usd + $4
    WHERE day = $1 AND scope = $2
        AND ($5 IS NULL OR tokens = 0 OR tokens + $3 <= $5)
        AND ($6 IS NULL OR micro_usd = 0 OR $4 = 0 OR micro_usd + $4 <= $6)";

const CORRECT: &str = "
    UPDATE budget_days SET tokens = tokens + $3, micro_usd = micro_usd + $4
    WHERE day = $1 AND scope = $2";

const SPENT: &str = "SELECT tokens, micro_usd FROM budget_days WHERE day = $1 AND scope = $2";

const INSERT_CALL: &str = "
    INSERT INTO model_calls (id, at, chat_id, unit, provider, prompt, model, input, outcome, tokens_in, tokens_out,
        micro_usd, is_estimated, latency_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

const FORGET_CALLS: &str = "DELETE FROM model_calls WHERE at < $1";

const FORGET_DAYS: &str = "DELETE FROM budget_days WHERE day < $1";

/// Calls summed up by a column.
macro_rules! costs_by {
    ($key:literal) => {
        concat!(
            "SELECT ",
            $key,
            ", COUNT(*), CAST(SUM(CASE WHEN outcome = 'cached' THEN 1 ELSE 0 END) AS BIGINT),
                CAST(SUM(CASE WHEN outcome IN ('ok', 'cached') THEN 0 ELSE 1 END) AS BIGINT),
                CAST(SUM(tokens_in) AS BIGINT), CAST(SUM(tokens_out) AS BIGINT), CAST(SUM(micro_usd) AS BIGINT),
                CAST(SUM(latency_ms) AS BIGINT)
            FROM model_calls WHERE ($1 IS NULL OR at >= $1) AND ($2 IS NULL OR at < $2)
            GROUP BY 1 ORDER BY 7 DESC, 2 DESC, 1 LIMIT 1000"
        )
    };
}

fn costs_query(by: CostBy) -> &'static str {
    match by {
        CostBy::Total => costs_by!("CAST('' AS TEXT)"),
        // Microseconds of a day.
        CostBy::Day => costs_by!("CAST(at / 86400000000 AS TEXT)"),
        CostBy::Chat => costs_by!("CAST(chat_id AS TEXT)"),
        CostBy::Provider => costs_by!("provider"),
        CostBy::Model => costs_by!("model"),
        CostBy::Outcome => costs_by!("outcome"),
    }
}

#[async_trait]
impl CostLedger for SqlCatalog {
    async fn reserve(
        &self,
        reservation: &Reservation,
        limits: &Limits,
    ) -> Result<Option<BudgetRefusal>> {
        let scopes = [
            (String::new(), limits.daily),
            (reservation.chat.to_string(), limits.chat_daily),
        ];
        let mut statements = Vec::new();
        // Everybody's row first, whoever asks: nobody waits for each other in a circle.
        for (scope, limit) in scopes {
            statements.push(Statement {
                sql: SEED,
                args: vec![reservation.day.into(), scope.as_str().into()],
                must_change: false,
            });
            statements.push(Statement {
                sql: RESERVE,
                args: reserve_args(reservation, &scope, limit)?,
                must_change: true,
            });
        }
        let refused = self.database.change(statements).await?;
        Ok(refused.map(|at| BudgetRefusal {
            scope: match at {
                1 => BudgetScope::Daily,
                _ => BudgetScope::Chat,
            },
        }))
    }

    async fn settle(&self, call: &CallRow, reservation: Option<&Reservation>) -> Result<()> {
        let mut statements = vec![Statement {
            sql: INSERT_CALL,
            args: call_args(call)?,
            must_change: true,
        }];
        if let Some(reservation) = reservation {
            statements.extend(corrections(reservation, call.usage)?);
        }
        self.corrected(statements).await
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<()> {
        let statements = corrections(reservation, Usage::default())?;
        self.corrected(statements).await
    }

    async fn spent(&self, day: i64, chat: Option<ChatId>) -> Result<Spent> {
        let scope = chat.map(|c| c.to_string()).unwrap_or_default();
        let rows = self.database.read(SPENT, vec![day.into(), scope.into()]);
        let rows = rows.await?;
        let spent = |row: &Row| -> Result<Spent> {
            Ok(Spent {
                tokens: count(row, 0)?,
                micro_usd: count(row, 1)?,
            })
        };
        rows.first()
            .map(spent)
            .transpose()
            .map(Option::unwrap_or_default)
    }

    async fn costs(&self, filter: &CostFilter, by: CostBy) -> Result<Vec<CostRow>> {
        let args = vec![filter.since.into(), filter.until.into()];
        let rows = self.database.read(costs_query(by), args).await?;
        rows.iter().map(|row| cost(row, by)).collect()
    }

    async fn forget_calls(&self, before: Timestamp) -> Result<u64> {
        let days = vec![day_of(before).into()];
        self.database.write(FORGET_DAYS, days, String::new).await?;
        let args = vec![before.into()];
        self.database.write(FORGET_CALLS, args, String::new).await
    }
}

impl SqlCatalog {
    async fn corrected(&self, statements: Vec<Statement>) -> Result<()> {
        match self.database.change(statements).await? {
            None => Ok(()),
            Some(_) => Err(damaged("a reservation is gone")),
        }
    }
}

/// Puts what was used in the place of what was set aside.
fn corrections(reservation: &Reservation, used: Usage) -> Result<Vec<Statement>> {
    let most = reservation.most;
    let n_tokens = signed(tokens(used))? - signed(tokens(most))?;
    let money = signed(used.micro_usd)? - signed(most.micro_usd)?;
    let scopes = [String::new(), reservation.chat.to_string()];
    Ok(scopes
        .into_iter()
        .map(|scope| Statement {
            sql: CORRECT,
            args: vec![
                reservation.day.into(),
                scope.into(),
                n_tokens.into(),
                money.into(),
            ],
            must_change: true,
        })
        .collect())
}

fn reserve_args(reservation: &Reservation, scope: &str, limit: Budget) -> Result<Vec<Arg>> {
    let most = |limit: Option<u64>| limit.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    Ok(vec![
        reservation.day.into(),
        scope.into(),
        to_int(tokens(reservation.most))?,
        to_int(reservation.most.micro_usd)?,
        Arg::Int(most(limit.tokens)),
        Arg::Int(most(limit.micro_usd)),
    ])
}

fn call_args(call: &CallRow) -> Result<Vec<Arg>> {
    Ok(vec![
        call.id.as_str().into(),
        call.at.into(),
        call.chat.0.into(),
        call.unit.as_str().into(),
        call.by.name.as_str().into(),
        call.by.version.as_str().into(),
        call.by.model.as_deref().unwrap_or_default().into(),
        call.input.as_str().into(),
        call.outcome.as_str().into(),
        to_int(call.usage.tokens_in)?,
        to_int(call.usage.tokens_out)?,
        to_int(call.usage.micro_usd)?,
        i64::from(call.is_estimated).into(),
        to_int(call.latency_ms)?,
    ])
}

fn cost(row: &Row, by: CostBy) -> Result<CostRow> {
    let key: String = row.get(0)?;
    Ok(CostRow {
        key: match by {
            CostBy::Day => day(&key)?,
            _ => key,
        },
        calls: count(row, 1)?,
        cached: count(row, 2)?,
        failed: count(row, 3)?,
        tokens_in: count(row, 4)?,
        tokens_out: count(row, 5)?,
        micro_usd: count(row, 6)?,
        latency_ms: count(row, 7)?,
    })
}

/// A day since 1970, as `2026-01-05`.
fn day(text: &str) -> Result<String> {
    let day: i64 = text.parse().map_err(damaged)?;
    let at = Timestamp::from_second(day.saturating_mul(86_400)).map_err(damaged)?;
    Ok(at.to_string().chars().take(10).collect())
}

fn count(row: &Row, column: usize) -> Result<u64> {
    // A correction beyond what was set aside is none of a reader's business.
    Ok(u64::try_from(row.get::<i64>(column)?).unwrap_or(0))
}

fn tokens(usage: Usage) -> u64 {
    usage.tokens_in.saturating_add(usage.tokens_out)
}

fn signed(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(damaged)
}
