//! `telesift bots`: add, list, check and remove the bots whose messages are sifted.

use std::io::{self, BufRead, IsTerminal as _};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::{block_on, print};
use crate::{
    cli::{BotsAction, BotsArgs, Connection, NewBot},
    client::Client,
    exit::Usage,
};

const TOKEN: &str = "TELESIFT_BOT_TOKEN";
const SECRET: &str = "TELESIFT_BOT_SECRET";

pub(crate) fn run(connection: Connection, args: BotsArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    match args.action {
        BotsAction::Add(bot) => add(&connection, &client, &bot),
        BotsAction::List => list(&connection, &client),
        BotsAction::Status { name } => status(&connection, &client, &name),
        BotsAction::Remove { name } => {
            let path = format!("/v1/bots/{name}");
            block_on(client.send(client.request(Method::DELETE, &path)))?;
            print::line(format!("removed {}", print::printable(&name)))
        }
    }
}

fn add(connection: &Connection, client: &Client, bot: &NewBot) -> Result<()> {
    let (token, secret) = secrets()?;
    let body = json!({
        "name": bot.name,
        "token": token,
        "secret": secret,
        "chats": bot.chats.iter().map(i64::to_string).collect::<Vec<_>>(),
        "register": !bot.no_register,
        "poll": bot.poll,
    });
    let request = client.request(Method::POST, "/v1/bots").json(&body);
    let answer: Value = block_on(client.json(request))?;
    if connection.json {
        return print::json(&answer);
    }
    print::line(line(&answer))?;
    match (bot.poll, bot.no_register) {
        (true, _) => {
            eprintln!("it is polled from now on; `telesift bots status` shows how it goes")
        }
        (false, false) => eprintln!("Telegram was told where to send its updates"),
        (false, true) => eprintln!(
            "have Telegram call <public address>/v1/telegram/webhook/{} with the secret",
            bot.name
        ),
    }
    Ok(())
}

/// Token and secret: of the environment, else two lines of standard input. Never of the command line, which others can see.
fn secrets() -> Result<(String, Option<String>)> {
    let given = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    if let Some(token) = given(TOKEN) {
        return Ok((token, given(SECRET)));
    }
    if io::stdin().is_terminal() {
        eprintln!("token, then webhook secret (empty: one is made), one a line:");
    }
    let mut lines = io::stdin().lock().lines();
    let mut next = || -> Result<Option<String>> {
        let line = lines.next().transpose();
        let line = line.context("standard input cannot be read")?;
        Ok(line.map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()))
    };
    let token = next()?.ok_or_else(|| {
        anyhow::Error::new(Usage(format!(
            "no token: give it as the first line of standard input, or set {TOKEN}"
        )))
    })?;
    Ok((token, next()?.or_else(|| given(SECRET))))
}

fn list(connection: &Connection, client: &Client) -> Result<()> {
    let answer: Value = block_on(client.get("/v1/bots", &[("limit", "500".to_owned())]))?;
    if connection.json {
        return print::json(&answer);
    }
    for bot in answer["items"].as_array().into_iter().flatten() {
        print::line(line(bot))?;
    }
    Ok(())
}

fn status(connection: &Connection, client: &Client, name: &str) -> Result<()> {
    let report: Value = block_on(client.get(&format!("/v1/bots/{name}"), &[]))?;
    if connection.json {
        return print::json(&report);
    }
    for line in words(&report) {
        print::line(line)?;
    }
    Ok(())
}

/// One bot on one line.
fn line(bot: &Value) -> String {
    let text = |name: &str| print::printable(bot[name].as_str().unwrap_or_default());
    let chats = match bot["chats"].as_array().map_or(0, Vec::len) {
        0 => "all chats".to_owned(),
        n => format!("{n} chats"),
    };
    let waiting = match bot["waiting_until"].as_str() {
        Some(until) => format!(", waiting until {until}"),
        None => String::new(),
    };
    format!(
        "{:<20} {:<12} {:<8} {:<10} {chats}{waiting}",
        text("name"),
        text("id"),
        text("delivery"),
        text("state")
    )
}

/// A report in plain words.
fn words(report: &Value) -> Vec<String> {
    let text = |pointer: &str| {
        let found = report.pointer(pointer).and_then(Value::as_str);
        found.map(print::printable).filter(|t| !t.is_empty())
    };
    let mut words = vec![line(report)];
    let since = text("/since").unwrap_or_default();
    let state = text("/state").unwrap_or_default();
    words.push(format!("{state} since {since}"));
    if let Some(until) = text("/waiting_until") {
        words.push(format!("waiting until {until}"));
    }
    match report["webhook"].is_object() {
        true => {
            words.push(match text("/webhook/url") {
                Some(url) => format!("Telegram sends updates to {url}"),
                None => "Telegram keeps updates until they are asked for".to_owned(),
            });
            let n = report["webhook"]["pending_updates"].as_u64().unwrap_or(0);
            words.push(format!("{n} updates wait at Telegram"));
        }
        false => words.push(format!(
            "Telegram could not be asked: {}",
            text("/error").unwrap_or_default()
        )),
    }
    let advice: Vec<String> = report["advice"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|advice| format!("! {}", print::printable(advice)))
        .collect();
    match advice.is_empty() && report["error"].is_null() {
        true => words.push("all is well".to_owned()),
        false => words.extend(advice),
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_wrong_and_what_to_do() {
        let mut report = json!({
            "name": "ops", "id": "123", "delivery": "webhook", "registered": true, "chats": [],
            "state": "listening", "detail": null, "waiting_until": null, "since": "2026-01-05T10:00:00Z",
            "webhook": {"url": "https://sift.example/v1/telegram/webhook/ops", "pending_updates": 0},
            "error": null, "advice": [],
        });
        let well = words(&report).join("\n");
        assert!(
            well.contains("sends updates to https://sift.example"),
            "{well}"
        );
        assert!(well.ends_with("all is well"), "{well}");
        report["webhook"]["pending_updates"] = 3.into();
        report["advice"] = json!(["3 updates wait", "set it \u{1b}[2J anew"]);
        let ill = words(&report).join("\n");
        assert!(ill.contains("! set it [2J anew") && !ill.contains("all is well"));
        report["webhook"] = Value::Null;
        report["error"] = "no connection".into();
        report["advice"] = json!([]);
        let unknown = words(&report).join("\n");
        assert!(
            unknown.ends_with("could not be asked: no connection"),
            "{unknown}"
        );
    }
}
