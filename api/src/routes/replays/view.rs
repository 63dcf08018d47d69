//! A replay as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use telesift_ports::{
    generations::Register,
    replays::{
        Confusion, LabelCounts, Passing, Quality, Reading, ReplayLedger, ReplayStatus, SpamCounts,
        Twin,
    },
};
use telesift_schemas::Timestamp;

use super::samples::ShownSamples;

/// Where a replay stands and what it found.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ReplayView {
    /// Its id.
    id: String,
    /// The stage run again.
    stage: String,
    /// Whether it writes nothing.
    dry_run: bool,
    /// `queued`, `running`, `paused`, `done`, `failed`, `cancelled`.
    state: String,
    /// The beginning, as it was asked for.
    from: String,
    /// The end, as it was asked for.
    to: String,
    /// What these came to: offsets of `input`, half-open; `next` is where the replay stands. Of a replay of `screen` that
    /// fills a generation, what is taken over too.
    ranges: Vec<RangeView>,
    /// The new rules, `name@version+hash`; `null`: those that screened each record.
    rules: Option<String>,
    /// The rules compared with, in order where several screened the range; `null` where nothing is compared.
    base: Option<String>,
    /// The topic that is read.
    input: String,
    /// The model whose vectors it makes, of a replay of `embed`.
    model: Option<String>,
    /// The generation it fills; `null` for a dry run, and before it has begun.
    generation: Option<GenerationOf>,
    /// Offsets passed.
    processed: u64,
    /// Offsets in the range.
    total: u64,
    /// What became of each offset: `received = judged + skipped + failed`.
    #[schema(value_type = Object)]
    ledger: ReplayLedger,
    /// Messages judged alike to the last bit: class, score, factors, flags.
    identical: u64,
    /// Message versions per change: by class, and by the flag `spam` (`ham->spam`, `spam->ham`). Of a replay of `screen` that
    /// fills a generation, against the generation it is made from; counted when that is filled, before it is `done`.
    #[schema(value_type = Object)]
    diff: BTreeMap<String, u64>,
    /// Up to 20 of each change, each as likely as any other; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    samples: Option<ShownSamples>,
    /// What would pass the noise filter and go on to enrichment.
    #[schema(value_type = Object)]
    cost: CostView,
    /// Of a replay of `extract`: conversations asked for anew (of a dry run: that would be), and what the calls among them cost at
    /// most. `null` of other stages, and before anything was looked at.
    #[schema(value_type = Option<Object>)]
    estimate: Option<EstimateView>,
    /// How both rule sets do against analysts' labels; `null` where the range holds none.
    #[schema(value_type = Option<Object>)]
    labels: Option<Twin<AgainstLabels>>,
    /// Why it failed.
    error: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// When it first ran.
    #[schema(value_type = Option<String>)]
    started_at: Option<Timestamp>,
    /// When it was over.
    #[schema(value_type = Option<String>)]
    ended_at: Option<Timestamp>,
}

/// A generation in short; `/v1/generations` has more.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GenerationOf {
    /// Its number.
    number: u32,
    /// `building`, `ready`, `retired`.
    state: String,
    /// Whether it is the live one.
    live: bool,
}

/// The range of one partition.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RangeView {
    partition: u32,
    from: u64,
    to: u64,
    next: u64,
}

/// Messages, characters and estimated tokens under each rule set, and the difference.
#[derive(Serialize)]
pub(crate) struct CostView {
    #[serde(flatten)]
    passing: Twin<Passing>,
    change: Change,
}

#[derive(Serialize)]
struct Change {
    messages: i64,
    characters: i64,
    estimated_tokens: i64,
}

/// Conversations that are asked for anew, and what that costs.
#[derive(Serialize)]
pub(crate) struct EstimateView {
    /// Conversations.
    units: u64,
    /// Those that need a call of a provider.
    calls: u64,
    /// Those whose answer was paid for before.
    kept: u64,
    /// Tokens sent, estimated.
    tokens_in: u64,
    /// Tokens received, at most.
    tokens_out: u64,
    /// US dollars, at most.
    usd: f64,
}

impl From<Reading> for EstimateView {
    fn from(reading: Reading) -> Self {
        EstimateView {
            units: reading.units,
            calls: reading.calls,
            kept: reading.kept,
            tokens_in: reading.most.tokens_in,
            tokens_out: reading.most.tokens_out,
            usd: reading.most.micro_usd as f64 / 1e6,
        }
    }
}

/// One rule set against the labels.
#[derive(Serialize)]
pub(crate) struct AgainstLabels {
    /// Messages with a labelled class.
    labelled: u64,
    /// With everything but noise as positive.
    not_noise: Quality,
    /// Each class against the other two.
    classes: BTreeMap<&'static str, Quality>,
    /// `[labelled][judged]`: noise, weak_signal, signal.
    confusion: [[u64; 3]; 3],
    /// The flag `spam`, against messages labelled as spam or not.
    spam: Option<Quality>,
}

impl ReplayView {
    /// With samples.
    pub(super) fn whole(replay: ReplayStatus, samples: ShownSamples, register: &Register) -> Self {
        ReplayView {
            samples: Some(samples),
            ..Self::in_list(replay, register)
        }
    }

    /// Without samples.
    pub(super) fn in_list(replay: ReplayStatus, register: &Register) -> Self {
        let generation = register.made_by(&replay.id).map(|entry| GenerationOf {
            number: entry.generation.0,
            state: entry.state.as_str().to_owned(),
            live: entry.generation == register.live,
        });
        let (spec, progress) = (replay.spec, replay.progress);
        let ranges = spec.ranges.iter().zip(&progress.next);
        ReplayView {
            id: replay.id,
            stage: spec.stage.as_str().to_owned(),
            dry_run: spec.dry_run,
            state: replay.state.as_str().to_owned(),
            ranges: ranges
                .map(|(range, next)| RangeView {
                    partition: range.partition.0,
                    from: range.from.0,
                    to: range.to.0,
                    next: next.0,
                })
                .collect(),
            processed: progress.processed(),
            total: spec.total(),
            from: spec.from,
            to: spec.to,
            rules: named(spec.rules),
            base: named(spec.base),
            input: spec.input.to_string(),
            model: spec.model,
            generation,
            identical: progress.result.identical,
            diff: progress.result.diff,
            samples: None,
            cost: CostView::new(progress.result.cost),
            estimate: progress.result.reading.map(EstimateView::from),
            labels: against(&progress.result.labels),
            ledger: progress.result.ledger,
            error: replay.error,
            created_at: replay.created_at,
            started_at: replay.started_at,
            ended_at: replay.ended_at,
        }
    }
}

fn named(versions: String) -> Option<String> {
    (!versions.is_empty()).then_some(versions)
}

impl CostView {
    fn new(passing: Twin<Passing>) -> Self {
        let Twin { base, new } = passing;
        // Counts of characters stay far below 2⁶³.
        let change = |of: fn(&Passing) -> u64| of(&new) as i64 - of(&base) as i64;
        CostView {
            passing,
            change: Change {
                messages: change(|p| p.messages),
                characters: change(|p| p.characters),
                estimated_tokens: change(|p| p.estimated_tokens),
            },
        }
    }
}

fn against(counts: &LabelCounts) -> Option<Twin<AgainstLabels>> {
    if counts.is_empty() {
        return None;
    }
    let of = |classes: Confusion, spam: SpamCounts| AgainstLabels {
        labelled: classes.n(),
        not_noise: classes.wanted(),
        classes: classes.by_class(),
        confusion: classes.0,
        spam: (spam.n() > 0).then(|| spam.quality()),
    };
    Some(Twin {
        base: of(counts.classes.base, counts.spam.base),
        new: of(counts.classes.new, counts.spam.new),
    })
}

/// A finished dry run, for the document.
pub(super) fn example() -> Value {
    let quality = |precision: f64, recall: f64| json!({"labelled": 40, "judged": 42, "precision": precision, "recall": recall, "f1": 0.9});
    let against = |precision, recall| {
        json!({
            "labelled": 100, "not_noise": quality(precision, recall),
            "classes": {"noise": quality(0.9, 0.9), "weak_signal": quality(0.7, 0.8), "signal": quality(0.9, 0.8)},
            "confusion": [[54, 5, 1], [4, 16, 2], [1, 2, 15]], "spam": null,
        })
    };
    json!({
        "id": "0197a2f0-b1c2-7d3e-8f40-5162738495a6", "stage": "screen", "dry_run": true, "state": "done",
        "from": "2026-01-05T00:00:00Z", "to": "latest", "ranges": [{"partition": 0, "from": 100, "to": 744, "next": 744}],
        "input": "telegram-raw", "model": null, "generation": null, "rules": "mine@2+cd34ef56", "base": "default@3+ab12cd34", "processed": 644, "total": 644,
        "ledger": {"received": 644, "judged": 640, "skipped": {"no_message": 4}, "failed": {}},
        "identical": 610, "diff": {"noise->signal": 12, "ham->spam": 1},
        "samples": {"noise->signal": [{
            "message": "-1001234567890:42", "edit": 0, "text": "Критична помилка: падає сервер",
            "origin": {"topic": "telegram-raw", "partition": 0, "offset": 123},
            "base": {"class": "noise", "score": 0.31, "spam": false}, "new": {"class": "signal", "score": 0.72, "spam": false},
            "factors": [{"name": "incident", "base": 0.0, "new": 1.9}],
        }]},
        "cost": {
            "base": {"messages": 310, "characters": 24100, "estimated_tokens": 11050},
            "new": {"messages": 322, "characters": 25000, "estimated_tokens": 11460},
            "change": {"messages": 12, "characters": 900, "estimated_tokens": 410},
        },
        "estimate": null,
        "labels": {"base": against(0.82, 0.71), "new": against(0.88, 0.9)},
        "error": null, "created_at": "2026-01-06T10:00:00Z", "started_at": "2026-01-06T10:00:00Z", "ended_at": "2026-01-06T10:00:09Z",
    })
}
