//! Rules by which atoms are approved without anybody looking at them: shown, tried on what is there, set.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use telesift_ports::knowledge::{AtomFilter, AtomPosition, StoredAtom};
use telesift_schemas::{ApprovalRule, AtomStatus, AtomVerdict, DecisionKind, Timestamp};

use crate::{
    auth::{Admin, Auditor, Viewer},
    body::JsonObject,
    knowledge::AtomView,
    openapi::AtomBody,
    params::Params,
    problem::{Problem, Result},
    state::App,
};

/// Rules there may be.
const MAX_RULES: usize = 50;
/// Atoms a rule is tried on, the latest.
const MAX_TRIED: usize = 10_000;
/// Atoms shown of those a rule would approve.
const N_SAMPLES: usize = 20;

/// A rule: it approves what is all of this.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "documents `ApprovalRule` of the schemas")]
pub(crate) struct ApprovalRuleBody {
    /// Its name, which stands beside what it approves as `rule:<name>`.
    #[schema(example = "sure decisions")]
    name: String,
    /// Of one of these kinds; empty: of any.
    #[schema(example = json!(["decision"]))]
    #[serde(default)]
    kinds: Vec<String>,
    /// Of at least this confidence, 0..1.
    #[schema(example = 0.8)]
    min_confidence: f64,
    /// On one of these subjects, by id; empty: any.
    #[serde(default)]
    subjects: Vec<String>,
    /// With all evidence in these chats; empty: anywhere.
    #[serde(default)]
    chats: Vec<String>,
    /// By one of these extractors, by name; empty: by any.
    #[serde(default)]
    extractors: Vec<String>,
    /// With at least so many messages as evidence.
    #[serde(default)]
    min_messages: u32,
}

/// The rules in force.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ApprovalRulesView {
    /// In the order they are asked; the first that matches approves.
    #[schema(value_type = Vec<ApprovalRuleBody>)]
    rules: Vec<ApprovalRule>,
    /// Since when; `null` if none were ever set.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// Whose word it is.
    by: Option<String>,
    /// Atoms that were there and are approved by this request; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<usize>,
}

/// Rules to be tried or set.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents what `rules` reads")]
pub(crate) struct ApprovalRulesBody {
    /// All of them: those not named are gone.
    rules: Vec<ApprovalRuleBody>,
    /// When setting: whether atoms that wait for a review now are approved too. Else only what is extracted from now on.
    existing: Option<bool>,
}

/// What rules would do.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ApprovalPreview {
    /// Atoms that wait for a review and were tried, the latest 10,000 at most.
    tried: usize,
    /// Those that the rules would approve.
    approved: usize,
    /// By rule.
    #[schema(value_type = Object, example = json!({"sure decisions": 12}))]
    by_rule: std::collections::BTreeMap<String, usize>,
    /// Some of them.
    #[schema(value_type = Vec<AtomBody>)]
    samples: Vec<AtomView>,
}

/// Get the approval rules
#[utoipa::path(
    get, path = "/v1/approval-rules", tag = "knowledge",
    responses((status = 200, description = "The rules in force", body = ApprovalRulesView))
)]
pub(crate) async fn show(
    _: Auditor,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<ApprovalRulesView>> {
    params.finish()?;
    let rules = app.catalog.approval_rules().await?;
    Ok(Json(ApprovalRulesView {
        rules: rules.rules,
        at: rules.at,
        by: rules.by,
        approved: None,
    }))
}

/// Try approval rules on what waits for a review
///
/// Changes nothing.
#[utoipa::path(
    post, path = "/v1/approval-rules/preview", tag = "knowledge",
    request_body(content = ApprovalRulesBody, example = json!({"rules": [{"name": "sure decisions", "kinds": ["decision"], "min_confidence": 0.8}]})),
    responses((status = 200, description = "What they would approve", body = ApprovalPreview))
)]
pub(crate) async fn preview(
    Auditor(viewer): Auditor,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Json<ApprovalPreview>> {
    let (rules, _) = rules(body)?;
    let tried = waiting(&app, &viewer).await?;
    let approved = matched(&rules, &tried);
    let mut by_rule = std::collections::BTreeMap::new();
    for (rule, _) in &approved {
        *by_rule.entry(rule.name.clone()).or_default() += 1;
    }
    let samples = approved.iter().take(N_SAMPLES);
    let samples = samples.map(|(_, stored)| (*stored).clone()).collect();
    Ok(Json(ApprovalPreview {
        tried: tried.len(),
        approved: approved.len(),
        by_rule,
        samples: app.show_atoms(&viewer, samples).await?,
    }))
}

/// Set the approval rules
///
/// They take the place of those in force, for what is extracted from now on; with `existing` also for what waits for a review
/// now. Who sets them stands in the decision; what they approve says by which rule.
#[utoipa::path(
    put, path = "/v1/approval-rules", tag = "knowledge",
    request_body(content = ApprovalRulesBody, example = json!({"rules": [{"name": "sure decisions", "kinds": ["decision"], "min_confidence": 0.8}], "existing": true})),
    responses(
        (status = 200, description = "The rules now in force", body = ApprovalRulesView),
        (status = 202, description = "The decision is durable and will show", body = ApprovalRulesView),
    )
)]
pub(crate) async fn set(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<(StatusCode, Json<ApprovalRulesView>)> {
    let (rules, existing) = rules(body)?;
    let mut decisions = vec![DecisionKind::ApprovalRulesSet {
        rules: rules.clone(),
        owner: viewer.key.name.clone(),
    }];
    if existing {
        let tried = waiting(&app, &viewer).await?;
        let approved = matched(&rules, &tried).into_iter();
        decisions.extend(approved.map(|(rule, stored)| DecisionKind::AtomReviewed {
            atom: stored.atom.id.clone(),
            review: AtomVerdict::Approve,
            owner: format!("rule:{}", rule.name),
        }));
    }
    let (now, n_approved) = (app.clock.now(), decisions.len() - 1);
    let end = app.log.decide(&viewer.key, decisions, now).await?;
    let status = match app.await_knowledge(end).await? {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let view = ApprovalRulesView {
        rules,
        at: Some(now),
        by: Some(viewer.key.name.clone()),
        approved: existing.then_some(n_approved),
    };
    Ok((status, Json(view)))
}

/// The rules a body holds, and whether they are for what is there too.
fn rules(body: JsonObject) -> Result<(Vec<ApprovalRule>, bool)> {
    #[derive(Deserialize)]
    struct Body {
        rules: Vec<Value>,
        #[serde(default)]
        existing: bool,
    }
    let body: Body = body.into(&["rules", "existing"])?;
    if body.rules.len() > MAX_RULES {
        let detail = format!("`rules` holds at most {MAX_RULES} rules");
        return Err(Problem::invalid("rules", detail));
    }
    let mut rules: Vec<ApprovalRule> = Vec::new();
    for (i, value) in body.rules.into_iter().enumerate() {
        let invalid = |what: String| Problem::invalid("rules", format!("`rules[{i}]`: {what}"));
        // The one knows the fields, the other their types.
        serde_json::from_value::<ApprovalRuleBody>(value.clone())
            .map_err(|e| invalid(e.to_string()))?;
        let rule: ApprovalRule =
            serde_json::from_value(value).map_err(|e| invalid(e.to_string()))?;
        if !(0.0..=1.0).contains(&rule.min_confidence) {
            return Err(invalid(
                "`min_confidence` is a number from 0 to 1".to_owned(),
            ));
        }
        let is_named = (1..=80).contains(&rule.name.chars().count());
        if !is_named || rules.iter().any(|known| known.name == rule.name) {
            let what = "`name` has 1 to 80 characters and stands once";
            return Err(invalid(what.to_owned()));
        }
        rules.push(rule);
    }
    Ok((rules, body.existing))
}

/// Atoms that wait for a review.
async fn waiting(app: &App, viewer: &Viewer) -> Result<Vec<StoredAtom>> {
    let filter = AtomFilter {
        statuses: vec![AtomStatus::NeedsReview],
        ..AtomFilter::default()
    };
    app.atoms(viewer, &filter, None::<&AtomPosition>, MAX_TRIED)
        .await
}

/// Those that a rule approves, with the first that does.
fn matched<'a>(
    rules: &'a [ApprovalRule],
    atoms: &'a [StoredAtom],
) -> Vec<(&'a ApprovalRule, &'a StoredAtom)> {
    let first = |stored: &'a StoredAtom| {
        let rule = rules.iter().find(|rule| rule.matches(&stored.atom))?;
        Some((rule, stored))
    };
    atoms.iter().filter_map(first).collect()
}
