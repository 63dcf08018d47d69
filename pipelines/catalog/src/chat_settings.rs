//! Settings of chats in their table.

use async_trait::async_trait;
use telesift_ports::{
    catalog::Result,
    providers::{ChatSetting, ChatSettings, Consent, Enrich},
};
use telesift_schemas::{ChatId, Offset};

use crate::{
    SqlCatalog,
    records::{damaged, timestamp},
    row::{Arg, Row},
};

const CHAT_SETTING: &str = "
    SELECT chat_id, enrich, consent_by, consent_at, updated_at, decided FROM chat_settings WHERE chat_id = $1";

const CHAT_SETTINGS: &str = "
    SELECT chat_id, enrich, consent_by, consent_at, updated_at, decided FROM chat_settings ORDER BY chat_id";

const PUT_CHAT_SETTING: &str = "
    INSERT INTO chat_settings (chat_id, enrich, consent_by, consent_at, updated_at, decided)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (chat_id) DO UPDATE SET enrich = excluded.enrich, consent_by = excluded.consent_by,
        consent_at = excluded.consent_at, updated_at = excluded.updated_at, decided = excluded.decided
    WHERE chat_settings.decided IS NULL OR excluded.decided IS NULL OR excluded.decided >= chat_settings.decided";

#[async_trait]
impl ChatSettings for SqlCatalog {
    async fn chat_setting(&self, chat: ChatId) -> Result<Option<ChatSetting>> {
        let rows = self
            .database
            .read(CHAT_SETTING, vec![chat.0.into()])
            .await?;
        rows.first().map(setting).transpose()
    }

    async fn chat_settings(&self) -> Result<Vec<ChatSetting>> {
        let rows = self.database.read(CHAT_SETTINGS, Vec::new()).await?;
        rows.iter().map(setting).collect()
    }

    async fn put_chat_setting(&self, setting: &ChatSetting) -> Result<()> {
        let consent = setting.consent.as_ref();
        let decided = setting.decided.map(|offset| i64::try_from(offset.0));
        let args = vec![
            setting.chat.0.into(),
            setting.enrich.as_str().into(),
            consent.map(|c| c.by.as_str()).into(),
            consent.map(|c| c.at).into(),
            setting.updated_at.into(),
            Arg::Int(decided.transpose().map_err(damaged)?),
        ];
        self.database
            .write(PUT_CHAT_SETTING, args, String::new)
            .await?;
        Ok(())
    }
}

fn setting(row: &Row) -> Result<ChatSetting> {
    let (by, at): (Option<String>, Option<i64>) = (row.get(2)?, row.get(3)?);
    let consent = by.zip(at).map(|(by, at)| -> Result<Consent> {
        Ok(Consent {
            by,
            at: timestamp(at)?,
        })
    });
    let decided: Option<i64> = row.get(5)?;
    let decided = decided.map(|offset| u64::try_from(offset).map(Offset));
    let enrich: String = row.get(1)?;
    let known = Enrich::ALL.into_iter().find(|e| e.as_str() == enrich);
    Ok(ChatSetting {
        chat: ChatId(row.get(0)?),
        enrich: known.ok_or_else(|| damaged(format!("no setting of a chat: `{enrich}`")))?,
        consent: consent.transpose()?,
        updated_at: timestamp(row.get(4)?)?,
        decided: decided.transpose().map_err(damaged)?,
    })
}
