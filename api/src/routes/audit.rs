//! The audit log: who administered what, when, from where, and how it ended.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use telesift_ports::catalog::{AuditFilter, AuditRecord};
use telesift_schemas::Timestamp;

use crate::{auth::Admin, cursor::Page, params::Params, problem::Result, state::App};

/// The list's tag in cursors.
const LIST: &str = "audit";

/// One deed of administration.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditView {
    /// Its id.
    id: String,
    /// When it was asked for.
    #[schema(value_type = String)]
    at: Timestamp,
    /// Who.
    by: Actor,
    /// What, such as `keys.create`: the area and what was done in it.
    #[schema(example = "keys.create")]
    action: String,
    /// On what: the id or version of it, or `null`.
    target: Option<String>,
    /// The address it came from.
    address: Option<String>,
    /// The id of the request: `x-request-id` of the answer, and in the server's log.
    request: Option<String>,
    /// `done`, `refused` (the request was at fault), `failed` (the server was), or `unfinished`: it runs, or the server
    /// ended meanwhile.
    outcome: &'static str,
    /// The HTTP status of the answer.
    status: Option<u16>,
    /// The error code of a refusal or failure.
    code: Option<String>,
}

/// Who administered.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Actor {
    /// The id of the key; `null` for the server itself.
    key: Option<String>,
    /// The key's name then.
    name: String,
}

impl From<AuditRecord> for AuditView {
    fn from(record: AuditRecord) -> Self {
        let (status, code) = match record.outcome {
            None => (None, None),
            Some(outcome) => (Some(outcome.status), outcome.code),
        };
        AuditView {
            id: record.id,
            at: record.at,
            by: Actor {
                key: record.actor,
                name: record.actor_name,
            },
            action: record.action,
            target: record.target,
            address: record.address,
            request: record.request,
            outcome: match status {
                None => "unfinished",
                Some(500..) => "failed",
                Some(400..) => "refused",
                Some(_) => "done",
            },
            status,
            code,
        }
    }
}

/// List what was administered, newest first
///
/// Keys, rules, imports, replays, labels taken back: who did what on what, and how it ended. Refusals too. Never a secret.
#[utoipa::path(
    get, path = "/v1/audit", tag = "keys",
    params(
        ("action" = Option<String>, Query, description = "Only this action", example = "keys.create"),
        ("by" = Option<String>, Query, description = "Only of the key with this id"),
        ("target" = Option<String>, Query, description = "Only on this"),
        ("since" = Option<String>, Query, description = "From this time on"),
        ("until" = Option<String>, Query, description = "Before this time"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of records", body = Page<AuditView>))
)]
pub(crate) async fn list(
    _admin: Admin,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<AuditView>>> {
    let filter = AuditFilter {
        action: params.one("action")?,
        actor: params.one("by")?,
        target: params.one("target")?,
        since: params.time("since")?,
        until: params.time("until")?,
    };
    let limit = params.limit()?;
    let after: Option<String> = params.after(LIST)?;
    params.finish()?;
    let found = app
        .catalog
        .audits(&filter, after.as_deref(), limit + 1)
        .await?;
    let page = Page::cut(found, limit, LIST, |last| last.id.clone())?;
    Ok(Json(page.map(AuditView::from)))
}
