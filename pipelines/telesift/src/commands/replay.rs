//! `telesift replay`: starts, follows and steers replays.

mod follow;
mod generations;
mod report;

use std::path::Path;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::{block_on, print};
use crate::{
    cli::{Comparison, Connection, ReplayAction, ReplayArgs, StartArgs},
    client::Client,
    exit::Usage,
};
use follow::Interrupt;

/// Samples shown of each change where nothing else is asked for.
const SAMPLES: usize = 20;

pub(crate) fn run(connection: Connection, args: ReplayArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    block_on(async {
        match args.action {
            None => begin(&connection, &client, &args.start).await,
            Some(ReplayAction::Start(start)) => begin(&connection, &client, &start).await,
            Some(ReplayAction::List { limit }) => list(&connection, &client, limit).await,
            Some(ReplayAction::Show { id, samples }) => {
                let replay: Value = client.get(&path(&id), &[]).await?;
                show(&connection, &replay, samples)
            }
            Some(ReplayAction::Pause { id }) => steer(&connection, &client, &id, "pause").await,
            Some(ReplayAction::Resume { id }) => steer(&connection, &client, &id, "resume").await,
            Some(ReplayAction::Cancel { id }) => steer(&connection, &client, &id, "cancel").await,
            Some(ReplayAction::Switch { id }) => steer(&connection, &client, &id, "switch").await,
            Some(ReplayAction::SwitchBack { id }) => {
                steer(&connection, &client, &id, "switch-back").await
            }
            Some(ReplayAction::Generations) => generations::list(&connection, &client).await,
            Some(ReplayAction::Retire { generation }) => {
                generations::retire(&connection, &client, generation).await
            }
        }
    })
}

/// Starts a replay, and follows it if asked to.
async fn begin(connection: &Connection, client: &Client, args: &StartArgs) -> Result<()> {
    if args.wait {
        return run_through(connection, client, &body(args)?, SAMPLES).await;
    }
    let id = start(client, &body(args)?).await?;
    match connection.json {
        true => print::json(&json!({"id": id})),
        false => print::line(id),
    }
}

fn body(args: &StartArgs) -> Result<Value> {
    let stage = match (&args.stage, &args.rules) {
        (Some(stage), _) => stage.as_str(),
        (None, Some(_)) => "screen",
        // Not everything, by a command somebody typed to see what it does.
        (None, None) => {
            let ask =
                "say what to replay: `--stage`, or `--rules`; `telesift replay --help` tells more";
            return Err(Usage(ask.to_owned()).into());
        }
    };
    let mut body =
        json!({"stage": stage, "dry_run": args.dry_run, "from": args.from, "to": args.to});
    if args.reassign {
        body["reassign"] = true.into();
    }
    for (field, named) in [("rules", &args.rules), ("base", &args.base)] {
        if let Some(named) = named {
            body[field] = rules(named)?;
        }
    }
    Ok(body)
}

/// The dry run that compares two rule sets.
pub(super) fn comparison(what: &Comparison) -> Result<Value> {
    let mut body = json!({
        "stage": "screen", "dry_run": true, "from": what.from, "to": what.to, "rules": rules(&what.rules)?,
    });
    if let Some(base) = &what.base {
        body["base"] = rules(base)?;
    }
    Ok(body)
}

/// Starts a replay, follows it to its end, and shows what it found. Ctrl-C cancels it.
pub(super) async fn run_through(
    connection: &Connection,
    client: &Client,
    body: &Value,
    n_samples: usize,
) -> Result<()> {
    // Before there is anything to cancel: a signal from then on must not leave a replay behind.
    let interrupt = Interrupt::listen().await;
    let id = start(client, body).await?;
    let replay = follow::follow(client, &id, interrupt, connection.json).await?;
    show(connection, &replay, n_samples)?;
    match replay["state"].as_str() {
        Some("done") => Ok(()),
        Some("failed") => bail!(
            "the replay failed: {}",
            print::printable(replay["error"].as_str().unwrap_or_default())
        ),
        _ => bail!("the replay was cancelled"),
    }
}

/// Starts a replay; its id.
async fn start(client: &Client, body: &Value) -> Result<String> {
    let request = client.request(Method::POST, "/v1/replays").json(body);
    let answer: Value = client.json(request).await?;
    let id = answer["id"].as_str();
    Ok(id.context("the server named no replay")?.to_owned())
}

/// The rules of a request: the text of a file, or the name of a version.
fn rules(named: &str) -> Result<Value> {
    let is_path =
        named.contains(['/', '\\']) || named.ends_with(".toml") || named.ends_with(".json");
    if !is_path && !Path::new(named).is_file() {
        return Ok(named.into());
    }
    let text = std::fs::read_to_string(named)
        .map_err(|e| Usage(format!("cannot read the rules {named}: {e}")))?;
    // A file of one line is no name of a version.
    Ok(format!("{text}\n").into())
}

fn show(connection: &Connection, replay: &Value, n_samples: usize) -> Result<()> {
    match connection.json {
        true => print::json(replay),
        false => print::line(report::report(replay, n_samples)),
    }
}

async fn list(connection: &Connection, client: &Client, limit: usize) -> Result<()> {
    let query = [("limit", limit.to_string())];
    let answer: Value = client.get("/v1/replays", &query).await?;
    if connection.json {
        return print::json(&answer);
    }
    let replays = answer["items"].as_array();
    for replay in replays.into_iter().flatten() {
        print::line(report::in_list(replay))?;
    }
    match replays.is_none_or(Vec::is_empty) {
        true => print::line("no replays"),
        false => Ok(()),
    }
}

async fn steer(connection: &Connection, client: &Client, id: &str, order: &str) -> Result<()> {
    let path = format!("{}/{order}", path(id));
    let replay: Value = client.json(client.request(Method::POST, &path)).await?;
    match connection.json {
        true => print::json(&replay),
        false => print::line(report::in_list(&replay)),
    }
}

fn path(id: &str) -> String {
    format!("/v1/replays/{id}")
}
