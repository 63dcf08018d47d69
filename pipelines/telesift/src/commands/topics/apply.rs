//! `telesift topics apply`: makes the topics that a cluster lacks, once asked; a second time there is nothing to do.

use anyhow::{Result, bail};
use telesift_ports::RecordLog;
use telesift_schemas::Topic;

use super::super::{block_on_cluster, cluster_log, print};
use crate::{
    cli::{Connection, TopicsApplyArgs},
    cluster::{self, Action},
};

pub(super) fn run(connection: &Connection, args: &TopicsApplyArgs) -> Result<()> {
    let mut config = cluster_log::config(&args.config)?;
    if let Some(file) = &args.file {
        config.fluvio.topics = file.clone();
    }
    let wanted = cluster::topics(&config.fluvio.topics).map_err(crate::exit::usage)?;
    block_on_cluster(async {
        let log = cluster_log::open(&config).await?;
        let steps = cluster::plan(&wanted, &log.topics().await?, &log.replication().await?);
        for step in &steps {
            if connection.json {
                print::json(&serde_json::json!({
                    "topic": step.topic, "action": step.action.as_str(), "detail": step.detail,
                    "done": args.yes && step.action == Action::Create,
                }))?;
            } else {
                print::line(format!(
                    "{:<8} {:<16} {}",
                    step.action.as_str(),
                    step.topic.to_string(),
                    step.detail
                ))?;
            }
        }
        let is_missing = |topic: &Topic| {
            let mut missing = steps.iter().filter(|s| s.action == Action::Create);
            missing.any(|step| step.topic == *topic)
        };
        let count = |action| steps.iter().filter(|s| s.action == action).count();
        match count(Action::Create) {
            0 => {}
            n if args.yes => {
                let mut topics = cluster::wanted(&config)?;
                topics.retain(|(topic, _)| is_missing(topic));
                cluster::create_topics(topics, &log).await?;
                eprintln!("{n} made");
            }
            n => eprintln!("{n} to make: --yes makes them"),
        }
        match count(Action::Differs) {
            0 => Ok(()),
            n => bail!(
                "{n} topics are there otherwise than asked for, and a cluster does not change them: correct the topics file, or move to a new generation"
            ),
        }
    })
}
