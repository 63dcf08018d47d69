//! What is on Arroyo beside what is to be there.

use anyhow::Result;

use crate::{
    arroyo::{Arroyo, RemotePipeline, RemoteUdf},
    pipelines::{Filling, PIPELINES, Pipeline, UDFS, Udf},
};

/// A UDF or pipeline, and what is there of it.
pub(super) enum Target {
    Udf {
        udf: &'static Udf,
        found: Option<RemoteUdf>,
    },
    Pipeline {
        name: String,
        file: &'static str,
        query: String,
        found: Option<RemotePipeline>,
    },
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Keep,
    Replace,
}

pub(super) struct Step {
    pub(super) target: Target,
    pub(super) action: Action,
}

impl Target {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Target::Udf { .. } => "udf",
            Target::Pipeline { .. } => "pipeline",
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Target::Udf { udf, .. } => udf.name,
            Target::Pipeline { name, .. } => name,
        }
    }
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Keep => "keep",
            Action::Replace => "replace",
        }
    }
}

/// What the pipeline is called on Arroyo.
pub(super) fn remote_name(prefix: &str, pipeline: &Pipeline) -> String {
    format!("{prefix}-{}", pipeline.name)
}

/// UDFs first, which the pipelines call. What is there as it should be, and runs, is kept.
pub(super) async fn apply(arroyo: &Arroyo, prefix: &str, filling: &Filling) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let udfs = arroyo.udfs().await?;
    for udf in &UDFS {
        let found = udfs.iter().find(|u| u.name == udf.name).cloned();
        let action = match &found {
            None => Action::Create,
            Some(found) if found.definition == udf.source => Action::Keep,
            Some(_) => Action::Replace,
        };
        let target = Target::Udf { udf, found };
        steps.push(Step { target, action });
    }
    let pipelines = arroyo.pipelines().await?;
    for pipeline in &PIPELINES {
        let (name, query) = (remote_name(prefix, pipeline), pipeline.render(filling)?);
        let found = pipelines.iter().find(|p| p.name == name).cloned();
        let action = match &found {
            None => Action::Create,
            Some(found) => {
                let job = arroyo.job(&found.id).await?;
                let runs = job.is_some_and(|job| !job.is_over());
                match found.query == query && runs {
                    true => Action::Keep,
                    false => Action::Replace,
                }
            }
        };
        let target = Target::Pipeline {
            name,
            file: pipeline.name,
            query,
            found,
        };
        steps.push(Step { target, action });
    }
    Ok(steps)
}

/// All of ours that is there: pipelines first, which call the UDFs.
pub(super) async fn remove(arroyo: &Arroyo, prefix: &str) -> Result<Vec<Target>> {
    let pipelines = arroyo.pipelines().await?;
    let mut targets = Vec::new();
    for pipeline in &PIPELINES {
        let name = remote_name(prefix, pipeline);
        if let Some(found) = pipelines.iter().find(|p| p.name == name) {
            targets.push(Target::Pipeline {
                name,
                file: pipeline.name,
                query: found.query.clone(),
                found: Some(found.clone()),
            });
        }
    }
    // Another flow on the same Arroyo may call them.
    let is_shared = pipelines.iter().any(|p| {
        let is_ours = targets.iter().any(|t| t.name() == p.name);
        !is_ours
            && UDFS
                .iter()
                .any(|udf| p.query.contains(&format!("{}(", udf.name)))
    });
    let udfs = if is_shared {
        Vec::new()
    } else {
        arroyo.udfs().await?
    };
    for udf in &UDFS {
        let found = udfs.iter().find(|u| u.name == udf.name);
        targets.extend(found.map(|found| Target::Udf {
            udf,
            found: Some(found.clone()),
        }));
    }
    Ok(targets)
}

impl Step {
    /// Does it. A pipeline is checked before the one it replaces is stopped.
    pub(super) async fn carry_out(self, arroyo: &Arroyo, parallelism: u64) -> Result<()> {
        if self.action == Action::Keep {
            return Ok(());
        }
        match self.target {
            Target::Udf { udf, found } => {
                if let Some(found) = found {
                    arroyo.delete_udf(&found.id).await?;
                }
                arroyo.create_udf(udf.name, udf.source).await
            }
            Target::Pipeline {
                name,
                file,
                query,
                found,
            } => {
                arroyo.validate(file, &query).await?;
                if let Some(found) = found {
                    arroyo.remove_pipeline(&found).await?;
                }
                arroyo.create_pipeline(&name, &query, parallelism).await
            }
        }
    }
}
