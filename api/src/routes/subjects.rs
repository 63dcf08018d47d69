//! Subjects: listed with what is on them, one by one with their atoms, renamed, merged.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use telesift_ports::knowledge::{AtomFilter, AtomPosition, SubjectPosition, SubjectSummary};
use telesift_schemas::{AtomStatus, DecisionKind, SubjectChange, Timestamp};

use super::atoms::worded;
use crate::{
    auth::{Reader, Reviewer, Viewer},
    body::JsonObject,
    cursor::Page,
    knowledge::AtomView,
    openapi::AtomBody,
    params::Params,
    problem::{Code, Problem, Result},
    state::App,
};

/// The lists' tags in cursors.
const LIST: &str = "subjects";
const ATOMS: &str = "subject";

/// A subject.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubjectView {
    /// Its id.
    #[schema(example = "s-71c09ae4d2b35f68")]
    id: String,
    /// Its name.
    #[schema(example = "оплата")]
    name: String,
    /// Atoms on it, without rejected and retracted ones.
    n_atoms: u64,
    /// Event time of the last evidence of any.
    #[schema(value_type = String, format = DateTime)]
    last_at: Timestamp,
}

impl From<SubjectSummary> for SubjectView {
    fn from(subject: SubjectSummary) -> Self {
        SubjectView {
            id: subject.id,
            name: subject.name,
            n_atoms: subject.n_atoms,
            last_at: subject.last_at,
        }
    }
}

/// List subjects, by name
///
/// Those with atoms that are neither rejected nor retracted. To a key limited to chats only atoms count all of whose evidence
/// it may see.
#[utoipa::path(
    get, path = "/v1/subjects", tag = "knowledge",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of subjects", body = Page<SubjectView>))
)]
pub(crate) async fn list(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<SubjectView>>> {
    let limit = params.limit()?;
    let after: Option<SubjectPosition> = params.after(LIST)?;
    params.finish()?;
    let found = app.subjects(&viewer, after.as_ref(), limit + 1).await?;
    let page = Page::cut(found, limit, LIST, |last| SubjectPosition::from(last))?;
    Ok(Json(page.map(SubjectView::from)))
}

/// A subject with a page of its atoms.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubjectWithAtoms {
    /// Its id; another than asked for where that was merged into this one.
    id: String,
    /// Its name.
    name: String,
    /// Its atoms, those with the latest evidence first.
    #[schema(value_type = Vec<AtomBody>)]
    items: Vec<AtomView>,
    /// For the next page; `null` at the end.
    next_cursor: Option<String>,
}

/// Get a subject with its atoms
#[utoipa::path(
    get, path = "/v1/subjects/{id}", tag = "knowledge",
    params(
        ("id" = String, Path, description = "Its id", example = "s-71c09ae4d2b35f68"),
        ("status" = Option<Vec<String>>, Query, description = "Atoms in this state; neither rejected nor retracted unless given"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "The subject", body = SubjectWithAtoms))
)]
pub(crate) async fn one(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Json<SubjectWithAtoms>> {
    let statuses = params.all_closed("status")?;
    let limit = params.limit()?;
    let after: Option<AtomPosition> = params.after(ATOMS)?;
    params.finish()?;
    let (id, name) = find(&app, &viewer, &id).await?;
    let filter = AtomFilter {
        subjects: vec![id.clone()],
        statuses,
        ..AtomFilter::default()
    };
    let found = app
        .atoms(&viewer, &filter, after.as_ref(), limit + 1)
        .await?;
    let page = Page::cut(found, limit, ATOMS, |last| AtomPosition::from(last))?;
    Ok(Json(SubjectWithAtoms {
        id,
        name,
        items: app.show_atoms(&viewer, page.items).await?,
        next_cursor: page.next_cursor,
    }))
}

/// What becomes of a subject: one of both.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct SubjectBody {
    /// Another name.
    #[schema(example = "Оплата")]
    name: Option<String>,
    /// The subject this one is, by id: what is on it, now and later, is on that.
    merge_into: Option<String>,
}

const FIELDS: &[&str] = &["name", "merge_into"];

/// Rename a subject, or merge it into another
///
/// A key limited to chats may change a subject only if it sees all that is on it. The answer comes once the decision is
/// durable; 202 if it does not show yet.
#[utoipa::path(
    post, path = "/v1/subjects/{id}", tag = "knowledge",
    params(("id" = String, Path, description = "Its id", example = "s-71c09ae4d2b35f68")),
    request_body(content = SubjectBody, example = json!({"merge_into": "s-0a4be1f7c9d83265"})),
    responses(
        (status = 200, description = "The subject as it stands now", body = SubjectName),
        (status = 202, description = "The decision is durable and will show", body = SubjectName),
    )
)]
pub(crate) async fn change(
    Reviewer(viewer): Reviewer,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: JsonObject,
) -> Result<(StatusCode, Json<SubjectName>)> {
    let body: SubjectBody = body.into(FIELDS)?;
    let (id, _) = find(&app, &viewer, &id).await?;
    may_change(&app, &viewer, &id).await?;
    let name = worded("name", body.name, 1, 80)?;
    let change = match (name, body.merge_into) {
        (Some(name), None) => SubjectChange::Rename { name },
        (None, Some(into)) => {
            let (into, _) = find(&app, &viewer, &into).await?;
            may_change(&app, &viewer, &into).await?;
            if into == id {
                let detail = "a subject is not merged into itself";
                return Err(Problem::invalid("merge_into", detail));
            }
            SubjectChange::Merge { into }
        }
        _ => {
            let detail = "give `name` or `merge_into`, not both";
            return Err(Problem::invalid("name", detail));
        }
    };
    let decision = DecisionKind::SubjectChanged {
        subject: id.clone(),
        change,
        owner: viewer.key.name.clone(),
    };
    let now = app.clock.now();
    let end = app.log.decide(&viewer.key, vec![decision], now).await?;
    let status = match app.await_knowledge(end).await? {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let (id, name) = find(&app, &viewer, &id).await?;
    Ok((status, Json(SubjectName { id, name })))
}

/// A subject by name.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubjectName {
    /// Its id; another than asked for where that was merged into this one.
    id: String,
    /// Its name.
    name: String,
}

/// Id and name of a subject, with merges followed.
///
/// # Errors
/// 404 if there is none with anything on it the viewer may see.
async fn find(app: &App, viewer: &Viewer, id: &str) -> Result<(String, String)> {
    let missing = || Problem::not_found("subject", id);
    let ids = app.subject_ids(&[id.to_owned()]).await?;
    let row = app.catalog.subject_rows(&ids).await?.pop();
    let row = row.ok_or_else(missing)?;
    if viewer.visible_chats().is_some() {
        let any = AtomFilter {
            subjects: vec![row.id.clone()],
            statuses: AtomStatus::ALL.to_vec(),
            ..AtomFilter::default()
        };
        if app.atoms(viewer, &any, None, 1).await?.is_empty() {
            return Err(missing());
        }
    }
    Ok((row.id, row.name))
}

async fn may_change(app: &App, viewer: &Viewer, id: &str) -> Result<()> {
    if viewer.visible_chats().is_none() {
        return Ok(());
    }
    let on = app.catalog.atoms_on(id).await?;
    match on.iter().all(|s| s.is_visible_in(viewer.visible_chats())) {
        true => Ok(()),
        false => Err(Problem::new(
            Code::LimitedKey,
            "this key does not see all that is on the subject",
        )),
    }
}
