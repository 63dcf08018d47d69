//! What readers say of atoms, one or many, on its way into the log.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use telesift_schemas::{AtomVerdict, DecisionKind};

use crate::{
    auth::{Reviewer, Viewer},
    body::JsonObject,
    knowledge::AtomView,
    openapi::AtomBody,
    params::parse_closed,
    problem::{Code, Problem, Result},
    state::App,
};

/// Atoms one request reviews, at most.
const MAX_AT_ONCE: usize = 500;
/// Characters of a title, a content, a subject.
const MAX_TITLE: usize = 200;
const MAX_CONTENT: usize = 2_000;
const MAX_SUBJECT: usize = 80;

/// A review.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct ReviewBody {
    /// `approve`, `reject`, `edit` (approves it as changed) or `merge`.
    #[schema(example = "edit")]
    verdict: String,
    /// With `edit`: another kind.
    kind: Option<String>,
    /// With `edit`: another title.
    title: Option<String>,
    /// With `edit`: another content.
    content: Option<String>,
    /// With `edit`: another subject, by name; empty: none.
    subject: Option<String>,
    /// With `merge`: the atom whose evidence this one's joins.
    into: Option<String>,
    /// The version that was read: a 409 if it changed since. Absent: whatever it is.
    version: Option<u32>,
}

const FIELDS: &[&str] = &[
    "verdict", "kind", "title", "content", "subject", "into", "version",
];

/// Reviews alike.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct ReviewMany {
    /// The atoms, 500 at most.
    #[schema(example = json!(["a-3c9d2b7a10e4f586"]))]
    ids: Vec<String>,
    /// `approve`, `reject` or `merge`.
    verdict: String,
    /// With `merge`: the atom whose evidence theirs joins.
    into: Option<String>,
}

const MANY_FIELDS: &[&str] = &["ids", "verdict", "into"];

/// Atoms as they stand after a review.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Reviewed {
    /// In the order asked for.
    #[schema(value_type = Vec<AtomBody>)]
    items: Vec<AtomView>,
}

/// Review an atom
///
/// The last word counts, and stays whatever is extracted later: a reviewed atom is flagged `evidence_removed` when what it
/// stood on goes, never overwritten. The answer comes once the decision is durable; 202 if the atom does not show it yet.
#[utoipa::path(
    post, path = "/v1/atoms/{id}/review", tag = "knowledge",
    params(("id" = String, Path, description = "Its id", example = "a-3c9d2b7a10e4f586")),
    request_body(content = ReviewBody, example = json!({"verdict": "edit", "title": "Оплата падає на телефонах", "subject": "оплата"})),
    responses(
        (status = 200, description = "The atom as it stands now", body = AtomBody),
        (status = 202, description = "The review is durable and will show", body = AtomBody),
    )
)]
pub(crate) async fn review(
    Reviewer(viewer): Reviewer,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: JsonObject,
) -> Result<(StatusCode, Json<AtomView>)> {
    let body: ReviewBody = body.into(FIELDS)?;
    let version = body.version;
    let stored = app.atom(&viewer, &id).await?;
    if version.is_some_and(|version| version != stored.atom.version) {
        let detail = format!("atom `{id}` changed meanwhile: read it again");
        return Err(Problem::new(Code::Conflict, detail).with("version", stored.atom.version));
    }
    let said = verdict(&app, &viewer, body).await?;
    not_into_itself(&said, std::slice::from_ref(&id))?;
    let (status, mut items) = decide(&app, &viewer, &[id], &said).await?;
    let item = items.pop().ok_or_else(|| Problem::internal("no atom"))?;
    Ok((status, Json(item)))
}

/// Review many atoms alike
#[utoipa::path(
    post, path = "/v1/atoms/review", tag = "knowledge",
    request_body(content = ReviewMany, example = json!({"ids": ["a-3c9d2b7a10e4f586"], "verdict": "approve"})),
    responses(
        (status = 200, description = "The atoms as they stand now", body = Reviewed),
        (status = 202, description = "The reviews are durable and will show", body = Reviewed),
    )
)]
pub(crate) async fn review_many(
    Reviewer(viewer): Reviewer,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<(StatusCode, Json<Reviewed>)> {
    let body: ReviewMany = body.into(MANY_FIELDS)?;
    if body.ids.is_empty() || body.ids.len() > MAX_AT_ONCE {
        let detail = format!("`ids` names 1 to {MAX_AT_ONCE} atoms");
        return Err(Problem::invalid("ids", detail));
    }
    if body.verdict == "edit" {
        let detail = "`edit` is said of one atom: POST /v1/atoms/{id}/review";
        return Err(Problem::invalid("verdict", detail));
    }
    let mut ids = body.ids;
    ids.sort();
    ids.dedup();
    let known = app.atoms_by_id(&viewer, &ids).await?;
    let missing = ids
        .iter()
        .find(|id| known.iter().all(|s| s.atom.id != **id));
    if let Some(missing) = missing {
        return Err(Problem::not_found("atom", missing));
    }
    let alone = ReviewBody {
        verdict: body.verdict,
        into: body.into,
        ..ReviewBody::default()
    };
    let review = verdict(&app, &viewer, alone).await?;
    not_into_itself(&review, &ids)?;
    let (status, items) = decide(&app, &viewer, &ids, &review).await?;
    Ok((status, Json(Reviewed { items })))
}

async fn decide(
    app: &App,
    viewer: &Viewer,
    ids: &[String],
    review: &AtomVerdict,
) -> Result<(StatusCode, Vec<AtomView>)> {
    let decisions = ids.iter().map(|atom| DecisionKind::AtomReviewed {
        atom: atom.clone(),
        review: review.clone(),
        owner: viewer.key.name.clone(),
    });
    let now = app.clock.now();
    let end = app
        .log
        .decide(&viewer.key, decisions.collect(), now)
        .await?;
    let status = match app.await_knowledge(end).await? {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    // Their evidence may have moved to an atom that shows less: what was seen a moment ago is shown as it stands.
    let stored = app.atoms_by_id(viewer, ids).await?;
    Ok((status, app.show_atoms(viewer, stored).await?))
}

/// What a body says.
async fn verdict(app: &App, viewer: &Viewer, body: ReviewBody) -> Result<AtomVerdict> {
    let edits = [
        body.kind.is_some(),
        body.title.is_some(),
        body.content.is_some(),
        body.subject.is_some(),
    ];
    let has_edits = edits.contains(&true);
    match (body.verdict.as_str(), &body.into) {
        ("approve", None) if !has_edits => Ok(AtomVerdict::Approve),
        ("reject", None) if !has_edits => Ok(AtomVerdict::Reject),
        ("merge", Some(into)) if !has_edits => {
            let into = app.atom(viewer, into).await?;
            Ok(AtomVerdict::Merge { into: into.atom.id })
        }
        ("edit", None) if has_edits => edit(body),
        ("merge", None) => Err(Problem::invalid(
            "into",
            "`merge` names the atom `into` which",
        )),
        ("edit", _) => Err(Problem::invalid(
            "verdict",
            "`edit` changes `kind`, `title`, `content` or `subject`",
        )),
        ("approve" | "reject" | "merge", _) => Err(Problem::invalid(
            "verdict",
            "`kind`, `title`, `content` and `subject` go with `edit`, `into` with `merge`",
        )),
        (other, _) => Err(Problem::invalid(
            "verdict",
            format!("`verdict`: unknown value `{other}`. Valid: approve, reject, edit, merge"),
        )
        .with("valid", vec!["approve", "reject", "edit", "merge"])),
    }
}

fn edit(body: ReviewBody) -> Result<AtomVerdict> {
    let kind = body.kind.as_deref().map(|kind| parse_closed("kind", kind));
    Ok(AtomVerdict::Edit {
        kind: kind.transpose()?,
        title: worded("title", body.title, 1, MAX_TITLE)?,
        content: worded("content", body.content, 0, MAX_CONTENT)?,
        subject: worded("subject", body.subject, 0, MAX_SUBJECT)?,
    })
}

/// Words as they may stand in an atom: trimmed, of a bounded length, without control characters.
pub(crate) fn worded(
    field: &str,
    text: Option<String>,
    min: usize,
    max: usize,
) -> Result<Option<String>> {
    let Some(text) = text.map(|t| t.trim().to_owned()) else {
        return Ok(None);
    };
    let n_chars = text.chars().count();
    if n_chars < min || n_chars > max || text.chars().any(char::is_control) {
        let detail =
            format!("`{field}` has {min} to {max} characters, none of them a control character");
        return Err(Problem::invalid(field, detail));
    }
    Ok(Some(text))
}

fn not_into_itself(review: &AtomVerdict, ids: &[String]) -> Result<()> {
    match review {
        AtomVerdict::Merge { into } if ids.contains(into) => Err(Problem::invalid(
            "into",
            "an atom is not merged into itself",
        )),
        _ => Ok(()),
    }
}
