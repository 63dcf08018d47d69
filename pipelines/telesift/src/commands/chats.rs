//! `telesift chats`: the chats there are, and which models may read them.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::{block_on, print};
use crate::{
    cli::{ChatsAction, ChatsArgs, Connection},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: ChatsArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    match args.action {
        ChatsAction::List => list(&connection, &client),
        ChatsAction::Set {
            chat,
            enrich,
            consent,
        } => {
            let request = client.request(Method::PATCH, &format!("/v1/chats/{chat}"));
            let request = request.json(&json!({"enrich": enrich, "consent": consent}));
            let answer: Value = block_on(client.json(request))?;
            if connection.json {
                return print::json(&answer);
            }
            let enrich = answer["enrich"].as_str().unwrap_or_default();
            print::line(format!("{chat} {enrich}"))
        }
    }
}

fn list(connection: &Connection, client: &Client) -> Result<()> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("limit", "500".to_owned())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut page: Value = block_on(client.get("/v1/chats", &query))?;
        if let Some(part) = page["items"].as_array_mut() {
            items.append(part);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if connection.json {
        return print::json(&json!({"items": items, "next_cursor": null}));
    }
    for chat in &items {
        let text = |name: &str| print::printable(chat[name].as_str().unwrap_or_default());
        print::line(format!(
            "{:<16} {:<11} {:<7} {:>8}  {}",
            text("id"),
            text("kind"),
            text("enrich"),
            chat["n_messages"].as_u64().unwrap_or(0),
            text("title"),
        ))?;
    }
    Ok(())
}
