//! Bots in their table, with sealed secrets.

use async_trait::async_trait;
use telesift_ports::{
    Secret,
    bots::{BotCatalog, BotRow, BotSecrets, Delivery},
    catalog::{Error, Result},
};

use crate::{
    SqlCatalog,
    records::{damaged, json, timestamp, to_json},
    row::Row,
    secrets::Place,
};

const INSERT_BOT: &str = "
    INSERT INTO bots (name, bot_id, token, secret, delivery, registered, chats, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const BOTS: &str = "
    SELECT name, bot_id, token, secret, delivery, registered, chats, created_at FROM bots
    ORDER BY name";

const DELETE_BOT: &str = "DELETE FROM bots WHERE name = $1";

#[async_trait]
impl BotCatalog for SqlCatalog {
    async fn add_bot(&self, bot: &BotRow) -> Result<()> {
        let secrets = bot.secrets.as_ref();
        let secrets = secrets.map_err(|reason| Error::SecretKey(reason.clone()))?;
        let token = self
            .seal(&place(&bot.name, "token"), &secrets.token)
            .await?;
        let webhook = match &secrets.webhook {
            Some(secret) => Some(self.seal(&place(&bot.name, "secret"), secret).await?),
            None => None,
        };
        let args = vec![
            bot.name.as_str().into(),
            bot.id.into(),
            token.into(),
            webhook.into(),
            bot.delivery.as_str().into(),
            i64::from(bot.registered).into(),
            to_json(&bot.chats)?,
            bot.created_at.into(),
        ];
        let what = || format!("bot/{}", bot.name);
        self.database.write(INSERT_BOT, args, what).await?;
        Ok(())
    }

    async fn bots(&self) -> Result<Vec<BotRow>> {
        let rows = self.database.read(BOTS, Vec::new()).await?;
        rows.iter().map(|row| self.bot(row)).collect()
    }

    async fn remove_bot(&self, name: &str) -> Result<bool> {
        let args = vec![name.into()];
        Ok(self.database.write(DELETE_BOT, args, String::new).await? > 0)
    }
}

/// A sealed value of one bot cannot stand in for another's.
fn place<'a>(bot: &'a str, column: &'static str) -> Place<'a> {
    Place {
        table: "bots",
        row: bot,
        column,
    }
}

impl SqlCatalog {
    /// Columns: `name, bot_id, token, secret, delivery, registered, chats, created_at`.
    fn bot(&self, row: &Row) -> Result<BotRow> {
        let name: String = row.get(0)?;
        let (token, webhook): (Vec<u8>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
        Ok(BotRow {
            id: row.get(1)?,
            secrets: self.bot_secrets(&name, &token, webhook.as_deref()),
            delivery: delivery(&row.get::<String>(4)?)?,
            registered: row.get::<i64>(5)? != 0,
            chats: json(&row.get::<String>(6)?)?,
            created_at: timestamp(row.get(7)?)?,
            name,
        })
    }

    fn bot_secrets(
        &self,
        name: &str,
        token: &[u8],
        webhook: Option<&[u8]>,
    ) -> std::result::Result<BotSecrets, String> {
        let open = |column, sealed| -> std::result::Result<Secret, String> {
            let opened = self.sealer.open(&place(name, column), sealed);
            opened.map_err(|e| e.to_string())
        };
        Ok(BotSecrets {
            token: open("token", token)?,
            webhook: webhook.map(|sealed| open("secret", sealed)).transpose()?,
        })
    }
}

fn delivery(text: &str) -> Result<Delivery> {
    let found = Delivery::ALL.into_iter().find(|d| d.as_str() == text);
    found.ok_or_else(|| damaged(format!("no delivery of a bot: `{text}`")))
}
