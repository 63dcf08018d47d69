//! `telesift keys`: make, list and revoke API keys.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::{block_on, print};
use crate::{
    cli::{Connection, KeysAction, KeysArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: KeysArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    match args.action {
        KeysAction::Create {
            name,
            scopes,
            chats,
            expires_at,
        } => {
            let chats =
                (!chats.is_empty()).then(|| chats.iter().map(i64::to_string).collect::<Vec<_>>());
            let body =
                json!({"name": name, "scopes": scopes, "chats": chats, "expires_at": expires_at});
            let answer: Value =
                block_on(client.json(client.request(Method::POST, "/v1/keys").json(&body)))?;
            if connection.json {
                return print::json(&answer);
            }
            print::line(answer["key"].as_str().unwrap_or_default())?;
            eprintln!(
                "id {}; the key is shown this once",
                answer["id"].as_str().unwrap_or_default()
            );
            Ok(())
        }
        KeysAction::List => list(&connection, &client),
        KeysAction::Revoke { id } => {
            block_on(async {
                client
                    .send(client.request(Method::DELETE, &format!("/v1/keys/{id}")))
                    .await
            })?;
            print::line(format!("revoked {id}"))
        }
    }
}

fn list(connection: &Connection, client: &Client) -> Result<()> {
    let answer: Value = block_on(client.get("/v1/keys", &[("limit", "500".to_owned())]))?;
    if connection.json {
        return print::json(&answer);
    }
    for key in answer["items"].as_array().into_iter().flatten() {
        let scopes: Vec<&str> = key["scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let chats = key["chats"]
            .as_array()
            .map_or("all chats".to_owned(), |c| format!("{} chats", c.len()));
        let time = |field: &str, words: &str| match key[field].as_str() {
            Some(at) => format!("  {words} {at}"),
            None => String::new(),
        };
        let used = match key["last_used_at"].as_str() {
            Some(at) => format!("  used {at}"),
            None => "  never used".to_owned(),
        };
        let (expires, revoked) = (time("expires_at", "expires"), time("revoked_at", "revoked"));
        print::line(format!(
            "{}  {:<24} {:<14} {chats}{used}{expires}{revoked}",
            key["id"].as_str().unwrap_or_default(),
            print::printable(key["name"].as_str().unwrap_or_default()),
            scopes.join(","),
        ))?;
    }
    Ok(())
}
