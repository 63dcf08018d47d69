//! `telesift doctor`: checks the installation and the running server, and says what to do.

mod log;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Result, bail};
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{ConfigArgs, Connection},
    client::Client,
    config,
};

pub(crate) fn run(connection: Connection, args: ConfigArgs) -> Result<()> {
    let served = match Client::find(&connection) {
        Ok(client) => block_on(async { Ok(server(&client).await) })?,
        Err(error) => vec![Check::failed("server", format!("{error:#}"))],
    };
    let is_shared = served.iter().any(|check| check.name == WORKER);
    let mut checks = vec![data_dir(&connection)];
    checks.extend(log::checks(
        &args,
        connection.data_dir.as_deref(),
        is_shared,
    ));
    checks.extend(served);
    let n_failed = checks.iter().filter(|c| !c.is_ok).count();
    for check in &checks {
        if connection.json {
            print::json(
                &serde_json::json!({"check": check.name, "ok": check.is_ok, "warning": check.is_warning, "detail": check.detail}),
            )?;
        } else {
            print::line(format!(
                "{} {:<14} {}",
                match check {
                    Check { is_ok: false, .. } => "FAIL",
                    Check {
                        is_warning: true, ..
                    } => "WARN",
                    _ => "ok  ",
                },
                check.name,
                check.detail
            ))?;
        }
    }
    if n_failed > 0 {
        bail!("{n_failed} checks failed");
    }
    Ok(())
}

/// What is said of a process that shares the work with others.
const WORKER: &str = "worker";

struct Check {
    name: &'static str,
    is_ok: bool,
    is_warning: bool,
    detail: String,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Check {
            name,
            is_ok: true,
            is_warning: false,
            detail: detail.into(),
        }
    }

    /// It works, but not as one may think.
    fn warning(name: &'static str, detail: impl Into<String>) -> Self {
        Check {
            is_warning: true,
            ..Check::ok(name, detail)
        }
    }

    fn failed(name: &'static str, detail: impl Into<String>) -> Self {
        Check {
            name,
            is_ok: false,
            is_warning: false,
            detail: detail.into(),
        }
    }
}

fn data_dir(connection: &Connection) -> Check {
    match config::data_dir(connection.data_dir.as_deref()) {
        Ok(dir) if dir.is_dir() => match is_writable(&dir) {
            Ok(()) => Check::ok("data directory", dir.display().to_string()),
            Err(error) => Check::failed(
                "data directory",
                format!("nothing can be written to {}: {error}", dir.display()),
            ),
        },
        Ok(dir) => Check::ok(
            "data directory",
            format!("{} (made by the first start)", dir.display()),
        ),
        Err(error) => Check::failed("data directory", format!("{error:#}")),
    }
}

fn is_writable(dir: &Path) -> std::io::Result<()> {
    let file = dir.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&file, "")?;
    std::fs::remove_file(&file)
}

async fn server(client: &Client) -> Vec<Check> {
    let mut checks = Vec::new();
    let url = client.url();
    let broken = match client.not_ready().await {
        Ok(parts) => parts,
        Err(error) => {
            checks.push(Check::failed("server", format!("{error:#}")));
            return checks;
        }
    };
    checks.push(match broken.is_empty() {
        true => Check::ok("server", format!("{url} is ready")),
        false => {
            let parts: Vec<String> = broken.iter().map(|part| print::printable(part)).collect();
            let detail = format!(
                "{url} is not ready ({}): its log says why",
                parts.join(", ")
            );
            Check::failed("server", detail)
        }
    });
    match client.get::<Value>("/v1/stats/pipeline", &[]).await {
        Ok(stats) => {
            checks.extend(stages(&stats));
            checks.extend(workers(&stats));
        }
        Err(_) if !broken.is_empty() => {} // that is why
        Err(error) => checks.push(Check::failed("key", format!("{error:#}"))),
    }
    // Only an admin's key may see them.
    if let Ok(answer) = client.get::<Value>("/v1/bots", &[]).await {
        checks.extend(answer["items"].as_array().into_iter().flatten().map(bot));
    }
    checks
}

/// How a bot stands, as this server knows without asking Telegram.
fn bot(bot: &Value) -> Check {
    let text = |name: &str| print::printable(bot[name].as_str().unwrap_or_default());
    let (name, state) = (text("name"), text("state"));
    match state.as_str() {
        "listening" | "starting" | "polling" => Check::ok("bot", format!("{name} is {state}")),
        _ => Check::failed("bot", format!("{name}: {}", text("detail"))),
    }
}

/// Who holds what, where several processes share the work.
fn workers(stats: &Value) -> Vec<Check> {
    let mut held: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let items = || stats["items"].as_array().into_iter().flatten();
    for item in items() {
        if let Some(worker) = item["held_by"].as_str() {
            let since = item["held_since"].as_str().unwrap_or("?");
            let (stage, partition) = (&item["stage"], &item["partition"]);
            let stage = stage.as_str().unwrap_or("?");
            let duty = format!("{stage} {partition} since {since}");
            held.entry(worker).or_default().push(duty);
        }
    }
    let is_shared = !held.is_empty();
    let mut checks: Vec<Check> = held
        .into_iter()
        .map(|(worker, duties)| Check::ok(WORKER, format!("{worker}: {}", duties.join(", "))))
        .collect();
    const SHARED: [&str; 12] = [
        "screen",
        "index",
        "labels",
        "stories",
        "story-catalog",
        "rules",
        "reactions",
        "dead-letters",
        "windows",
        "units",
        "unit-catalog",
        "knowledge",
    ];
    let is_shared_out = |i: &&Value| SHARED.iter().any(|stage| i["stage"] == *stage);
    let nobodys = items()
        .filter(is_shared_out)
        .filter(|i| i["held_by"].is_null());
    let nobodys: Vec<String> = nobodys
        .map(|i| format!("{} {}", i["stage"].as_str().unwrap_or("?"), i["partition"]))
        .collect();
    if is_shared && !nobodys.is_empty() {
        let detail = format!(
            "nobody does {}: start a worker of that role, or wait until a dead one's leases are over",
            nobodys.join(", ")
        );
        checks.push(Check::failed("workers", detail));
    }
    checks
}

/// Lag and dead letters of every stage, summed over partitions.
fn stages(stats: &Value) -> Vec<Check> {
    let sum = |stage: &str, field: &str| -> u64 {
        let items = stats["items"].as_array().into_iter().flatten();
        items
            .filter(|i| i["stage"] == stage)
            .filter_map(|i| i[field].as_u64())
            .sum()
    };
    ["screen", "index"]
        .into_iter()
        .map(|stage| {
            let (lag, dead) = (sum(stage, "lag"), sum(stage, "dead_lettered"));
            let detail = format!(
                "{} received, {lag} to go, {dead} dead letters",
                sum(stage, "received")
            );
            match dead {
                0 => Check::ok(stage, detail),
                _ => Check::failed(stage, format!("{detail}; see `telesift dead-letters`")),
            }
        })
        .collect()
}
