//! Providers in their table, with sealed keys; answers in theirs.

use std::time::Duration;

use async_trait::async_trait;
use telesift_ports::{
    Secret,
    catalog::{Error, Result},
    providers::{AnswerCache, CachedAnswer, ProviderCatalog, ProviderKind, ProviderRow},
};
use telesift_schemas::Timestamp;

use crate::{
    SqlCatalog,
    leases::microseconds,
    records::{damaged, json, timestamp, to_json},
    row::Row,
    secrets::Place,
};

const INSERT_PROVIDER: &str = "
    INSERT INTO providers (name, kind, url, model, api_key, terms, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

const PROVIDERS: &str = "
    SELECT name, kind, url, model, api_key, terms, created_at FROM providers ORDER BY name";

const DELETE_PROVIDER: &str = "DELETE FROM providers WHERE name = $1";

const ANSWER: &str = "SELECT input, answer, at FROM answers WHERE input = $1";

const KEEP_ANSWER: &str = "
    INSERT INTO answers (input, answer, at) VALUES ($1, $2, $3) ON CONFLICT (input) DO NOTHING";

const FORGET_ANSWERS: &str = "DELETE FROM answers WHERE at < $1";

/// Nothing is changed where another asks, and is not late. The view `database_clock` tells the time, as with leases.
const BEGIN_ASKING: &str = "
    INSERT INTO asking (input, asker, expires_at)
    SELECT $1, $2, now_us + $3 FROM database_clock WHERE true
    ON CONFLICT (input) DO UPDATE SET asker = excluded.asker, expires_at = excluded.expires_at
    WHERE asking.asker = excluded.asker OR asking.expires_at <= (SELECT now_us FROM database_clock)";

const END_ASKING: &str = "DELETE FROM asking WHERE input = $1 AND asker = $2";

#[async_trait]
impl ProviderCatalog for SqlCatalog {
    async fn add_provider(&self, provider: &ProviderRow) -> Result<()> {
        let key = provider.key.as_ref();
        let key = key.map_err(|reason| Error::SecretKey(reason.clone()))?;
        let key = match key {
            Some(key) => Some(self.seal(&place(&provider.name), key).await?),
            None => None,
        };
        let args = vec![
            provider.name.as_str().into(),
            provider.kind.as_str().into(),
            provider.url.as_str().into(),
            provider.model.as_str().into(),
            key.into(),
            to_json(&provider.terms)?,
            provider.created_at.into(),
        ];
        let what = || format!("provider/{}", provider.name);
        self.database.write(INSERT_PROVIDER, args, what).await?;
        Ok(())
    }

    async fn providers(&self) -> Result<Vec<ProviderRow>> {
        let rows = self.database.read(PROVIDERS, Vec::new()).await?;
        rows.iter().map(|row| self.provider(row)).collect()
    }

    async fn remove_provider(&self, name: &str) -> Result<bool> {
        let args = vec![name.into()];
        let n_changed = self.database.write(DELETE_PROVIDER, args, String::new);
        Ok(n_changed.await? > 0)
    }
}

#[async_trait]
impl AnswerCache for SqlCatalog {
    async fn answer(&self, input: &str) -> Result<Option<CachedAnswer>> {
        let rows = self.database.read(ANSWER, vec![input.into()]).await?;
        let answer = |row: &Row| -> Result<CachedAnswer> {
            Ok(CachedAnswer {
                input: row.get(0)?,
                answer: row.get(1)?,
                at: timestamp(row.get(2)?)?,
            })
        };
        rows.first().map(answer).transpose()
    }

    async fn keep_answer(&self, answer: &CachedAnswer) -> Result<()> {
        let args = vec![
            answer.input.as_str().into(),
            answer.answer.as_str().into(),
            answer.at.into(),
        ];
        self.database.write(KEEP_ANSWER, args, String::new).await?;
        Ok(())
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64> {
        let args = vec![before.into()];
        self.database.write(FORGET_ANSWERS, args, String::new).await
    }

    async fn begin_asking(&self, input: &str, asker: &str, length: Duration) -> Result<bool> {
        let args = vec![input.into(), asker.into(), microseconds(length)];
        let begun = self.database.write(BEGIN_ASKING, args, String::new);
        Ok(begun.await? > 0)
    }

    async fn end_asking(&self, input: &str, asker: &str) -> Result<()> {
        let args = vec![input.into(), asker.into()];
        self.database.write(END_ASKING, args, String::new).await?;
        Ok(())
    }
}

/// A sealed key of one provider cannot stand in for another's.
fn place(provider: &str) -> Place<'_> {
    Place {
        table: "providers",
        row: provider,
        column: "api_key",
    }
}

impl SqlCatalog {
    /// Columns: `name, kind, url, model, api_key, terms, created_at`.
    fn provider(&self, row: &Row) -> Result<ProviderRow> {
        let name: String = row.get(0)?;
        let key: Option<Vec<u8>> = row.get(4)?;
        let open = |sealed: Vec<u8>| -> std::result::Result<Secret, String> {
            let opened = self.sealer.open(&place(&name), &sealed);
            opened.map_err(|e| e.to_string())
        };
        Ok(ProviderRow {
            kind: kind(&row.get::<String>(1)?)?,
            url: row.get(2)?,
            model: row.get(3)?,
            key: key.map(open).transpose(),
            terms: json(&row.get::<String>(5)?)?,
            created_at: timestamp(row.get(6)?)?,
            name,
        })
    }
}

fn kind(text: &str) -> Result<ProviderKind> {
    let found = ProviderKind::ALL.into_iter().find(|k| k.as_str() == text);
    found.ok_or_else(|| damaged(format!("no kind of a provider: `{text}`")))
}
