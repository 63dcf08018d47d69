//! Providers in their table, with sealed keys; answers in theirs.

use async_trait::async_trait;
use telesift_ports::{
    Secret,
    catalog::{Error, Result},
    providers::{AnswerCache, CachedAnswer, ProviderCatalog, ProviderKind, ProviderRow},
};

use crate::{
    SqlCatalog,
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
