//! Why a message got its score, and what each stage did with it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use telesift_ports::{
    explain::{Explanation, Factor, SpamExplanation},
    rules::RuleSet,
};
use telesift_schemas::{Class, Message, MessageKey, Origin, Screen, Timestamp};

use super::messages::missing;
use crate::{
    auth::Reader,
    params::{Params, path_value},
    problem::Result,
    state::App,
};

/// A score taken apart, and the way of the message through the stages.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ExplainView {
    /// The message.
    #[schema(value_type = String)]
    message: MessageKey,
    /// The raw record it came from.
    #[schema(value_type = Option<Object>)]
    origin: Option<Origin>,
    /// `name@version+hash` of the rules it was screened with.
    rules: Option<String>,
    /// The class it was given then.
    #[schema(value_type = Option<String>)]
    class: Option<Class>,
    /// The score it was given then.
    score: Option<f64>,
    /// The sum of all contributions. This and the factors are computed anew from the raw record by the rules it was screened
    /// with (see `recomputed`, and `note` for exceptions); `null` and empty where that record is not kept any more.
    logit: Option<f64>,
    /// Every factor that could count, `bias` first, then the strongest contribution first.
    #[schema(value_type = Vec<Object>)]
    factors: Vec<Factor>,
    /// What those rules make of it.
    recomputed: Option<Recomputed>,
    /// The judgement on spam by the same rules, apart from the score: `bias`, `cues` like factors, `logit`, `score`, the
    /// threshold `spam_from`, `is_spam`.
    #[schema(value_type = Option<Object>)]
    spam: Option<SpamExplanation>,
    /// Whether they are exactly what it was screened with, data and code.
    same_rules: Option<bool>,
    /// Whether the rules it was screened with are known here. If not, all this is by the rules now active.
    rules_known: Option<bool>,
    /// In what way this does not explain the score it was given, in words; `null` if it does.
    note: Option<String>,
    /// What each stage did with it, in flow order.
    stages: Vec<StageView>,
}

/// What rules make of a message.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Recomputed {
    /// `name@version+hash` of the rules.
    rules: String,
    /// By the two thresholds.
    class: String,
    /// Probability of `logit`, calibrated.
    score: f64,
    /// At or above this score: `weak_signal`.
    weak_signal_from: f64,
    /// At or above this score: `signal`.
    signal_from: f64,
}

/// The factors with the bias among them, so that all contributions add up to the logit.
fn factors_with_bias(explanation: &Explanation) -> Vec<Factor> {
    let bias = Factor {
        name: "bias".to_owned(),
        value: 1.0,
        weight: explanation.bias,
        contribution: explanation.bias,
        evidence: Vec::new(),
    };
    let factors = explanation.factors.iter().cloned();
    std::iter::once(bias).chain(factors).collect()
}

/// What a stage did with the message.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StageView {
    /// `ingest`, `screen` or `index`.
    stage: &'static str,
    /// `appended`, `emitted`, `stored`; `unknown` where its record is not kept any more.
    outcome: &'static str,
    /// What it read.
    #[schema(value_type = Option<Object>)]
    input: Option<Origin>,
    /// What it wrote.
    #[schema(value_type = Option<Object>)]
    output: Option<Origin>,
    /// When its output was appended.
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
}

/// Explain a message's score
///
/// Every factor's value, weight and contribution, the rules version, and what each stage did with the message.
#[utoipa::path(
    get, path = "/v1/messages/{id}/explain", tag = "messages",
    params(("id" = String, Path, description = "`<chat id>:<message id>`", example = "-1001234567890:42")),
    responses((status = 200, description = "The explanation", body = ExplainView))
)]
pub(crate) async fn explain(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ExplainView>> {
    let key: MessageKey = path_value("id", &id)?;
    params.finish()?;
    let store = app.store.seen_by(&viewer);
    let message = store.get(&key).await?.ok_or_else(|| missing(&key))?;

    let raw = app.log.raw_record_of(&message).await?;
    let screen = message.screen.clone();
    let (rules, is_known) = rules_of(&app, screen.as_ref()).await?;
    let explanation = match (&raw, &rules) {
        (Some(record), Some(rules)) => app.explainer.explain(&record.value, rules),
        _ => None,
    };
    let ingested = raw.map(|record| record.appended_at);
    let stages = stages(&app, &message, ingested).await?;
    Ok(Json(ExplainView {
        message: key,
        origin: message.origin,
        logit: explanation.as_ref().map(|e| e.logit),
        factors: explanation
            .as_ref()
            .map(factors_with_bias)
            .unwrap_or_default(),
        same_rules: match (&explanation, &screen) {
            (Some(now), Some(then)) => Some(now.rules == then.rules),
            _ => None,
        },
        note: note(screen.as_ref(), is_known, rules.as_ref()),
        spam: explanation.as_ref().map(|e| e.spam.clone()),
        rules_known: screen.is_some().then_some(is_known),
        recomputed: explanation.map(|e| Recomputed {
            rules: e.rules,
            class: e.class,
            score: e.score,
            weak_signal_from: e.weak_signal_from,
            signal_from: e.signal_from,
        }),
        class: screen.as_ref().map(|s| s.class),
        score: screen.as_ref().map(|s| s.score),
        rules: screen.map(|s| s.rules),
        stages,
    }))
}

/// The rules a message was screened with, and that they are known; else those that are active.
async fn rules_of(app: &App, screen: Option<&Screen>) -> Result<(Option<RuleSet>, bool)> {
    if let Some(screen) = screen
        && let Some(rules) = app.rules.screened_by(&screen.rules).await?
    {
        return Ok((Some(rules), true));
    }
    let active = match app.rules.active().await? {
        Some(activation) if !activation.shipped => activation.version,
        _ => app.rules.shipped().await?.version,
    };
    Ok((app.rules.screened_by(&active).await?, false))
}

/// In what way an explanation by `rules` does not explain the score a message was given.
fn note(screen: Option<&Screen>, is_known: bool, rules: Option<&RuleSet>) -> Option<String> {
    let then = &screen?.rules;
    let now = rules.map(|rules| &rules.version);
    match (is_known, now) {
        (true, Some(now)) if now == then => None,
        (true, _) => Some(format!(
            "the rule set is the same, but the code that reads it has changed since `{then}`: the factors may differ from those of then"
        )),
        (false, Some(now)) => Some(format!(
            "the rules `{then}` are not known here: they shipped with another build, or were never added; the factors are what `{now}`, active now, makes of the message"
        )),
        (false, None) => Some(format!(
            "the rules `{then}` are not known here, and those active now cannot be used: there is nothing to explain it with"
        )),
    }
}

async fn stages(
    app: &App,
    message: &Message,
    ingested: Option<Timestamp>,
) -> Result<Vec<StageView>> {
    let origin = message.origin.clone();
    let screened = app.log.screened_record_of(message).await?;
    let output = screened.as_ref().map(|(at, record)| Origin {
        topic: at.topic.clone(),
        partition: at.partition,
        offset: record.offset,
    });
    let known = |is_known, outcome| if is_known { outcome } else { "unknown" };
    Ok(vec![
        StageView {
            stage: "ingest",
            outcome: known(ingested.is_some(), "appended"),
            input: None,
            output: origin.clone(),
            at: ingested,
        },
        StageView {
            stage: "screen",
            outcome: known(output.is_some(), "emitted"),
            input: origin,
            output: output.clone(),
            at: screened.map(|(_, record)| record.appended_at),
        },
        StageView {
            // The store gave the message out, so the stage has stored it.
            stage: "index",
            outcome: "stored",
            input: output,
            output: None,
            at: None,
        },
    ])
}
