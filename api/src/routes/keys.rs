//! API keys: made, listed, revoked.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use telesift_ports::catalog::{KeyRow, Scope};
use telesift_schemas::{ChatId, Timestamp};

use crate::{
    access::Target,
    auth::{Admin, IssueError, KeyRequest, issue_key},
    body::JsonObject,
    cursor::Page,
    params::{Params, parse_closed, parse_time, parse_value},
    problem::{Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "keys";

/// A key to be made.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewKey {
    /// A name for people.
    #[schema(example = "Olena's notebook")]
    name: String,
    /// `read`, `review`, `ingest`, `admin`.
    #[schema(example = json!(["read"]))]
    scopes: Vec<String>,
    /// The only chats it may see; absent or `null` = all.
    #[serde(default)]
    chats: Option<Vec<String>>,
    /// When it stops working (RFC 3339); absent or `null` = never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<String>,
}

const FIELDS: &[&str] = &["name", "scopes", "chats", "expires_at"];

/// A new key.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CreatedKey {
    /// Its id, not secret.
    id: String,
    /// The secret. This answer is the only one that ever holds it.
    key: String,
}

/// A key, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyView {
    /// Its id.
    id: String,
    /// A name for people.
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// The only chats it may see; `null` = all.
    #[schema(value_type = Option<Vec<String>>)]
    chats: Option<Vec<ChatId>>,
    /// When it was made.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// When it stops working.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>)]
    revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[schema(value_type = Option<String>)]
    last_used_at: Option<Timestamp>,
}

impl From<KeyRow> for KeyView {
    fn from(row: KeyRow) -> Self {
        KeyView {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            chats: row.chats,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// Make a key
///
/// The answer is the only place that ever shows its secret.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys",
    request_body(content = NewKey, example = json!({"name": "Olena's notebook", "scopes": ["read"], "chats": ["-1001234567890"], "expires_at": null})),
    responses((status = 201, description = "The key", body = CreatedKey, example = json!({"id": "0197a2f0b1c27d3e8f405162738495a6", "key": "tsk_0197a2f0b1c27d3e8f405162738495a6_…"})))
)]
pub(crate) async fn create(
    _admin: Admin,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Response> {
    let body: NewKey = body.into(FIELDS)?;
    let request = KeyRequest {
        name: body.name,
        scopes: body
            .scopes
            .iter()
            .map(|s| parse_closed("scopes", s))
            .collect::<Result<_>>()?,
        chats: body
            .chats
            .map(|chats| {
                let ids = chats.iter();
                ids.map(|c| parse_value("chats", c, "a chat id such as -1001234567890"))
                    .collect::<Result<_>>()
            })
            .transpose()?,
        expires_at: body
            .expires_at
            .map(|t| parse_time("expires_at", &t))
            .transpose()?,
    };
    let issued = issue_key(&*app.catalog, &*app.clock, request)
        .await
        .map_err(|error| match error {
            IssueError::Invalid { field, reason } => Problem::invalid(field, reason),
            IssueError::Catalog(error) => error.into(),
        })?;
    let target = Target(issued.row.id.clone());
    let created = CreatedKey {
        id: issued.row.id,
        key: issued.secret,
    };
    Ok((StatusCode::CREATED, Extension(target), Json(created)).into_response())
}

/// List keys, newest first
///
/// Revoked and expired ones too, never a secret.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of keys", body = Page<KeyView>))
)]
pub(crate) async fn list(
    _admin: Admin,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<KeyView>>> {
    let limit = params.limit()?;
    let after: Option<String> = params.after(LIST)?;
    params.finish()?;
    let found = app.catalog.keys(after.as_deref(), limit + 1).await?;
    let page = Page::cut(found, limit, LIST, |last| last.id.clone())?;
    Ok(Json(page.map(KeyView::from)))
}

/// Revoke a key
///
/// Its open streams are closed within 2 s. Doing so again changes nothing.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204, description = "It does not work any more"))
)]
pub(crate) async fn revoke(
    _admin: Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode> {
    params.finish()?;
    let found = app.catalog.revoke_key(&id, app.clock.now()).await?;
    app.keys.forget_all();
    match found {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("key", id)),
    }
}
