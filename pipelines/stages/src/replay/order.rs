//! A request in, what is to be done out: rules found, range fixed, checked.

use std::sync::Arc;

use telesift_ports::{
    Embedder,
    generations::Part,
    replays::{
        BaseRules, Bound, ReplayError, ReplayProgress, ReplayRange, ReplayRequest, ReplaySpec,
        ReplayStage, ResolvedRules, RulePair, RulesChoice,
    },
};
use telesift_schemas::{Offset, PartitionId, Topic};

use super::{ReplayParts, range, switch::failed};
use crate::StageError;

/// A replay that can be queued.
pub(super) struct Ordered {
    pub(super) spec: ReplaySpec,
    pub(super) progress: ReplayProgress,
    pub(super) rules: RulePair,
}

/// Checks a request.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn prepare(
    parts: &ReplayParts,
    request: ReplayRequest,
) -> Result<Ordered, ReplayError> {
    if request.stage == ReplayStage::Extract {
        return extract(parts, request).await;
    }
    match (request.dry_run, request.stage) {
        (true, ReplayStage::Screen) => dry_run(parts, request).await,
        (false, ReplayStage::Screen) => screen(parts, request).await,
        (true, ReplayStage::Alert) => alert(parts, request).await,
        (false, ReplayStage::Alert) => Err(refused(
            "dry_run",
            "a replay notifies nobody, and nothing else would come of one of `alert`: it is always a dry run",
        )),
        (_, stage) => rebuild(parts, request, stage.own_parts()).await,
    }
}

async fn dry_run(parts: &ReplayParts, request: ReplayRequest) -> Result<Ordered, ReplayError> {
    let new = match &request.rules {
        Some(choice) => resolve(parts, "rules", choice).await?,
        // Those compared with.
        None => ResolvedRules {
            version: String::new(),
            json: String::new(),
        },
    };
    let ranges = range::resolve(&*parts.log, &request.from, &request.to).await?;
    let base = match &request.base {
        Some(choice) => BaseRules::one(resolve(parts, "base", choice).await?),
        None => parts.rules.active(&ranges).await?,
    };
    Ok(Ordered {
        progress: ReplayProgress::at_start(&ranges),
        rules: RulePair {
            base: base.to_text(),
            new: new.json,
        },
        spec: ReplaySpec {
            rules: new.version,
            base: base.versions(),
            ..spec(parts, &request, Topic::TELEGRAM_RAW, ranges)
        },
    })
}

/// A generation of everything: what lies before the range is taken over, what lies behind follows.
async fn screen(parts: &ReplayParts, request: ReplayRequest) -> Result<Ordered, ReplayError> {
    if request.base.is_some() {
        return Err(refused("base", "only a dry run compares"));
    }
    let asked = range::resolve(&*parts.log, &request.from, &request.to).await?;
    let all = range::resolve(&*parts.log, &Bound::Earliest, &Bound::Latest).await?;
    // Of a partition that no cursor names nothing is screened anew.
    let asked_of = |all: &ReplayRange| {
        let named = asked.iter().find(|r| r.partition == all.partition);
        named.map_or((all.to, all.to), |r| (r.from, r.to))
    };
    let kept = match &request.rules {
        Some(choice) => Some(parts.rules.keep(choice, &request.by).await?),
        None => None,
    };
    let screens: Vec<ReplayRange> = all
        .iter()
        .map(|range| {
            let (from, to) = asked_of(range);
            let partition = range.partition;
            ReplayRange {
                partition,
                from,
                to,
            }
        })
        .collect();
    let ranges: Vec<ReplayRange> = screens
        .iter()
        .map(|range| ReplayRange {
            from: Offset::ZERO,
            ..*range
        })
        .collect();
    let mut spec = spec(parts, &request, Topic::TELEGRAM_RAW, ranges.clone());
    if let Some(kept) = kept {
        spec.rules = kept.version;
        spec.rules_kept = Some((kept.identity, kept.shipped));
    }
    spec.screens = screens;
    Ok(Ordered {
        progress: ReplayProgress::at_start(&ranges),
        rules: nothing_compared(),
        spec,
    })
}

/// Recorded units of conversation, by when they were closed.
async fn extract(parts: &ReplayParts, request: ReplayRequest) -> Result<Ordered, ReplayError> {
    only(
        &request,
        &["rules", "base", "reassign"],
        "a replay of `extract` reads recorded conversations; rules and stories have no part in it",
    )?;
    for (field, bound) in [("from", &request.from), ("to", &request.to)] {
        if matches!(bound, Bound::Cursor(_)) {
            let reason = "conversations are named by time, not by a cursor of `telegram-raw`";
            return Err(refused(field, reason));
        }
    }
    let ranges = range::of_topic(&*parts.log, &Topic::UNITS, &request.from, &request.to).await?;
    Ok(Ordered {
        progress: ReplayProgress::at_start(&ranges),
        rules: nothing_compared(),
        spec: spec(parts, &request, Topic::UNITS, ranges),
    })
}

/// What of the live messages alerts would be looked for in.
async fn alert(parts: &ReplayParts, request: ReplayRequest) -> Result<Ordered, ReplayError> {
    let reason = "a replay of `alert` looks at `messages` as they are";
    only(&request, &["rules", "base", "reassign"], reason)?;
    for (field, bound) in [("from", &request.from), ("to", &request.to)] {
        if matches!(bound, Bound::Cursor(_)) {
            let reason = "messages are named by the time they were screened, not by a cursor";
            return Err(refused(field, reason));
        }
    }
    let topic = parts.generations().live().messages_topic();
    let ranges = range::of_topic(&*parts.log, &topic, &request.from, &request.to).await?;
    Ok(Ordered {
        progress: ReplayProgress::at_start(&ranges),
        rules: nothing_compared(),
        spec: spec(parts, &request, topic, ranges),
    })
}

/// Refuses the fields of `forbidden` that are given.
fn only(
    request: &ReplayRequest,
    forbidden: &[&'static str],
    reason: &str,
) -> Result<(), ReplayError> {
    for (field, is_given) in [
        ("rules", request.rules.is_some()),
        ("base", request.base.is_some()),
        ("from", request.from != Bound::Earliest),
        ("to", request.to != Bound::Latest),
        ("reassign", request.reassign),
    ] {
        if is_given && forbidden.contains(&field) {
            return Err(refused(field, reason));
        }
    }
    Ok(())
}

/// A whole store, or all stories, out of the live messages.
async fn rebuild(
    parts: &ReplayParts,
    request: ReplayRequest,
    own: &[Part],
) -> Result<Ordered, ReplayError> {
    let stage = request.stage.as_str();
    let reason = format!("a replay of `{stage}` makes all of it anew, from `messages` as they are");
    only(&request, &["rules", "base", "from", "to"], &reason)?;
    if !own.contains(&Part::Stories) {
        only(&request, &["reassign"], &reason)?;
    }
    let topic = parts.generations().live().messages_topic();
    let partitions = parts.log.partitions(&topic).await?;
    let ranges: Vec<ReplayRange> = partitions
        .iter()
        .map(|p| ReplayRange {
            partition: p.partition,
            from: p.bounds.start,
            to: p.bounds.end,
        })
        .collect();
    let mut spec = spec(parts, &request, topic, ranges);
    // What would be embedded does not depend on by which model.
    if request.stage == ReplayStage::Embed && !request.dry_run {
        spec.model = Some(other_model(parts).await?);
    }
    Ok(Ordered {
        progress: ReplayProgress::at_start(&spec.ranges),
        rules: nothing_compared(),
        spec,
    })
}

/// The model at hand whose vectors the live store does not hold.
async fn other_model(parts: &ReplayParts) -> Result<String, ReplayError> {
    let (live, other) = other_embedder(parts).await.map_err(failed)?;
    let other = other.map(|embedder| embedder.model().name());
    other.ok_or_else(|| {
        let reason = format!(
            "search goes by vectors of `{live}`, and no other model is configured: name one in `[embed.next]`, start the server again, then replay `embed`"
        );
        refused("stage", reason)
    })
}

/// The name of the model whose vectors the live store holds, and another model at hand.
pub(super) async fn other_embedder(
    parts: &ReplayParts,
) -> Result<(String, Option<Arc<dyn Embedder>>), StageError> {
    let stores = &parts.line.parts.stores;
    let live = stores.embedder_of(parts.generations().live().store).await?;
    let live = live.model().name();
    let mut all = stores.models().all().iter();
    let other = all.find(|embedder| embedder.model().name() != live);
    Ok((live, other.cloned()))
}

fn spec(
    parts: &ReplayParts,
    request: &ReplayRequest,
    input: Topic,
    ranges: Vec<ReplayRange>,
) -> ReplaySpec {
    ReplaySpec {
        stage: request.stage,
        dry_run: request.dry_run,
        from: request.from.to_string(),
        to: request.to.to_string(),
        input,
        ranges,
        rules: String::new(),
        base: String::new(),
        rules_kept: None,
        screens: Vec::new(),
        reassign: request.reassign,
        model: None,
        base_generation: (!request.dry_run).then(|| parts.generations().now().live),
    }
}

fn nothing_compared() -> RulePair {
    RulePair {
        base: String::new(),
        new: String::new(),
    }
}

fn refused(field: &'static str, reason: impl Into<String>) -> ReplayError {
    ReplayError::Range {
        field,
        reason: reason.into(),
    }
}

async fn resolve(
    parts: &ReplayParts,
    field: &'static str,
    choice: &RulesChoice,
) -> Result<ResolvedRules, ReplayError> {
    match choice {
        RulesChoice::Inline(text) => {
            let read = parts.rules.read(text);
            read.map_err(|fault| ReplayError::Rules { field, fault })
        }
        RulesChoice::Named(name) => {
            let found = parts.rules.resolve(name).await?;
            found.ok_or_else(|| ReplayError::UnknownRules {
                field,
                name: name.clone(),
            })
        }
    }
}

/// The first raw offset that is screened anew, per partition.
pub(super) fn screens_from(spec: &ReplaySpec) -> Vec<(PartitionId, Offset)> {
    spec.screens.iter().map(|r| (r.partition, r.from)).collect()
}
