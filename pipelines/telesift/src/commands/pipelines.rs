//! `telesift pipelines`: the questions over time windows on an Arroyo beside the cluster.

mod plan;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{block_on_cluster, cluster_log, print};
use crate::{
    arroyo::Arroyo,
    cli::{ArroyoArgs, Connection, FillArgs, PipelinesAction, PipelinesArgs},
    cluster,
    config::Config,
    exit,
    pipelines::{Filling, PIPELINES, Pipeline},
};
use plan::{Action, Target};

pub(crate) fn run(connection: Connection, args: PipelinesArgs) -> Result<()> {
    match args.action {
        PipelinesAction::List => list(&connection),
        PipelinesAction::Render { name, fill } => render(&connection, name.as_deref(), &fill),
        PipelinesAction::Apply {
            fill,
            arroyo,
            parallelism,
            no_topics,
            yes,
        } => block_on_cluster(async {
            if !no_topics {
                topics(&connection, &fill, yes).await?;
            }
            apply(&connection, &fill, &arroyo, parallelism, yes).await
        }),
        PipelinesAction::Status { arroyo } => block_on_cluster(status(&connection, &arroyo)),
        PipelinesAction::Remove { arroyo, yes } => {
            block_on_cluster(remove(&connection, &arroyo, yes))
        }
    }
}

fn list(connection: &Connection) -> Result<()> {
    for pipeline in &PIPELINES {
        let udfs: Vec<&str> = pipeline.udfs().map(|udf| udf.name).collect();
        if connection.json {
            print::json(&json!({
                "name": pipeline.name, "question": pipeline.question, "sink": pipeline.sink, "udfs": udfs,
            }))?;
            continue;
        }
        print::line(format!(
            "{:<14} {:<14} {}",
            pipeline.name,
            pipeline.sink.to_string(),
            pipeline.question
        ))?;
    }
    Ok(())
}

fn render(connection: &Connection, name: Option<&str>, fill: &FillArgs) -> Result<()> {
    let filling = filling(fill)?;
    let shown: Vec<&Pipeline> = match name {
        Some(name) => vec![Pipeline::named(name).ok_or_else(|| {
            let known = PIPELINES.iter().map(|p| p.name).collect::<Vec<_>>();
            let known = known.join(", ");
            exit::Usage(format!("there is no pipeline `{name}`, only {known}"))
        })?],
        None => PIPELINES.iter().collect(),
    };
    for pipeline in shown {
        let sql = pipeline.render(&filling)?;
        match connection.json {
            true => print::json(&json!({"name": pipeline.name, "sql": sql}))?,
            false => print::line(sql)?,
        }
    }
    Ok(())
}

/// What the command line says, else the configuration.
fn filling(fill: &FillArgs) -> Result<Filling> {
    let config = Config::load(fill.config.config.as_deref()).map_err(exit::usage)?;
    let fluvio = &config.log.fluvio;
    let endpoint = fill.fluvio.as_ref().unwrap_or(&fluvio.endpoint);
    let renamed = fill.topics.iter().map(|pair| {
        let (topic, name) = pair
            .split_once('=')
            .with_context(|| format!("`{pair}` is not TOPIC=NAME"))?;
        Ok((topic.to_owned(), name.to_owned()))
    });
    let renamed = renamed.collect::<Result<Vec<_>>>().map_err(exit::usage)?;
    Filling::new(endpoint, &fluvio.prefix, fill.from.as_str(), &renamed).map_err(exit::usage)
}

/// Makes the topics the cluster lacks, and looks whether Arroyo will find those it reads.
async fn topics(connection: &Connection, fill: &FillArgs, yes: bool) -> Result<()> {
    let config = cluster_log::config(&fill.config)?;
    let wanted = cluster::topics(&config.fluvio.topics).map_err(exit::usage)?;
    let log = cluster_log::open(&config).await?;
    let found = telesift_ports::RecordLog::topics(&log).await?;
    let named = found.iter().map(|info| {
        let name = format!("{}{}", config.fluvio.prefix, info.topic);
        (name, info.partitions.len())
    });
    filling(fill)?.check_sources(&named.collect::<Vec<_>>())?;
    for step in cluster::plan(&wanted, &found, &log.replication().await?) {
        if step.action == cluster::Action::Create {
            show(connection, "topic", &step.topic.to_string(), "create", yes)?;
        }
    }
    match yes {
        true => cluster::create_topics(cluster::wanted(&config)?, &log).await,
        false => Ok(()),
    }
}

async fn apply(
    connection: &Connection,
    fill: &FillArgs,
    arroyo: &ArroyoArgs,
    parallelism: u64,
    yes: bool,
) -> Result<()> {
    let filling = filling(fill)?;
    let client = Arroyo::new(&arroyo.arroyo)?;
    let steps = plan::apply(&client, &arroyo.prefix, &filling).await?;
    for step in &steps {
        let done = yes && step.action != Action::Keep;
        show(
            connection,
            step.target.kind(),
            step.target.name(),
            step.action.as_str(),
            done,
        )?;
    }
    let n = steps.iter().filter(|s| s.action != Action::Keep).count();
    if n > 0 && !yes {
        eprintln!("{n} to do: --yes does it");
        return Ok(());
    }
    for step in steps {
        step.carry_out(&client, parallelism).await?;
    }
    Ok(())
}

async fn status(connection: &Connection, arroyo: &ArroyoArgs) -> Result<()> {
    let client = Arroyo::new(&arroyo.arroyo)?;
    let found = client.pipelines().await?;
    let mut n_off = 0;
    for pipeline in &PIPELINES {
        let name = plan::remote_name(&arroyo.prefix, pipeline);
        let mut state = ("absent".to_owned(), None);
        if let Some(remote) = found.iter().find(|p| p.name == name) {
            let job = client.job(&remote.id).await?;
            state = job.map_or(("no job".to_owned(), None), |job| {
                (job.state.clone(), job.failure())
            });
        }
        n_off += usize::from(state.0 == "Failed");
        match connection.json {
            true => print::json(&json!({"name": name, "state": state.0, "failure": state.1}))?,
            false => {
                let failure = state.1.map_or(String::new(), |f| format!("  {f}"));
                print::line(format!("{name:<26} {}{failure}", state.0))?;
            }
        }
    }
    match n_off {
        0 => Ok(()),
        n => bail!("{n} pipelines failed; `telesift pipelines apply --yes` starts them anew"),
    }
}

async fn remove(connection: &Connection, arroyo: &ArroyoArgs, yes: bool) -> Result<()> {
    let client = Arroyo::new(&arroyo.arroyo)?;
    let targets = plan::remove(&client, &arroyo.prefix).await?;
    for target in &targets {
        show(connection, target.kind(), target.name(), "remove", yes)?;
    }
    if !yes && !targets.is_empty() {
        eprintln!("{} to remove: --yes removes them", targets.len());
        return Ok(());
    }
    for target in targets {
        match target {
            Target::Pipeline {
                found: Some(found), ..
            } => client.remove_pipeline(&found).await?,
            Target::Udf {
                found: Some(found), ..
            } => client.delete_udf(&found.id).await?,
            Target::Pipeline { .. } | Target::Udf { .. } => {}
        }
    }
    Ok(())
}

fn show(connection: &Connection, kind: &str, name: &str, action: &str, done: bool) -> Result<()> {
    let line: Value = json!({"kind": kind, "name": name, "action": action, "done": done});
    match connection.json {
        true => print::json(&line),
        false => print::line(format!("{action:<8} {kind:<9} {name}")),
    }
}
